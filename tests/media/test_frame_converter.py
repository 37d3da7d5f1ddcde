"""Frames of every pixel format become the planes that the codec takes, odd sizes included."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np
import pytest

from bsqav.codec.frame_format import (
    Colour,
    FrameConverter,
    PlaneFormat,
    frame_planes,
    planes_to_frame,
)
from bsqav.errors import UnsupportedError

# Name, what is coded, and pure red in it; BT.601 where the source said so or said nothing.
FORMATS = [
    ("yuv420p", "yuv420p", (81, 90, 240)),
    ("yuvj420p", "yuv420p", (76, 84, 255)),
    ("nv12", "yuv420p", (81, 90, 240)),
    ("yuv422p", "yuv422p", (81, 90, 240)),
    ("nv16", "yuv422p", (81, 90, 240)),
    ("yuv444p", "yuv444p", (81, 90, 240)),
    ("yuvj444p", "yuv444p", (76, 84, 255)),
    ("yuva420p", "yuva420p", (81, 90, 240, 255)),
    ("yuva444p10le", "yuva444p10le", (327, 362, 963, 1023)),
    ("yuv440p", "yuv444p", (81, 90, 240)),
    ("yuv411p", "yuv422p", (81, 90, 240)),
    ("yuv410p", "yuv420p", (81, 90, 240)),
    ("yuv444p12le", "yuv444p10le", (327, 362, 963)),
    ("yuv420p10le", "yuv420p10le", (327, 362, 963)),
    ("p010le", "yuv420p10le", (327, 362, 963)),
    ("yuv422p10le", "yuv422p10le", (327, 362, 963)),
    ("gray", "gray", (76,)),
    ("gray10le", "gray10le", (306,)),
    ("ya8", "ya8", (76, 255)),
    ("ya16le", "ya16le", (306, 1023)),
    ("gray16le", "gray10le", (306,)),
    ("rgb24", "yuv420p", (63, 102, 240)),
    ("gbrp", "yuv420p", (63, 102, 240)),
    ("rgba", "yuva420p", (63, 102, 240, 255)),
    ("rgb48le", "yuv420p10le", (251, 409, 962)),
    ("gbrap10le", "yuva420p10le", (251, 409, 962, 1023)),
]
LOSSLESS = {"yuvj420p", "nv12", "nv16", "p010le", "yuvj444p", "yuv422p10le"}
LOSSLESS |= {name for name, coded, _ in FORMATS if name == coded} - {"ya16le"}


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
    rows, columns = (height + 1) // 2, (width + 1) // 2
    chroma = {"420": (rows, columns), "422": (height, columns)}.get(
        converter.format.chroma, (height, width)
    )
    shapes = [(height, width), chroma, chroma, (height, width)]
    assert converter.format.pixel_format == coded
    assert [p.shape for p in planes] == (shapes if len(value) != 2 else shapes[::3])[: len(value)]
    assert all(p.dtype == (np.uint16 if coded.endswith("le") else np.uint8) for p in planes)
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


@pytest.mark.parametrize("name", ["yuv422p10le", "yuva444p", "gray", "ya8", "ya16le", "yuva420p"])
def test_planes_of_every_kind_go_into_a_frame_and_come_back(name: str) -> None:
    layout = PlaneFormat.named(33, 17, name)
    rng = np.random.default_rng(3)
    kind: Any = np.uint8 if layout.bit_depth == 8 else np.uint16
    planes = [
        rng.integers(0, 1 << layout.bit_depth, size[::-1], dtype=kind)
        for size in layout.plane_sizes
    ]
    frame = planes_to_frame(planes, layout)
    assert frame.format.name == name
    again = frame_planes(frame, layout)
    assert all(np.array_equal(a, b) for a, b in zip(planes, again, strict=True))


@pytest.mark.parametrize(
    ("given", "wanted", "said"),
    [
        ("yuv444p", "yuv420p", ["pixel format yuv444p is converted to yuv420p"]),
        ("yuv420p", "yuv444p", ["pixel format yuv420p is converted to yuv444p"]),
        ("yuva420p", "yuv420p", ["the alpha channel of yuva420p is left out"]),
        ("yuv420p", "yuva420p", []),
    ],
)
def test_a_format_that_is_asked_for(given: str, wanted: str, said: list[str]) -> None:
    heard: list[str] = []
    converter = FrameConverter(red(given, 32, 16), pixel_format=wanted, warn=heard.append)
    planes = converter.convert(red(given, 32, 16))
    assert converter.format.pixel_format == wanted
    assert abs(int(planes[0][0, 0]) - 81) <= 1
    assert all(plane.min() == 255 for plane in planes[3:])
    assert heard == said


def test_a_format_that_is_not_coded_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"yuv411p .* yuva444p"):
        FrameConverter(red("yuv420p", 16, 16), pixel_format="yuv411p", warn=pytest.fail)


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuva422p10le"])
def test_rows_that_run_upward_in_memory(name: str) -> None:
    source = f"gradients=s=64x48:d=0.04:c0=black:c1=white:x0=0:y0=0:x1=0:y1=47,format={name}"
    with av.open(source, format="lavfi") as container:
        upright = next(container.decode(video=0))
    graph = av.filter.Graph()
    form = av.VideoFormat(name, 64, 48)
    entry = graph.add_buffer(width=64, height=48, format=form, time_base=Fraction(1, 25))
    graph.link_nodes(entry, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.vpush(upright)
    flipped = graph.vpull()
    assert flipped.planes[0].line_size < 0
    converter = FrameConverter(flipped, warn=lambda _: None)
    turned = converter.convert(flipped)[0][::-1].astype(int)
    assert np.abs(turned - converter.convert(upright)[0]).max() <= 2


def test_a_size_that_changes_is_scaled_with_one_warning() -> None:
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
