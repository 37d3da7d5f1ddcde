"""The CUDA backend on a device: every vector has its hash there, every clip its packets.

Runs where BSQAV_CUDA_LIBRARY names a libbsq_cuda.so and the machine has a device; skips elsewhere.
What these tests do not need a device for is in test_emulation.py.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav import _core
from bsqav.codec.models import default_model
from bsqav.errors import BitstreamError
from bsqav.evaluation.io.frames import moving_texture
from tests.codec.streams import Format, clip, decode, stream_hash, tiny_model
from tests.cuda.decoders import (
    MODELS,
    decode_all,
    drain,
    encode_all,
    forge,
    open_decoder,
    random_stream,
    short_stream,
)
from tests.reference.bitstream import conformance_hash
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX

ENTRIES: dict[str, dict[str, Any]] = json.loads(INDEX.read_text())
VARIABLE = "BSQAV_CUDA_LIBRARY"
FORMATS = [
    Format(33, 17, chroma="gray"),
    Format(200, 120),
    Format(130, 98, bit_depth=10),
    Format(72, 40, chroma="444", alpha=1),
]

pytestmark = pytest.mark.hardware


@functools.cache
def find_library() -> _core.CudaLibrary | str:
    """The library, or why there is none to be used."""
    named = os.environ.get(VARIABLE, "")
    if named in ("", "emulation"):
        return f"{VARIABLE} names no libbsq_cuda.so (docs/cuda.md says how to build it)"
    library = _core.CudaLibrary(named)
    return library if library.device_count() > 0 else "this machine has no CUDA device"


@pytest.fixture
def library() -> _core.CudaLibrary:
    """The library with a device."""
    found = find_library()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.parametrize("name", ENTRIES)
def test_a_golden_stream_has_its_hash(library: _core.CudaLibrary, name: str) -> None:
    packets = list(read_ivf(FOLDER / f"{name}.ivf"))
    pictures = decode_all((d for d, _ in packets), open_decoder(library=library, strict=True))
    assert stream_hash(pictures) == ENTRIES[name]["hash"]
    assert [p.pts for p in pictures] == [pts for _, pts in packets]


@pytest.mark.parametrize("form", [0, 5])
@pytest.mark.parametrize("name", MODELS)
def test_streams_of_random_symbols_decode_alike(
    library: _core.CudaLibrary, name: str, form: int
) -> None:
    stream = random_stream(name, form)
    decoder = _core.CudaDecoder(library, [_core.Model(MODELS[name])], strict=True)
    assert stream_hash(decode_all(stream.packets, decoder)) == conformance_hash(stream.frames)


@pytest.mark.parametrize("number", [0, 1])
def test_decoding_goes_on_after_damage(library: _core.CudaLibrary, number: int) -> None:
    packets = list(short_stream())
    packets[number] = forge(packets[number], bytes(range(60, 90)))
    decoder = open_decoder(library=library, strict=True)
    for data in packets[:number]:
        decoder.send(data)
        drain(decoder)
    with pytest.raises(BitstreamError, match="tile 0"):
        decoder.send(packets[number])
    assert stream_hash(decode_all(packets[3:], decoder)) == stream_hash(decode(packets[3:]))


@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
@pytest.mark.parametrize("form", FORMATS)
def test_packets_are_those_of_the_processor(
    library: _core.CudaLibrary, form: Format, preset: str
) -> None:
    pictures = list(clip(form, 7))
    for options in ({"lookahead": 1, "gop": 3}, {"lookahead": 8, "bframes": 3}):
        coding = {"preset": preset, **options}
        expected = encode_all(form, pictures, **coding)
        assert encode_all(form, pictures, library=library, **coding) == expected
        packets = [packet[0] for packet in expected]
        found = decode_all(packets, open_decoder(library=library, strict=True))
        assert stream_hash(found) == stream_hash(decode(packets))


@pytest.mark.parametrize("crf", [16, 32, 48])
def test_the_released_model_encodes_alike(library: _core.CudaLibrary, crf: float) -> None:
    form = Format(1040, 360)
    pictures = moving_texture(form.width, form.height, 6)
    options = {"model": default_model(), "crf": crf}
    expected = encode_all(form, pictures, **options)
    assert encode_all(form, pictures, library=library, **options) == expected


def test_planes_stay_on_the_device(library: _core.CudaLibrary) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch, which takes the planes here, is not installed")
    import torch
    from torch.utils.dlpack import from_dlpack

    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA, so that it takes no planes of a device")
    stream = torch.cuda.Stream()
    decoder = bsqav.Decoder(models=[tiny_model()], device="cuda", stream=stream.cuda_stream)
    frames = [f for data in short_stream() for f in decoder.decode_on_device(data)]
    expected = decode(short_stream())
    assert len(frames) == len(expected)
    for frame, picture in zip(frames, expected, strict=True):
        for plane, wanted in zip(frame.planes, picture.planes, strict=True):
            tensor = from_dlpack(plane)
            assert tensor.is_cuda
            np.testing.assert_array_equal(tensor.cpu().numpy(), wanted)


def test_tensors_of_the_device_are_encoded(library: _core.CudaLibrary) -> None:
    pytest.importorskip("torch")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA, so that it has no tensors of a device")
    form = Format(200, 120)
    pictures = list(clip(form, 3))
    stream = torch.cuda.Stream()
    encoder = bsqav.Encoder(
        form.width, form.height, model=tiny_model(), device="cuda", stream=stream.cuda_stream
    )
    packets = [
        packet.data
        for planes in pictures
        for packet in encoder.encode([torch.from_numpy(plane).cuda() for plane in planes])
    ]
    reference = bsqav.Encoder(form.width, form.height, model=tiny_model())
    assert packets == [p.data for planes in pictures for p in reference.encode(planes)]
