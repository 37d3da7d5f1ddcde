"""Pillow's own open and save with `.bsq` files."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

import bsqav
from bsqav.codec import Animation
from bsqav.errors import BitstreamError, BsqWarning, UnsupportedError, UsageError
from bsqav.integrations import pillow

SIZE = (40, 24)


@pytest.fixture(autouse=True, scope="module")
def registered() -> None:
    pillow.register()
    pillow.register()


def picture(number: int = 0, mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    planes = [(6 * x + 9 * number) % 256, (10 * y) % 256, (3 * x + 5 * y) % 256]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8)).convert(mode)


def saved(image: Image.Image, **options: Any) -> bytes:
    held = io.BytesIO()
    image.save(held, "BSQ", **options)
    return held.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBX", "RGBA"])
def test_a_still_round_trips(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bsq"
    picture(mode=mode).save(path, crf=20)
    with Image.open(path) as image:
        assert (image.format, image.size, image.n_frames) == ("BSQ", SIZE, 1)  # type: ignore[attr-defined]
        assert image.get_format_mimetype() == "image/x-bsq"
        assert image.mode == ("L" if mode in ("L", "1") else "RGB")
        pixels = np.asarray(image)
    assert path.read_bytes() == bsqav.encode_image(picture(mode=mode), crf=20)
    assert np.array_equal(pixels, bsqav.decode_image(path.read_bytes()))


def test_quality_maps_to_a_crf() -> None:
    assert saved(picture()) == bsqav.encode_image(picture(), crf=35)
    assert saved(picture(), quality=100) == bsqav.encode_image(picture(), crf=10)
    more: dict[str, Any] = {"crf": 35, "tune": "psnr", "preset": "fast", "threads": 1}
    assert saved(picture(), **more) == bsqav.encode_image(picture(), **more)
    assert pillow.crf_of_quality(0) == 63
    rising = [pillow.crf_of_quality(quality) for quality in range(101)]
    assert rising == sorted(rising, reverse=True)


@pytest.mark.parametrize(
    "options", [{"quality": 101}, {"quality": "web_low"}, {"quality": 50, "crf": 3}, {"crf": 64}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        saved(picture(), **options)


def test_an_animation_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "a.bsq"
    picture(0).save(
        path,
        save_all=True,
        append_images=[picture(n) for n in range(1, 5)],
        duration=[40, 50, 60, 70, 1000],
        loop=2,
        gop=2,
        crf=10,
    )
    with Image.open(path) as image:
        moving: Any = image
        assert (moving.n_frames, moving.is_animated, image.info["loop"]) == (5, True, 2)
        shown = []
        for number in range(5):
            image.seek(number)
            assert image.tell() == number
            shown.append((image.info["duration"], np.asarray(image)))
        for number in (3, 0, 4, 1):
            image.seek(number)
            assert np.array_equal(np.asarray(image), shown[number][1])
        with pytest.raises(EOFError):
            image.seek(5)
    assert [duration for duration, _ in shown] == [40, 50, 60, 70, 1000]
    assert not np.array_equal(shown[0][1], shown[1][1])


def test_a_gif_keeps_its_pictures_and_durations() -> None:
    held = io.BytesIO()
    rest = [picture(30 * n) for n in range(1, 3)]
    picture().save(held, "GIF", save_all=True, append_images=rest, duration=[30, 40, 50], loop=0)
    with Image.open(held) as gif:
        gif.seek(1)
        data = saved(gif, save_all=True)
        assert gif.tell() == 1
    with Image.open(io.BytesIO(data)) as image:
        durations = []
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            durations.append(image.info["duration"])
    assert durations == [30, 40, 50]
    with Image.open(io.BytesIO(data)) as image:
        assert saved(image, save_all=True, append_images=[picture()])


def test_gray_and_colour_together_become_colour() -> None:
    data = saved(picture(mode="L"), save_all=True, append_images=[picture()])
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
    data = saved(picture(mode="L"), save_all=True, append_images=[picture(1, mode="L")])
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"


def test_one_picture_with_save_all_is_a_still() -> None:
    assert saved(picture(), save_all=True) == saved(picture())


def test_a_turned_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture()
    held = io.BytesIO()
    turned.save(held, "PNG", exif=exif)
    with Image.open(held) as png, Image.open(io.BytesIO(saved(png))) as image:
        assert image.size == SIZE[::-1]
        assert np.asarray(image).shape == (SIZE[0], SIZE[1], 3)
        assert image.size == SIZE[::-1]


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="one size"):
        saved(picture(), save_all=True, append_images=[picture().resize((8, 8))])
    with pytest.raises(UsageError, match="durations"):
        saved(picture(), save_all=True, append_images=[picture()], duration=[1])


@pytest.mark.parametrize("moving", [False, True])
def test_damage_is_an_error_that_says_so(moving: bool) -> None:
    more = {"save_all": True, "append_images": [picture(1)]} if moving else {}
    data = bytearray(saved(picture(), **more))
    data[-8] ^= 1
    with pytest.raises(BitstreamError), Image.open(io.BytesIO(data)) as image:
        image.seek(image.n_frames - 1)  # type: ignore[attr-defined]
        image.load()
    with pytest.raises(BitstreamError):
        Image.open(io.BytesIO(saved(picture())[:20]))


def test_other_formats_stay_as_they_were(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"BSQX" + bytes(40)))


def test_transparency_is_kept() -> None:
    image = picture(mode="RGBA")
    image.putalpha(128)
    for options in ({}, {"save_all": True, "append_images": [image]}):
        with Image.open(io.BytesIO(saved(image, **options))) as found:
            assert found.mode == "RGBA"
            assert np.abs(np.asarray(found)[..., 3].astype(int) - 128).mean() < 20


# ---- metadata ----

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@functools.cache
def profile() -> bytes:
    """One that states the second in which it was made."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def described(kind: str, orientation: int = 6) -> Image.Image:
    """A picture as it comes out of a file with Exif, a profile, and XMP where the format has it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", orientation
    held = io.BytesIO()
    more = {"xmp": XMP} if kind in ("JPEG", "WEBP") else {}
    picture().save(held, kind, exif=exif, icc_profile=profile(), **more)
    return Image.open(held)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("moving", [False, True])
def test_metadata_are_kept_and_the_picture_is_turned_once(kind: str, moving: bool) -> None:
    given = described(kind)
    more = {"save_all": True, "append_images": [described(kind)]} if moving else {}
    with Image.open(io.BytesIO(saved(given, **more))) as image:
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(0x0112, 1) == 1
        assert image.info["icc_profile"] == profile()
        if kind in ("JPEG", "WEBP"):
            assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')
        assert image.size == SIZE[::-1]
        assert ImageOps.exif_transpose(image).size == SIZE[::-1]
        again = saved(image, **({"save_all": True} if moving else {}))
    with Image.open(io.BytesIO(again)) as image:
        assert image.size == SIZE[::-1]
        assert image.info["icc_profile"] == profile()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_as_pillow_shows_it(orientation: int) -> None:
    given = described("PNG", orientation)
    wanted = np.asarray(ImageOps.exif_transpose(given)).astype(int)
    with Image.open(io.BytesIO(saved(given, crf=0))) as image:
        found = np.asarray(image)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).mean() < 4


def test_metadata_given_to_save_win_over_those_of_the_image() -> None:
    exif = Image.Exif()
    exif[0x0110] = "Model"
    data = saved(described("PNG"), exif=exif, icc_profile=None, xmp="<x/>")
    with Image.open(io.BytesIO(data)) as image:
        assert (dict(image.getexif()), image.size) == ({0x0110: "Model"}, SIZE)
        assert "icc_profile" not in image.info
        assert image.info["xmp"] == b"<x/>"
    plain = saved(described("PNG"), exif=b"", icc_profile=b"")
    assert plain == saved(picture())


def test_bytes_that_are_no_metadata_are_named() -> None:
    with pytest.raises(UsageError, match="exif is to be bytes"):
        saved(picture(), exif="a camera")
    with pytest.warns(BsqWarning, match="no ICC profile"):
        assert saved(picture(), icc_profile=b"sRGB") == saved(picture())


def test_damaged_metadata_are_omitted_and_the_image_decodes() -> None:
    data = bytearray(saved(described("JPEG")))
    data[data.index(b"Maker")] ^= 1
    with pytest.warns(BsqWarning, match="Exif is damaged"), Image.open(io.BytesIO(data)) as image:
        image.load()
    assert "exif" not in image.info
    assert image.info["icc_profile"] == profile()


# ---- options and modes ----


@pytest.mark.parametrize(
    ("subsampling", "chroma"),
    [(0, "444"), (1, "422"), (2, "420"), ("4:4:4", "444"), ("4:2:2", "422"), (-1, "420")],
)
def test_subsampling_is_taken_as_for_jpeg(subsampling: Any, chroma: str) -> None:
    data = saved(picture(), subsampling=subsampling)
    assert bsqav.decode_image(data, output="frame").format.name == f"yuv{chroma}p"
    data = saved(picture(), subsampling=subsampling, save_all=True, append_images=[picture(1)])
    assert Animation(data, output="frame")[1].format.name == f"yuv{chroma}p"


def test_options_are_never_ignored() -> None:
    with pytest.raises(UsageError, match="no lossless mode: crf=0"):
        saved(picture(), lossless=True)
    assert saved(picture(), lossless=False) == saved(picture())
    with pytest.raises(UsageError, match="subsampling 'keep'"):
        saved(picture(), subsampling="keep")
    with pytest.warns(BsqWarning, match="no option optimize, progressive"):
        saved(picture(), optimize=True, progressive=True)
    with pytest.warns(BsqWarning, match=r"takes no duration: save_all=True"):
        saved(picture(), duration=40)


def test_pictures_turned_in_different_ways_are_refused() -> None:
    with pytest.raises(UsageError, match="exif_transpose"):
        saved(described("PNG", 6), save_all=True, append_images=[described("PNG", 8)])


@pytest.mark.parametrize(
    ("mode", "opened"),
    [("CMYK", "RGB"), ("YCbCr", "RGB"), ("HSV", "RGB"), ("LA", "L"), ("PA", "RGB"), ("I", "I;16")],
)
@pytest.mark.filterwarnings("ignore::bsqav.errors.BsqWarning")
def test_other_modes_are_converted(mode: str, opened: str) -> None:
    middle = {"PA": "P", "I": "L"}.get(mode, "RGB")
    given = picture(mode=middle).convert(mode)
    with Image.open(io.BytesIO(saved(given, crf=4))) as image:
        assert image.mode == opened
    if middle != "RGB":
        return
    shown = np.asarray(Image.open(io.BytesIO(saved(given, crf=0))).convert("RGB")).astype(int)
    assert np.abs(shown - np.asarray(given.convert("RGB"))).mean() < 5


def test_a_palette_may_have_a_transparent_colour() -> None:
    given = picture(mode="P")
    given.info["transparency"] = given.getpixel((0, 0))
    with Image.open(io.BytesIO(saved(given))) as image:
        assert image.mode == "RGBA"


def test_cmyk_is_converted_with_a_warning() -> None:
    with pytest.warns(BsqWarning, match="CMYK is converted to RGB"):
        saved(picture().convert("CMYK"))


def test_gray_of_16_bits_round_trips() -> None:
    values = np.linspace(0, 65535, 40 * 24).reshape(24, 40).astype(np.uint16)
    with pytest.warns(BsqWarning, match="16 bits"):
        data = saved(Image.fromarray(values), crf=0)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "I;16"
        assert np.abs(np.asarray(image).astype(int) - values).mean() < 700
    with pytest.raises(UnsupportedError, match="0 to 65535"):
        saved(Image.fromarray(np.full((4, 4), 70000, np.int32)))


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_modes_without_a_meaning_here_are_refused(mode: str) -> None:
    with pytest.raises(UnsupportedError, match=f"mode {mode}"):
        saved(Image.new(mode, (9, 9)))
