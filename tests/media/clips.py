"""Small clips with everything that belongs to a video, made by PyAV from FFmpeg's own sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.pyav_api.container_read import InputContainer
from bsqav.media.pyav_api.input_stream import BsqInputStream

SUBTITLES = (b"one <i>two</i>", b"three\nfour")
COVER_SIZE = (16, 16)
ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\n"
    b"Style: Default,Arial\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
    b"MarginV, Effect, Text\n"
)


@dataclass(frozen=True)
class ClipSpec:
    """What a clip holds. Times are ticks of `time_base`."""

    size: tuple[int, int] = (64, 48)
    frames: int = 25
    rate: Fraction = Fraction(25)
    pixel_format: str = "yuv420p"
    encoder: str = "libx264"
    gop: int = 10
    audio: str | None = "aac"
    subtitles: str | None = None
    chapters: bool = False
    rotation: int = 0  # degrees clockwise
    sample_aspect: Fraction | None = None
    colour: tuple[int, int, int, int] | None = None  # primaries, transfer, matrix, PyAV's range
    times: Sequence[int] | None = None  # of every frame, in milliseconds, for variable rates
    metadata: dict[str, str] = field(default_factory=dict)
    cover: bool = False
    attachment: tuple[str, str, bytes] | None = None


def pictures(spec: ClipSpec) -> Iterator[av.VideoFrame]:
    """Frames of a moving test pattern."""
    width, height = spec.size
    seconds = float(spec.frames / spec.rate)
    source = f"testsrc2=s={max(width, 16)}x{max(height, 16)}:r={spec.rate}:d={seconds + 0.5}"
    crop = f"crop={width}:{height}:0:0:exact=1"
    with av.open(f"{source},format=yuv444p,{crop}", format="lavfi") as generator:
        for number, frame in enumerate(generator.decode(video=0)):
            if number == spec.frames:
                return
            converted = frame.reformat(format=spec.pixel_format)
            converted.pict_type = 0
            yield converted


def make_clip(path: Path, spec: ClipSpec | None = None, **changes: Any) -> Path:
    """Writes a clip; keyword arguments are fields of `ClipSpec`."""
    spec = spec or ClipSpec(**changes)
    with av.open(str(path), "w") as container:
        container.metadata.update(spec.metadata)
        video = _add_video(container, spec)
        sound = _add_sound(container, spec)
        text = _add_text(container, spec)
        if spec.chapters:
            container.set_chapters(
                [
                    _chapter(1, 0, 400, "first"),
                    _chapter(2, 400, int(1000 * spec.frames / spec.rate), "second"),
                ]
            )
        cover = _add_cover(container) if spec.cover else None
        if spec.attachment is not None:
            container.add_attachment(*spec.attachment)
        container.start_encoding()
        if cover is not None:
            container.mux(cover)
        for number, frame in enumerate(pictures(spec)):
            if spec.times is not None:
                frame.pts, frame.time_base = spec.times[number], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, 1 / spec.rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            _write_sound(container, sound, spec)
        if text is not None:
            _write_text(container, text)
    return path


def _add_video(container: Any, spec: ClipSpec) -> Any:
    video = container.add_stream(spec.encoder, rate=spec.rate)
    video.width, video.height = spec.size
    video.pix_fmt = spec.pixel_format
    context = video.codec_context
    context.gop_size = spec.gop
    context.time_base = Fraction(1, 1000) if spec.times is not None else 1 / spec.rate
    if spec.encoder == "libx264":
        video.options = {"crf": "24", "preset": "ultrafast"}
    if spec.rotation:
        video.set_display_rotation(-spec.rotation)
    if spec.sample_aspect is not None:
        context.sample_aspect_ratio = spec.sample_aspect
    if spec.colour is not None:
        (
            context.color_primaries,
            context.color_trc,
            context.colorspace,
            context.color_range,
        ) = spec.colour
    return video


def _add_sound(container: Any, spec: ClipSpec) -> Any:
    if spec.audio is None:
        return None
    sound = container.add_stream(spec.audio, rate=48000)
    sound.layout = "stereo" if spec.audio in ("vorbis", "libvorbis") else "mono"
    sound.codec_context.options = {"strict": "-2"}
    sound.metadata["language"] = "eng"
    return sound


def _add_text(container: Any, spec: ClipSpec) -> Any:
    if spec.subtitles is None:
        return None
    text = container.add_stream(spec.subtitles)
    text.codec_context.subtitle_header = ASS_HEADER
    text.metadata["language"] = "fra"
    return text


def _chapter(number: int, start: int, end: int, title: str) -> Any:
    return {
        "id": number,
        "start": start,
        "end": end,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }


def _add_cover(container: Any) -> Any:
    track = container.add_mux_stream("png", width=COVER_SIZE[0], height=COVER_SIZE[1])
    track.disposition = av.stream.Disposition.attached_pic
    packet: Any = av.Packet(cover_bytes())
    packet.stream, packet.pts, packet.dts, packet.time_base = track, 0, 0, Fraction(1, 1000)
    return packet


def cover_bytes() -> bytes:
    """A small picture as PNG."""
    context: Any = av.CodecContext.create("png", "w")
    context.width, context.height = COVER_SIZE
    context.pix_fmt, context.time_base = "rgb24", Fraction(1, 25)
    frame = av.VideoFrame(*COVER_SIZE, "rgb24")
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    frame.pts = 0
    return b"".join(map(bytes, [*context.encode(frame), *context.encode(None)]))


def _write_sound(container: Any, sound: Any, spec: ClipSpec) -> None:
    seconds = float(spec.frames / spec.rate)
    layout = sound.layout.name
    source = f"sine=f=440:r=48000:d={seconds},aformat=channel_layouts={layout}"
    with av.open(source, format="lavfi") as generator:
        for frame in generator.decode(audio=0):
            container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def _write_text(container: Any, text: Any) -> None:
    codec = text.codec_context.name
    for number, data in enumerate(SUBTITLES):
        if codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        elif codec == "ass":
            data = b"%d,0,Default,,0,0,0,,%s" % (number, data.replace(b"\n", b"\\N"))
        packet = av.Packet(data)
        packet.stream, packet.time_base = text, Fraction(1, 1000)
        packet.pts = packet.dts = 100 + 400 * number
        packet.duration = 300
        container.mux(packet)


def write_frames(path: Path, arrays: Iterable[Any], encoder: str = "mpeg4") -> None:
    """Writes arrays of RGB as a video of 25 frames a second."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(encoder, rate=25)
        video.pix_fmt = "yuv420p"
        for number, array in enumerate(arrays):
            if number == 0:
                video.height, video.width = array.shape[:2]
            container.mux(video.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(video.encode(None))


# ---- what a file holds ----


def ticks(unit: Any) -> int:
    """The timestamp of a packet or frame that has one."""
    return int(unit.pts)


def seconds(unit: Any) -> Fraction:
    """The time of a packet or frame that has one."""
    return Fraction(unit.pts * unit.time_base)


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """(time in seconds, bytes) of every packet of the first track of a kind."""
    found = []
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        for packet in container.demux(stream):
            if packet.size:
                found.append((seconds(packet), bytes(packet)))
    return found


def bsq_stream(container: InputContainer) -> BsqInputStream:
    """The first video stream of a container, which is BSQ."""
    stream = container.streams.video[0]
    assert isinstance(stream, BsqInputStream)
    return stream


def bsq_packets(demuxer: Demuxer, *tracks: Any) -> list[BsqPacket]:
    """The packets of BSQ of the tracks, by default of all."""
    return [packet for packet in demuxer.demux(*tracks) if isinstance(packet, BsqPacket)]


def interrupt(
    source: Path, target: Path, partial: Path, done: Callable[[list[int]], bool], **options: Any
) -> None:
    """Cancels a transcode once `done` accepts the frame counts reported so far.

    The error must name the partial file.
    """
    counts: list[int] = []
    with pytest.raises(KeyboardInterrupt, match=f"frames are in .*{re.escape(partial.name)}"):
        bsqav.transcode(
            source,
            target,
            progress=lambda state: counts.append(state.frames),
            cancelled=lambda: done(counts),
            **options,
        )


def payloads(path: Path, kind: str) -> list[bytes]:
    """The bytes of every packet of the first track of a kind."""
    return [data for _, data in packets(path, kind)]


def frame_times(path: Path) -> list[Fraction]:
    """Times of the frames of an ordinary video, in seconds."""
    with av.open(str(path)) as container:
        return [seconds(frame) for frame in container.decode(video=0)]


def plane_hash(frames: Sequence[av.VideoFrame]) -> str:
    """SHA-256 of the samples of PyAV frames, plane by plane, without padding."""
    digest = hashlib.sha256()
    for frame in frames:
        for plane in frame.planes:
            data = bytes(plane)
            deep = 2 if frame.format.components[0].bits > 8 else 1
            for row in range(plane.height):
                digest.update(data[row * plane.line_size :][: plane.width * deep])
    return digest.hexdigest()


def frame_hashes(path: Path) -> list[str]:
    """The plane_hash() of every frame of a BSQ file, decoded in order."""
    with bsqav.open(path) as container:
        return [plane_hash([frame]) for frame in container.decode(video=0)]
