"""Tokens of a decoded picture, for analysis."""

import numpy as np
import pytest

from bsqav import _core
from bsqav.errors import BsqError
from tests.codec.streams import Format, clip, tiny_model
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER

FORM = Format(70, 54)


@pytest.mark.parametrize(("crf", "several"), [(28, True), (63, False)])
def test_tokens_are_those_that_the_encoder_counted(crf: float, several: bool) -> None:
    model = tiny_model()
    encoder = _core.Encoder(FORM.sequence, model, crf=crf, preset="fast")
    decoder = _core.Decoder([model], keep_layers=True)
    assert decoder.tokens is None
    assert decoder.layer_tokens == []
    coded, between = 0, []
    for index, planes in enumerate(clip(FORM, 4)):
        encoder.send(planes, index)
        packet = encoder.receive()
        assert packet is not None
        stats = encoder.stats
        decoder.send(packet.data)
        assert decoder.receive() is not None
        layers = decoder.layer_tokens
        assert len(layers) == _core.probe_packet(packet.data)["layers"]
        if not packet.keyframe:
            between.append(len(layers))
        for stages, bits in layers:
            assert stages.shape == (7, 9) and bits.shape == (7, 9, model.stages)
            assert stages.dtype == np.uint8 and bits.dtype == np.uint32
            assert stages.max() <= model.stages
        assert stats["tokens"] == 63 * len(layers)
        assert stats["coded_tokens"] == sum(np.count_nonzero(stages) for stages, _ in layers)
        assert stats["coded_stages"] == sum(int(stages.sum()) for stages, _ in layers)
        np.testing.assert_equal(decoder.tokens, layers[-1])
        coded += int(stats["coded_stages"])
    assert coded > 0
    assert (max(between) > 1) is several
    decoder.reset()
    assert decoder.tokens is None
    assert decoder.layer_tokens == []


def test_layers_are_kept_where_asked_for() -> None:
    decoder = _core.Decoder([tiny_model()])
    for data, _ in read_ivf(FOLDER / "64x48.ivf"):
        decoder.send(data)
        assert decoder.receive() is not None
        assert decoder.tokens is not None
    with pytest.raises(BsqError, match="keep_layers"):
        _ = decoder.layer_tokens
