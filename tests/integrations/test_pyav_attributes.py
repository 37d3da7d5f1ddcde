"""Streams, packets and frames of BSQ answer as PyAV's own do, attribute by attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.context import ThreadType
from av.video.frame import PictureType

import bsqav
from bsqav import _core
from bsqav.errors import BsqWarning, UsageError
from bsqav.media.pyav_api.packets import InputPacket
from tests.media.clips import ClipSpec, bsq_stream, pictures

SPEC = ClipSpec(size=(48, 32), frames=7, gop=3)
RATE = 25

# What a stream of PyAV's has and one of BSQ has not, and why.
NO_DECODER_OF_FFMPEGS = "of FFmpeg's own decoders and their options"
ABSENT = {
    **dict.fromkeys(("create", "parse", "supported_options"), NO_DECODER_OF_FFMPEGS),
    **dict.fromkeys(("reformatter", "hwaccel_ctx"), NO_DECODER_OF_FFMPEGS),
    **dict.fromkeys(("qmin", "qmax"), "BSQ has one scale, crf"),
    **dict.fromkeys(("encode", "encode_lazy"), "an input stream does not encode"),
    **dict.fromkeys(("set_display_matrix", "set_display_rotation"), "likewise"),
    "index_entries": "in the container's ticks, where packets have the encoder's",
}
# What answers otherwise, and why.
OTHERWISE = {
    "bits_per_coded_sample": "what MOV says of colours with a palette",
    **dict.fromkeys(("coded_width", "coded_height"), "known at once, not from the first frame on"),
    "codec": "BSQ",
    "codec_context": "the stream itself",
    "codec_tag": "BSQ1",
    "container": "ours",
    "display_aspect_ratio": "that of the pictures where the samples' is unknown",
    "extradata": "the sequence header",
    "extradata_size": "likewise",
    "field_order": "progressive always, where NUT does not say",
    "format": "compared below",
    "framerate": "PyAV has it in the codec context alone",
    "rate": "likewise",
    "level": "BSQ has none",
    "metadata": "without what MOV says of its writer",
    "name": "bsq",
    "profile": "BSQ has none",
    "profiles": "likewise",
    "sw_format": "of hardware",
    "thread_count": "0 stays 0 for the number of processors",
    "time_base": "the encoder's, exact; PyAV's codec context has none",
    "duration": "in these ticks, compared below; that of the file where PyAV has none",
    "start_time": "likewise",
    "bit_rate": "of other packets; None alike, see below",
}


@pytest.fixture(params=["mkv", "mov", "nut"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """The same pictures as H.264 in PyAV's container and as BSQ in ours."""
    theirs, ours = (tmp_path / f"{name}.{request.param}" for name in ("h264", "bsq"))
    write(theirs, "libx264", av.open, bf="0", sc_threshold="0", preset="veryfast")
    write(ours, "bsq", bsqav.open)
    with av.open(str(theirs)) as one, bsqav.open(ours) as other:
        yield one, other


def write(path: Path, codec: str, opener: Callable[..., Any], **options: str) -> None:
    with opener(str(path), "w") as container:
        given = {"g": "3", **options}
        stream = container.add_stream(codec, rate=RATE, options=given)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number, frame in enumerate(pictures(SPEC)):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.pict_type = PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def value(thing: Any, name: str) -> Any:
    """An attribute, or the kind of error that it is in both."""
    try:
        found = getattr(thing, name)
    except (AttributeError, RuntimeError) as error:
        return type(error)
    return "method" if callable(found) else found


def test_every_public_attribute_is_there_or_named_above(pair: tuple[Any, Any]) -> None:
    theirs, ours = (container.streams.video[0] for container in pair)
    names = {n for thing in (theirs, theirs.codec_context) for n in dir(thing) if n[0] != "_"}
    for name in sorted(names - set(ABSENT)):
        assert hasattr(type(ours), name) or hasattr(ours, name), name
        if name not in OTHERWISE:
            assert value(ours, name) == value(theirs, name), name
    assert ours.codec_context is ours
    for name in ABSENT:
        assert not hasattr(ours, name), name


def test_what_differs_by_its_unit_means_the_same(pair: tuple[Any, Any]) -> None:
    theirs, ours = (container.streams.video[0] for container in pair)
    for name in ("duration", "start_time"):
        one, other = getattr(theirs, name), getattr(ours, name)
        if one is not None:
            assert one * theirs.time_base == other * ours.time_base
    assert ours.duration * ours.time_base == Fraction(pair[1].duration, av.time_base)
    assert ours.codec_context.framerate == theirs.codec_context.framerate == RATE
    assert (ours.bit_rate is None) == (theirs.bit_rate is None)
    if ours.bit_rate is not None:
        size = sum(packet.size for packet in pair[1].demux(ours))
        assert ours.bit_rate == size * 8 * RATE // SPEC.frames
    assert (ours.format.name, ours.format.width) == (theirs.format.name, 48)
    assert ours.extradata.startswith(b"BSQ1")
    assert len(ours.extradata) == ours.extradata_size
    with pytest.raises(RuntimeError, match="as a decoder"):
        _ = ours.gop_size


def test_containers_have_the_attributes_too(pair: tuple[Any, Any]) -> None:
    theirs, ours = pair
    assert ours.duration == theirs.duration
    for name in ("flags", "file", "options", "start_time_realtime", "metadata_encoding"):
        assert getattr(ours, name) == getattr(theirs, name)
    with pytest.raises(AttributeError):
        _ = ours.no_such_thing


def test_packets_and_frames_have_what_pyavs_have(pair: tuple[Any, Any]) -> None:
    theirs, ours = pair
    absent = {"buffer_ptr", "buffer_size", "update", "rescale_ts", "get_sidedata", "set_sidedata"}
    one, other = (next(container.demux(video=0)) for container in pair)
    for name in set(dir(one)) - absent:
        assert name.startswith("_") or hasattr(other, name), name
    for container in pair:
        container.seek(0)
    kinds = [
        [(frame.key_frame, frame.pict_type, frame.time) for frame in container.decode(video=0)]
        for container in (theirs, ours)
    ]
    assert kinds[0] == kinds[1]
    assert [key for key, _, _ in kinds[1]] == [n % 3 == 0 for n in range(SPEC.frames)]


def test_colours_are_given_as_in_pyav(tmp_path: Path) -> None:
    with bsqav.open(tmp_path / "a.mkv", "w") as output:
        stream = output.add_stream("bsq", rate=RATE, color_range=2)
        stream.color_primaries, stream.color_trc, stream.colorspace = 9, 16, 9
        output.mux(stream.encode(av.VideoFrame(48, 32, "yuv420p")))
        output.mux(stream.encode())
    with bsqav.open(tmp_path / "a.mkv") as source:
        found = source.streams.video[0]
        (frame,) = source.decode(video=0)
        for thing in (found, found.codec_context, frame):
            assert thing.color_range == 2
            assert (thing.color_primaries, thing.color_trc, thing.colorspace) == (9, 16, 9)


def test_rgb_goes_by_the_matrix_that_was_set(tmp_path: Path) -> None:
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 255
    with bsqav.open(tmp_path / "a.mkv", "w") as output:
        stream = output.add_stream("bsq", rate=RATE, options={"crf": "4"}, colorspace=5)
        stream.color_range = 2
        with pytest.warns(BsqWarning, match=r"BT\.601 matrix, full range"):
            output.mux(stream.encode(red))
        output.mux(stream.encode())
    with bsqav.open(tmp_path / "a.mkv") as source:
        (frame,) = source.decode(video=0)
    assert abs(bytes(frame.planes[0])[0] - 76) <= 4


def write_groups(path: Path, **attributes: int) -> list[InputPacket]:
    """A file of 40 frames, coded with a lookahead; its packets."""
    with bsqav.open(path, "w") as output:
        stream = output.add_stream("bsq", rate=RATE, options={"lookahead": "16"}, **attributes)
        for picture in pictures(replace(SPEC, frames=40)):
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    with bsqav.open(path) as source:
        found = [packet for packet in source.demux(video=0) if packet.size]
    return [packet for packet in found if isinstance(packet, InputPacket)]


def decoded(path: Path, skipped: str = "DEFAULT") -> dict[int | None, bytes]:
    """The luma of every frame by its time."""
    with bsqav.open(path) as source:
        stream = source.streams.video[0]
        stream.codec_context.skip_frame = skipped
        return {frame.pts: bytes(frame.planes[0]) for frame in source.decode(stream)}


@pytest.mark.parametrize("skipped", ["NONREF", "BIDIR"])
def test_frames_that_no_other_refers_to_are_skipped(skipped: str, tmp_path: Path) -> None:
    """The others are decoded as they are without."""
    packets = write_groups(tmp_path / "a.mkv")
    disposable = {packet.pts for packet in packets if packet.is_disposable}
    assert len(disposable) > 8
    assert {0, 1} & disposable == set()
    every = decoded(tmp_path / "a.mkv")
    assert len(every) == 40
    wanted = {pts: luma for pts, luma in every.items() if pts not in disposable}
    assert decoded(tmp_path / "a.mkv", skipped) == wanted


def test_frames_say_their_type(tmp_path: Path) -> None:
    """Those of a packet of several frames, and those that an earlier packet has coded."""
    packets = write_groups(tmp_path / "a.mkv")
    with bsqav.open(tmp_path / "a.mkv") as source:
        kinds = {frame.pts: frame.pict_type for frame in source.decode(video=0)}
    assert [pts for pts, kind in kinds.items() if kind == PictureType.I] == [0]
    infos = {packet.pts: _core.probe_packet(packet.data) for packet in packets}
    b_frames = [pts for pts, kind in kinds.items() if kind == PictureType.B]
    assert len(b_frames) == sum(info["b_frames"] for info in infos.values()) > 20
    assert {kinds[packet.pts] for packet in packets if packet.is_disposable} == {PictureType.B}
    held = {kinds[pts] for pts, info in infos.items() if info["frames"] == 0}
    assert held == {PictureType.P, PictureType.B}


def test_b_frames_are_an_attribute(tmp_path: Path) -> None:
    with bsqav.open(tmp_path / "a.mkv", "w") as output:
        stream = output.add_stream("bsq", rate=RATE, options={"bf": "3"})
        assert stream.codec_context.max_b_frames == 3
        stream.codec_context.max_b_frames = 2
        assert stream.options["bframes"] == 2
        output.abort()
    for count, found in ((0, False), (3, True)):
        packets = write_groups(tmp_path / "b.mkv", max_b_frames=count)
        assert any(packet.is_disposable for packet in packets) is found
        assert [packet.dts for packet in packets] == [packet.pts for packet in packets]


@pytest.mark.parametrize("skipped", ["NONKEY", "NONINTRA", "ALL", "NONREF", "DEFAULT"])
def test_frames_are_skipped_as_asked(skipped: str, tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", "bsq", bsqav.open)
    with bsqav.open(tmp_path / "a.mkv") as source:
        stream = bsq_stream(source)
        stream.codec_context.skip_frame = skipped
        found = [frame.pts for frame in source.decode(stream)]
        with pytest.raises(UsageError, match="skip_frame"):
            stream.skip_frame = "SOME"
    every = list(range(SPEC.frames))
    wanted = {"ALL": [], "NONKEY": every[::3], "NONINTRA": every[::3]}
    assert found == wanted.get(skipped, every)


def test_threads_are_set_before_the_first_frame(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", "bsq", bsqav.open)
    with bsqav.open(tmp_path / "a.mkv") as source:
        stream = source.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
        assert (stream.thread_type, stream.thread_count) == (ThreadType.AUTO, 2)
        next(source.decode(stream))
        with pytest.raises(RuntimeError, match="after codec is open"):
            stream.thread_count = 1
        with pytest.raises(UsageError, match="type"):
            stream.thread_type = "MANY"


@pytest.mark.parametrize("suffix", ["mkv", "mov", "nut"])
def test_iterators_of_a_closed_file_raise(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, "bsq", bsqav.open)
    for iterator in ("decode", "demux"):
        source = bsqav.open(path)
        stream = source.streams.video[0]
        packet = next(source.demux(video=0))
        packet.decode()
        running = getattr(source, iterator)(video=0)
        next(running)
        source.close()
        with pytest.raises(ValueError, match="closed"):
            next(running)
        with pytest.raises(ValueError, match="closed"):
            source.seek(0)
        with pytest.raises(ValueError, match="closed"):
            source.decode()
        assert len(source.streams) == 0
        assert (stream.frames, stream.width, stream.metadata.get("no")) == (stream.frames, 48, None)
        assert (stream.duration, stream.id) == (stream.duration, stream.id)
        with pytest.raises(ValueError, match="closed"):
            _ = stream.discard
        assert len(packet.decode()) == 1  # it has its data
        source.close()


def test_other_codecs_iterators_raise_too(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", "mpeg4", av.open)
    source = bsqav.open(tmp_path / "a.mkv")
    frames = source.decode(video=0)
    next(frames)
    source.close()
    with pytest.raises(ValueError, match="closed"):
        next(frames)


def coded(tmp_path: Path, options: dict[str, str], **attributes: Any) -> list[bytes]:
    path = tmp_path / "coded.mkv"
    with bsqav.open(path, "w") as output:
        stream = output.add_stream("bsq", rate=RATE, options=options, **attributes)
        for number, frame in enumerate(pictures(SPEC)):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with bsqav.open(path) as source:
        return [bytes(packet) for packet in source.demux(video=0) if packet.size]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"g": "2", "sc_threshold": "0"}, {"gop": "2", "scene_cut": "no"}),
        ({"g": "0"}, {"gop": "1"}),
        ({"b": "200k", "bufsize": "0.1M"}, {"bitrate": "200000", "vbv_buffer": "0.5"}),
        ({"rc-lookahead": "3"}, {"lookahead": "3"}),
        ({"bf": "2"}, {"bframes": "2"}),
        ({"preset": "veryfast"}, {"preset": "fast"}),
        ({"preset": "veryslow"}, {"preset": "slow"}),
    ],
)
def test_options_have_ffmpegs_names_too(
    theirs: dict[str, str], ours: dict[str, str], tmp_path: Path
) -> None:
    assert coded(tmp_path, theirs) == coded(tmp_path, ours)


def test_attributes_are_options_and_options_win(tmp_path: Path) -> None:
    assert coded(tmp_path, {}, gop_size=2) == coded(tmp_path, {"g": "2"})
    assert coded(tmp_path, {"g": "2"}, gop_size=3) == coded(tmp_path, {"g": "2"})
    assert coded(tmp_path, {}, bit_rate=200_000) == coded(tmp_path, {"b": "200k"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": "1"}, "no option speed"),
        ({"g": "many"}, "option g cannot be"),
        ({"b": "2 apples"}, "option b cannot be"),
        ({"g": "2", "gop": "3"}, "given twice"),
        ({"bufsize": "1M"}, "goes with a bit rate"),
        ({"preset": "breakneck"}, "breakneck"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], message: str, tmp_path: Path) -> None:
    with bsqav.open(tmp_path / "a.mkv", "w") as output:
        stream = output.add_stream("bsq", rate=RATE, options=options)
        with pytest.raises(ValueError, match=message):
            stream.encode(next(iter(pictures(SPEC))))
        output.abort()


def test_attributes_without_effect_are_refused(tmp_path: Path) -> None:
    with bsqav.open(tmp_path / "a.mkv", "w") as output:
        stream = output.add_stream("bsq", rate=RATE)
        for name, given in (("qmin", 3), ("delay", 2), ("pixel_fmt", "gray")):
            with pytest.raises(AttributeError, match=name):
                setattr(stream, name, given)
        with pytest.raises(AttributeError, match="speed"):
            output.add_stream("bsq", rate=RATE, speed=3)
        stream.codec_context.flags |= 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER
        with pytest.raises(UsageError, match="qscale"):
            stream.codec_context.flags |= 2
        stream.framerate = Fraction(30)
        stream.set_display_rotation(-90)
        assert (stream.rate, stream.rotation) == (Fraction(30), 90)
        assert stream.extradata is None
        for matrix, turned in (([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30], 90), (None, None)):
            stream.set_display_matrix(matrix)
            assert stream.rotation == turned
        with pytest.raises(UsageError, match="mirror"):
            stream.set_display_rotation(0, hflip=True)
        output.abort()
