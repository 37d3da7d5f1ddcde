"""The paper's tokenizer: sizes, causality, streaming, inflation, other sizes of images."""

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper import anysize
from bsqav.nn.paper.attention import TransformerConfig, choose_attention
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig, inflate, sized
from bsqav.nn.paper.quantizers import BSQConfig, FiniteScalarQuantizer, VectorQuantizer
from bsqav.nn.paper.streaming import StreamingDecoder, StreamingEncoder

TINY = ViTConfig(
    TransformerConfig(width=32, layers=2, heads=2, hidden=64),
    BSQConfig(18),
    size=(16, 24),
    head=48,
)
FRAMES = 4


def tokenizer(frames: int = 1) -> BSQViT:
    """A random one, whose embeddings of time are not zero and whose weights matter."""
    torch.manual_seed(11)
    model = BSQViT(replace(TINY, frames=frames)).eval()
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.5 if "position" in name else 0.15)
    return model


def video(frames: int = FRAMES, rows: int = 16, columns: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    return torch.rand(2, 3, frames, rows, columns, generator=generator) * 2 - 1


@pytest.mark.parametrize("bits", [18, 36])
def test_the_papers_size(bits: int) -> None:
    """174 M parameters, 32 x 32 tokens from an image of 256 x 256."""
    with torch.device("meta"):
        model = BSQViT(sized("base", bits))
        assert sum(weight.numel() for weight in model.parameters()) // 10**6 == 174
        z = model.latents(torch.empty(1, 3, 256, 256))
        assert z.shape == (1, 32, 32, bits)
        assert model.decode(z).shape == (1, 3, 256, 256)
    assert sized("base", bits, (128, 128), 16).grid == (16, 16)
    with pytest.raises(UsageError, match="no size"):
        sized("huge")


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_shapes_and_gradients(frames: int) -> None:
    model = tokenizer(frames)
    x = video()
    found = model(x)
    assert found.pixels.shape == x.shape
    assert found.tokens.indices.shape == (2, FRAMES, 2, 3)
    ((found.pixels - x).square().mean() + found.tokens.loss).backward()
    weak = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.isfinite().all() or not weight.grad.any()
    ]
    assert not weak
    image = model(x[:, :, 0])
    assert image.pixels.shape == (2, 3, 16, 24)
    assert image.tokens.vectors.shape == (2, 2, 3, 18)
    pixels = model.detokenize(found.tokens.indices)
    torch.testing.assert_close(pixels, found.pixels.detach().clamp(-1, 1))


def test_patches_come_back_where_they_were() -> None:
    model, x = tokenizer(), video()
    assert torch.equal(model._paste(model._cut(x), clip=True), x)
    assert torch.equal(model._cut(x)[1, 2, 1, 2], x[1, :, 2, 8:, 16:].flatten())


def test_checkpointing_changes_nothing() -> None:
    plain = tokenizer(FRAMES).train()
    again = BSQViT(
        replace(plain.config, transformer=replace(TINY.transformer, checkpointing=True))
    ).train()
    again.load_state_dict(plain.state_dict())
    for model in (plain, again):
        model(video()).pixels.square().mean().backward()
    for left, right in zip(plain.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(left.grad, right.grad)


# ---- block-wise causal ----


def test_a_frame_never_changes_tokens_before_it() -> None:
    model, x = tokenizer(FRAMES), video()
    z, pixels = model.latents(x), model(x).pixels
    for t in range(FRAMES):
        changed = x.clone()
        changed[:, :, t] = -x[:, :, t]
        other = model.latents(changed)
        assert torch.equal(other[:, :t], z[:, :t])
        for later in range(t, FRAMES):  # its own and later ones do feel it, every token
            assert ((other[:, later] - z[:, later]).abs().amax(-1) > 1e-6).all()
        assert torch.equal(model(changed).pixels[:, :, :t], pixels[:, :, :t])


def test_no_gradient_from_a_frame_to_later_ones() -> None:
    model, x = tokenizer(FRAMES), video().requires_grad_()
    (gradient,) = torch.autograd.grad(model.latents(x)[:, 1].sum(), x)
    by_frame = gradient.abs().amax((0, 1, 3, 4))
    assert (by_frame[:2] > 0).all() and (by_frame[2:] == 0).all()


def test_streaming_equals_the_whole_pass() -> None:
    model, x = tokenizer(FRAMES), video()
    whole = model.encode(x)
    pixels = model.detokenize(whole.indices)
    encoder, decoder = StreamingEncoder(model), StreamingDecoder(model)
    for _ in range(2):  # a second clip after reset
        for t in range(FRAMES):
            tokens = encoder.push(x[:, :, t])
            assert torch.equal(tokens.indices, whole.indices[:, t])
            frame = decoder.push(tokens.indices)
            torch.testing.assert_close(frame, pixels[:, :, t], atol=1e-5, rtol=1e-5)
        with pytest.raises(UsageError, match="4 frames: reset"):
            encoder.push(x[:, :, 0])
        # 2 x 2 layers x 24 tokens x 32 channels, keys and values, 4 bytes
        assert encoder.nbytes == 2 * 2 * 24 * 32 * 2 * 4
        encoder.reset()
        decoder.reset()
    encoder.push(x[:, :, 0])
    with pytest.raises(UsageError, match="began with"):
        encoder.push(x[:, :, 0, :8])
    with pytest.raises(UsageError, match="inflate"):
        StreamingEncoder(tokenizer())


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_flex_attention_equals_the_mask() -> None:
    """The whole pass, its tokens, and several frames after cached ones; uncompiled here."""
    model, x = tokenizer(FRAMES), video()
    expected = model(x)
    choose_attention(model, "flex")
    with torch.compiler.set_stance("force_eager"):
        found = model(x)
        torch.testing.assert_close(found.pixels, expected.pixels, atol=1e-5, rtol=1e-5)
        assert torch.equal(found.tokens.indices, expected.tokens.indices)
        cache = model.encoder.transformer.new_cache(24)
        parts = [model.latents(x[:, :, :1], cache), model.latents(x[:, :, 1:3], cache)]
        whole = model.latents(x)
        torch.testing.assert_close(torch.cat(parts, 1), whole[:, :3], atol=1e-5, rtol=1e-5)
        with torch.enable_grad(), pytest.raises(UsageError, match="no gradients on a CPU"):
            model(x)
    choose_attention(model, "sdpa")
    assert torch.equal(model(x).pixels, expected.pixels)
    with pytest.raises(UsageError, match="there are sdpa, flex"):
        choose_attention(model, "fast")  # type: ignore[arg-type]


@pytest.mark.slow
@torch.no_grad()
def test_flex_attention_compiled() -> None:
    model, x = tokenizer(FRAMES), video()
    expected = model(x).pixels
    choose_attention(model, "flex")
    torch.testing.assert_close(model(x).pixels, expected, atol=1e-5, rtol=1e-5)


def test_several_frames_at_once_into_the_cache() -> None:
    model, x = tokenizer(FRAMES), video()
    cache = model.encoder.transformer.new_cache(24)
    parts = [model.latents(x[:, :, :1], cache), model.latents(x[:, :, 1:3], cache)]
    torch.testing.assert_close(torch.cat(parts, 1), model.latents(x)[:, :3], atol=1e-5, rtol=1e-5)
    with pytest.raises(UsageError, match="clips have 4 frames"):
        model.latents(video(5))


# ---- from images to videos, other sizes ----


def test_inflation() -> None:
    image = tokenizer()
    clip = inflate(image, FRAMES)
    x = video()
    torch.testing.assert_close(clip.latents(x)[:, 0], image.latents(x[:, :, 0]))
    first = clip.decode(clip.encode(x).vectors)[:, :, 0]
    torch.testing.assert_close(first, image(x[:, :, 0]).pixels)
    for trunk in (clip.encoder, clip.decoder):
        assert trunk.position.temporal is not None and not trunk.position.temporal.any()
    wide = inflate(image, FRAMES, (32, 48))
    assert wide.config.grid == (4, 6)
    assert wide.latents(video(rows=32, columns=48)).shape == (2, FRAMES, 4, 6, 18)
    with pytest.raises(UsageError, match="already"):
        inflate(clip, FRAMES)


@pytest.mark.parametrize("way", ["whole", "tiles"])
@pytest.mark.parametrize("frames", [1, FRAMES])
def test_any_size(way: anysize.Way, frames: int) -> None:
    model = tokenizer(frames)
    for rows, columns in ((16, 24), (17, 5), (40, 49)):
        x = video(rows=rows, columns=columns)
        x = x if frames > 1 else x[:, :, 0]
        indices = anysize.tokenize(model, x, way)
        pixels = anysize.detokenize(model, indices, (rows, columns), way)
        assert pixels.shape == x.shape
        if (rows, columns) == (16, 24):
            assert torch.equal(indices, model.tokenize(x))
            assert torch.equal(pixels, model.detokenize(indices))
    if way == "tiles":  # each tile is what it is alone
        assert indices.shape[-2:] == (6, 9)
        for row, column in itertools.product((0, 16), (0, 24)):
            alone = model.tokenize(x[..., row : row + 16, column : column + 24])
            at = indices[..., row // 8 : row // 8 + 2, column // 8 : column // 8 + 3]
            assert torch.equal(at, alone)
    with pytest.raises(UsageError, match="are not those of 1 x 49"):
        anysize.detokenize(model, indices, (1, 49), way)


def test_other_quantizers_fit_in() -> None:
    for quantizer in (FiniteScalarQuantizer((8, 5, 5)), VectorQuantizer(32, 4, normalize=True)):
        model = BSQViT(TINY, quantizer)
        found = model(video()[:, :, 0])
        assert found.pixels.shape == (2, 3, 16, 24)
        (found.pixels.square().mean() + found.tokens.loss).backward()
        assert model.embed.weight.grad is not None and model.embed.weight.grad.any()


def test_arguments_are_checked() -> None:
    model = tokenizer()
    for shape in ((2, 4, 16, 24), (3, 16, 24), (2, 3, 0, 24), (2, 3, 15, 24)):
        with pytest.raises(UsageError):
            model(torch.zeros(shape))
    with pytest.raises(UsageError, match=r"not torch\.uint8: of uint8, x / 127\.5 - 1"):
        model(torch.zeros(2, 3, 16, 24, dtype=torch.uint8))
    with pytest.raises(UsageError, match=r"are torch\.float16 and the weights torch\.float32"):
        model(torch.zeros(2, 3, 16, 24, dtype=torch.float16))
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.zeros(2, 3, 16, 24)).pixels.shape == (2, 3, 16, 24)
    with pytest.raises(UsageError, match="vectors must be"):
        model.decode(torch.zeros(2, 2, 3, 17))
    for wrong in (
        replace(TINY, size=(15, 24)),
        replace(TINY, frames=0),
        replace(TINY, transformer=TransformerConfig(width=30, heads=4)),
    ):
        with pytest.raises(UsageError):
            BSQViT(wrong)
