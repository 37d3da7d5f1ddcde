"""One interface for all codecs: a setting goes in, a stream and its decoded clip come out."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bsqav.evaluation.compare.bsq import BsqCodec, Encoded, PublicBsq, program_hash
from bsqav.evaluation.compare.reference_encoders import Reference, check_reference, encode_reference
from bsqav.evaluation.compare.still_codecs import StillCodec, bsq_codec, still_tools
from bsqav.evaluation.io.ffmpeg import Run, decode_to_y4m, ffmpeg_version, packet_sizes, shown_sizes
from bsqav.evaluation.io.images import read_pixels
from bsqav.evaluation.io.sources import write_pixels
from bsqav.evaluation.io.workspace import ClipSource


class Coder(Protocol):
    """A codec under test, with the settings of its curve.

    step    the least difference between two settings, 0 where any number will do
    suffix  of the streams that it writes
    """

    name: str
    title: str
    settings: Sequence[float]
    step: float
    suffix: str

    def check(self, source: ClipSource, gop: int) -> None:
        """Raise EvaluationError where it cannot code this source at this keyframe interval."""

    def label(self, setting: float) -> str:
        """The setting as people write it."""

    def identity(self) -> dict[str, object] | None:
        """All that results depend on besides source, setting and interval; None: do not keep."""

    def encode(self, source: ClipSource, setting: float, gop: int, out: Path) -> Encoded:
        """Encode the source into the file `out`."""

    def decode(self, stream: Path, y4m: Path, source: ClipSource) -> Run:
        """Decode `stream` into `y4m`, in the form of the source."""


class ReferenceCoder:
    """A video encoder of ffmpeg's."""

    suffix = ".mkv"

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.name, self.title = reference.name, reference.title
        self.settings: Sequence[float] = reference.points
        self.step = reference.step

    def check(self, source: ClipSource, gop: int) -> None:
        """See `Coder`."""
        check_reference(self.reference, source.header.width, source.header.height, gop)

    def label(self, setting: float) -> str:
        """See `Coder`."""
        return f"{self.reference.option.lstrip('-')} {setting:g}"

    def identity(self) -> dict[str, object]:
        """See `Coder`."""
        content = dataclasses.asdict(self.reference)
        return {"ffmpeg": ffmpeg_version(), **{k: v for k, v in content.items() if k != "points"}}

    def encode(self, source: ClipSource, setting: float, gop: int, out: Path) -> Encoded:
        """See `Coder`."""
        run = encode_reference(self.reference, source.y4m(), setting, gop, out)
        sizes = packet_sizes(out)
        return Encoded(sizes, run.seconds, run.command, run.memory, shown_sizes(out))

    def decode(self, stream: Path, y4m: Path, source: ClipSource) -> Run:
        """See `Coder`."""
        return decode_to_y4m(stream, y4m, source.header)


class BsqCoder:
    """BSQ, or what a caller puts in its place; under another name, another one to compare with."""

    suffix, step = ".mkv", 0.0

    def __init__(
        self, codec: BsqCodec, crfs: Sequence[float], name: str = "bsq", title: str = "BSQ"
    ) -> None:
        self.codec = codec
        self.settings = crfs
        self.name, self.title = name, title

    def check(self, source: ClipSource, gop: int) -> None:
        """See `Coder`."""

    def label(self, setting: float) -> str:
        """See `Coder`."""
        return f"crf {setting:g}"

    def identity(self) -> dict[str, object] | None:
        """See `Coder`."""
        identity = getattr(self.codec, "identity", None)
        return None if identity is None else {"bsq": identity()}

    def encode(self, source: ClipSource, setting: float, gop: int, out: Path) -> Encoded:
        """See `Coder`."""
        return self.codec.encode(source.y4m(), setting, gop, out)

    def decode(self, stream: Path, y4m: Path, source: ClipSource) -> Run:
        """See `Coder`."""
        return self.codec.decode(stream, y4m, source.header)


class StillCoder:
    """A codec of still pictures, in this process."""

    suffix = ".bin"

    def __init__(self, codec: StillCodec, identity: dict[str, object] | None) -> None:
        self.codec = codec
        self.name, self.title = codec.name, codec.title
        self.settings: Sequence[float] = codec.settings
        self.step = codec.step
        self._identity = identity

    def check(self, source: ClipSource, gop: int) -> None:
        """See `Coder`."""
        del source, gop
        self.codec.check()

    def label(self, setting: float) -> str:
        """See `Coder`."""
        return f"{self.codec.option} {setting:g}"

    def identity(self) -> dict[str, object] | None:
        """See `Coder`."""
        return self._identity

    def encode(self, source: ClipSource, setting: float, gop: int, out: Path) -> Encoded:
        """See `Coder`."""
        del gop
        pixels = read_pixels(source.path, source.scale)
        start = time.perf_counter()
        data = self.codec.encode(pixels, setting)
        seconds = time.perf_counter() - start
        out.write_bytes(data)
        return Encoded([len(data)], seconds, self.codec.shown.replace("Q", f"{setting:g}"))

    def decode(self, stream: Path, y4m: Path, source: ClipSource) -> Run:
        """See `Coder`."""
        del source
        data = stream.read_bytes()
        start = time.perf_counter()
        pixels = self.codec.decode(data)
        seconds = time.perf_counter() - start
        write_pixels(pixels, y4m)
        return Run(f"decode {stream.name}", seconds)


def still_coder(codec: StillCodec) -> StillCoder:
    """A reference for pictures."""
    return StillCoder(codec, {"codec": codec.name, "shown": codec.shown, "tools": still_tools()})


def bsq_still_coder(codec: BsqCodec, crfs: Sequence[float]) -> StillCoder | None:
    """BSQ for pictures; None where another video codec has been put in its place."""
    if not isinstance(codec, PublicBsq):
        return None
    identity: dict[str, object] = {"still": codec.identity() | {"program": program_hash()}}
    return StillCoder(bsq_codec(crfs, codec.model), identity)
