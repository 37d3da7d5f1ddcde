"""Still pictures: what goes in comes out, what cannot go in is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav import _core
from bsqav.codec import Encoder, PlaneFormat
from bsqav.codec.frame_format import planes_to_frame
from bsqav.codec.still import rgb_planes
from bsqav.errors import (
    BitstreamError,
    BsqError,
    BsqWarning,
    MissingDependencyError,
    ModelNotFoundError,
    UnsupportedError,
    UsageError,
)
from tests.codec.streams import sequence_of
from tests.tiny import model_file, only_test_model

__all__ = ["model_file", "only_test_model"]

pytest.importorskip("PIL")

from PIL import Image

FINE = 0.0


def picture(height: int, width: int) -> np.ndarray:
    """Soft colours, which 4:2:0 keeps."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    channels = (
        128 + 70 * np.sin(x / 11 + 1),
        128 + 60 * np.cos(y / 9),
        128 + 50 * np.sin((x + y) / 13),
    )
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    peak = 65535 if a.dtype == np.uint16 else 255
    return float(10 * np.log10(peak**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


@pytest.fixture
def coded() -> bytes:
    return bsqav.encode_image(picture(48, 64), crf=20)


# ---- there and back ----


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 2), (33, 31), (64, 48)])
def test_any_size_round_trips(size: tuple[int, int]) -> None:
    for pixels in (picture(*size), picture(*size)[..., 0]):
        back = bsqav.decode_image(bsqav.encode_image(pixels, crf=FINE))
        assert back.shape == pixels.shape
        assert back.dtype == np.uint8


def test_finer_is_better_and_larger() -> None:
    pixels = picture(48, 64)
    coarse, fine = (bsqav.encode_image(pixels, crf=crf) for crf in (50, 10))
    assert len(coarse) < len(fine)
    assert psnr(bsqav.decode_image(coarse), pixels) < psnr(bsqav.decode_image(fine), pixels)


def test_a_still_is_one_keyframe_packet(coded: bytes) -> None:
    assert (coded[0] & 0x80, coded[1:5]) == (0x80, b"BSQ1")
    info = _core.probe_packet(coded)
    assert info["keyframe"]
    (frame,) = bsqav.Decoder().decode(coded)
    assert frame.keyframe
    assert not frame.concealed


def test_any_keyframe_packet_is_a_still() -> None:
    encoder = Encoder(64, 48)
    packets = [*encoder.encode(picture(48, 64)), *encoder.encode(picture(48, 64)[::-1].copy())]
    packets += encoder.flush()
    assert bsqav.decode_image(packets[0]).shape == (48, 64, 3)
    with pytest.raises(BitstreamError):
        bsqav.decode_image(packets[1])


def test_header_says_how_rgb_was_coded(coded: bytes) -> None:
    sequence = sequence_of(coded)
    tags = ("color_primaries", "color_transfer", "color_matrix", "full_range", "chroma_location")
    assert [sequence[tag] for tag in tags] == [1, 13, 5, 1, 2]
    frame = bsqav.decode_image(coded, output="frame")
    assert (int(frame.colorspace), int(frame.color_range)) == (5, 2)
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 64, 48)


def test_gray_is_coded_as_gray() -> None:
    data = bsqav.encode_image(picture(48, 64)[..., 0])
    sequence = sequence_of(data)
    assert (sequence["chroma"], sequence["full_range"]) == ("gray", 1)
    assert bsqav.decode_image(data, output="frame").format.name == "gray"


def test_same_picture_from_every_kind_of_input() -> None:
    pixels = picture(33, 31)
    expected = bsqav.encode_image(pixels)
    for other in (
        Image.fromarray(pixels),
        av.VideoFrame.from_ndarray(pixels, format="rgb24"),
        av.VideoFrame.from_ndarray(pixels[..., ::-1].copy(), format="bgr24"),
        pixels[:, ::-1][:, ::-1],
        np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]),
    ):
        assert bsqav.encode_image(other) == expected


def test_native_planes_are_not_converted() -> None:
    frame = av.VideoFrame.from_ndarray(picture(48, 64), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=1, dst_color_range=1
    )
    frame.colorspace, frame.color_range = 1, 1
    data = bsqav.encode_image(frame, crf=FINE)
    assert sequence_of(data)["color_matrix"] == 1
    back = bsqav.decode_image(data, output="frame")
    encoder = Encoder(64, 48, crf=FINE, chroma_crf_offset=-5)
    packets = [*encoder.encode(frame, pts=0), *encoder.flush()]
    (same,) = bsqav.Decoder().decode(packets[0])
    assert np.array_equal(back.to_ndarray(), same.to_video_frame().to_ndarray())


def test_ten_bits_are_kept() -> None:
    wide = picture(48, 64)[..., 0] * np.uint16(4) + np.uint16(1)
    data = bsqav.encode_image(av.VideoFrame.from_ndarray(wide, format="gray10le"), crf=FINE)
    assert sequence_of(data)["bit_depth"] == 10
    back = bsqav.decode_image(data)
    assert back.dtype == np.uint16
    assert back.max() > 4 * 1023
    assert bsqav.decode_image(data, output="pillow").mode.startswith("I;16")


def test_pillow_images_come_and_go(coded: bytes) -> None:
    image = bsqav.decode_image(coded, output="pillow")
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert np.array_equal(np.asarray(image), bsqav.decode_image(coded))
    gray = bsqav.encode_image(Image.fromarray(picture(48, 64)[..., 0]))
    assert bsqav.decode_image(gray, output="pillow").mode == "L"
    assert bsqav.encode_image(Image.fromarray(picture(9, 9)).convert("P"))


def test_exif_orientation_is_carried_and_shown() -> None:
    image = Image.fromarray(picture(48, 64))
    image.getexif()[0x0112] = 6
    data = bsqav.encode_image(image)
    assert sequence_of(data)["rotation"] == 90
    shown = bsqav.decode_image(data)
    assert shown.shape == (64, 48, 3)
    plain = bsqav.decode_image(bsqav.encode_image(picture(48, 64)))
    assert np.array_equal(shown, np.rot90(plain, -1))


def test_colour_profile_is_named_when_left_out() -> None:
    image = Image.fromarray(picture(9, 9))
    image.info["icc_profile"] = b"profile"
    with pytest.warns(BsqWarning, match="colour profile"):
        bsqav.encode_image(image)


# ---- alpha and chroma ----


def translucent() -> np.ndarray:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    return np.dstack([picture(48, 64), alpha])


@pytest.mark.parametrize(
    "make",
    [
        translucent,
        lambda: Image.fromarray(translucent()),
        lambda: av.VideoFrame.from_ndarray(translucent(), format="rgba"),
    ],
)
@pytest.mark.parametrize("chroma", [None, "444"])
def test_alpha_is_kept(make: Callable[[], Any], chroma: Any) -> None:
    data = bsqav.encode_image(make(), crf=FINE, chroma=chroma)
    header = sequence_of(data)
    assert (header["alpha"], header["chroma"]) == (1, chroma or "420")
    back = bsqav.decode_image(data)
    assert back.shape == (48, 64, 4)
    assert psnr(back[..., :3], translucent()[..., :3]) > 25
    assert psnr(back[..., 3], translucent()[..., 3]) > 25
    assert bsqav.decode_image(data, output="pillow").mode == "RGBA"
    assert bsqav.decode_image(data, output="frame").format.name == f"yuva{chroma or '420'}p"


def test_gray_with_alpha() -> None:
    pixels = translucent()[..., 1:4:2]
    for given in (pixels, Image.fromarray(pixels, "LA")):
        data = bsqav.encode_image(given, crf=FINE)
        back = bsqav.decode_image(data)
        assert back.shape == (48, 64, 2)
        assert psnr(back, pixels) > 25
        assert bsqav.decode_image(data, output="pillow").mode == "LA"


def test_alpha_that_is_opaque_throughout_costs_nothing() -> None:
    opaque = np.dstack([picture(48, 64), np.full((48, 64), 255, np.uint8)])
    assert bsqav.encode_image(opaque) == bsqav.encode_image(picture(48, 64))


def test_alpha_of_ten_bits() -> None:
    planes = [np.full((16, 24), 700, np.uint16)] * 3 + [np.full((16, 24), 1023, np.uint16)]
    planes[3][:, :12] = 0
    frame = planes_to_frame(planes, PlaneFormat(24, 16, "444", 10, alpha=True))
    back = bsqav.decode_image(bsqav.encode_image(frame, crf=FINE))
    assert back.shape == (16, 24, 4)
    assert back.dtype == np.uint16
    assert back[:, :8, 3].max() < 3000
    assert back[:, 16:, 3].min() > 62000


def test_chroma_of_its_own_size_keeps_thin_colours() -> None:
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 255, 255
    errors = {}
    for chroma in ("420", "422", "444"):
        data = bsqav.encode_image(stripes, crf=FINE, chroma=chroma)
        assert sequence_of(data)["chroma"] == chroma
        errors[chroma] = psnr(bsqav.decode_image(data), stripes)
    assert errors["444"] > errors["420"]
    with pytest.raises(UsageError, match="411"):
        bsqav.encode_image(stripes, chroma="411")  # type: ignore[arg-type]


def test_chroma_crf_offset_moves_bits_to_colour() -> None:
    """Stills have finer chroma than videos, unless they ask for another; 4:2:0 alone."""
    pixels = picture(96, 128)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    source = frame.reformat(format="yuv420p", dst_color_range="JPEG").to_ndarray()
    sizes, errors = {}, {}
    for offset in (None, -2, -7):
        data = bsqav.encode_image(pixels, crf=44, chroma_crf_offset=offset)
        assert sequence_of(data)["chroma_crf_offset"] == (-5 if offset is None else offset)
        sizes[offset] = len(data)
        back = bsqav.decode_image(data, output="frame").to_ndarray()
        errors[offset] = float(np.square(back[96:].astype(float) - source[96:]).mean())
    assert sizes[-2] < sizes[None] < sizes[-7]
    assert errors[-2] > errors[None] > errors[-7]
    full = [bsqav.encode_image(pixels, chroma="444", chroma_crf_offset=o) for o in (0, -7)]
    assert full[0] == full[1]
    assert sequence_of(full[0])["chroma_crf_offset"] == 0


def test_frames_of_ycbcr_keep_their_chroma() -> None:
    frame = av.VideoFrame.from_ndarray(picture(48, 64), format="rgb24").reformat(format="yuv422p")
    data = bsqav.encode_image(frame)
    assert bsqav.decode_image(data, output="frame").format.name == "yuv422p"


# ---- colour ----


def test_matrix_is_that_of_jpeg() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (40, 1, 1, 3))
    for colour in [*colours.reshape(-1, 3), (255, 0, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]:
        pixels = np.tile(np.array(colour, np.uint8), (2, 2, 1))
        red, green, blue = (float(value) for value in colour)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        exact = (luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402)
        for plane, value in zip(rgb_planes(pixels), exact, strict=True):
            assert abs(float(plane[0, 0]) - min(value, 255.0)) <= 0.51


def test_chroma_is_the_mean_of_four_and_edges_repeat() -> None:
    pixels = picture(3, 5)
    even = np.pad(pixels, ((0, 1), (0, 1), (0, 0)), mode="edge")
    for part, whole in zip(rgb_planes(pixels)[1:], rgb_planes(even)[1:], strict=True):
        assert part.shape == (2, 3)
        assert np.array_equal(part, whole)


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_strips_do_not_show(chroma: str) -> None:
    tall = picture(520, 4)
    strips = [rgb_planes(tall[top : top + 4], chroma) for top in range(0, 520, 4)]
    for whole, parts in zip(rgb_planes(tall, chroma), zip(*strips, strict=True), strict=True):
        assert np.array_equal(whole, np.concatenate(parts))


# ---- what is refused ----


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: np.zeros((9, 9, 3), np.uint16), UnsupportedError, "16 bits"),
        (lambda: Image.new("CMYK", (9, 9)), UnsupportedError, "CMYK"),
        (lambda: Image.new("F", (9, 9)), UnsupportedError, "mode F"),
        (lambda: np.zeros((9, 9, 3)), UsageError, "float64"),
        (lambda: np.zeros((9, 9, 5), np.uint8), UsageError, "shape"),
        (lambda: np.zeros((0, 9, 3), np.uint8), UsageError, "9x0"),
        (lambda: np.zeros((1, 8193), np.uint8), UsageError, "8193x1"),
        (lambda: "picture.png", UsageError, "transcode"),
        (lambda: None, UsageError, "NoneType"),
    ],
)
def test_what_cannot_be_coded_is_named(
    make: Callable[[], Any], error: type[BsqError], words: str
) -> None:
    with pytest.raises(error, match=words):
        bsqav.encode_image(make())


@pytest.mark.parametrize("crf", [-1, 64, float("nan")])
def test_crf_out_of_range(crf: float) -> None:
    with pytest.raises(UsageError):
        bsqav.encode_image(picture(9, 9), crf=crf)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no bytes"),
        (b"BSQ", "3 bytes"),
        (b"a text file, and no picture at all\n", "no BSQ picture"),
        (b"\x1a\x45\xdf\xa3" + bytes(60), "Matroska"),
        (bytes(4) + b"ftypisom" + bytes(60), "MOV"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "PNG"),
        (b"\x10BSQ1" + bytes(60), "no keyframe"),
    ],
)
def test_other_data_is_named(data: bytes, words: str) -> None:
    with pytest.raises(BitstreamError, match=words) as caught:
        bsqav.decode_image(data)
    assert caught.value.byte == 0


def test_damage_anywhere_is_found(coded: bytes) -> None:
    for place in range(0, len(coded), max(1, len(coded) // 50)):
        broken = bytearray(coded)
        broken[place] ^= 1
        with pytest.raises((BitstreamError, UnsupportedError)):
            bsqav.decode_image(bytes(broken))


def test_cut_short_or_too_long(coded: bytes) -> None:
    for data in (coded[:-1], coded[:20], coded[:5], coded + b"\0"):
        with pytest.raises(BitstreamError, match="byte") as caught:
            bsqav.decode_image(data)
        assert caught.value.byte is not None


def test_newer_version_is_named(coded: bytes) -> None:
    with pytest.raises(UnsupportedError, match="version 9"):
        bsqav.decode_image(coded[:5] + b"\x09" + coded[6:])


def test_missing_model_is_named(
    coded: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_file: Path
) -> None:
    monkeypatch.setenv("BSQAV_MODEL_PATH", str(tmp_path))
    with pytest.raises(ModelNotFoundError) as caught:
        bsqav.decode_image(coded)
    assert caught.value.model_id == sequence_of(coded)["model_id"]
    assert bsqav.decode_image(coded, model=model_file).shape == (48, 64, 3)


def test_paths_and_unknown_outputs_are_refused(coded: bytes) -> None:
    with pytest.raises(UsageError, match="path"):
        bsqav.decode_image("picture.bsq")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="'array', 'pillow', 'frame'"):
        bsqav.decode_image(coded, output="png")  # type: ignore[call-overload]


def test_without_pillow(coded: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "PIL" or name.startswith("PIL.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert bsqav.encode_image(picture(9, 9))
    with pytest.raises(MissingDependencyError, match="pip install pillow"):
        bsqav.decode_image(coded, output="pillow")
