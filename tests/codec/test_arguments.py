"""Settings and pictures that are out of range are refused with a message that names them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bsqav import _core
from bsqav.errors import EndOfStreamError, ModelError, UsageError
from tests.codec.streams import TINY_MODEL, Format, Plane, clip, encode, tiny_model

Pictures = list[list[Plane]]
FORM = Format(64, 48)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width"),
        ({"width": 8193}, "width"),
        ({"height": -1}, "height"),
        ({"width": "wide"}, "width"),
        ({"width": 6.5}, "width"),
        ({"chroma": "411"}, "chroma"),
        ({"alpha": 2}, "alpha"),
        ({"chroma": 1}, "chroma"),
        ({"bit_depth": 9}, "bit_depth"),
        ({"time_base": (0, 1)}, "time_base"),
        ({"time_base": (1,)}, "time_base"),
        ({"time_base": 5}, "time_base"),
        ({"frame_rate": (25, 0)}, "frame_rate"),
        ({"frame_rate": (2**31, 1)}, "frame_rate"),
        ({"sample_aspect": (-1, 1)}, "sample_aspect"),
        ({"color_matrix": 256}, "color_matrix"),
        ({"full_range": 3}, "full_range"),
        ({"chroma_location": 7}, "chroma_location"),
        ({"rotation": 45}, "rotation"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_sequence_out_of_range(change: dict[str, Any], message: str) -> None:
    sequence: Any = {**FORM.sequence, **change}
    with pytest.raises(UsageError, match=message):
        _core.Encoder(sequence, tiny_model())


@pytest.mark.parametrize(
    "options",
    [
        {"crf": -0.1},
        {"crf": 63.5},
        {"crf": float("nan")},
        {"gop": 0},
        {"gop": 65536},
        {"threads": -1},
        {"threads": 65},
        {"preset": "slowest"},
        {"tune": "film"},
    ],
)
def test_an_encoder_setting_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        _core.Encoder(FORM.sequence, tiny_model(), **options)


@pytest.mark.parametrize("options", [{"threads": 65}, {"max_level": 29}, {"max_level": -1}])
def test_a_decoder_setting_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        _core.Decoder([tiny_model()], **options)


def test_planes_that_do_not_fit() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model())
    y, u, v = clip(FORM, 1)[0]
    for planes in [[y], [y, u], [y, u, v, v], [y, u, v[:-1]], [y[:, :-1], u, v]]:
        with pytest.raises(UsageError, match="plane"):
            encoder.send(planes, 0)
    with pytest.raises(UsageError, match="uint8"):
        encoder.send([y.astype(np.uint16), u, v], 0)
    with pytest.raises(UsageError, match="array"):
        encoder.send([y.tolist(), u, v], 0)


def test_samples_above_the_depth_are_refused() -> None:
    form = Format(16, 16, "gray", 10)
    encoder = _core.Encoder(form.sequence, tiny_model())
    plane = np.full((16, 16), 1023, np.uint16)
    encoder.send([plane], 0)
    assert encoder.receive() is not None
    plane[7, 7] = 1024
    with pytest.raises(UsageError, match="above 1023"):
        encoder.send([plane], 1)


def test_planes_of_any_stride_are_taken() -> None:
    pictures = clip(FORM, 2)
    expected = encode(pictures, FORM).packets
    wide: Pictures = [[p.repeat(2, axis=0)[::2] for p in planes] for planes in pictures]
    upside_down: Pictures = [[p[::-1].copy()[::-1] for p in planes] for planes in pictures]
    columns: Pictures = [[p.T.copy().T for p in planes] for planes in pictures]
    for variant in (wide, upside_down, columns):
        assert encode(variant, FORM).packets == expected


def test_timestamps_must_rise() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model())
    planes = clip(FORM, 1)[0]
    encoder.send(planes, 5)
    encoder.receive()
    for pts in (5, 4):
        with pytest.raises(UsageError, match="does not rise"):
            encoder.send(planes, pts)
    with pytest.raises(UsageError, match="duration"):
        encoder.send(planes, 6, duration=-1)
    with pytest.raises(UsageError, match="out of range"):
        encoder.send(planes, 2**62)
    encoder.send(planes, 6)
    with pytest.raises(UsageError, match="waits"):
        encoder.send(planes, 7)
    assert encoder.receive() is not None
    encoder.flush()
    assert encoder.receive() is None
    with pytest.raises(EndOfStreamError):
        encoder.send(planes, 8)
    with pytest.raises(EndOfStreamError):
        encoder.flush()


def test_a_damaged_model_is_refused() -> None:
    data = TINY_MODEL.read_bytes()
    for wrong in (b"", b"no model", data[:-1], data[:200], bytes([data[0] ^ 1]) + data[1:]):
        with pytest.raises(ModelError):
            _core.Model(wrong)
    assert len(tiny_model().id) == 32
    assert tiny_model().name


def test_kernel_sets_by_name() -> None:
    assert _core.kernel_sets()[-1] == "scalar"
    with pytest.raises(ValueError, match="cannot be used here"):
        _core.set_kernels("mmx")
    _core.set_kernels("scalar")
    assert _core.current_kernels() == "scalar"
    _core.set_kernels(None)
    assert _core.current_kernels() == _core.kernel_sets()[0]
