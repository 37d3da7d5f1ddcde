"""imageio's own functions with the plugin "bsqav"."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

import bsqav
from bsqav.errors import UsageError
from bsqav.integrations import imageio as plugin
from bsqav.integrations import pillow
from tests.media.clips import make_clip

EVERY_FRAME: dict[str, Any] = {"index": ...}  # an index that the types of imageio lack


def pictures(count: int = 5, *, gray: bool = False) -> np.ndarray:
    y, x = np.mgrid[:24, :40]
    shades = [
        np.stack([(6 * x + 9 * n) % 256, (10 * y) % 256, (3 * x + 5 * y) % 256], axis=2)
        for n in range(count)
    ]
    batch = np.stack(shades).astype(np.uint8)
    return batch[..., 0] if gray else batch


@pytest.fixture(autouse=True, scope="module")
def registered() -> None:
    plugin.register()
    plugin.register()


@pytest.mark.parametrize("gray", [False, True])
def test_a_still_round_trips(gray: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.bsq"
    (picture,) = pictures(1, gray=gray)
    iio.imwrite(path, picture, crf=10, is_batch=False)
    assert path.read_bytes() == bsqav.encode_image(picture, crf=10)
    found = iio.imread(path)
    assert np.array_equal(found, bsqav.decode_image(path.read_bytes()))
    properties = iio.improps(path)
    assert (properties.shape, properties.is_batch) == (picture.shape, False)
    assert properties.dtype == np.uint8
    assert iio.imread(path, **EVERY_FRAME).shape == (1, *picture.shape)
    metadata = iio.immeta(path)
    assert (metadata["codec"], len(metadata["model_id"])) == ("bsq", 32)


def test_bytes_round_trip() -> None:
    (picture,) = pictures(1)
    data = iio.imwrite("<bytes>", picture, extension=".bsq", crf=10)
    assert data == bsqav.encode_image(picture, crf=10)
    assert iio.imread(data).shape == picture.shape
    assert iio.imread(io.BytesIO(data), extension=".bsq").shape == picture.shape


def test_an_animation_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "a.bsq"
    iio.imwrite(path, pictures(), duration=40, loop=2, crf=10)
    found = iio.imread(path)
    assert found.shape == (5, 24, 40, 3)
    assert np.array_equal(iio.imread(path, index=3), found[3])
    assert [each.shape for each in iio.imiter(path)] == [(24, 40, 3)] * 5
    assert iio.improps(path).n_images == 5
    assert iio.immeta(path)["loop"] == 2
    assert iio.immeta(path, index=1)["duration"] == 40
    with pytest.raises(ValueError, match="animation of 5"):
        iio.imread(path, index=5)
    iio.imwrite(path, list(pictures()), duration=[10, 20, 30, 40, 50])
    assert iio.immeta(path, index=4)["duration"] == 50


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".nut"])
def test_a_video_round_trips(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    iio.imwrite(path, pictures(), plugin="bsqav", fps=30, crf=10, gop=2)
    found = iio.imread(path, plugin="bsqav")
    assert found.shape == (5, 24, 40, 3)
    assert np.abs(found.astype(int) - pictures()).mean() < 60
    for index in (4, 0, 3):
        assert np.array_equal(iio.imread(path, plugin="bsqav", index=index), found[index])
    assert iio.immeta(path, plugin="bsqav")["fps"] == 30
    assert iio.immeta(path, plugin="bsqav", index=3)["time"] == pytest.approx(100)
    assert iio.improps(path, plugin="bsqav").shape == (5, 24, 40, 3)
    assert iio.improps(path, plugin="bsqav", index=0).shape == (24, 40, 3)
    with bsqav.open(path) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_pictures_are_written_one_by_one(tmp_path: Path) -> None:
    plugin: Any = "bsqav"  # a name that imageio's types do not know
    with iio.imopen(tmp_path / "a.mkv", "w", plugin=plugin, threads=1) as file:
        for picture in pictures(gray=True):
            file.write(picture[..., None], fps=10)
        with pytest.raises(UsageError, match="first image"):
            file.write(pictures()[0], fps=11)
    assert iio.imread(tmp_path / "a.mkv", plugin="bsqav").shape == (5, 24, 40)
    with iio.imopen(tmp_path / "b.bsq", "w") as file:
        for picture in pictures(2):
            file.write(picture)
    assert iio.imread(tmp_path / "b.bsq").shape == (2, 24, 40, 3)


def test_other_files_are_for_other_plugins(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", size=(48, 32), frames=3)
    with pytest.raises(OSError, match="can not handle"):
        iio.imread(clip, plugin="bsqav")
    with pytest.raises(OSError, match="can not handle"):
        iio.imwrite(tmp_path / "a.mp4", pictures(), plugin="bsqav")
    png = iio.imwrite("<bytes>", pictures(1)[0], extension=".png")
    (tmp_path / "wrong.bsq").write_bytes(png)
    assert np.array_equal(iio.imread(tmp_path / "wrong.bsq"), pictures(1)[0])


@pytest.mark.parametrize("name", ["a.bsq", "a.mkv"])
def test_unknown_options_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no option quality"):
        iio.imwrite(tmp_path / name, pictures(), plugin="bsqav", quality=3)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    for name in ("a.bsq", "a.mkv"):
        with pytest.raises(UsageError, match="no image"):
            iio.imwrite(tmp_path / name, [], plugin="bsqav")
        with pytest.raises((UsageError, bsqav.UnsupportedError)):
            iio.imwrite(tmp_path / name, np.zeros((2, 8, 8), np.uint16), plugin="bsqav")


def test_a_failing_block_writes_no_animation(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), iio.imopen(tmp_path / "a.bsq", "w") as file:
        file.write(pictures()[0])
        raise KeyboardInterrupt
    assert not (tmp_path / "a.bsq").read_bytes()


def test_imageios_pillow_plugin_knows_it_through_pillow(tmp_path: Path) -> None:
    pillow.register()
    options: dict[str, Any] = {"plugin": "pillow", "crf": 10}
    iio.imwrite(tmp_path / "a.bsq", pictures(), duration=40, **options)
    found = iio.imread(tmp_path / "a.bsq", plugin="pillow", **EVERY_FRAME)
    assert found.shape == (5, 24, 40, 3)


def test_imageios_pyav_plugin_knows_it_after_install(tmp_path: Path) -> None:
    bsqav.install()
    try:
        path = tmp_path / "a.mkv"
        iio.imwrite(path, pictures(), plugin="pyav", codec="bsq", fps=10)
        assert iio.imread(path, plugin="pyav").shape == (5, 24, 40, 3)
        assert iio.immeta(path, plugin="pyav")["codec"] == "bsq"
    finally:
        bsqav.uninstall()


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".nut"])
def test_videos_are_read_without_a_name_of_a_plugin(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    iio.imwrite(path, pictures(), plugin="bsqav", fps=30, crf=10)
    named = iio.imread(path, plugin="bsqav")
    data = path.read_bytes()
    for source in (path, str(path), data):
        assert np.array_equal(iio.imread(source), named)
        assert iio.improps(source).shape == (5, 24, 40, 3)
        assert iio.immeta(source)["codec"] == "bsq"
        assert [picture.shape for picture in iio.imiter(source)] == [(24, 40, 3)] * 5
    assert np.array_equal(iio.imread(path, index=3), named[3])


def test_other_codecs_are_read_and_written_by_who_did_so_before(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", size=(48, 32), frames=3)
    assert iio.imread(clip).shape == (3, 32, 48, 3)
    assert iio.imread(clip.read_bytes(), plugin="pyav").shape == (3, 32, 48, 3)
    png = iio.imwrite("<bytes>", pictures(1)[0], extension=".png")
    assert np.array_equal(iio.imread(png), pictures(1)[0])
    with iio.imopen(tmp_path / "new.mkv", "w") as file:
        assert not isinstance(file, plugin.BsqPlugin)


@pytest.mark.parametrize(("name", "option"), [("a.bsq", "chroma"), ("a.mkv", "pix_fmt")])
def test_chroma_is_kept_where_asked_for(name: str, option: str, tmp_path: Path) -> None:
    given = {option: "444" if option == "chroma" else "yuv444p"}
    iio.imwrite(tmp_path / name, pictures(2), plugin="bsqav", **given)
    assert iio.immeta(tmp_path / name)["pixel_format"] == "yuv444p"


def test_metadata_of_an_image_are_given(tmp_path: Path) -> None:
    image = Image.fromarray(pictures(1)[0])
    exif = image.getexif()
    exif[0x010F] = "Maker"
    (tmp_path / "a.bsq").write_bytes(bsqav.encode_image(image))
    assert b"Maker" in iio.immeta(tmp_path / "a.bsq")["exif"]
    assert iio.imread(tmp_path / "a.bsq").shape == (24, 40, 3)
