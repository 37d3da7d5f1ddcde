"""RGB has one default chroma in every face, 4:2:0, and each keeps 4:4:4 where that is asked for."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

import bsqav
from bsqav.codec import Encoder, encode_animation
from bsqav.codec.animation import read_animation
from bsqav.integrations import imageio, pillow
from bsqav.media.demux.demuxer import Demuxer
from tests.codec.streams import sequence_of

WHOLE = "yuv444p"
PIXELS = np.full((16, 24, 3), (200, 40, 90), np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:pixel format")


@pytest.fixture(autouse=True, scope="module")
def registered() -> None:
    imageio.register()
    pillow.register()


def rgb_frame() -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(PIXELS, format="rgb24")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def of_packet(data: bytes) -> str:
    return str(sequence_of(data)["chroma"])


def of_video(path: Path) -> str:
    with Demuxer(path) as demuxer:
        return str(demuxer.tracks[0].sequence["chroma"])


def by_encoder(picture: Any) -> Callable[[Path, str | None], str]:
    def face(_: Path, asked: str | None) -> str:
        options: dict[str, Any] = {"pix_fmt": asked} if asked else {}
        encoder = Encoder(24, 16, **options)
        (packet,) = [*encoder.encode(picture()), *encoder.flush()]
        return of_packet(packet.data)

    return face


def by_container(picture: Any) -> Callable[[Path, str | None], str]:
    def face(folder: Path, asked: str | None) -> str:
        with bsqav.open(folder / "a.mkv", "w") as output:
            stream = output.add_stream("bsq", rate=25, pix_fmt=asked)
            output.mux(stream.encode(picture()))
            output.mux(stream.encode())
        return of_video(folder / "a.mkv")

    return face


def by_pyav(folder: Path, asked: str | None) -> str:
    bsqav.install()
    try:
        with av.open(str(folder / "a.mkv"), "w") as output:
            stream: Any = output.add_stream("bsq", rate=25)
            if asked:
                stream.pix_fmt = asked
            output.mux(stream.encode(rgb_frame()))
            output.mux(stream.encode(None))
    finally:
        bsqav.uninstall()
    return of_video(folder / "a.mkv")


def by_transcode(encoder: str, target: str) -> Callable[[Path, str | None], str]:
    def face(folder: Path, asked: str | None) -> str:
        source = folder / ("in.png" if encoder == "png" else "in.mkv")
        if encoder == "png":
            Image.fromarray(PIXELS).save(source)
        else:
            with av.open(str(source), "w") as output:
                stream: Any = output.add_stream(encoder, rate=25)
                stream.width, stream.height, stream.pix_fmt = 24, 16, "bgr0"
                output.mux(stream.encode(rgb_frame().reformat(format="bgr0")))
                output.mux(stream.encode(None))
        bsqav.transcode(source, folder / target, pixel_format=asked)
        if target.endswith("bsq"):
            return of_packet((folder / target).read_bytes())
        return of_video(folder / target)

    return face


def by_imageio(suffix: str) -> Callable[[Path, str | None], str]:
    def face(folder: Path, asked: str | None) -> str:
        path = folder / f"a{suffix}"
        option = {"chroma": "444"} if suffix == ".bsq" else {"pix_fmt": WHOLE}
        iio.imwrite(path, PIXELS[None], plugin="bsqav", **(option if asked else {}))
        return of_packet(path.read_bytes()) if suffix == ".bsq" else of_video(path)

    return face


def by_pillow(_: Path, asked: str | None) -> str:
    held = io.BytesIO()
    Image.fromarray(PIXELS).save(held, "BSQ", **({"subsampling": 0} if asked else {}))
    return of_packet(held.getvalue())


def by_function(picture: Any) -> Callable[[Path, str | None], str]:
    def encoded(_: Path, asked: str | None) -> str:
        return of_packet(bsqav.encode_image(picture(), chroma="444" if asked else None))

    return encoded


def by_animation(_: Path, asked: str | None) -> str:
    data = encode_animation([PIXELS, PIXELS], chroma="444" if asked else None)
    return of_packet(read_animation(data).packets[0])


FACES = {
    "Encoder, arrays": by_encoder(lambda: PIXELS),
    "Encoder, frames": by_encoder(rgb_frame),
    "bsqav.open, arrays": by_container(lambda: PIXELS),
    "bsqav.open, frames": by_container(rgb_frame),
    "PyAV": by_pyav,
    "transcode of a video": by_transcode("ffv1", "out.mkv"),
    "transcode of a picture to a video": by_transcode("png", "out.mkv"),
    "transcode of a picture to a still": by_transcode("png", "out.bsq"),
    "imageio, videos": by_imageio(".mkv"),
    "imageio, stills": by_imageio(".bsq"),
    "Pillow": by_pillow,
    "encode_image, arrays": by_function(lambda: PIXELS),
    "encode_image, Pillow": by_function(lambda: Image.fromarray(PIXELS)),
    "encode_image, frames": by_function(rgb_frame),
    "encode_animation": by_animation,
}


@pytest.mark.parametrize("face", FACES)
def test_rgb_is_420_unless_asked(face: str, tmp_path: Path) -> None:
    for asked, chroma in ((None, "420"), (WHOLE, "444")):
        folder = tmp_path / chroma
        folder.mkdir()
        assert FACES[face](folder, asked) == chroma
