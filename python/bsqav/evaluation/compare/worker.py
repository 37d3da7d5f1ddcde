"""The process in which a comparison runs BSQ: one job, its result as a line of JSON.

python -m bsqav.evaluation.compare.worker JOB ARGUMENTS-AS-JSON
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from bsqav.errors import BsqError
from bsqav.evaluation.io.process import peak_memory
from bsqav.evaluation.io.sources import frame_planes
from bsqav.evaluation.io.y4m import Y4mHeader, Y4mWriter


def encode(y4m: str, out: str, settings: Mapping[str, Any]) -> float:
    """Encodes a y4m file; gives the seconds that took."""
    import bsqav

    start = time.perf_counter()
    bsqav.transcode(Path(y4m), Path(out), codec="bsq", **settings)
    return time.perf_counter() - start


def decode(
    stream: str, y4m: str, model: str | None, size: tuple[int, int], rate: tuple[int, int]
) -> float:
    """Decodes a file into y4m; gives the seconds that took."""
    import bsqav

    header = Y4mHeader(*size, Fraction(*rate))
    start = time.perf_counter()
    models = () if model is None else (model,)
    with (
        bsqav.open(Path(stream), models=models) as container,
        Y4mWriter(Path(y4m), header) as writer,
    ):
        for frame in container.decode(video=0):
            writer.write(frame_planes(frame))
    return time.perf_counter() - start


JOBS: dict[str, Callable[..., float]] = {"encode": encode, "decode": decode}


def run(job: str, **arguments: object) -> dict[str, object]:
    """Runs a job; gives `seconds` and `memory` (peak bytes of this process), or `error`."""
    try:
        seconds = JOBS[job](**arguments)
    except (BsqError, OSError) as error:
        return {"error": str(error) or type(error).__name__}
    return {"seconds": seconds, "memory": peak_memory()}


def main() -> int:
    """Runs the job that the command line names."""
    report = run(sys.argv[1], **json.loads(sys.argv[2]))
    print(json.dumps(report))
    return 1 if "error" in report else 0


if __name__ == "__main__":
    sys.exit(main())
