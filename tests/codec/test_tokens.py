"""Tokens of a decoded picture, for analysis."""

import numpy as np

from bsqav import _core
from tests.codec.streams import Format, clip, tiny_model

FORM = Format(70, 54)


def test_tokens_are_those_that_the_encoder_counted() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model(), crf=36, preset="fast")
    decoder = _core.Decoder([tiny_model()])
    assert decoder.tokens is None
    coded = 0
    for index, planes in enumerate(clip(FORM, 4)):
        encoder.send(planes, index)
        packet = encoder.receive()
        assert packet is not None
        stats = encoder.stats
        decoder.send(packet.data)
        assert decoder.receive() is not None
        tokens = decoder.tokens
        assert tokens is not None
        stages, bits = tokens
        assert stages.shape == (7, 9) and bits.shape == (7, 9, 3)
        assert stages.dtype == np.uint8 and bits.dtype == np.uint32 and stages.max() <= 3
        if not packet.keyframe:  # a keyframe's statistics count all of its layers
            assert stats["coded_tokens"] == np.count_nonzero(stages)
            assert stats["coded_stages"] == stages.sum()
            coded += int(stages.sum())
    assert coded > 0
    decoder.reset()
    assert decoder.tokens is None
