"""BSQ-ViT: the paper's tokenizer of images and videos (arXiv 2406.07548, section 4).

Every frame is cut into patches of 1 x p x p pixels; an encoder Transformer, a linear layer to L
latents, the quantizer, a linear layer back, a decoder Transformer and a Linear-Tanh-Linear head
give the pixels again. In videos attention is block-wise causal: a token sees all tokens of its own
and of earlier frames.

Shape suffixes: B batch, T frames, H rows and W columns of tokens, C channels; images are
[B, 3, rows, columns] and videos [B, 3, T, rows, columns], from -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from bsqav.errors import UsageError
from bsqav.nn.paper.attention import (
    KeyValueCache,
    Transformer,
    TransformerConfig,
    init_linear,
)
from bsqav.nn.paper.positions import SpaceTimePosition
from bsqav.nn.paper.pretrained import Pretrained
from bsqav.nn.paper.quantizers import (
    BSQConfig,
    Quantized,
    Quantizer,
    QuantizerConfig,
    quantizer_of,
)

__all__ = ["SIZES", "BSQViT", "Reconstruction", "ViTConfig", "inflate", "sized"]

COLOURS = 3


@dataclass(frozen=True)
class ViTConfig:
    """Of a BSQViT; the defaults are the paper's image tokenizer of 18 bits.

    Attributes:
        transformer: of the encoder, and again of the decoder.
        quantizer: of the BSQ between them, or of another one to compare it with.
        size: rows and columns of pixels that the position embedding is learned for.
        frames: frames of a clip; 1 is an image tokenizer, which takes a video frame by frame.
        patch: p, pixels each way of a token.
        head: width of the decoder's head between its two linear layers.
    """

    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    quantizer: QuantizerConfig = field(default_factory=BSQConfig)
    size: tuple[int, int] = (256, 256)
    frames: int = 1
    patch: int = 8
    head: int = 3072

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens of the position embedding."""
        return self.size[0] // self.patch, self.size[1] // self.patch

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        self.transformer.check()
        if min(*self.size, self.frames, self.patch, self.head) < 1:
            raise UsageError("size, frames, patch and head of a tokenizer are at least 1")
        if self.size[0] % self.patch or self.size[1] % self.patch:
            raise UsageError(f"size {self.size} is no multiple of the patch of {self.patch}")


# The paper's networks, and smaller ones to try things with.
SIZES = {
    "base": TransformerConfig(),
    "small": TransformerConfig(width=384, layers=8, heads=6, hidden=1536),
    "tiny": TransformerConfig(width=128, layers=4, heads=4, hidden=512),
}


def sized(
    name: str, bits: int = 18, size: tuple[int, int] = (256, 256), frames: int = 1
) -> ViTConfig:
    """A configuration by the name of its size; base is the paper's. UsageError for another name."""
    if name not in SIZES:
        raise UsageError(f"no size {name!r}; there are {', '.join(SIZES)}")
    transformer = SIZES[name]
    head = 3072 if name == "base" else 4 * transformer.width
    return ViTConfig(transformer, BSQConfig(bits), size, frames, head=head)


class Reconstruction(NamedTuple):
    """pixels: of the input's shape, not clamped; tokens: what the quantizer gave for it."""

    pixels: Tensor
    tokens: Quantized


class ViTTrunk(nn.Module):
    """Position embedding, norm, Transformer and norm: what encoder and decoder have in common."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width = config.transformer.width
        self.position = SpaceTimePosition(config.grid, config.frames, width)
        self.norm_in = nn.LayerNorm(width)
        self.transformer = Transformer(config.transformer)
        self.norm_out = nn.LayerNorm(width)

    def forward(self, x_BTHWC: Tensor, cache: KeyValueCache | None) -> Tensor:
        """[B, T, H, W, C] -> [B, T, H, W, C]; the frames follow those in the cache."""
        b, t, h, w, c = x_BTHWC.shape
        per_frame = h * w
        if self.position.temporal is None:  # frames know nothing of each other
            if cache is not None:
                raise UsageError("a tokenizer of images has nothing to cache: inflate it first")
            x = (x_BTHWC + self.position(0, 1, (h, w))).view(b * t, per_frame, c)
            x = self.norm_out(self.transformer(self.norm_in(x)))
            return cast(Tensor, x).view(b, t, h, w, c)
        past = 0 if cache is None else cache.length
        if past % per_frame:
            raise UsageError(f"the cache holds frames of another size than {h} x {w} tokens")
        x = x_BTHWC + self.position(past // per_frame, t, (h, w))
        x = self.norm_in(x.view(b, t * per_frame, c))
        mask = None
        if t > 1:
            mask = self.transformer.block_mask(t * per_frame, per_frame, past, x.device)
        x = self.norm_out(self.transformer(x, mask_NK=mask, cache=cache))
        return cast(Tensor, x).view(b, t, h, w, c)


class BSQViT(Pretrained):
    """The tokenizer of images (config.frames = 1) or videos.

    quantizer: one of a class of your own instead of the configuration's; such a model cannot be
    saved. Raises UsageError for a configuration out of range.
    """

    kind = "bsqvit"
    noun = "tokenizer"
    config_class = ViTConfig
    config: ViTConfig

    def __init__(self, config: ViTConfig | None = None, quantizer: Quantizer | None = None) -> None:
        super().__init__()
        config = config or ViTConfig()
        config.check()
        if quantizer is not None and quantizer.config is not None:
            config = replace(config, quantizer=quantizer.config)
        self.config = config
        width, pixels = config.transformer.width, COLOURS * config.patch**2
        self.embed = nn.Linear(pixels, width, bias=False)
        self.encoder = ViTTrunk(config)
        self.quantizer = quantizer or quantizer_of(config.quantizer)
        self.to_latent = nn.Linear(width, self.quantizer.dim)
        self.from_latent = nn.Linear(self.quantizer.dim, width)
        self.decoder = ViTTrunk(config)
        self.head = nn.Sequential(
            nn.Linear(width, config.head), nn.Tanh(), nn.Linear(config.head, pixels)
        )
        for linear in (self.embed, self.head[0], self.head[2]):
            init_linear(cast(nn.Linear, linear))

    def forward(self, x: Tensor) -> Reconstruction:
        """Images [B, 3, rows, columns] or videos [B, 3, T, rows, columns] -> pixels and tokens.

        Rows and columns are multiples of the patch. Raises UsageError for other shapes.
        """
        tokens = self.encode(x)
        return Reconstruction(self.decode(tokens.vectors), tokens)

    def latents(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """v of the paper, before the projection on the sphere: [B, (T,) H, W, L].

        With a cache x is a video that continues after the cache (see bsqav.nn.paper.streaming).
        """
        patches = self._cut(x)
        z = cast(Tensor, self.to_latent(self.encoder(self.embed(patches), cache)))
        return z.squeeze(1) if x.dim() == 4 else z

    def encode(self, x: Tensor, cache: KeyValueCache | None = None) -> Quantized:
        """Images or videos -> vectors [B, (T,) H, W, L], indices [B, (T,) H, W] and loss."""
        return cast(Quantized, self.quantizer(self.latents(x, cache)))

    def decode(self, vectors: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Quantized vectors [B, (T,) H, W, L] -> pixels [B, 3, (T,) rows, columns], not clamped."""
        if vectors.dim() not in (4, 5) or vectors.shape[-1] != self.quantizer.dim:
            raise UsageError(
                f"vectors must be [B, (T,) H, W, {self.quantizer.dim}], not {tuple(vectors.shape)}"
            )
        z = vectors.unsqueeze(1) if vectors.dim() == 4 else vectors
        patches = self.head(self.decoder(self.from_latent(z), cache))
        return self._paste(patches, clip=vectors.dim() == 5)

    @torch.no_grad()
    def tokenize(self, x: Tensor) -> Tensor:
        """Images or videos -> indices [B, (T,) H, W], int64."""
        return self.encode(x).indices

    @torch.no_grad()
    def detokenize(self, indices: Tensor) -> Tensor:
        """Indices [B, (T,) H, W], int64 -> pixels [B, 3, (T,) rows, columns], clamped to [-1, 1].

        Raises UsageError for indices that the quantizer does not have.
        """
        if indices.dim() not in (3, 4):
            raise UsageError(f"indices must be [B, (T,) H, W], not {tuple(indices.shape)}")
        vectors = self.quantizer.vectors_of(indices).to(self.from_latent.weight.dtype)
        return self.decode(vectors).clamp(-1, 1)

    def _cut(self, x: Tensor) -> Tensor:
        """Pixels -> patches [B, T, H, W, 3 p p], a patch by colour, row, column."""
        p = self.config.patch
        if x.dim() not in (4, 5) or x.shape[1] != COLOURS:
            raise UsageError(f"pixels must be [B, 3, (T,) rows, columns], not {tuple(x.shape)}")
        if not x.is_floating_point():
            raise UsageError(
                f"pixels must be floating point from -1 to 1, not {x.dtype}: of uint8, "
                "x / 127.5 - 1"
            )
        if x.dtype != (known := self.embed.weight.dtype) and not _casts(x.device.type):
            raise UsageError(f"pixels are {x.dtype} and the weights {known}: convert one of them")
        if x.shape[-2] % p or x.shape[-1] % p or not x.numel():
            raise UsageError(
                f"rows and columns must be multiples of {p}, not {x.shape[-2]} x {x.shape[-1]}: "
                "see bsqav.nn.paper.anysize"
            )
        b, c, t, rows, columns = (x.unsqueeze(2) if x.dim() == 4 else x).shape
        grid = x.reshape(b, c, t, rows // p, p, columns // p, p).permute(0, 2, 3, 5, 1, 4, 6)
        return grid.reshape(b, t, rows // p, columns // p, c * p * p)

    def _paste(self, patches_BTHWP: Tensor, clip: bool) -> Tensor:
        """The inverse of _cut, with a dimension of frames if it is a clip."""
        b, t, h, w, _ = patches_BTHWP.shape
        p = self.config.patch
        grid = patches_BTHWP.view(b, t, h, w, COLOURS, p, p).permute(0, 4, 1, 2, 5, 3, 6)
        size = (h * p, w * p)
        return grid.reshape(b, COLOURS, t, *size) if clip else grid.reshape(b, COLOURS, *size)


def _casts(device: str) -> bool:
    """Whether operations convert dtypes themselves."""
    return bool(torch.is_autocast_enabled(device))


@torch.no_grad()
def inflate(image: BSQViT, frames: int, size: tuple[int, int] | None = None) -> BSQViT:
    """A video tokenizer with an image tokenizer's weights (section 4.2 of the paper).

    Its embedding of time is zero, so that at first every frame of a clip of one frame comes out as
    the image did. size: pixels, where it is to be another one; positions are interpolated.
    Raises UsageError where `image` is one of videos already.
    """
    if image.config.frames != 1:
        raise UsageError(f"this tokenizer has clips of {image.config.frames} frames already")
    if frames < 2:
        raise UsageError(f"a clip has at least 2 frames, not {frames}")
    config = replace(image.config, frames=frames, size=size or image.config.size)
    own = image.quantizer if image.quantizer.config is None else None
    video = BSQViT(config, own).to(image.embed.weight)
    state = dict(image.state_dict())
    for part in ("encoder", "decoder"):
        position = cast(ViTTrunk, getattr(image, part)).position
        state[f"{part}.position.spatial"] = position(0, 1, config.grid)[0]
        state[f"{part}.position.temporal"] = video.state_dict()[f"{part}.position.temporal"]
    video.load_state_dict(state)
    return video
