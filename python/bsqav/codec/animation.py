"""Animations: several pictures with their durations in a `.bsq` file (docs/bitstream.md 10)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av

from bsqav.codec.decoder import Decoder
from bsqav.codec.encoder import DEFAULT_LOOKAHEAD, Encoder
from bsqav.codec.image import Output, picture_frame, shown_picture
from bsqav.codec.models import ModelLike
from bsqav.codec.sequence import sequence_header
from bsqav.codec.still import StillConverter, check_still, is_still
from bsqav.codec.units import Frame, Packet
from bsqav.errors import BitstreamError, BsqWarning, UnsupportedError, UsageError

__all__ = [
    "Animation",
    "AnimationFile",
    "encode_animation",
    "is_animation",
    "read_animation",
    "write_animation",
]

MAGIC = b"BSQA"
VERSION = 1
MAX_LOOPS = (1 << 31) - 1
MAX_PACKET_BYTES = 1 << 28
# Milliseconds and the usual frame rates are whole numbers of these.
TIME_BASE = Fraction(1, 90000)
DEFAULT_DURATION = Fraction(1, 10)


def is_animation(head: bytes) -> bool:
    """Whether data that begins so (four bytes suffice) is an animation."""
    return head[:4] == MAGIC


# ---- the file ----


@dataclass(frozen=True)
class AnimationFile:
    """What an animation's file holds."""

    packets: tuple[bytes, ...]
    loops: int  # how often it is shown, 0 for ever
    complete: bool  # False: it was cut short


def write_animation(file: BinaryIO, packets: Iterable[bytes | Packet], *, loops: int = 0) -> None:
    """Writes packets, the first of them a keyframe, as an animation.

    Raises:
        UsageError: there is no packet, the first is no keyframe, or loops is out of range.
    """
    if not 0 <= loops <= MAX_LOOPS:
        raise UsageError(f"{loops} loops: 0 (for ever) to {MAX_LOOPS}")
    head = _varint(loops)
    first = True
    for packet in packets:
        data = bytes(packet)
        if first:
            if not is_still(data):
                raise UsageError("an animation begins with a keyframe")
            file.write(MAGIC + bytes([VERSION]) + _varint(len(head)) + head)
            first = False
        file.write(_varint(len(data)) + data)
    if first:
        raise UsageError("an animation has at least one picture")
    file.write(b"\0")


def read_animation(data: bytes, name: str = "") -> AnimationFile:
    """The packets of an animation, unchecked themselves.

    A file that is cut short gives the packets that are whole.

    Args:
        data: the whole file.
        name: what messages call it.

    Raises:
        BitstreamError: the data is no animation, or has no whole packet; `.byte` says where.
        UnsupportedError: its version is newer than this library.
    """
    where = f"{name}: " if name else ""
    if not is_animation(data):
        raise BitstreamError(f"{where}no BSQ animation: 'BSQA' does not stand first", byte=0)
    if len(data) > 4 and data[4] != VERSION:
        raise UnsupportedError(f"{where}version {data[4]} of animations: {VERSION} is known")
    packets: list[bytes] = []
    place = 5
    try:
        length, place = _read_varint(data, place)
        loops, _ = _read_varint(data[: place + length], place)
        if loops > MAX_LOOPS:
            raise BitstreamError(f"{where}{loops} loops are more than {MAX_LOOPS}", byte=place)
        place += length
        while True:
            size, begin = _read_varint(data, place)
            if size == 0:
                break
            if size > MAX_PACKET_BYTES:
                raise BitstreamError(f"{where}a picture of {size} bytes", byte=place)
            if begin + size > len(data):
                raise EOFError
            packets.append(data[begin : begin + size])
            place = begin + size
    except EOFError:
        if not packets:
            raise BitstreamError(f"{where}the animation is cut short", byte=len(data)) from None
        return AnimationFile(tuple(packets), loops, complete=False)
    if not packets:
        raise BitstreamError(f"{where}the animation has no picture", byte=place)
    if begin != len(data):
        raise BitstreamError(f"{where}bytes follow after the end of the animation", byte=begin)
    return AnimationFile(tuple(packets), loops, complete=True)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at a place and the place after it; EOFError past the end."""
    value = 0
    for shift in range(0, 63, 7):
        if place >= len(data):
            raise EOFError
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                break
            return value, place
    raise BitstreamError("a number is not in its shortest form, or too long", byte=place)


# ---- pictures ----


def encode_animation(
    pictures: Iterable[Any],
    *,
    durations: Fraction | float | Sequence[Fraction | float] = DEFAULT_DURATION,
    loops: int = 0,
    crf: float = 32.0,
    gop: int = 250,
    model: ModelLike | None = None,
    preset: str = "medium",
    tune: str = "balanced",
    threads: int = 0,
) -> bytes:
    """Codes several pictures; the result is the content of a `.bsq` file.

    Args:
        pictures: of the kinds that `encode_image` takes, all of one size. The first one settles
            whether they are in colour.
        durations: seconds for which each picture shows, or one number for all.
        loops: how often the animation is shown, 0 for ever.
        crf: quality from 0 (finest) to 63 (coarsest).
        gop: most pictures from one keyframe to the next, 1 to 65535.
        model: name, id, path or Model; the default model where None.
        preset: "fast", "medium" or "slow".
        tune: "balanced", "psnr" or "perceptual", see `Encoder`.
        threads: 1 to 64, 0 for the number of processors.

    Raises:
        UsageError: there is no picture, one does not go with the first, or an argument is out of
            range.
        UnsupportedError, ModelNotFoundError, ModelError: as `encode_image`.
    """
    options = {
        "crf": crf,
        "gop": gop,
        "model": model,
        "preset": preset,
        "tune": tune,
        "threads": threads,
    }
    held = io.BytesIO()
    write_animation(held, _coded(pictures, durations, options), loops=loops)
    return held.getvalue()


def _coded(
    pictures: Iterable[Any],
    durations: Fraction | float | Sequence[Fraction | float],
    options: dict[str, Any],
) -> Iterator[Packet]:
    encoder: Encoder | None = None
    tick = 0
    for number, picture in enumerate(pictures):
        frame, rotation = picture_frame(picture)
        if encoder is None:
            converter = StillConverter(frame, warn=_warn)
            first, first_rotation = frame, rotation
            encoder = _open(converter, rotation, options)
        elif rotation != first_rotation:
            raise UsageError(f"picture {number} is turned otherwise than the first")
        _check_like(first, frame, converter, number)
        ticks = _ticks(durations, number)
        yield from encoder.encode(converter.convert(frame), pts=tick, duration=ticks)
        tick += ticks
    if encoder is not None:
        if isinstance(durations, Sequence) and len(durations) != number + 1:
            raise UsageError(f"{len(durations)} durations for {number + 1} pictures")
        yield from encoder.flush()


def _open(converter: StillConverter, rotation: int, options: dict[str, Any]) -> Encoder:
    sequence = sequence_header(
        converter.format,
        converter.colour,
        time_base=TIME_BASE,
        chroma_location=converter.chroma_location,
        rotation=rotation,
    )
    return Encoder(sequence=sequence, lookahead=DEFAULT_LOOKAHEAD, **options)


def _check_like(
    first: av.VideoFrame, frame: av.VideoFrame, converter: StillConverter, number: int
) -> None:
    """Raises UsageError where a picture has another size or more colours than the first."""
    if (frame.width, frame.height) != (first.width, first.height):
        raise UsageError(
            f"picture {number} has {frame.width}x{frame.height} and the first {first.width}x"
            f"{first.height}: an animation has one size"
        )
    own = StillConverter(frame, warn=lambda _: None).format
    if own.chroma != converter.format.chroma and converter.format.chroma == "gray":
        raise UsageError(f"picture {number} is in colour and the first is gray: convert it")
    if own.alpha and not converter.format.alpha:
        raise UsageError(f"picture {number} is transparent and the first is not")


def _ticks(durations: Fraction | float | Sequence[Fraction | float], number: int) -> int:
    if isinstance(durations, Sequence):
        if number >= len(durations):
            raise UsageError(f"{len(durations)} durations for more pictures")
        durations = durations[number]
    ticks = round(Fraction(durations) / TIME_BASE)
    if not 1 <= ticks <= MAX_LOOPS:
        raise UsageError(f"a picture cannot show for {float(durations)} seconds")
    return ticks


class Animation:
    """An animation's pictures in any order.

    `len()` gives their number, an index a picture as `decode_image` gives it. Going on from one
    picture to the next is cheap; going elsewhere decodes from the keyframe before.

    Args:
        data: the content of the `.bsq` file: an animation, or a still, which has one picture.
        output: as `decode_image` has it: "array", "pillow" or "frame".
        model: a model to use beside the installed ones.
        threads: 1 to 64, 0 for the number of processors.

    Raises:
        BitstreamError: the data is neither, or damaged; `.byte` says where.
        UnsupportedError: its version is newer than this library.
    """

    def __init__(
        self,
        data: bytes,
        *,
        output: Output = "array",
        model: ModelLike | None = None,
        threads: int = 0,
    ) -> None:
        still = AnimationFile((data,), 1, complete=True)
        file = still if is_still(data) else read_animation(data)
        self.loops = file.loops
        """How often it is shown, 0 for ever."""
        self.complete = file.complete
        """Whether the file ends where it should."""
        self._packets = file.packets
        self._output = output
        self._decoder = Decoder(
            models=() if model is None else (model,), threads=threads, strict=True
        )
        self._keyframes = [number for number, data in enumerate(self._packets) if is_still(data)]
        self.sequence: dict[str, Any] = check_still(self._packets[0])["sequence"]
        """The first sequence header; see `bsqav.codec.sequence`."""
        self._next = 0  # the packet that the decoder waits for
        self._last: tuple[int, Frame] | None = None

    def __len__(self) -> int:
        return len(self._packets)

    def __getitem__(self, index: int) -> Any:
        return shown_picture(self.frame(index), self._output)

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def duration(self, index: int) -> Fraction:
        """Seconds for which a picture shows, 0 where unknown. Decodes the picture."""
        frame = self.frame(index)
        return frame.duration * frame.time_base

    def frame(self, index: int) -> Frame:
        """A picture as it is coded.

        Raises:
            IndexError: there is no such picture.
            BitstreamError: it is damaged.
            ModelNotFoundError: the model is not installed.
        """
        count = len(self._packets)
        if not -count <= index < count:
            raise IndexError(f"picture {index} of an animation of {count}")
        index %= count
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        keyframe = max(number for number in self._keyframes if number <= index)
        if not keyframe <= self._next <= index:
            self._decoder.reset()
            self._next = keyframe
        for number in range(self._next, index + 1):
            try:
                (frame,) = self._decoder.decode(self._packets[number])
            except BitstreamError as error:
                error.packet = number
                self._next = count
                raise
        self._next = index + 1
        self._last = (index, frame)
        return frame


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=7)
