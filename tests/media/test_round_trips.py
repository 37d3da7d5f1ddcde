"""Small files of many kinds, made by ffmpeg, into BSQ and back through every container.

Nothing may be refused, and nothing lost without a word: frames, their times, sound byte for byte
or a sentence that it was encoded anew or left out.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.mux.audio import split_adts
from tests.media.clips import seconds
from tests.media.containers import Pipe
from tests.support import find_tool

pytestmark = pytest.mark.host

TARGETS = ["out.mov", "out.nut", "out.mp4", "back.mkv", "list.m3u8", "mp4 through a pipe"]


@dataclass(frozen=True)
class Kind:
    """One file: its name, what ffmpeg is told of the video, of the sound, and of the rest."""

    name: str
    video: str = "-c:v mpeg4"
    audio: str = "-c:a aac"
    rest: str = ""
    rate: int = 48000
    layout: str = "stereo"


# Containers x sound codecs x channel layouts x odd times.
KINDS = [
    Kind("plain.mp4"),
    Kind("b_frames.mp4", "-c:v libx264 -bf 3"),
    Kind("late_sound.mp4", rest="-itsoffset"),
    Kind("fragmented.mp4", rest="-movflags frag_keyframe+empty_moov"),
    Kind("ac3_side.mp4", audio="-c:a ac3", layout="5.1(side)"),
    Kind("alac.mov", audio="-c:a alac", layout="mono"),
    Kind("pcm_be.mov", audio="-c:a pcm_s16be"),
    Kind("pcm_alaw.mov", audio="-c:a pcm_alaw", rate=8000, layout="mono"),
    Kind("adpcm.mov", audio="-c:a adpcm_ima_qt", layout="mono", rate=22050),
    Kind("plain.mkv", "-c:v libx264"),
    Kind("pcm24.mkv", audio="-c:a pcm_s24le", layout="5.1"),
    Kind("pcm_no_layout.mkv", audio="-c:a pcm_s16le", layout="4.0"),
    Kind("flac.mkv", audio="-c:a flac", rate=96000),
    Kind("vorbis.mkv", audio="-c:a libvorbis", rate=44100),
    Kind("opus_surround.mkv", audio="-c:a libopus -mapping_family 1", layout="5.1"),
    Kind("eac3.mkv", audio="-c:a eac3", layout="5.1(side)"),
    Kind("truehd.mkv", audio="-c:a truehd -strict -2"),
    Kind("dts.mkv", audio="-c:a dca -strict -2", layout="5.1(side)"),
    Kind("mp3_low.mkv", audio="-c:a libmp3lame", rate=11025, layout="mono"),
    Kind("wma.mkv", audio="-c:a wmav2"),
    Kind("late.mkv", rest="-output_ts_offset 100"),
    Kind("plain.webm", "-c:v libvpx -deadline realtime", "-c:a libopus"),
    Kind("plain.avi", audio="-c:a libmp3lame"),
    Kind("pcm.avi", audio="-c:a pcm_s16le", rate=44100),
    Kind("pcm_u8.avi", audio="-c:a pcm_u8", rate=8000, layout="mono"),
    Kind("adpcm.avi", audio="-c:a adpcm_ms", rate=22050),
    Kind("motion_jpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p", "-c:a ac3"),
    Kind("mp3_low.flv", "-c:v flv", "-c:a libmp3lame", rate=11025, layout="mono"),
    Kind("aac.flv", "-c:v libx264 -bf 2", rate=44100),
    Kind("mp2.ts", "-c:v mpeg2video -bf 2", "-c:a mp2"),
    Kind("adts.ts", "-c:v libx264 -bf 2", "-c:a aac"),
    Kind("ac3_late.ts", "-c:v libx264", "-c:a ac3", "-output_ts_offset 3000", layout="5.1(side)"),
    Kind("lpcm.mpg", "-c:v mpeg2video", "-c:a pcm_dvd -f dvd"),
    Kind("mp2.mpg", "-c:v mpeg1video -bf 2", "-c:a mp2", rate=44100, layout="mono"),
    Kind("wma.wmv", "-c:v wmv2", "-c:a wmav2", rate=44100),
    Kind("theora.ogv", "-c:v libtheora", "-c:a libvorbis"),
    Kind("aac.3gp", "-c:v h263 -s 128x96", rate=22050, layout="mono"),
    Kind("pcm.mxf", "-c:v mpeg2video", "-c:a pcm_s16le"),
    Kind("pcm.nut", "-c:v ffv1", "-c:a pcm_s32le", layout="5.1"),
    Kind("pal.dv", "-target pal-dv -t 0.2", ""),
]


def make(kind: Kind, folder: Path) -> Path:
    """The file; the test skips where this ffmpeg lacks an encoder."""
    path = folder / kind.name
    sound = f"sine=d=0.6:r={kind.rate},aformat=channel_layouts={kind.layout}"
    command = f"-v error -f lavfi -i testsrc2=s=64x48:r=25:d=0.6 -f lavfi -i {sound} {kind.video} "
    command += f"{kind.audio} {'' if kind.rest == '-itsoffset' else kind.rest}"
    if kind.rest == "-itsoffset":
        command = command.replace("-f lavfi -i sine", "-itsoffset 0.3 -f lavfi -i sine")
    made = subprocess.run(
        [str(find_tool("ffmpeg")), *command.split(), str(path)], capture_output=True, text=True
    )
    if "Unknown encoder" in made.stderr:
        pytest.skip(made.stderr.strip().splitlines()[0])
    assert made.returncode == 0, made.stderr
    return path


@dataclass
class Content:
    """What a file holds: times in seconds, sound as one string of bytes for each track."""

    frames: list[Fraction]
    sound: list[bytes]
    heard: Fraction | None  # when the first packet of sound is


def content(file: Any) -> Content:
    """Of any file, BSQ or not, frames decoded."""
    with Demuxer(file) as demuxer:
        container = demuxer.container
        video = demuxer.tracks[0].index if demuxer.tracks else container.streams.video[0].index
        frames, heard, decoded = list[Fraction](), list[Fraction](), list[Any]()
        sound = {stream.index: b"" for stream in container.streams.audio}
        for packet in demuxer.demux():
            if isinstance(packet, BsqPacket):
                frames.append(seconds(packet))
            elif packet.stream_index in sound:
                data = bytes(packet)
                parts = split_adts(data)
                sound[packet.stream_index] += parts[1] if parts else data
                heard.append(seconds(packet))
            elif packet.stream_index == video and packet.size:
                with contextlib.suppress(av.FFmpegError):  # Ogg has its headers as packets
                    decoded += packet.decode()
        if not demuxer.tracks:
            stream: Any = container.streams[video]
            decoded += stream.decode(None)
            frames = [f.pts * stream.time_base for f in decoded if f.pts is not None]
    return Content(frames, list(sound.values()), min(heard, default=None))


def test_there_are_forty_kinds() -> None:
    assert len(KINDS) == 40
    assert len({kind.name for kind in KINDS}) == 40


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_into_bsq_and_back_through_every_container(tmp_path: Path, kind: Kind) -> None:
    source = make(kind, tmp_path)
    coded = tmp_path / "coded.mkv"
    said: list[str] = []
    result = bsqav.transcode(source, coded, crf=40, preset="fast", warn=said.append)
    there = content(coded)
    compare(content(source), there, said)
    assert result.frames_out == len(there.frames)
    for target in TARGETS:
        said = []
        if "pipe" in target:
            pipe: Any = Pipe()
            bsqav.transcode(coded, pipe, format="mp4", preset="ultrafast", warn=said.append)
            back = content(io.BytesIO(bytes(pipe.data)))
        else:
            path = tmp_path / target
            is_bsq = target.endswith(("mov", "nut", "m3u8"))
            how: dict[str, Any] = {"codec": "copy"} if is_bsq else {"preset": "ultrafast"}
            bsqav.transcode(coded, path, warn=said.append, **how)
            back = content(path)
        try:
            compare(there, back, said)
        except AssertionError as error:
            raise AssertionError(f"{target}: {said}") from error


def compare(one: Content, two: Content, said: list[str]) -> None:
    """Frames and their times are the same but for a move of the whole; sound, or a sentence."""
    assert len(two.frames) == len(one.frames)
    steps = [[time - times[0] for time in times] for times in (one.frames, two.frames)]
    assert all(abs(a - b) <= Fraction(1, 500) for a, b in zip(*steps, strict=True)), steps
    if two.sound != one.sound:
        assert any("track" in each and ("encoded" in each or "left out" in each) for each in said)
    else:
        assert not [each for each in said if "encoded" in each or "left out" in each], said
    if one.heard is not None and two.heard is not None:
        offsets = [one.heard - one.frames[0], two.heard - two.frames[0]]
        # An encoder adds up to 1024 samples before the first.
        most = Fraction(1, 200) if two.sound == one.sound else Fraction(3, 20)
        assert abs(offsets[0] - offsets[1]) <= most, offsets
