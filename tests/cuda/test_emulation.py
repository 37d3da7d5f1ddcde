"""The CUDA backend without a device: its kernels and its host side on the emulation.

Everything but the hardware runs here: the same kernels, compiled for the host, the same buffers,
launches and copies in the same order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav import _core
from bsqav.codec.models import default_model
from bsqav.errors import BitstreamError, ModelNotFoundError, UnsupportedError, UsageError
from tests.codec.streams import (
    Format,
    clip,
    coded_packets,
    decode,
    picture_hash,
    stream_hash,
    tiny_model,
)
from tests.cuda.decoders import (
    MODELS,
    decode_all,
    drain,
    emulation,
    forge,
    open_decoder,
    random_stream,
    short_stream,
)
from tests.media.clips import make_clip
from tests.reference.bitstream import conformance_hash
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX

ENTRIES: dict[str, dict[str, Any]] = json.loads(INDEX.read_text())
DEFERRED, BOTH = 1, 3  # emulated devices, see emulation()
# Every vector up to this size runs in every order, the others in one.
SMALL = 64 * 48
# Left for `-m slow`: what they hold is in the others.
LARGE = 1500 * 700


def cases() -> list[Any]:
    """Vectors and devices."""
    found = []
    for name, entry in ENTRIES.items():
        size = entry["width"] * entry["height"]
        devices = range(emulation().device_count()) if size <= SMALL else [BOTH]
        marks = [pytest.mark.slow] if size > LARGE else []
        found += [pytest.param(name, device, marks=marks) for device in devices]
    return found


@pytest.mark.parametrize(("name", "device"), cases())
def test_a_golden_stream_has_its_hash(name: str, device: int) -> None:
    packets = list(read_ivf(FOLDER / f"{name}.ivf"))
    decoder = open_decoder(device, threads=1 + device % 2, strict=True)
    pictures = decode_all([data for data, _ in packets], decoder)
    assert stream_hash(pictures) == ENTRIES[name]["hash"]
    assert [p.pts for p in pictures] == [pts for _, pts in packets]
    assert sum(p.keyframe for p in pictures) == ENTRIES[name]["keyframes"]


def test_the_released_model_decodes_alike() -> None:
    """Its layers are wider than a tile of the matrix kernel; those of the test models are not."""
    model = default_model()
    form = Format(96, 64)
    encoder = _core.Encoder(form.sequence, model, crf=20)
    packets = [packet.data for packet in coded_packets(encoder, clip(form, 3))]
    expected = stream_hash(decode(packets, _core.Decoder([model], strict=True)))
    decoder = _core.CudaDecoder(emulation(), [model], device=BOTH, strict=True)
    assert stream_hash(decode_all(packets, decoder)) == expected


@pytest.mark.parametrize("form", [0, 5])  # gray with 8 bits, 4:2:0 with 10
@pytest.mark.parametrize("name", MODELS)
def test_streams_of_random_symbols_decode_alike(name: str, form: int) -> None:
    """They use all of the syntax, with models of any size."""
    stream = random_stream(name, form)
    model = _core.Model(MODELS[name])
    decoder = _core.CudaDecoder(emulation(), [model], device=BOTH, strict=True)
    pictures = decode_all(stream.packets, decoder)
    assert conformance_hash(stream.frames) == stream_hash(pictures)
    assert [(p.pts, p.duration) for p in pictures] == stream.times


@pytest.mark.parametrize("device", [0, DEFERRED])
def test_damage_is_concealed_as_without_a_device(device: int) -> None:
    packets = list(short_stream())
    packets[1] = packets[1][:-9] + bytes(9)
    packets[3] = packets[3][:40]
    expected = decode(packets)
    pictures = decode_all(packets, open_decoder(device))
    assert [p.concealed for p in pictures] == [p.concealed for p in expected]
    assert True in [p.concealed for p in pictures]
    assert [p.pts for p in pictures] == [p.pts for p in expected]
    assert stream_hash(pictures) == stream_hash(expected)


@pytest.mark.parametrize("device", range(4))
@pytest.mark.parametrize("number", [0, 1])
def test_damage_inside_the_entropy_code(device: int, number: int) -> None:
    """Found in the middle of a layer, with work on the device under way; decoding goes on."""
    packets = list(short_stream())
    packets[number] = forge(packets[number], bytes(range(60, 90)))
    decoder = open_decoder(device, strict=True)
    if number == 1:
        decoder.send(packets[0])
        first = drain(decoder)
        assert stream_hash(first) == stream_hash(decode(packets[:1]))
    with pytest.raises(BitstreamError, match="tile 0"):
        decoder.send(packets[number])
    rest = packets[3:]
    assert stream_hash(decode_all(rest, decoder)) == stream_hash(decode(rest))


def test_a_stream_may_change_its_size_and_model() -> None:
    packets = [*short_stream(), *random_stream("uneven", 0).packets, *short_stream()]
    decoder = _core.Decoder([tiny_model(), _core.Model(MODELS["uneven"])], strict=True)
    expected = [picture_hash(p) for p in decode(packets, decoder)]
    assert [picture_hash(p) for p in decode_all(packets, open_decoder(BOTH))] == expected


def test_after_a_reset_decoding_starts_again() -> None:
    decoder = open_decoder(DEFERRED)
    expected = stream_hash(decode(short_stream()))
    for _ in range(2):
        assert stream_hash(decode_all(list(short_stream()), decoder)) == expected
        decoder.reset()


@pytest.mark.parametrize("name", ["64x48", "130x98_10bit", "33x17_gray"])
def test_planes_cross_by_dlpack(name: str) -> None:
    """They outlast the decoder and do not change when it goes on."""
    decoder = open_decoder(DEFERRED)
    arrays = []
    for data, _ in read_ivf(FOLDER / f"{name}.ivf"):
        decoder.send(data)
        picture = decoder.receive()
        assert picture is not None
        assert decoder.receive() is None
        kinds = {plane.__dlpack_device__() for plane in picture.planes}
        assert kinds == {(1, 0)}  # kDLCPU
        arrays.append([np.from_dlpack(plane) for plane in picture.planes])
        assert [a.shape for a in arrays[-1]] == [plane.shape for plane in picture.planes]
        with pytest.raises(BufferError, match="not copied"):
            picture.planes[0].__dlpack__(copy=True)
        with pytest.raises(BufferError, match="stays on its device"):
            picture.planes[0].__dlpack__(dl_device=(2, 0))
    del decoder, picture
    expected = decode((d for d, _ in read_ivf(FOLDER / f"{name}.ivf")))
    for planes, reference in zip(arrays, expected, strict=True):
        for plane, wanted in zip(planes, reference.planes, strict=True):
            np.testing.assert_array_equal(plane, wanted)


def test_errors_are_those_of_the_decoder() -> None:
    with pytest.raises(UnsupportedError, match="cannot be loaded"):
        _core.CudaLibrary("/nowhere/libbsq_cuda.so")
    with pytest.raises(UsageError, match="no emulated device 9"):
        open_decoder(9)
    with pytest.raises(UsageError, match="threads is 1000"):
        open_decoder(threads=1000)
    with pytest.raises(UnsupportedError, match="above the limit"):
        open_decoder(max_level=3, strict=True).send(short_stream()[0])
    with pytest.raises(ModelNotFoundError) as error:
        _core.CudaDecoder(emulation(), []).send(short_stream()[0])
    assert error.value.model_id == tiny_model().id
    with pytest.raises(BitstreamError):
        open_decoder().send(b"nonsense")


def test_a_decoder_of_the_package_takes_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = short_stream()
    models = [tiny_model()]
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    on_host = bsqav.Decoder(models=models, device="cuda:1")
    on_device = bsqav.Decoder(models=models, device="auto")
    reference = bsqav.Decoder(models=models)
    for data in packets:
        (wanted,) = reference.decode(data)
        (frame,) = on_host.decode(data)
        (kept,) = on_device.decode_on_device(data)
        assert (
            (frame.pts, frame.keyframe)
            == (wanted.pts, wanted.keyframe)
            == (kept.pts, kept.keyframe)
        )
        for a, b, c in zip(frame.planes, kept.planes, wanted.planes, strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(np.from_dlpack(b), c)
    assert on_host.decode(None) == []


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "/nowhere/libbsq_cuda.so")
    with pytest.raises(UnsupportedError, match="cannot be loaded"):
        bsqav.Decoder(device="cuda")
    assert bsqav.Decoder(device="auto").decode(None) == []
    with pytest.raises(UsageError, match="none of cpu, cuda"):
        bsqav.Decoder(device="tpu")
    with pytest.raises(UsageError, match="has none"):
        bsqav.Decoder(stream=1)
    with pytest.raises(UsageError, match="has no device"):
        bsqav.Decoder().decode_on_device(b"")
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    with pytest.raises(UsageError, match="no CUDA device 7"):
        bsqav.Decoder(device="cuda:7")


def test_transcode_takes_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSQAV_CUDA_LIBRARY", "emulation")
    clip = make_clip(tmp_path / "in.mp4", frames=3)
    coded = tmp_path / "out.mkv"
    bsqav.transcode(clip, coded)
    outputs = [tmp_path / "cpu_%d.png", tmp_path / "cuda_%d.png"]
    for device, target in zip(("cpu", "cuda:3"), outputs, strict=True):
        assert bsqav.transcode(coded, target, device=device).frames_out == 3
    for number in (1, 2, 3):
        one, other = (Path(str(target) % number).read_bytes() for target in outputs)
        assert one == other
