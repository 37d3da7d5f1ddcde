"""Frames of every pixel format become the planes that the codec takes, odd sizes included."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest

from bsqav.codec.picture import Colour, FrameConverter, frame_planes, planes_to_frame

# Name, what is coded, and pure red in it; BT.601 where the source said so or said nothing.
FORMATS = [
    ("yuv420p", "yuv420p", (81, 90, 240)),
    ("yuvj420p", "yuv420p", (76, 84, 255)),
    ("nv12", "yuv420p", (81, 90, 240)),
    ("yuv444p", "yuv420p", (81, 90, 240)),
    ("yuvj444p", "yuv420p", (76, 84, 255)),
    ("yuva420p", "yuv420p", (81, 90, 240)),
    ("yuv420p10le", "yuv420p10le", (327, 362, 963)),
    ("p010le", "yuv420p10le", (327, 362, 963)),
    ("yuv422p10le", "yuv420p10le", (327, 362, 963)),
    ("gray", "gray", (76,)),
    ("gray10le", "gray10le", (306,)),
    ("ya8", "gray", (76,)),
    ("gray16le", "gray10le", (306,)),
    ("rgb24", "yuv420p", (63, 102, 240)),
    ("gbrp", "yuv420p", (63, 102, 240)),
    ("rgba", "yuv420p", (63, 102, 240)),
    ("rgb48le", "yuv420p10le", (251, 409, 962)),
]
LOSSLESS = {"yuv420p", "yuvj420p", "nv12", "yuv420p10le", "p010le", "gray", "gray10le"}


def red(pixel_format: str, width: int, height: int) -> av.VideoFrame:
    source = f"color=red:s={width}x{height}:d=0.04,format={pixel_format}"
    with av.open(source, format="lavfi") as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize("size", [(64, 48), (33, 17), (2, 2)])
@pytest.mark.parametrize(("name", "coded", "value"), FORMATS)
def test_formats(name: str, coded: str, value: tuple[int, ...], size: tuple[int, int]) -> None:
    frame = red(name, *size)
    said: list[str] = []
    converter = FrameConverter(frame, warn=said.append)
    planes = converter.convert(frame)
    width, height = size
    half = ((height + 1) // 2, (width + 1) // 2)
    assert converter.format.pixel_format == coded
    assert [p.shape for p in planes] == [(height, width), half, half][: len(value)]
    assert all(p.dtype == (np.uint16 if coded.endswith("10le") else np.uint8) for p in planes)
    for plane, wanted in zip(planes, value, strict=True):
        assert np.abs(plane.astype(int) - wanted).max() <= 1
    assert (said == []) == (name in LOSSLESS)
    if "rgb" in name or "gbr" in name:
        assert (converter.colour.matrix, converter.colour.full_range) == (1, 0)
    if name.startswith("yuvj"):
        assert converter.colour.full_range == 1


def test_planes_go_into_a_frame_and_come_back() -> None:
    frame = red("yuv420p", 33, 17)
    converter = FrameConverter(frame, warn=pytest.fail)
    planes = [plane.copy() for plane in converter.convert(frame)]
    planes[0][:] = np.arange(planes[0].size, dtype=np.uint8).reshape(planes[0].shape)
    again = frame_planes(planes_to_frame(planes, converter.format), converter.format)
    assert all(np.array_equal(a, b) for a, b in zip(planes, again, strict=True))


def test_rows_that_run_upward_in_memory() -> None:
    source = "gradients=s=64x48:d=0.04:c0=black:c1=white:x0=0:y0=0:x1=0:y1=47,format=yuv420p"
    with av.open(source, format="lavfi") as container:
        upright = next(container.decode(video=0))
    graph = av.filter.Graph()
    entry = graph.add_buffer(width=64, height=48, format="yuv420p", time_base=Fraction(1, 25))
    graph.link_nodes(entry, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.vpush(upright)
    flipped = graph.vpull()
    assert flipped.planes[0].line_size < 0
    converter = FrameConverter(flipped, warn=lambda _: None)
    turned = converter.convert(flipped)[0][::-1].astype(int)
    assert np.abs(turned - converter.convert(upright)[0]).max() <= 2


def test_a_size_that_changes_is_scaled_and_said_once() -> None:
    said: list[str] = []
    converter = FrameConverter(red("yuv420p", 64, 48), warn=said.append)
    for _ in range(2):
        assert converter.convert(red("yuv420p", 32, 24))[0].shape == (48, 64)
    (message,) = said
    assert "from 64x48 to 32x24" in message


def test_eight_bits_where_no_more_are_wanted() -> None:
    frame = red("yuv420p10le", 16, 16)
    said: list[str] = []
    converter = FrameConverter(frame, max_bit_depth=8, warn=said.append)
    assert converter.convert(frame)[0].dtype == np.uint8
    assert said == ["pixel format yuv420p10le is converted to yuv420p"]


def test_colour_tags_are_written_on_frames() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    colour = Colour(primaries=9, transfer=16, matrix=9, full_range=0)
    colour.tag(frame)
    assert Colour.of_frame(frame) == colour
