"""Sound, packets and files that the tests of containers share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from bsqav.codec.sequence import SequenceHeader
from bsqav.media.io.pipes import WholeWriter

# What a sequence header says in tests that write no real BSQ.
SEQUENCE: SequenceHeader = {
    "width": 320,
    "height": 240,
    "chroma": "420",
    "bit_depth": 8,
    "time_base": (1, 30000),
    "frame_rate": (30000, 1001),
    "sample_aspect": (4, 3),
    "color_primaries": 9,
    "color_transfer": 16,
    "color_matrix": 9,
    "full_range": 0,
    "chroma_location": 1,
    "rotation": 90,
}
HEADER = b"BSQ1\x01\x05hello"
TICK = Fraction(1, 30000)

# Encoder of PyAV's, a container it comes in, sample format.
SOUNDS = {
    "aac": ("aac", "mp4", "fltp"),
    "aac-adts": ("aac", "adts", "fltp"),
    "opus": ("libopus", "ogg", "flt"),
    "vorbis": ("vorbis", "ogg", "fltp"),
    "mp3": ("libmp3lame", "mp3", "fltp"),
    "ac3": ("ac3", "ac3", "fltp"),
    "eac3": ("eac3", "eac3", "fltp"),
    "flac": ("flac", "flac", "s16"),
    "alac": ("alac", "mov", "s16p"),
    "mp2": ("mp2", "mp2", "s16"),
    "pcm_u8": ("pcm_u8", "wav", "u8"),
    "pcm_s16le": ("pcm_s16le", "wav", "s16"),
    "pcm_s24le": ("pcm_s24le", "wav", "s32"),
    "pcm_s16be": ("pcm_s16be", "mov", "s16"),
    "pcm_f32le": ("pcm_f32le", "wav", "flt"),
    "pcm_f64le": ("pcm_f64le", "wav", "dbl"),
}


def sound(kind: str, seconds: float = 0.6, rate: int = 48000) -> io.BytesIO:
    """A file with a stereo track of rising tones."""
    encoder, container, sample_format = SOUNDS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(encoder, rate=rate)
        stream.codec_context.layout = "stereo"
        stream.codec_context.format = sample_format
        if encoder == "vorbis":
            stream.codec_context.options = {"strict": "experimental"}
        times = np.arange(int(seconds * rate)) / rate
        tones = np.stack([np.sin(2500 * times**2 + 300 * times), np.cos(1700 * times)])
        samples = np.ascontiguousarray((0.5 * tones).astype(np.float32))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(
            sample_format, "stereo", rate, frame_size=stream.codec_context.frame_size or 1024
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    file.seek(0)
    return file


def packets_of(container: Any, stream: Any) -> list[Any]:
    """A stream's packets without the empty ones at the end."""
    return [packet for packet in container.demux(stream) if packet.size]


def samples_of(file: io.BytesIO) -> np.ndarray[Any, Any]:
    """The sound of a file's first sound track, channels x samples (or packed)."""
    file.seek(0)
    with av.open(file, "r") as container:
        return np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)


def video_packets(
    count: int = 60, *, gop: int = 12, step: int = 1001, size: int = 200
) -> Iterator[tuple[bytes, int, bool]]:
    """(data, pts, keyframe) of packets that are no BSQ, for what only carries them."""
    for number in range(count):
        yield number.to_bytes(4, "big") * (size // 4), number * step, number % gop == 0


def mux_video(muxer: Any, track: int, **shape: int) -> list[tuple[bytes, int, bool]]:
    """Writes `video_packets` to a muxer; returns them."""
    written = []
    step = shape.get("step", 1001)
    for data, pts, keyframe in video_packets(**shape):
        muxer.mux(track, data, pts=pts, duration=step, keyframe=keyframe, time_base=TICK)
        written.append((data, pts, keyframe))
    return written


def mux_packets(
    muxer: Any, track: int, packets: Iterable[Any], *, move: int = 0, duration: int | None = None
) -> None:
    """Writes packets of BSQ to a muxer, `move` ticks later, with their own duration or this."""
    for packet in packets:
        muxer.mux(
            track,
            packet.data,
            pts=packet.pts + move,
            duration=packet.duration if duration is None else duration,
            keyframe=packet.keyframe,
            disposable=packet.disposable,
            time_base=packet.time_base,
        )


class Pipe(io.RawIOBase):
    """A file object that can only be written, in order, a part at a time."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)[:5000]
        self.data += part
        return len(part)


class InOrder(WholeWriter):
    """A file object that can be written, whole, but not sought in."""

    def seekable(self) -> bool:
        return False


def read_pipe(data: bytes) -> Any:
    """A file object that can only be read, in order."""
    return _ReadPipe(data)


class _ReadPipe(io.RawIOBase):
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)


class Sink(io.RawIOBase):
    """A seekable file object that keeps nothing but its size."""

    def __init__(self) -> None:
        self.place = 0
        self.size = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = 0) -> int:
        self.place = place if whence == 0 else self.size + place
        return self.place

    def write(self, data: Any) -> int:
        self.place += len(data)
        self.size = max(self.size, self.place)
        return len(data)
