"""One network, three ways: fake quantization, exact integers in PyTorch, and libbsq."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav import _core
from bsqav.codec.modelfile import parse_model
from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import ModelError
from bsqav.export.exporter import (
    export_tensors,
    multipliers,
    quantized_networks,
    write_codec_model,
)
from bsqav.export.response import error_weights
from bsqav.nn.codec import fields
from bsqav.nn.codec.fakequant import Mode, QLinear, set_mode
from bsqav.nn.codec.integer import (
    IntegerNets,
    quantized_residual,
    quantized_side,
    sample_steps_q8,
    step_q8,
)
from bsqav.nn.codec.networks import CodecNet, config_of
from bsqav.nn.codec.sparse import start_from_transform
from bsqav.training.codec.objective import LayerInput, code_layer

ROWS, COLS = 9, 14
PLACE = fields.LayerPlace(intra=False, later=True, above=96.0)
# The default number of stages, and one that leaves unused values at the end of token vectors.
CONFIGS = {
    "8-stages": ModelConfig(96, 48, 2, 104, 64, 1, 16, 40, 1, stages=8),
    "3-stages": ModelConfig(104, 48, 1, 96, 64, 2, 24, 40, 1, stages=3),
}


def random_layer(seed: int, stages: int, batch: int = 1) -> tuple[LayerInput, torch.Tensor]:
    """A layer, and the stage counts that its tokens may have: none in one superblock."""
    torch.manual_seed(seed)
    coarse = torch.randint(20, 236, (batch, ROWS, COLS, 1))
    pred = (coarse + torch.randint(-9, 10, (batch, ROWS, COLS, 96))).clamp(0, 255).float()
    strength = torch.randint(0, 30, (batch, ROWS, COLS, 1))
    target = (pred + strength * torch.randn(batch, ROWS, COLS, 96)).round().clamp(0, 255)
    c = torch.full((batch,), 256.0)
    previous = torch.zeros(batch, ROWS, COLS, fields.token_width(stages))
    most = torch.randint(0, stages + 1, (batch, ROWS, COLS))
    most[:, 4:8, 8:12] = 0
    return LayerInput(target, pred, previous, c, PLACE), most


def perturb(net: CodecNet) -> None:
    """Noise on every weight, biases nearer to 0 so that all stages are used."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, QLinear):
                spread = float(module.weight.abs().amax().clamp_min(0.25)) * 0.02
                module.weight.add_(spread * torch.randn_like(module.weight))
                if module.bias is not None:
                    module.bias.add_(0.05 * torch.randn_like(module.bias))
        net.enc.head.bias.mul_(0.3)
        net.dec.side.weight[3] = 0  # an output of which only the bias is left
        net.dec.side.bias[3] = 0.7
        net.prior.pair.normal_(0, 1.5)


def quantized(config: ModelConfig) -> CodecNet:
    """Networks with ranges, and noise on the weights that training starts from."""
    torch.manual_seed(11)
    net = CodecNet(config)
    start_from_transform(net)
    perturb(net)
    set_mode(net, Mode.OBSERVE)
    with torch.no_grad():
        for seed in range(3):
            layer, most = random_layer(seed, net.config.stages, batch=4)
            code_layer(net, layer, (most > 0).float(), rate_grad=1.0)
    set_mode(net, Mode.QUANT)
    return net


@pytest.fixture(scope="module", params=CONFIGS.values(), ids=list(CONFIGS))
def net(request: pytest.FixtureRequest) -> CodecNet:
    return quantized(request.param)


@pytest.fixture(scope="module")
def model(net: CodecNet, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("model") / "random.bsqm"
    write_codec_model(net, path, {"name": "random"})
    return path.read_bytes()


def inputs(seed: int, stages: int) -> dict[str, torch.Tensor]:
    layer, most = random_layer(seed, stages)
    c = layer.q_B.long()
    return {
        "side": quantized_side(layer.pred_BHWS, c, layer.place),
        "residual": quantized_residual(
            layer.target_BHWS.long(), layer.pred_BHWS.long(), sample_steps_q8(c)
        ),
        "most": most,
        "mask": fields.active_tokens(most).long(),
    }


def tokens_of(bits: torch.Tensor, most: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Stage counts and token vectors (real values) of bits in at most `most` stages."""
    allowed = fields.presence(most, bits.shape[-1] // 32).repeat_interleave(32, dim=-1)
    bits = bits * allowed
    stages = fields.count_stages(bits)
    return stages, fields.token_vector(bits, stages)


def superblocks(mask: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(mask[0, ::4, ::4, 0].numpy().astype(np.uint8))


def array(tensor: torch.Tensor, dtype: type) -> np.ndarray:
    return np.ascontiguousarray(tensor[0].numpy().astype(dtype))


@pytest.mark.parametrize("seed", [21, 22])
def test_libbsq_equals_pytorch_integers(model: bytes, seed: int) -> None:
    nets, loaded = IntegerNets(parse_model(model)), _core.Model(model)
    count = nets.config.stages
    x = inputs(seed, count)
    active = superblocks(x["mask"])
    side, residual = array(x["side"], np.int16), array(x["residual"], np.int16)

    exact = nets.encode(x["residual"], x["side"], x["mask"])
    bits = _core.tokenizer_encode(loaded, side, residual, active)
    on = x["mask"][0, ..., 0].bool().numpy()
    assert bits.shape == (ROWS, COLS, count, 32)
    np.testing.assert_array_equal(bits.reshape(ROWS, COLS, -1)[on], exact[0].numpy()[on])

    stages, token = tokens_of(exact.float(), x["most"])
    assert set(stages.unique().tolist()) == set(range(count + 1))
    token = (token * 64).long()
    out = nets.decode(token, x["side"], x["mask"])
    token8 = array(token, np.int8)
    decoded = _core.tokenizer_decode(loaded, token8, side, active)
    np.testing.assert_array_equal(decoded[on], array(out, np.int16)[on])

    previous = token.flip(1)
    trunk = nets.trunk(previous, x["side"], x["mask"])
    flags = _core.prior_flags(loaded, array(previous, np.int8), side, active)
    np.testing.assert_array_equal(flags[on], array(nets.flag_logits(trunk), np.int16)[on])
    logits = _core.prior_logits(loaded, array(previous, np.int8), side, active, token8)
    expected = array(nets.bit_logits(trunk, token, x["mask"]), np.int32)
    coded = fields.presence(stages, count)[0].bool().numpy().repeat(32, axis=-1)
    np.testing.assert_array_equal(logits.reshape(ROWS, COLS, -1)[coded], expected[coded])


def test_fake_quantization_is_close_to_the_integers(net: CodecNet, model: bytes) -> None:
    count = net.config.stages
    nets, x = IntegerNets(parse_model(model)), inputs(31, count)
    mask = x["mask"].float()
    side, on = x["side"].float() / 256, x["mask"][..., 0].bool()
    with torch.no_grad():
        bits = net.enc(x["residual"].float() / 256, side, mask)
        exact_bits = nets.encode(x["residual"], x["side"], x["mask"]).float()
        ones = exact_bits[on].mean()
        assert 0.1 < ones < 0.9
        assert (bits != exact_bits)[on].float().mean() < 0.05 * ones
        stages, token = tokens_of(exact_bits, x["most"])
        token8 = (token * 64).long()
        out = net.dec(token, side, mask)[on]
        exact = nets.decode(token8, x["side"], x["mask"])[on].float() / 256
        assert (out - exact).norm() < 0.05 * out.norm()
        trunk = net.prior.trunk(token, side, mask)
        exact_trunk = nets.trunk(token8, x["side"], x["mask"])
        flags = net.prior.flag_logits(trunk)
        exact_flags = nets.flag_logits(exact_trunk).float() / 256
        assert (flags - exact_flags)[on].abs().mean() < 0.05 * flags[on].std()
        coded = stages > 0
        context = net.prior.context(trunk, token, mask)[coded]
        logits = net.prior.bit_logits(context, exact_bits[coded], stages[coded])
        exact_logits = nets.bit_logits(exact_trunk, token8, x["mask"]).float()[coded] / 256
        here = fields.presence(stages, count)[coded].bool().repeat_interleave(32, dim=-1)
        assert (logits - exact_logits)[here].abs().mean() < 0.05 * logits[here].std()


def test_keyframe_networks_are_a_set_of_their_own(net: CodecNet, tmp_path: Path) -> None:
    """Of other sizes, from the weights of another run."""
    larger = replace(
        net.config, encoder_width=120, decoder_blocks=3, prior_width=32, prior_blocks=2
    )
    own = quantized(larger)
    torch.save(own.state_dict(), tmp_path / "keyframes.pt")
    loaded = quantized_networks(tmp_path / "keyframes.pt")
    assert loaded.config == larger
    write_codec_model(net, tmp_path / "x.bsqm", {"name": "two"}, loaded)
    contents = parse_model((tmp_path / "x.bsqm").read_bytes())
    assert (contents.config, contents.keyframes) == (net.config, larger)
    x = inputs(41, larger.stages)
    for keyframes, expected in ((False, net), (True, own)):
        nets = IntegerNets(contents, keyframes=keyframes)
        tensors = export_tensors(expected)
        assert nets.tensors.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(nets.tensors[name].numpy(), tensor)
        bits = nets.encode(x["residual"], x["side"], x["mask"])
        assert bits.shape == (1, ROWS, COLS, 32 * larger.stages)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(),
        ModelConfig(96, 48, 2, 104, 64, 1, 16, 40, 3, stages=3),
        ModelConfig(96, 384, 0, 88, 384, 0, 16, 40, 0, stages=1),
    ],
)
def test_sizes_are_those_of_the_weights(config: ModelConfig) -> None:
    assert config_of(CodecNet(config).state_dict()) == config


def test_side_vectors_hold_the_place_of_the_layer() -> None:
    pred, c = torch.full((1, 2, 3, 96), 200.0), torch.tensor([304])
    side = quantized_side(pred, c, PLACE)
    assert side[0, 1, 2, 95:].tolist() == [(200 - 128) * 4, 304 - 256, 0, 256, 96, 0, 0, 0, 0]
    side = quantized_side(pred, c, fields.LayerPlace(intra=True, above=37.0))
    assert side[0, 0, 0, 96:100].tolist() == [304 - 256, 256, 0, 37]


def test_multipliers_keep_31_bits() -> None:
    m, n = multipliers(np.array([0.3, 0.0123, 1e-5]))
    np.testing.assert_allclose(m / 2.0**n, [0.3, 0.0123, 1e-5], rtol=1e-4)
    assert m.max() >= 2**30 and m.dtype == np.int32 and 32 <= n <= 62
    with pytest.raises(ModelError, match="between 0 and 1/2"):
        multipliers(np.array([0.75]))


def test_unobserved_ranges_do_not_export() -> None:
    with pytest.raises(ModelError, match="ranges were not observed"):
        export_tensors(CodecNet(ModelConfig(16, 32, 1, 16, 32, 1, 16, 32, 1)))


def test_sample_steps_equal_the_codec() -> None:
    """Chroma has a finer step than luma, by more from a q on."""
    q = torch.tensor([0, 320, 321, 568])
    steps = sample_steps_q8(q)[:, 0, 0]
    for i, chroma in enumerate([0, 304, 305, 428]):
        assert steps[i, :64].unique().tolist() == [_core.step_q8(int(q[i]))]
        assert steps[i, 64:].unique().tolist() == [_core.step_q8(chroma)]
    real = fields.sample_steps(q.double())[:, 0, 0] * 256
    assert ((steps - real).abs() <= 0.5).all()


def test_step_table_doubles_every_eight_crf() -> None:
    steps = step_q8(torch.arange(0, 505))
    assert steps[64] == 256 and steps[128] == 512 and steps[0] == 128
    assert (steps.diff() >= 0).all()


def test_the_response_tells_what_a_bit_does_about_the_error(model: bytes, net: CodecNet) -> None:
    x = inputs(31, net.config.stages)
    bits = (torch.rand(1, ROWS, COLS, net.config.stages * 32) < 0.1).float()
    stages, tokens = tokens_of(bits, x["most"])
    loaded, active = _core.Model(model), superblocks(x["mask"])
    side, residual = array(x["side"], np.int16), array(x["residual"], np.int16)

    def decoded(vectors: torch.Tensor) -> np.ndarray:
        return _core.tokenizer_decode(loaded, array(vectors * 64, np.int8), side, active)

    def cost(output: np.ndarray) -> float:
        error = torch.from_numpy(residual.astype(np.float64) - output) / 256
        return float(((error @ error_weights().double()) * error * x["mask"][0]).sum())

    output = decoded(tokens)
    gains = _core.tokenizer_gains(loaded, residual, output, active)
    energies = parse_model(model).tensors["enc.response.energy"]
    told, true = [], []
    for token in torch.nonzero(stages[0])[::2]:
        y, left = (int(i) for i in token)
        k = int(torch.randint(0, 32 * int(stages[0, y, left]), ()))
        one = tokens[0, y, left, k] > 0
        other = tokens.clone()
        other[0, y, left, k] = 0.0 if one else 1.0
        told.append(gains[y, left, k] + (1 if one else -1) * energies[k])
        true.append((cost(decoded(other)) - cost(output)) * (1 if one else -1))
    assert np.corrcoef(told, true)[0, 1] > 0.8
    slope = np.dot(told, true) / np.dot(told, told)
    assert 0.5 < 32 * slope < 2.0
