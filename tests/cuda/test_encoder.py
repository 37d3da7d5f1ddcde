"""The CUDA backend's encoder, on the emulation: its packets are those of the processor."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav import _core
from bsqav.codec.models import default_model
from bsqav.errors import ModelNotFoundError, UnsupportedError, UsageError
from tests.codec.streams import Format, clip, decode, picture_hash, tiny_model
from tests.codec.text import scrolling
from tests.cuda.decoders import decode_all, emulation, encode_all
from tests.media.clips import make_clip
from tests.support import ROOT

PLACES = ("cpu", "host", "device")
BOTH = 3  # defers its work and goes backwards, see emulation()

FORMATS = {
    "gray": Format(33, 17, chroma="gray"),
    "several windows": Format(64, 48),
    "10 bits": Format(130, 98, bit_depth=10),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "fine": {"crf": 20},
    "look-ahead": {"crf": 36, "lookahead": 2, "gop": 3},
    "bit rate": {"bitrate": 2e5},
}


def encode(
    form: Format, pictures: list[Any], *, on_device: int | None = None, **options: Any
) -> list[tuple[Any, ...]]:
    """Packets with their statistics, on the processor or an emulated device."""
    library = None if on_device is None else emulation()
    return encode_all(form, pictures, library=library, device=on_device or 0, **options)


@functools.cache
def pictures_of(name: str, count: int = 5) -> list[Any]:
    """A clip of that format."""
    return list(clip(FORMATS[name], count))


@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", FORMATS)
def test_packets_are_those_of_the_processor(name: str, settings: str, preset: str) -> None:
    options = {**SETTINGS[settings], "preset": preset}
    expected = encode(FORMATS[name], pictures_of(name), **options)
    assert encode(FORMATS[name], pictures_of(name), on_device=BOTH, **options) == expected


@pytest.mark.parametrize("device", range(4))
def test_the_order_of_the_device_does_not_matter(device: int) -> None:
    form, pictures = FORMATS["several windows"], pictures_of("several windows")
    assert encode(form, pictures, on_device=device) == encode(form, pictures)


def test_the_released_model_encodes_alike() -> None:
    """Its layers are wider than a tile of the matrix kernel; a part of a picture is skipped."""
    form = Format(104, 72)
    still = next(iter(clip(form, 1)))
    pictures = [still, still, *clip(form, 2)]
    model = default_model()
    expected = encode(form, pictures, model=model, crf=28)
    assert encode(form, pictures, model=model, crf=28, on_device=BOTH) == expected


@pytest.mark.parametrize(("chroma", "alpha"), [("422", False), ("444", True)])
def test_further_components_follow(chroma: str, alpha: bool) -> None:
    form = Format(40, 24, chroma=chroma, alpha=alpha)
    pictures = list(clip(form, 3))
    assert encode(form, pictures, on_device=BOTH) == encode(form, pictures)


def test_several_tiles() -> None:
    form = Format(1040, 40)
    pictures = list(clip(form, 2))
    assert encode(form, pictures, crf=44, on_device=BOTH) == encode(form, pictures, crf=44)


@pytest.mark.parametrize("options", [{}, {"lookahead": 8}], ids=["P", "B"])
@pytest.mark.parametrize("form", [Format(130, 98, bit_depth=10), Format(48, 40, "444", alpha=1)])
def test_sample_coded_tokens(form: Format, options: dict[str, Any]) -> None:
    """Of text that scrolls; decoded on the device too."""
    pictures = scrolling(form, 5, 4)
    expected = encode(form, pictures, crf=26, **options)
    assert encode(form, pictures, crf=26, on_device=BOTH, **options) == expected
    packets = [packet[0] for packet in expected]
    decoder = _core.CudaDecoder(emulation(), [tiny_model()], device=BOTH)
    shown = decode_all(packets, decoder)
    assert [picture_hash(p) for p in shown] == [picture_hash(p) for p in decode(packets)]


def test_pictures_of_the_device_by_dlpack() -> None:
    """Decoded on the device, encoded there again, rows with gaps between them."""
    form, pictures = FORMATS["10 bits"], pictures_of("10 bits", 3)
    coded = [packet[0] for packet in encode(form, pictures)]
    decoder = _core.CudaDecoder(emulation(), [tiny_model()])
    encoder = _core.Encoder(form.sequence, tiny_model(), library=emulation(), threads=1)
    again = []
    for tick, data in enumerate(coded):
        decoder.send(data)
        picture = decoder.receive()
        assert picture is not None
        encoder.send_device(picture.planes, tick)
        packet = encoder.receive()
        assert packet is not None
        again.append(packet.data)
    reference = _core.Decoder([tiny_model()])
    decoded = []
    for data in coded:
        reference.send(data)
        shown = reference.receive()
        assert shown is not None
        decoded.append(shown.planes)
    assert again == [packet[0] for packet in encode(form, decoded)]


def test_planes_that_do_not_fit_are_refused() -> None:
    form = FORMATS["several windows"]
    planes = list(pictures_of("several windows")[0])
    encoder = _core.Encoder(form.sequence, tiny_model(), library=emulation())
    with pytest.raises(UsageError, match="3 planes, not 1"):
        encoder.send_device(planes[:1], 0)
    with pytest.raises(UsageError, match=r"planes\[1\] must hold 24x32 unsigned values of 8 bits"):
        encoder.send_device([planes[0], planes[0], planes[2]], 0)
    with pytest.raises(UsageError, match=r"planes\[0\] must hold"):
        encoder.send_device([planes[0].astype(np.uint16), *planes[1:]], 0)
    with pytest.raises(UsageError, match="side by side"):
        encoder.send_device([np.asfortranarray(planes[0]), *planes[1:]], 0)
    with pytest.raises(UsageError, match="speak DLPack"):
        encoder.send_device([b"", *planes[1:]], 0)
    with pytest.raises(UsageError, match="encoder's CUDA device"):
        _core.Encoder(form.sequence, tiny_model()).send_device(planes, 0)
    encoder.send_device(planes, 0)  # nothing of that is left
    assert encoder.receive() is not None


def test_errors_are_those_of_the_encoder() -> None:
    form = FORMATS["several windows"]
    with pytest.raises(UsageError, match="crf"):
        encode(form, [], crf=99.0, on_device=0)
    with pytest.raises(UsageError, match="no emulated device 9"):
        encode(form, [], on_device=9)
    encoder = _core.Encoder(form.sequence, tiny_model(), library=emulation())
    with pytest.raises(UnsupportedError, match="not to be had on a device"):
        encoder.trace()


def test_an_encoder_of_the_package_takes_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    form, pictures = FORMATS["several windows"], pictures_of("several windows")
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    made = []
    for device in ("cpu", "cuda:2", "auto"):
        encoder = bsqav.Encoder(form.width, form.height, model=tiny_model(), device=device)
        packets = [p for planes in pictures for p in encoder.encode(planes)]
        made.append([packet.data for packet in packets + encoder.flush()])
    assert made[0] == made[1] == made[2]
    decoder = bsqav.Decoder(models=[tiny_model()], device="cuda")
    encoder = bsqav.Encoder(form.width, form.height, model=tiny_model(), device="cuda")
    (frame,) = decoder.decode_on_device(made[0][0])
    (packet,) = encoder.encode(frame)
    assert packet.keyframe
    with pytest.raises(UsageError, match="no CUDA device 7"):
        bsqav.Encoder(64, 48, device="cuda:7")
    with pytest.raises(UsageError, match="has none"):
        bsqav.Encoder(64, 48, stream=1)
    with pytest.raises(ModelNotFoundError):
        bsqav.Encoder(64, 48, model="nothing", device="cuda")


def test_parallel_groups_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    form, pictures = FORMATS["several windows"], pictures_of("several windows", 8)
    made = []
    for device in ("cpu", "cuda"):
        encoder = bsqav.Encoder(64, 48, model=tiny_model(), device=device, parallel=2, gop=4)
        packets = [p for planes in pictures for p in encoder.encode(planes)] + encoder.flush()
        made.append([packet.data for packet in packets])
    assert made[0] == made[1]
    assert form.width == 64


def test_transcode_encodes_on_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    source = make_clip(tmp_path / "in.mp4", frames=3)
    files = [tmp_path / "cpu.mkv", tmp_path / "cuda.mkv"]
    for device, target in zip(("cpu", "cuda:1"), files, strict=True):
        assert bsqav.transcode(source, target, device=device).frames_out == 3
    packets = []
    for path in files:
        with bsqav.open(path) as container:
            packets.append([bytes(p) for p in container.demux(video=0) if p.size])
    assert packets[0] == packets[1]
    with pytest.raises(UnsupportedError, match="neither the input nor the output"):
        bsqav.transcode(source, tmp_path / "out.mp4", codec="libx264", device="cuda")


def test_the_benchmark_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It compares packets and pictures on the way."""
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    script = str(ROOT / "benchmarks" / "cuda_speed.py")
    output = subprocess.run(
        [sys.executable, script, "--size", "64x48", "--frames", "3", "--lookahead", "1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    fps = json.loads(output)["fps"]
    assert set(fps) == {f"{what}_{where}" for what in ("encode", "decode") for where in PLACES}
