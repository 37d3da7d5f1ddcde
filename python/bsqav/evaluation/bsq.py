"""BSQ as a codec under test, through bsqav's public functions alone."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bsqav.evaluation.ffmpeg import packet_sizes
from bsqav.evaluation.sources import frame_planes
from bsqav.evaluation.y4m import Y4mHeader, Y4mWriter


@dataclass(frozen=True)
class Encoded:
    """A finished encode: bytes of each packet in file order, seconds, and the call as text."""

    packet_bytes: list[int]
    seconds: float
    command: str


class BsqCodec(Protocol):
    """What a comparison asks of the codec under test; any codec can be put in its place."""

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        """Encode `y4m` into the file `out`."""

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> float:
        """Decode `stream` into `y4m` with the source's `header`; return the seconds it took."""


class PublicBsq:
    """BSQ by `bsqav.transcode` into Matroska and `bsqav.open` back."""

    def __init__(self, model: str | None = None) -> None:
        self._model = model

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        """See `BsqCodec`."""
        import bsqav

        start = time.perf_counter()
        bsqav.transcode(y4m, out, codec="bsq", crf=crf, gop=gop, model=self._model)
        seconds = time.perf_counter() - start
        shown = f"bsqav transcode {y4m.name} {out.name} --crf {crf:g} --gop {gop}"
        if self._model is not None:
            shown += f" --model {self._model}"
        return Encoded(packet_sizes(out), seconds, shown)

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> float:
        """See `BsqCodec`."""
        import bsqav

        start = time.perf_counter()
        models = () if self._model is None else (self._model,)
        with (
            bsqav.open(stream, models=models) as container,
            Y4mWriter(y4m, header) as writer,
        ):
            for frame in container.decode(video=0):
                writer.write(frame_planes(frame))
        return time.perf_counter() - start
