"""One network, three ways: fake quantization, exact integers in PyTorch, and libbsq."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bsqav import _core  # noqa: E402
from bsqav.codec.modelfile import parse_model  # noqa: E402
from bsqav.codec.modelspec import ModelConfig  # noqa: E402
from bsqav.errors import ModelError  # noqa: E402
from bsqav.export.exporter import export_tensors, multipliers, write_codec_model  # noqa: E402
from bsqav.nn import fields  # noqa: E402
from bsqav.nn.codec import CodecNet  # noqa: E402
from bsqav.nn.fakequant import Mode, set_mode  # noqa: E402
from bsqav.nn.integer import (  # noqa: E402
    IntegerNets,
    quantized_residual,
    quantized_side,
    step_q8,
)
from bsqav.training.objective import LayerInput, code_layer  # noqa: E402

ROWS, COLS = 9, 14


def random_layer(seed: int, batch: int = 1) -> tuple[LayerInput, "torch.Tensor"]:
    torch.manual_seed(seed)
    coarse = torch.randint(20, 236, (batch, ROWS, COLS, 1))
    pred = (coarse + torch.randint(-9, 10, (batch, ROWS, COLS, 96))).clamp(0, 255).float()
    strength = torch.randint(0, 30, (batch, ROWS, COLS, 1))
    target = (pred + strength * torch.randn(batch, ROWS, COLS, 96)).round().clamp(0, 255)
    c = torch.full((batch,), 256.0)
    previous = torch.zeros(batch, ROWS, COLS, fields.TOKEN_WIDTH)
    stages = torch.randint(0, 4, (batch, ROWS, COLS))
    stages[:, 4:8, 8:12] = 0
    return LayerInput(target, pred, previous, c, intra=False), stages


@pytest.fixture(scope="module")
def net() -> CodecNet:
    torch.manual_seed(11)
    net = CodecNet(ModelConfig(24, 48, 2, 32, 64, 1, 16, 40, 1))
    set_mode(net, Mode.OBSERVE)
    with torch.no_grad():
        for seed in range(3):
            layer, stages = random_layer(seed, batch=4)
            code_layer(net, layer, stages, rate_grad=1.0)
    set_mode(net, Mode.QUANT)
    return net


@pytest.fixture(scope="module")
def model(net: CodecNet, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("model") / "random.bsqm"
    write_codec_model(net, path, {"name": "random"})
    return path.read_bytes()


def inputs(seed: int) -> dict[str, "torch.Tensor"]:
    layer, stages = random_layer(seed)
    c = layer.c_B.long()
    return {
        "side": quantized_side(layer.pred_BHWS, c, layer.intra),
        "residual": quantized_residual(
            layer.target_BHWS.long(), layer.pred_BHWS.long(), step_q8(c)
        ),
        "stages": stages,
        "mask": fields.active_tokens(stages).long(),
    }


def windows(mask: "torch.Tensor") -> np.ndarray:
    return np.ascontiguousarray(mask[0, ::4, ::4, 0].numpy().astype(np.uint8))


def array(tensor: "torch.Tensor", dtype: type) -> np.ndarray:
    return np.ascontiguousarray(tensor[0].numpy().astype(dtype))


@pytest.mark.parametrize("seed", [21, 22])
def test_libbsq_equals_pytorch_integers(model: bytes, seed: int) -> None:
    nets, loaded = IntegerNets(parse_model(model)), _core.Model(model)
    x = inputs(seed)
    active = windows(x["mask"])
    side, residual = array(x["side"], np.int16), array(x["residual"], np.int16)

    signs = nets.encode(x["residual"], x["side"], x["mask"])
    bits = _core.tokenizer_encode(loaded, side, residual, active)
    on = x["mask"][0, ..., 0].bool().numpy()
    np.testing.assert_array_equal(bits.reshape(ROWS, COLS, 96)[on], (signs[0] > 0).numpy()[on])

    token = (fields.token_vector(signs.float(), x["stages"]) * 64).long()
    out = nets.decode(token, x["side"], x["mask"])
    token8 = array(token, np.int8)
    decoded = _core.tokenizer_decode(loaded, token8, side, active)
    np.testing.assert_array_equal(decoded[on], array(out, np.int16)[on])

    previous = token.flip(1)
    trunk = nets.trunk(previous, x["side"], x["mask"])
    flags = _core.prior_flags(loaded, array(previous, np.int8), side, active)
    np.testing.assert_array_equal(flags[on], array(nets.flag_logits(trunk), np.int16)[on])
    logits = _core.prior_logits(loaded, array(previous, np.int8), side, active, token8)
    expected = array(nets.bit_logits(trunk, token, x["mask"]), np.int16)
    coded = fields.presence(x["stages"])[0].bool().numpy().repeat(32, axis=-1)
    np.testing.assert_array_equal(logits.reshape(ROWS, COLS, 96)[coded], expected[coded])


def test_fake_quantization_is_close_to_the_integers(net: CodecNet, model: bytes) -> None:
    nets, x = IntegerNets(parse_model(model)), inputs(31)
    mask = x["mask"].float()
    side, on = x["side"].float() / 256, x["mask"][..., 0].bool()
    with torch.no_grad():
        signs = net.enc(x["residual"].float() / 256, side, mask)
        exact_signs = nets.encode(x["residual"], x["side"], x["mask"])
        assert (signs != exact_signs)[on].float().mean() < 0.05
        token = fields.token_vector(exact_signs.float(), x["stages"])
        token8 = (token * 64).long()
        out = net.dec(token, side, mask)[on]
        exact = nets.decode(token8, x["side"], x["mask"])[on].float() / 256
        assert (out - exact).norm() < 0.05 * out.norm()
        trunk = net.prior.trunk(token, side, mask)
        logits = net.prior.bit_logits(net.prior.context(trunk, token, mask), exact_signs.float())
        exact_trunk = nets.trunk(token8, x["side"], x["mask"])
        exact_logits = nets.bit_logits(exact_trunk, token8, x["mask"]).float() / 256
        assert (logits - exact_logits)[on].abs().mean() < 0.05


def test_multipliers_keep_31_bits() -> None:
    m, n = multipliers(np.array([0.3, 0.0123, 1e-5]))
    np.testing.assert_allclose(m / 2.0**n, [0.3, 0.0123, 1e-5], rtol=1e-4)
    assert m.max() >= 2**30 and m.dtype == np.int32 and 32 <= n <= 62
    with pytest.raises(ModelError, match="between 0 and 1/2"):
        multipliers(np.array([0.75]))


def test_unobserved_ranges_do_not_export() -> None:
    with pytest.raises(ModelError, match="ranges were not observed"):
        export_tensors(CodecNet(ModelConfig(16, 32, 1, 16, 32, 1, 16, 32, 1)))


def test_step_table_doubles_every_eight_crf() -> None:
    steps = step_q8(torch.arange(0, 505))
    assert steps[64] == 256 and steps[128] == 512 and steps[0] == 128
    assert (steps.diff() >= 0).all()
