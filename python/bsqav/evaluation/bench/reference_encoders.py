"""BSQ files compared with x264 and x265, on every processor."""

import tempfile
from pathlib import Path

from bsqav.evaluation.bench.codec import WAYS, frames_of
from bsqav.evaluation.bench.result import Part, Settings, columns
from bsqav.evaluation.bench.timing import Spread, in_turn
from bsqav.evaluation.compare.bsq import PublicBsq
from bsqav.evaluation.compare.reference_encoders import (
    REFERENCES,
    check_reference,
    encode_reference,
)
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import decode_to_y4m, packet_sizes
from bsqav.evaluation.io.frames import ANY_RATE
from bsqav.evaluation.io.y4m import Y4mHeader, Y4mWriter

# Codec and quality; the rates are of the same order as BSQ's at crf 32.
ENCODERS = (("x264", 28), ("x265", 28))
GOP = 250


class _File:
    """A codec's file in the folder of the source; its calls return frames a second."""

    def __init__(self, source: Path, header: Y4mHeader, frames: int, name: str) -> None:
        self.source = source
        self.header = header
        self.frames = frames
        self.coded = source.with_name(f"{name}.mkv")
        self.decoded = source.with_name(f"{name}.y4m")

    def bpp(self) -> float:
        pixels = self.frames * self.header.width * self.header.height
        return 8 * sum(packet_sizes(self.coded)) / pixels


class _Bsq(_File):
    def __init__(self, source: Path, header: Y4mHeader, frames: int, settings: Settings) -> None:
        super().__init__(source, header, frames, "bsq")
        self.codec = PublicBsq(settings.model_name)
        self.crf = settings.crf

    def encode(self) -> float:
        self.coded.unlink(missing_ok=True)
        return self.frames / self.codec.encode(self.source, self.crf, GOP, self.coded).seconds

    def decode(self) -> float:
        return self.frames / self.codec.decode(self.coded, self.decoded, self.header).seconds


class _Reference(_File):
    def __init__(
        self, source: Path, header: Y4mHeader, frames: int, name: str, quality: int
    ) -> None:
        super().__init__(source, header, frames, name)
        self.reference = REFERENCES[name]
        self.quality = quality

    def encode(self) -> float:
        run = encode_reference(self.reference, self.source, self.quality, GOP, self.coded)
        return self.frames / run.seconds

    def decode(self) -> float:
        return self.frames / decode_to_y4m(self.coded, self.decoded, self.header).seconds


def measure(settings: Settings) -> Part:
    """Frames a second of the public functions and of ffmpeg, its start included."""
    width, height = settings.size
    part = Part(
        "references",
        f"Files, {width}x{height}, {settings.frames} frames, every processor",
        columns("codec | quality | encode_fps .1f | decode_fps .1f | bpp .4f"),
    )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.y4m"
        header = Y4mHeader(width, height, ANY_RATE)
        with Y4mWriter(source, header) as writer:
            for planes in frames_of(settings, settings.size, settings.frames):
                writer.write(planes)
        files: dict[tuple[str, str], _Bsq | _Reference] = {}
        files["bsqav", f"crf {settings.crf:g}"] = _Bsq(source, header, settings.frames, settings)
        for name, quality in ENCODERS:
            try:
                check_reference(REFERENCES[name], width, height)
            except EvaluationError as error:
                part.notes.append(f"{name}: {error}")
                continue
            title = (REFERENCES[name].title, f"crf {quality}")
            files[title] = _Reference(source, header, settings.frames, name, quality)
        _time(part, files, settings.repeats)
    return part


def _time(part: Part, files: dict[tuple[str, str], _Bsq | _Reference], repeats: int) -> None:
    turns = {}
    for key, file in files.items():
        turns[(*key, "encode")] = file.encode
        turns[(*key, "decode")] = file.decode
    values = in_turn(turns, repeats)
    for key, file in files.items():
        row = {f"{way}_fps": Spread.of(values[(*key, way)]) for way in WAYS}
        part.rows.append({"codec": key[0], "quality": key[1], **row, "bpp": file.bpp()})
