"""Peak memory of coding large frames, each way in a process of its own.

Run as a module, it is that process: it encodes a y4m file into a file of packets, or decodes that,
and prints the megabytes it had before and at most as JSON.
"""

import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from bsqav import _core
from bsqav.codec.models import find_model
from bsqav.codec.settings import EncoderSettings
from bsqav.evaluation.bench.codec import WAYS, frames_of
from bsqav.evaluation.bench.result import Part, Settings, columns
from bsqav.evaluation.io.coding import decode, encode
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.frames import ANY_RATE
from bsqav.evaluation.io.process import peak_memory
from bsqav.evaluation.io.y4m import Y4mFile, Y4mHeader, Y4mWriter

# The lookahead is full, and frames leave it.
LOOKAHEAD = EncoderSettings.for_files().lookahead
FRAMES = LOOKAHEAD + 4


def peak_megabytes() -> float:
    """The most memory that this process has had resident."""
    peak = peak_memory()
    if peak is None:
        raise EvaluationError("the system does not tell the peak memory of a process")
    return peak / 2**20


def measure(settings: Settings) -> Part:
    """Megabytes, the interpreter with NumPy included."""
    width, height = settings.memory
    threads = max(settings.threads)
    part = Part(
        "memory",
        f"Peak memory, {width}x{height}, lookahead of {LOOKAHEAD}, {threads} threads",
        columns("way | peak_mb .0f = peak MB | before_mb .0f = before the first frame MB"),
    )
    if peak_memory() is None:
        part.notes.append("the system does not tell the peak memory of a process: not measured")
        return part
    with tempfile.TemporaryDirectory() as folder:
        source, packets = Path(folder) / "source.y4m", Path(folder) / "packets"
        with Y4mWriter(source, Y4mHeader(width, height, ANY_RATE)) as writer:
            for planes in frames_of(settings, settings.memory, FRAMES):
                writer.write(planes)
        for way in WAYS:
            words = (way, source, packets, settings.crf, threads, settings.model_name or "")
            part.rows.append({"way": way, **_run(*map(str, words))})
    return part


def _run(*arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EvaluationError(f"the process that measures memory failed: {last}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _code(way: str, source: Path, packets: Path, crf: float, threads: int, name: str) -> None:
    model: _core.Model = find_model(name or None)
    before = peak_megabytes()
    if way == "encode":
        clip = Y4mFile(source)
        frames = (clip[i] for i in range(len(clip)))
        coded = encode(frames, model, crf, threads=threads, lookahead=LOOKAHEAD)
        after = peak_megabytes()
        packets.write_bytes(pickle.dumps([packet.data for packet, _ in coded]))
    else:
        decode(pickle.loads(packets.read_bytes()), model, threads)
        after = peak_megabytes()
    print(json.dumps({"peak_mb": after, "before_mb": before}))


if __name__ == "__main__":
    way, source, packets, crf, threads, name = sys.argv[1:]
    _code(way, Path(source), Path(packets), float(crf), int(threads), name)
