"""Pillow's own open and save with `.bsq` files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bsqav
from bsqav.errors import BitstreamError, UsageError
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
def test_a_still_goes_round(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bsq"
    picture(mode=mode).save(path, crf=20)
    with Image.open(path) as image:
        assert (image.format, image.size, image.n_frames) == ("BSQ", SIZE, 1)  # type: ignore[attr-defined]
        assert image.get_format_mimetype() == "image/x-bsq"
        assert image.mode == ("L" if mode in ("L", "1") else "RGB")
        pixels = np.asarray(image)
    assert path.read_bytes() == bsqav.encode_image(picture(mode=mode), crf=20)
    assert np.array_equal(pixels, bsqav.decode_image(path.read_bytes()))


def test_quality_stands_for_a_crf() -> None:
    assert saved(picture()) == bsqav.encode_image(picture(), crf=35)
    assert saved(picture(), quality=100) == bsqav.encode_image(picture(), crf=10)
    more = {"crf": 35, "tune": "psnr", "preset": "fast", "threads": 1}
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


def test_an_animation_goes_round(tmp_path: Path) -> None:
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
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(b"BSQX" + bytes(40)))


def test_transparency_is_kept() -> None:
    image = picture(mode="RGBA")
    image.putalpha(128)
    for options in ({}, {"save_all": True, "append_images": [image]}):
        with Image.open(io.BytesIO(saved(image, **options))) as found:
            assert found.mode == "RGBA"
            assert np.abs(np.asarray(found)[..., 3].astype(int) - 128).mean() < 20
