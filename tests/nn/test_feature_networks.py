"""Inception-v3 and I3D give what torch-fidelity's and pytorch-i3d's do with the same weights.

The vectors were recorded from those programs (torch-fidelity 0.3.0, pytorch-i3d at 05783d1) with
the weights of `seeded`; both networks gave theirs to the last bit.
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from bsqav.errors import UsageError
from bsqav.nn.paper.i3d import I3D
from bsqav.nn.paper.inception import InceptionV3

from .feature_networks import pattern, seeded

FEATURES = [2.874814987, 0.178672686, 14.196517944, 11.060312271, 0.917104244, 0.0]
LOGITS = [-16.004440308, 2.494297981, -5.084027767, 22.977790833, 6.279948235, 21.632507324]
CLIP = [11.18984413, -5.092816353, -6.030050278, -1.692505002, -5.404421329, 15.250290871]


@torch.no_grad()
def test_inception() -> None:
    net = seeded(InceptionV3())
    features, logits = net((pattern(1, 3, 299, 299).float() - 128) / 128)
    assert features.shape == (1, 2048) and logits.shape == (1, 1008)
    torch.testing.assert_close(features[0, :6], torch.tensor(FEATURES), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits[0, :6], torch.tensor(LOGITS), rtol=1e-4, atol=1e-3)
    with pytest.raises(UsageError, match=r"\[B, 3, rows, columns\]"):
        net(torch.zeros(1, 3, 4, 8, 8))


@torch.no_grad()
def test_i3d() -> None:
    net = seeded(I3D())
    logits = net((pattern(1, 3, 10, 224, 224).float() - 128) / 128)
    assert logits.shape == (1, 400)
    torch.testing.assert_close(logits[0, :6], torch.tensor(CLIP), rtol=1e-4, atol=1e-3)
    with pytest.raises(UsageError, match="9 frames"):
        net(torch.zeros(1, 3, 8, 32, 32))
