"""The paper's generator: a masked language model over sub-tokens, sampled as MaskGIT is.

A post-LN Transformer sees all tokens, some of whose sub-tokens are masked, and predicts those
(arXiv 2406.07548, section 4.4; MaskGIT, arXiv 2202.04200). Here each sub-token is masked on its
own, so that a token's groups may follow one another. Shape suffixes: B batch, N tokens of a
image, G groups, V values of a sub-token, C channels.
"""

from __future__ import annotations

import math
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

__all__ = ["MaskedLM", "MaskedLMConfig", "SamplingConfig", "mask_share"]


@dataclass(frozen=True)
class MaskedLMConfig:
    """The defaults are the paper's: post-LN, 24 layers, 768 wide, for 128 x 128 pixels.

    tokens: bits of a token and of a sub-token. grid: rows and columns of tokens. classes: of the
    labels, 0 where there are none. class_drop: share of labels that training leaves out, so that
    the model knows images of no class too. smoothing: of the targets.
    """

    transformer: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(layers=24, pre_norm=False, dropout=0.1)
    )
    tokens: SubTokens = field(default_factory=SubTokens)
    grid: tuple[int, int] = (16, 16)
    classes: int = 0
    class_drop: float = 0.2
    smoothing: float = 0.1

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        self.transformer.check()
        self.tokens.check()
        if min(self.grid) < 1 or self.classes < 0:
            raise UsageError("a masked LM's grid is at least 1 each way, its classes at least 0")
        if not 0 <= self.class_drop <= 1 or not 0 <= self.smoothing < 1:
            raise UsageError("class_drop and smoothing are shares from 0 to 1")


@dataclass(frozen=True)
class SamplingConfig:
    """Of MaskedLM.sample; the defaults are the paper's.

    steps: passes of the network. guidance: alpha of l = l_c + alpha (l_c - l_0). temperature: of
    the noise on the confidence by which sub-tokens are kept, falling to 0 by the last step.
    """

    steps: int = 32
    guidance: float = 0.5
    temperature: float = 15.0

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        if self.steps < 1 or self.temperature < 0 or not math.isfinite(self.guidance):
            raise UsageError(
                "sampling takes at least one step, a temperature of at least 0 and a finite "
                f"guidance, not {self.steps}, {self.temperature} and {self.guidance}"
            )


def mask_share(progress: float) -> float:
    """The cosine schedule: share of masked sub-tokens, 1 at progress 0 down to 0 at 1."""
    return math.cos(math.pi / 2 * progress)


class MaskedLM(Pretrained):
    """Predicts masked sub-tokens from all others, and the class if there is one.

    tokenizer_id: fingerprint of the tokenizer whose tokens it learned, empty where none is known.
    Raises UsageError for a configuration out of range.
    """

    kind = "masked-lm"
    noun = "masked language model"
    config_class = MaskedLMConfig
    config: MaskedLMConfig

    def __init__(self, config: MaskedLMConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MaskedLMConfig()
        config.check()
        width, tokens = config.transformer.width, config.tokens
        # Of each group a table of its own, the last row being the mask.
        self.embed = nn.Embedding(tokens.groups * (tokens.values + 1), width)
        self.position = SpaceTimePosition(config.grid, 1, width)
        # One more than classes: the last is "none".
        self.label = nn.Embedding(config.classes + 1, width)
        self.norm = nn.LayerNorm(width)
        self.transformer = Transformer(config.transformer)
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.head = nn.Linear(width, tokens.groups * tokens.values)
        for embedding in (self.embed, self.label):
            nn.init.normal_(embedding.weight, std=WEIGHT_STD)
        nn.init.trunc_normal_(self.head.weight, std=WEIGHT_STD)
        nn.init.zeros_(self.head.bias)

    @property
    def count(self) -> int:
        """N, tokens of an image."""
        return self.config.grid[0] * self.config.grid[1]

    def forward(
        self, values_BNG: Tensor, mask_BNG: Tensor, labels_B: Tensor | None = None
    ) -> Tensor:
        """Logits [B, N, G, V] of all sub-tokens.

        values: int64 from 0 to V - 1; where the mask is True they are not looked at. labels: int64
        from 0 to `classes`, which stands for none; None is none for all. Raises UsageError for
        other shapes or labels.
        """
        tokens, b = self.config.tokens, len(values_BNG)
        if values_BNG.shape != (b, self.count, tokens.groups) or mask_BNG.shape != values_BNG.shape:
            raise UsageError(
                f"values and mask must be [B, {self.count}, {tokens.groups}], "
                f"not {tuple(values_BNG.shape)} and {tuple(mask_BNG.shape)}"
            )
        labels = self._labels(labels_B, b, values_BNG.device)
        rows = torch.arange(tokens.groups, device=values_BNG.device) * (tokens.values + 1)
        shown = torch.where(mask_BNG, tokens.values, values_BNG) + rows
        x = self.embed(shown).sum(2) + self.position(0, 1, self.config.grid).flatten(0, 2)
        x = torch.cat([self.label(labels).unsqueeze(1), x], 1)
        x = self.transformer(self.norm(x))[:, 1:]
        logits = self.head(self.hidden(x))
        return cast(Tensor, logits.view(b, self.count, tokens.groups, tokens.values))

    def loss(
        self,
        indices: Tensor,
        labels_B: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Mean cross-entropy in nats of masked sub-tokens, for one draw of masks, a scalar.

        indices: [B, H, W], int64. An image's share of masks is mask_share of a uniform number; at
        least one is masked. Labels are dropped with class_drop. generator: of both, on the CPU.
        """
        values_BNG = self.config.tokens.split(indices).flatten(1, 2)
        b = len(values_BNG)
        order = torch.rand(values_BNG.shape, generator=generator).flatten(1).argsort(1).argsort(1)
        share = torch.cos(math.pi / 2 * torch.rand(b, 1, generator=generator))
        count = (share * order.shape[1]).ceil().clamp_min(1)
        mask_BNG = (order < count).view(values_BNG.shape).to(values_BNG.device)
        if labels_B is not None:
            dropped = torch.rand(b, generator=generator) < self.config.class_drop
            labels_B = torch.where(dropped.to(labels_B.device), self.config.classes, labels_B)
        logits = self(values_BNG, mask_BNG, labels_B)[mask_BNG].float()
        targets = values_BNG[mask_BNG]
        return F.cross_entropy(logits, targets, label_smoothing=self.config.smoothing)

    @torch.no_grad()
    def sample(
        self,
        labels_B: Tensor,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws images: indices [B, H, W] for labels [B] (`classes` for none).

        All sub-tokens are masked at first. Each step draws the masked ones from the guided logits
        and keeps those it is surest of, so many that mask_share stays masked. The model should be
        in evaluation mode. Raises UsageError for labels or a configuration out of range.
        """
        config = config or SamplingConfig()
        config.check()
        tokens, b = self.config.tokens, len(labels_B)
        device = self.head.weight.device
        labels_B = self._labels(labels_B, b, device)
        values = torch.zeros(b, self.count, tokens.groups, dtype=torch.long, device=device)
        mask = torch.ones_like(values, dtype=torch.bool)
        for step in range(config.steps):
            progress = (step + 1) / config.steps
            chances = self._guided(values, mask, labels_B, config.guidance).softmax(-1)
            drawn = torch.multinomial(chances.flatten(0, 2), 1, generator=generator)
            drawn = drawn.view(values.shape)
            sure = chances.gather(-1, drawn.unsqueeze(-1)).squeeze(-1).clamp_min(1e-30).log()
            noise = torch.rand(sure.shape, generator=generator, device=device)
            gumbel = -(-noise.clamp(1e-20, 1 - 1e-7).log()).log()
            sure = sure + config.temperature * (1 - progress) * gumbel
            values = torch.where(mask, drawn, values)
            sure = torch.where(mask, sure, math.inf)  # what is known stays so
            keep_masked = int(mask_share(progress) * mask[0].numel()) if progress < 1 else 0
            rank = sure.flatten(1).argsort(1).argsort(1).view(mask.shape)
            mask = mask & (rank < keep_masked)
        return tokens.join(values).view(b, *self.config.grid)

    def _guided(self, values: Tensor, mask: Tensor, labels: Tensor, alpha: float) -> Tensor:
        """l_c + alpha (l_c - l_0) in float32; one pass where there is nothing to guide by."""
        none = self.config.classes
        if alpha == 0 or bool((labels == none).all()):
            return cast(Tensor, self(values, mask, labels)).float()
        both = torch.cat([labels, torch.full_like(labels, none)])
        logits = self(values.repeat(2, 1, 1), mask.repeat(2, 1, 1), both).float()
        given, free = logits.chunk(2)
        return cast(Tensor, given + alpha * (given - free))

    def _labels(self, labels: Tensor | None, batch: int, device: torch.device) -> Tensor:
        none = self.config.classes
        if labels is None:
            return torch.full((batch,), none, device=device)
        if labels.shape != (batch,) or labels.dtype != torch.int64:
            raise UsageError(f"labels must be int64 [{batch}], not {labels.dtype} {labels.shape}")
        if bool(((labels < 0) | (labels > none)).any()):
            raise UsageError(f"labels are from 0 to {none}, which stands for none")
        return labels.to(device)
