"""Tokenizers as ONNX graphs, run by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch")

import torch

from bsqav.errors import UsageError
from bsqav.nn import BSQConfig, BSQViT, FSQConfig, TransformerConfig, ViTConfig, export_onnx

SIZES = TransformerConfig(width=16, layers=1, heads=2, hidden=32)


@pytest.mark.parametrize(
    ("frames", "quantizer"),
    [(1, BSQConfig(36)), (3, BSQConfig(18, zero_bit=0, most_first=True))],
)
def test_onnx_runtime_gives_the_same(frames: int, quantizer: BSQConfig, tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = BSQViT(ViTConfig(SIZES, quantizer, (16, 24), frames, head=32))
    files = export_onnx(model, tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["decoder.onnx", "encoder.onnx"]
    assert model.training
    model.eval()
    encoder, decoder = (onnxruntime.InferenceSession(path) for path in files)
    for batch in (1, 5):
        x = torch.rand(batch, 3, *((frames,) if frames > 1 else ()), 16, 24) * 2 - 1
        (indices,) = encoder.run(None, {"pixels": x.numpy()})
        expected = model.tokenize(x)
        assert indices.dtype == np.int64
        assert np.array_equal(indices, expected.numpy())
        (pixels,) = decoder.run(None, {"indices": indices})
        np.testing.assert_allclose(pixels, model.detokenize(expected).numpy(), atol=1e-5)


def test_what_onnx_does_not_take(tmp_path: Path) -> None:
    for quantizer in (FSQConfig((8, 5)), BSQConfig(64)):
        model = BSQViT(ViTConfig(SIZES, quantizer, (16, 16), head=32))
        with pytest.raises(UsageError, match="BSQ of up to 62 bits"):
            export_onnx(model, tmp_path)
