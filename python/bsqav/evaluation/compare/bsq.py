"""BSQ as a codec under test, through bsqav's public functions alone.

It runs in a process of its own, so that peak memory can be measured and several may run at a time.
"""

import functools
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict, cast

from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import Run, packet_sizes, shown_sizes
from bsqav.evaluation.io.process import run_measured
from bsqav.evaluation.io.y4m import Y4mHeader


@dataclass(frozen=True)
class Encoded:
    """A finished encode: bytes of each packet in file order, seconds, the call as text.

    memory       the process's peak in bytes, None where it is not known
    frame_bytes  the packets' bytes in the order in which frames are shown; empty: as packet_bytes
    packet_stats what the encoder tells of each packet, in file order; empty: nothing
    """

    packet_bytes: list[int]
    seconds: float
    command: str
    memory: int | None = None
    frame_bytes: list[int] = field(default_factory=list)
    packet_stats: list[dict[str, Any]] = field(default_factory=list)


class BsqCodec(Protocol):
    """What a comparison asks of the codec under test; any codec can be put in its place.

    Where it also has `identity() -> dict[str, object] | None`, it says all that its results depend
    on besides the arguments, and they are kept in the cache.
    """

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        """Encode `y4m` into the file `out`."""

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> Run:
        """Decode `stream` into `y4m` with the source's `header`."""


class Report(TypedDict):
    """What a job of `worker.JOBS` reports: its seconds, and the process's peak bytes."""

    seconds: float
    memory: int | None


class PublicBsq:
    """BSQ by `bsqav.transcode` into Matroska and `bsqav.open` back.

    settings  of clips, by name, as `transcode` takes them
    """

    def __init__(self, model: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self.settings = dict(settings or {})

    def identity(self) -> dict[str, object]:
        """The program, the model and the settings.

        Raises ModelNotFoundError where there is no such model.
        """
        from bsqav.codec.models import find_model

        model = find_model(self.model)
        return {"program": program_hash(), "model": model.id, "settings": self.settings}

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        """See `BsqCodec`."""
        report = run_worker(
            "encode",
            y4m=str(y4m),
            out=str(out),
            settings={"crf": crf, "gop": gop, "model": self.model, **self.settings},
        )
        shown = f"bsqav transcode {y4m.name} {out.name} --crf {crf:g} --gop {gop}"
        if self.model is not None:
            shown += f" --model {self.model}"
        shown += "".join(f" {_as_option(*setting)}" for setting in self.settings.items())
        sizes = packet_sizes(out)
        return Encoded(sizes, report["seconds"], shown, report["memory"], shown_sizes(out))

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> Run:
        """See `BsqCodec`."""
        report = run_worker("decode", **decode_arguments(stream, y4m, header, self.model))
        return Run(f"bsqav.open({stream.name!r})", report["seconds"], report["memory"])


def _as_option(name: str, value: Any) -> str:
    """A setting on the command line: --lookahead 0, --no-scene-cut."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"


def decode_arguments(
    stream: Path, y4m: Path, header: Y4mHeader, model: str | None
) -> dict[str, object]:
    """What a worker's job "decode" is given."""
    return {
        "stream": str(stream),
        "y4m": str(y4m),
        "model": model,
        "size": (header.width, header.height),
        "rate": (header.rate.numerator, header.rate.denominator),
    }


def run_worker(job: str, **arguments: object) -> Report:
    """Runs a job of `worker.JOBS` in another Python process and returns its report.

    The seconds are those of the job itself: the start of Python is not in them.

    Raises EvaluationError with the job's own message where it failed.
    """
    command = [sys.executable, "-m", "bsqav.evaluation.compare.worker", job, json.dumps(arguments)]
    return cast(Report, run_reporting(command))


def run_reporting(command: Sequence[str]) -> dict[str, Any]:
    """Runs a program whose last line is a report in JSON, and returns that.

    Raises EvaluationError with its `error` where it has one, or where there is no report.
    """
    done = run_measured(command, Path.cwd())
    try:
        report: dict[str, Any] = json.loads(done.output.splitlines()[-1])
    except (IndexError, ValueError) as error:
        said = done.errors.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise EvaluationError(
            f"BSQ's process ended with status {done.status}: {' '.join(said) or 'no message'}"
        ) from error
    if "error" in report:
        raise EvaluationError(str(report["error"]))
    return report


@functools.cache
def program_hash() -> str:
    """A hash of the extension and of the Python code between it and a file."""
    import bsqav
    from bsqav import _core

    package = Path(bsqav.__file__).parent
    sources = [Path(str(_core.__file__))]
    for name in ("codec", "media"):
        sources += sorted((package / name).rglob("*.py"))
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()
