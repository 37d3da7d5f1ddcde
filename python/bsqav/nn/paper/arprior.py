"""The paper's autoregressive prior: a causal Transformer over the sub-tokens of a clip.

Tokens come frame by frame, row by row, and a token's sub-tokens one after the other; each is
predicted from all before it (arXiv 2406.07548, section 4.3). In floating point: its probabilities
are the same only where the same program runs on the same machine (see bsqav.nn.paper.tokencoding).
Shape suffixes: B batch, S sub-tokens of a clip, V values of a sub-token, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.errors import UsageError
from bsqav.nn.paper.attention import WEIGHT_STD, Transformer, TransformerConfig
from bsqav.nn.paper.positions import SpaceTimePosition
from bsqav.nn.paper.pretrained import Pretrained
from bsqav.nn.paper.subtokens import SubTokens

__all__ = ["ARPrior", "ARPriorConfig"]


@dataclass(frozen=True)
class ARPriorConfig:
    """The defaults are the paper's: 24 layers, 768 wide.

    tokens: bits of a token and of a sub-token. grid: rows and columns of tokens in a frame.
    frames: of a clip.
    """

    transformer: TransformerConfig = field(default_factory=lambda: TransformerConfig(layers=24))
    tokens: SubTokens = field(default_factory=SubTokens)
    grid: tuple[int, int] = (16, 16)
    frames: int = 1

    @property
    def length(self) -> int:
        """S, sub-tokens of a whole clip."""
        return self.frames * self.grid[0] * self.grid[1] * self.tokens.groups

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        self.transformer.check()
        self.tokens.check()
        if min(*self.grid, self.frames) < 1:
            raise UsageError("a prior's grid and frames are at least 1")


class ARPrior(Pretrained):
    """Probabilities of each sub-token given those before it. UsageError for a wrong config.

    tokenizer_id: fingerprint of the tokenizer whose tokens it learned, empty where none is known.
    """

    kind = "ar-prior"
    noun = "autoregressive prior"
    config_class = ARPriorConfig
    config: ARPriorConfig

    def __init__(self, config: ARPriorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ARPriorConfig()
        config.check()
        width, tokens = config.transformer.width, config.tokens
        self.start = nn.Parameter(torch.empty(width))
        self.embed = nn.Embedding(tokens.groups * tokens.values, width)
        self.position = SpaceTimePosition(config.grid, config.frames, width)
        self.group = nn.Parameter(torch.empty(tokens.groups, width))
        self.transformer = Transformer(config.transformer)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens.values)
        for weight in (self.start, self.embed.weight, self.group):
            nn.init.normal_(weight, std=WEIGHT_STD)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, indices: Tensor) -> Tensor:
        """Indices [B, (T,) H, W] of the trained grid, int64 -> logits [B, S, V], teacher-forced.

        Logits at s depend on sub-tokens before s only. Raises UsageError for another grid, more
        frames or indices of more bits.
        """
        values_BS = self.sequence(indices)
        places = self.places(values_BS.shape[1])
        x = torch.cat([self.start.expand(len(values_BS), 1, -1), self._embed(values_BS)[:, :-1]], 1)
        x = self.transformer(x + places, causal=True)
        return cast(Tensor, self.head(self.norm(x)))

    def loss(self, indices: Tensor) -> Tensor:
        """Mean cross-entropy of a sub-token in nats, a scalar."""
        logits = self(indices)
        return F.cross_entropy(logits.flatten(0, 1).float(), self.sequence(indices).flatten())

    @torch.no_grad()
    def bits_per_token(self, indices: Tensor) -> float:
        """What a token costs under this prior, in bits; those of the tokenizer without it are L."""
        return self.loss(indices).item() * self.config.tokens.groups / math.log(2)

    def sequence(self, indices: Tensor) -> Tensor:
        """Indices [B, (T,) H, W] -> values [B, S] in the order of coding."""
        if indices.dim() not in (3, 4) or indices.shape[-2:] != self.config.grid:
            raise UsageError(
                f"this prior knows [B, (T,) {self.config.grid[0]}, {self.config.grid[1]}] tokens, "
                f"not {tuple(indices.shape)}"
            )
        return self.config.tokens.split(indices).flatten(1)

    def frames_of(self, values_BS: Tensor) -> Tensor:
        """The inverse of sequence: values [B, S] -> indices [B, T, H, W], of images [B, H, W]."""
        b, groups = len(values_BS), self.config.tokens.groups
        indices = self.config.tokens.join(values_BS.view(b, -1, *self.config.grid, groups))
        return indices[:, 0] if self.config.frames == 1 else indices

    @torch.no_grad()
    def unroll(self, batch: int, length: int, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Runs step by step with a key-value cache -> values [B, S] that were chosen.

        choose: gets the position s and logits [B, V], returns the values [B] there. The arithmetic
        of a step is the same whatever `choose` does, so that coder and decoder see equal numbers.
        """
        cache = self.transformer.new_cache(length)
        places = self.places(length)
        x = self.start.expand(batch, 1, -1)
        values_BS = torch.zeros(batch, length, dtype=torch.long, device=self.start.device)
        for s in range(length):
            y = self.transformer(x + places[s : s + 1], causal=True, cache=cache)
            values_BS[:, s] = choose(s, self.head(self.norm(y))[:, 0])
            x = self._embed(values_BS[:, s : s + 1], s)
        return values_BS

    @torch.no_grad()
    def sample(
        self,
        batch: int,
        frames: int = 1,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws clips: indices [B, T, H, W], of images [B, H, W].

        temperature: 1 draws as trained, below it surer.
        """
        if not temperature > 0:
            raise UsageError(f"a temperature is positive, not {temperature}")

        def draw(_: int, logits_BV: Tensor) -> Tensor:
            chances = (logits_BV.float() / temperature).softmax(-1)
            return torch.multinomial(chances, 1, generator=generator)[:, 0]

        length = self.config.length // self.config.frames * frames
        return self.frames_of(self.unroll(batch, length, draw))

    def _embed(self, values_BS: Tensor, first: int = 0) -> Tensor:
        """Values at places `first` and on -> [B, S, C]; each group has a table of its own."""
        tokens = self.config.tokens
        at = torch.arange(first, first + values_BS.shape[1], device=values_BS.device)
        return cast(Tensor, self.embed(values_BS + at % tokens.groups * tokens.values))

    def places(self, length: int) -> Tensor:
        """[S, C]: embeddings of the places of the first sub-tokens, which are whole frames."""
        per_frame = self.config.length // self.config.frames
        place = self.position(0, max(1, length // per_frame), self.config.grid)
        return cast(Tensor, (place.unsqueeze(-2) + self.group).flatten(0, 3))
