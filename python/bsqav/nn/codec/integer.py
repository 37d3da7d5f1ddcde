"""Exact integer evaluation of a model file in PyTorch, as docs/numerics.md has it, bit for bit.

Sums run in float64, where all of them are exact (below 2^53); everything else is int64. Meant for
checking networks on many frames at once and for equality with libbsq, not for speed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.codec.modelfile import ModelContents
from bsqav.codec.modelspec import tensors_of_set
from bsqav.nn.codec import fields
from bsqav.nn.codec.networks import SUBGROUP_BITS, SUBGROUPS

INT8, INT16 = 127, 32767


class IntegerNets:
    """Tokenizer and prior of a model file. All fields are int64 [B, H, W, channels].

    keyframes: the networks of keyframes instead of those of predicted frames.
    """

    def __init__(
        self, contents: ModelContents, device: str = "cpu", keyframes: bool = False
    ) -> None:
        self.config = contents.keyframes if keyframes else contents.config
        self.tensors = {
            name: torch.from_numpy(array).to(device).long()
            for name, array in tensors_of_set(contents.tensors, keyframes).items()
        }

    # ---- operations ----

    def _rq(self, x: Tensor, name: str, limit: int, index: int | None = None) -> Tensor:
        m, n = self.tensors[f"{name}.m"], self.tensors[f"{name}.n"]
        m, shift = (m, int(n[0])) if index is None else (m[index], int(n[index]))
        return ((x * m + (1 << (shift - 1))) >> shift).clamp(-limit, limit)

    def _sum(self, x: Tensor, name: str, index: int | None = None) -> Tensor:
        weight, bias = self.tensors[f"{name}.w"], self.tensors.get(f"{name}.b")
        if index is not None:
            weight, bias = weight[index], None if bias is None else bias[index]
        y = F.linear(x.double(), weight.double()).long()
        return y if bias is None else y + bias

    def _linear(self, x: Tensor, name: str, limit: int, index: int | None = None) -> Tensor:
        return self._rq(self._sum(x, name, index), name, limit, index)

    def _depthwise(self, x: Tensor, name: str) -> Tensor:
        weight = self.tensors[f"{name}.w"].double().T.reshape(-1, 1, 5, 5)
        y = F.conv2d(x.double().permute(0, 3, 1, 2), weight, padding=2, groups=weight.shape[0])
        y = y.long().permute(0, 2, 3, 1)
        bias = self.tensors.get(f"{name}.b")
        return self._rq(y if bias is None else y + bias, name, INT8)

    def _table(self, x: Tensor, name: str) -> Tensor:
        return self.tensors[name][x + 128]

    @staticmethod
    def _add(x: Tensor, y: Tensor) -> Tensor:
        return (x + y).clamp(-INT16, INT16)

    def _ffn(self, x: Tensor, name: str) -> Tensor:
        h = self._table(self._linear(x, f"{name}.fc1", INT8), f"{name}.table")
        return self._linear(h, f"{name}.fc2", INT16)

    def _blocks(self, x: Tensor, mask: Tensor, network: str, count: int) -> Tensor:
        for i in range(count):
            name = f"{network}.block{i}"
            a = self._rq(x, f"{name}.in", INT8) * mask
            x = self._add(x, self._ffn(self._depthwise(a, f"{name}.dw"), name))
        return x

    # ---- networks ----

    def encode(self, residual: Tensor, side: Tensor, mask: Tensor) -> Tensor:
        """s16 residual [.., 96] and side [.., 104] vectors -> bits 0 and 1 [.., 32 stages]."""
        x = self._linear(torch.cat([residual, side], -1), "enc.in", INT16)
        x = self._blocks(x, mask, "enc", self.config.encoder_blocks)
        return (self._linear(self._rq(x, "enc.f", INT8), "enc.head", INT8) >= 0).long()

    def _two_inputs(self, token: Tensor, side: Tensor, network: str) -> Tensor:
        return self._add(
            self._linear(token, f"{network}.tok", INT16),
            self._linear(side, f"{network}.side", INT16),
        )

    def decode(self, token: Tensor, side: Tensor, mask: Tensor) -> Tensor:
        """Token vectors (s8) and side vectors -> [.., 96], Q8 in steps."""
        x = self._two_inputs(token, side, "dec")
        x = self._blocks(x, mask, "dec", self.config.decoder_blocks)
        return self._linear(self._rq(x, "dec.f", INT8), "dec.out", INT16)

    def trunk(self, previous: Tensor, side: Tensor, mask: Tensor) -> Tensor:
        """The prior's context stream [.., P]."""
        x = self._two_inputs(previous, side, "prior")
        return self._blocks(x, mask, "prior", self.config.prior_blocks)

    def flag_logits(self, trunk: Tensor) -> Tensor:
        """[.., 3 stages], Q8."""
        return self._linear(self._rq(trunk, "prior.f", INT8), "prior.flag", INT16)

    def bit_logits(self, trunk: Tensor, token: Tensor, mask: Tensor) -> Tensor:
        """Teacher-forced logits [.., 32 stages], Q8, for token vectors of a frame of one block.

        Tokens have logits for stages that are not coded, too; no decoder computes those.
        """
        _, h, w, _ = trunk.shape
        group_HW = fields.group_index(h, w, trunk.device)
        context = torch.zeros_like(trunk)
        all_bits = self.config.stages * fields.STAGE_BITS
        for group in range(3):
            known = (group_HW < group).view(1, h, w, 1)
            bits, rest = token[..., :all_bits], token[..., all_bits:]
            visible = torch.cat([bits * known, rest], -1)
            d = self._depthwise(self._linear(visible, "prior.cur", INT8) * mask, "prior.ctx")
            context = torch.where((group_HW == group).view(1, h, w, 1), d, context)
        v = self._add(trunk, self._linear(context, "prior.mix", INT16))
        v = self._add(v, self._ffn(self._rq(v, "prior.ffn.in", INT8), "prior.ffn"))
        logits = []
        for index in range(self.config.stages * SUBGROUPS):
            into = self._rq(v, "prior.head.in", INT8, index)
            h8 = self._table(into, "prior.head.table")
            bits = token[..., index * SUBGROUP_BITS : (index + 1) * SUBGROUP_BITS]
            pair = self.tensors["prior.pair"][index].tril(-1).double()
            known = F.linear((bits // 64).double(), pair).long()
            logits.append(self._linear(h8, "prior.head", INT16, index) + known)
            v = self._add(v, self._linear(bits, "prior.emb", INT16, index))
        return torch.cat(logits, -1)


def quantized_side(
    pred: Tensor, q: Tensor, place: fields.LayerPlace, prediction_side: Tensor | None = None
) -> Tensor:
    """Integer predictions 0..255 and q -> side vectors as docs/numerics.md has them."""
    side = fields.side_vector(pred.double(), q.double(), place, prediction_side) * 256
    return side.round().long()


def quantized_residual(target: Tensor, pred: Tensor, step: Tensor) -> Tensor:
    """Integer samples 0..255 and their steps (Q8) -> residual vectors."""
    scaled = (target - pred) * 65536 + step // 2
    return torch.div(scaled, step, rounding_mode="floor").clamp(-INT16, INT16)


def sample_steps_q8(q: Tensor) -> Tensor:
    """q [B] or [B, H, W] -> step' of every sample, [B, 1 or H, 1 or W, 96]."""
    luma = fields.by_token(q)
    rise = (luma - fields.CHROMA_KNEE).clamp_min(0) >> 1
    chroma = (luma - fields.CHROMA_OFFSET - rise).clamp_min(0)
    parts = [
        step_q8(own).unsqueeze(-1).expand(*own.shape, count)
        for own, count in ((luma, fields.LUMA), (chroma, fields.SAMPLES - fields.LUMA))
    ]
    return torch.cat(parts, dim=-1)


def step_q8(q_B: Tensor) -> Tensor:
    """step(q) of docs/numerics.md, section 3."""
    powers = torch.tensor([round(65536 * 2 ** (i / 64)) for i in range(64)])
    return (powers[q_B % 64] * (1 << (q_B // 64)) + 256) >> 9
