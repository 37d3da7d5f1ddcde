"""`.bsq` files in `transcode`, `info` and `verify`: read as videos of one picture, and written."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

import bsqav
from bsqav.cli.main import main
from bsqav.codec import Animation, encode_animation
from bsqav.errors import BitstreamError, BsqWarning, MediaError, UnsupportedError, UsageError
from bsqav.media.demux.demuxer import Demuxer
from tests.media.clips import bsq_packets, make_clip

PROGRAM = [sys.executable, "-m", "bsqav.cli.main"]
SIZE = (64, 48)


def pixels() -> np.ndarray:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([x * 3 % 256, y * 5, x + y], axis=-1).astype(np.uint8)


def write_picture(path: Path, array: np.ndarray, pixel_format: str, encoder: str = "png") -> Path:
    frame = av.VideoFrame.from_ndarray(array, format=pixel_format)
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, pixel_format
    context.time_base = Fraction(1)
    path.write_bytes(b"".join(map(bytes, [*context.encode(frame), *context.encode(None)])))
    return path


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "in.png", pixels(), "rgb24")


@pytest.fixture
def still(tmp_path: Path) -> Path:
    path = tmp_path / "in.bsq"
    path.write_bytes(bsqav.encode_image(pixels(), crf=20))
    return path


def test_file_and_function_agree_both_ways(tmp_path: Path, png: Path, still: Path) -> None:
    assert main(["transcode", str(png), str(tmp_path / "a.bsq"), "--crf", "20", "--quiet"]) == 0
    assert (tmp_path / "a.bsq").read_bytes() == still.read_bytes()
    assert main(["transcode", str(still), str(tmp_path / "a.png"), "--quiet"]) == 0
    with av.open(str(tmp_path / "a.png")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(shown, bsqav.decode_image(still.read_bytes()))
    assert not list(tmp_path.glob("*.partial"))


def test_existing_output_stays_without_y(tmp_path: Path, png: Path, still: Path) -> None:
    before = still.read_bytes()
    assert main(["transcode", str(png), str(still), "--crf", "50", "--quiet"]) == 1
    assert still.read_bytes() == before
    assert main(["transcode", str(png), str(still), "--crf", "50", "--quiet", "-y"]) == 0
    assert len(still.read_bytes()) < len(before)


def test_pipes_both_ways(tmp_path: Path, png: Path, still: Path) -> None:
    command = [*PROGRAM, "transcode", "-", "-", "--quiet", "-f"]
    coded = subprocess.run(
        [*command, "bsq", "--crf", "20"], input=png.read_bytes(), capture_output=True, check=True
    )
    assert coded.stdout == still.read_bytes()
    back = subprocess.run(
        [*command, "nut", "-c:v", "copy"], input=coded.stdout, capture_output=True, check=True
    )
    with Demuxer(io.BytesIO(back.stdout)) as demuxer:
        (packet,) = bsq_packets(demuxer, demuxer.tracks[0])
    assert packet.data == coded.stdout


def test_a_keyframe_goes_from_video_to_still_and_back_undecoded(
    tmp_path: Path, still: Path
) -> None:
    bsqav.transcode(still, tmp_path / "one.mkv", codec="copy")
    bsqav.transcode(tmp_path / "one.mkv", tmp_path / "again.bsq", codec="copy")
    assert (tmp_path / "again.bsq").read_bytes() == still.read_bytes()


def test_a_frame_of_a_video_becomes_a_still(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=5, rotation=90, audio=None)
    with pytest.raises(UsageError, match="holds one image"):
        bsqav.transcode(clip, tmp_path / "out.bsq")
    bsqav.transcode(clip, tmp_path / "out.bsq", start="0.04", duration="0.04", overwrite=True)
    shown = bsqav.decode_image((tmp_path / "out.bsq").read_bytes())
    assert shown.shape == (64, 48, 3)  # upright


def test_jpeg_samples_are_not_converted(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(pixels(), format="rgb24").reformat(format="yuvj420p")
    path = write_picture(tmp_path / "in.jpg", frame.to_ndarray(), "yuvj420p", "mjpeg")
    bsqav.transcode(path, tmp_path / "out.bsq", crf=0)
    data = (tmp_path / "out.bsq").read_bytes()
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        assert bsqav.encode_image(decoded, crf=0) == data
    assert int(bsqav.decode_image(data, output="frame").color_range) == 2


def test_photos_with_exif_come_out_upright(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = image_module.fromarray(pixels())
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "in.jpg", exif=exif)
    bsqav.transcode(tmp_path / "in.jpg", tmp_path / "out.bsq")
    data = (tmp_path / "out.bsq").read_bytes()
    assert bsqav.decode_image(data).shape == (SIZE[0], SIZE[1], 3)
    assert bsqav.encode_image(image_module.open(tmp_path / "in.jpg"))
    bsqav.transcode(tmp_path / "out.bsq", tmp_path / "out.png")
    assert image_module.open(tmp_path / "out.png").size == (SIZE[1], SIZE[0])


def test_transparent_and_deep_pictures(tmp_path: Path) -> None:
    alpha = np.dstack([pixels(), np.full(pixels().shape[:2], 99, np.uint8)])
    translucent = write_picture(tmp_path / "alpha.png", alpha, "rgba")
    bsqav.transcode(translucent, tmp_path / "out.bsq")
    assert bsqav.decode_image((tmp_path / "out.bsq").read_bytes()).shape == alpha.shape
    bsqav.transcode(tmp_path / "out.bsq", tmp_path / "back.png")
    with av.open(str(tmp_path / "back.png")) as container:
        back = next(container.decode(video=0))
    assert back.format.name == "rgba"
    assert np.abs(back.to_ndarray()[..., 3].astype(int) - 99).max() < 12
    with pytest.warns(BsqWarning, match="alpha channel is left out"):
        bsqav.transcode(tmp_path / "out.bsq", tmp_path / "back.jpg")
    deep = write_picture(tmp_path / "deep.png", pixels().astype(np.uint16) * 257, "rgb48be")
    with pytest.warns(BsqWarning, match="16 bits"):
        bsqav.transcode(deep, tmp_path / "deep.bsq")
    assert bsqav.decode_image((tmp_path / "deep.bsq").read_bytes()).dtype == np.uint16


def test_stills_of_rgb_are_420_unless_asked(tmp_path: Path, png: Path) -> None:
    chroma = []
    for name in (None, "yuv444p"):
        bsqav.transcode(png, tmp_path / "a.bsq", pixel_format=name, overwrite=True)
        data = (tmp_path / "a.bsq").read_bytes()
        chroma.append(bsqav.decode_image(data, output="frame").format.name)
    assert chroma == ["yuv420p", "yuv444p"]


def test_info_and_verify(still: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(still)]) == 0
    text = capsys.readouterr().out
    assert "BSQ still" in text
    assert "fps" not in text
    assert main(["info", str(still), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["bsq"][0]["packets"]) == ("bsq", 1)
    assert main(["verify", str(still), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["frames"], report["width"]) == (True, 1, SIZE[0])


@pytest.mark.parametrize("cut", [6, 40, -1])
def test_damage_is_one_line_with_the_byte(
    tmp_path: Path, still: Path, cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "short.bsq"
    short.write_bytes(still.read_bytes()[:cut])
    for command in (["info"], ["verify"], ["transcode", "--quiet"]):
        output = [str(tmp_path / "out.png")] if "transcode" in command else []
        assert main([*command, str(short), *output]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "short.bsq" in line
        assert "byte" in line
    with pytest.raises(BitstreamError) as caught:
        bsqav.transcode(short, tmp_path / "out.png")
    assert caught.value.byte is not None


def test_a_damaged_payload_leaves_no_output(tmp_path: Path, png: Path) -> None:
    (tmp_path / "text.bsq").write_text("this is no picture at all\n" * 9)
    with pytest.raises(MediaError):
        bsqav.transcode(tmp_path / "text.bsq", tmp_path / "out.png")
    with pytest.raises(BitstreamError, match="no BSQ picture"):
        bsqav.transcode(png, tmp_path / "out.mkv", input_format="bsq")
    assert not (tmp_path / "out.png").exists()
    assert not list(tmp_path.glob("out*"))


def test_options_that_stills_do_not_have(tmp_path: Path, png: Path) -> None:
    with pytest.raises(UnsupportedError, match="bit rate"):
        bsqav.transcode(png, tmp_path / "out.bsq", bitrate=100000)
    with pytest.raises(UsageError, match="libx264"):
        bsqav.transcode(png, tmp_path / "out.bsq", codec="libx264")
    with pytest.raises(UsageError, match="copy needs BSQ"):
        bsqav.transcode(png, tmp_path / "out.bsq", codec="copy")
    assert not list(tmp_path.glob("out*"))


# ---- animations ----


@pytest.fixture
def animation(tmp_path: Path) -> Path:
    path = tmp_path / "moving.bsq"
    pictures = [np.roll(pixels(), 4 * n, axis=1) for n in range(5)]
    path.write_bytes(encode_animation(pictures, durations=Fraction(1, 25), gop=3, crf=20))
    return path


def test_an_animation_is_read_as_a_video(
    tmp_path: Path, animation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(animation)]) == 0
    assert "BSQ animation" in capsys.readouterr().out
    assert main(["verify", str(animation)]) == 0
    shown = list(Animation(animation.read_bytes(), output="frame"))
    for name in ("a.mkv", "a.mov"):
        bsqav.transcode(animation, tmp_path / name, codec="copy")
        with bsqav.open(tmp_path / name) as container:
            found = list(container.decode(video=0))
        assert [bytes(f.planes[0]) for f in found] == [bytes(f.planes[0]) for f in shown]
        assert [f.time for f in found] == pytest.approx([n / 25 for n in range(5)])
    bsqav.transcode(animation, tmp_path / "a_%d.png")
    assert len(list(tmp_path.glob("a_*.png"))) == 5


def test_a_truncated_animation_keeps_its_decodable_part(tmp_path: Path, animation: Path) -> None:
    data = animation.read_bytes()
    (tmp_path / "short.bsq").write_bytes(data[:-20])
    with pytest.raises(MediaError, match="cut short"):
        bsqav.transcode(tmp_path / "short.bsq", tmp_path / "short.mkv")
    with bsqav.open(tmp_path / "short.mkv.partial", format="matroska") as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
    (tmp_path / "bad.bsq").write_bytes(data[:60] + b"\xff" + data[61:])
    with pytest.raises(BitstreamError, match=r"bad\.bsq"):
        bsqav.transcode(tmp_path / "bad.bsq", tmp_path / "bad.mkv")


# ---- metadata ----

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def described(path: Path) -> bytes:
    """Writes a picture with Exif (turned by 90 degrees), a profile and XMP; gives the profile."""
    images, colours = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageCms")
    exif = images.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    profile: bytes = colours.ImageCmsProfile(colours.createProfile("sRGB")).tobytes()
    more = {} if path.suffix in (".png", ".tif") else {"xmp": XMP}
    images.fromarray(pixels()).save(path, exif=exif, icc_profile=profile, **more)
    return profile


@pytest.mark.parametrize("target", ["back.jpg", "back.png"])
@pytest.mark.parametrize("name", ["in.jpg", "in.png", "in.webp"])
def test_metadata_go_into_a_still_and_back(tmp_path: Path, name: str, target: str) -> None:
    images = pytest.importorskip("PIL.Image")
    profile = described(tmp_path / name)
    bsqav.transcode(tmp_path / name, tmp_path / "a.bsq")
    bsqav.transcode(tmp_path / "a.bsq", tmp_path / "copy.bsq", codec="copy")
    assert (tmp_path / "a.bsq").read_bytes() == (tmp_path / "copy.bsq").read_bytes()
    assert main(["verify", str(tmp_path / "a.bsq")]) == 0
    bsqav.transcode(tmp_path / "a.bsq", tmp_path / target)
    for path in (tmp_path / target, None):
        data = (tmp_path / "a.bsq").read_bytes()
        image = images.open(path) if path else bsqav.decode_image(data, output="pillow")
        assert image.size == SIZE[::-1]
        assert (image.getexif()[0x010F], image.getexif()[0x0112]) == ("Maker", 1)
        assert image.info["icc_profile"] == profile
        if name != "in.png":
            assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')
    with av.open(str(tmp_path / target)) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_pictures_become_pictures_with_their_metadata(tmp_path: Path) -> None:
    images = pytest.importorskip("PIL.Image")
    profile = described(tmp_path / "in.tif")
    bsqav.transcode(tmp_path / "in.tif", tmp_path / "a.bsq")
    image = bsqav.decode_image((tmp_path / "a.bsq").read_bytes(), output="pillow")
    assert image.info["icc_profile"] == profile
    described(tmp_path / "in.jpg")
    piped = subprocess.run(
        [*PROGRAM, "transcode", "-", str(tmp_path / "b.bsq"), "--quiet"],
        input=(tmp_path / "in.jpg").read_bytes(),
        check=False,
    )
    assert piped.returncode == 0
    image = bsqav.decode_image((tmp_path / "b.bsq").read_bytes(), output="pillow")
    assert image.getexif()[0x010F] == "Maker"
    assert images.open(tmp_path / "in.jpg").size == SIZE


@pytest.mark.parametrize("target", ["out.mkv", "out.tif", "out_%d.png"])
def test_metadata_that_have_no_place_are_named(tmp_path: Path, target: str) -> None:
    described(tmp_path / "in.jpg")
    bsqav.transcode(tmp_path / "in.jpg", tmp_path / "a.bsq")
    for source in ("in.jpg", "a.bsq") if target == "out.mkv" else ("a.bsq",):
        options: dict[str, Any] = {"codec": "bsq"} if target == "out.mkv" else {}
        with pytest.warns(BsqWarning, match="Exif, the colour profile, XMP of .*left out"):
            bsqav.transcode(tmp_path / source, tmp_path / target, overwrite=True, **options)


def test_damaged_metadata_are_reported_and_the_image_decodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described(tmp_path / "in.jpg")
    bsqav.transcode(tmp_path / "in.jpg", tmp_path / "a.bsq")
    data = bytearray((tmp_path / "a.bsq").read_bytes())
    data[data.index(b"Maker")] ^= 1
    (tmp_path / "bad.bsq").write_bytes(data)
    assert main(["verify", str(tmp_path / "bad.bsq")]) == 0
    assert "Exif is damaged and left out" in capsys.readouterr().err
    with pytest.warns(BsqWarning, match="Exif is damaged"):
        bsqav.transcode(tmp_path / "bad.bsq", tmp_path / "out.png")


def test_a_picture_with_a_named_profile_does_not_crash(tmp_path: Path) -> None:
    """PyAV 18 frees the name of a PNG file's profile twice where side data are looked at."""
    described(tmp_path / "in.png")
    code = "import bsqav, sys; [bsqav.transcode(*sys.argv[1:], overwrite=True) for _ in range(3)]"
    paths = [str(tmp_path / "in.png"), str(tmp_path / "out.bsq")]
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code, *paths]).returncode == 0


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_as_it_is_shown(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    images, ops = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    exif = images.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"in{suffix}"
    images.fromarray(soft()).save(path, exif=exif, **({"quality": 95} if suffix == ".jpg" else {}))
    wanted = np.asarray(ops.exif_transpose(images.open(path))).astype(int)
    bsqav.transcode(path, tmp_path / "a.bsq", crf=0)
    found = bsqav.decode_image((tmp_path / "a.bsq").read_bytes())
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 6
    bsqav.transcode(tmp_path / "a.bsq", tmp_path / "b.png")
    # Chroma is scaled after the planes are turned there, before it here.
    assert np.abs(np.asarray(images.open(tmp_path / "b.png")).astype(int) - found).mean() < 1


def soft() -> np.ndarray:
    """Colours that differ from corner to corner."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([x * 3, y * 5, (x + y) * 2], axis=-1).astype(np.uint8)
