"""Entropy of soft binary codes: of each vector's code, and of the mean over a batch.

Source: arXiv 2406.07548. The soft assignment of u = z / |z| to a corner c of the cube,
q(c|u) proportional to exp(tau c . u), is a product over bits, the probability of bit d being
sigmoid(2 tau c_d u_d) with c_d = +-1/sqrt(L). All logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.ops.arguments import check_floating, vector_length
from bsqav.ops.sphere import direction

__all__ = ["EntropyTerms", "check_entropy", "entropy_terms", "soft_bit_terms"]

MAX_GROUP_SIZE = 20


class EntropyTerms(NamedTuple):
    """The two entropies that the paper's loss weighs: mean of `sample` less gamma `batch`.

    Attributes:
        sample: [...], H[q(c|u)] of each vector in nats, from 0 to L ln 2.
        batch: a scalar, H[E q(c|u)] over all vectors in nats, from 0 to L ln 2.
    """

    sample: Tensor
    batch: Tensor


def check_entropy(z: Tensor, tau: float, group_size: int) -> int:
    """The vectors' length; UsageError names the argument that is out of range."""
    check_floating(z.dtype, "z")
    bits = vector_length(z, "z")
    if not (tau > 0 and math.isfinite(tau)):
        raise UsageError(f"tau must be positive and finite, not {tau}")
    if not 1 <= group_size <= MAX_GROUP_SIZE or bits % group_size:
        raise UsageError(
            f"group_size must be from 1 to {MAX_GROUP_SIZE} and divide the vectors' length "
            f"{bits}, not {group_size}"
        )
    if z.numel() == 0:
        raise UsageError(f"there is no vector to average over; the shape of z is {tuple(z.shape)}")
    return bits


def _mean_entropy(mean: Tensor) -> Tensor:
    """The sum of -p ln p, with a finite gradient where p underflows to 0."""
    terms: Tensor = torch.special.entr(mean.clamp_min(torch.finfo(mean.dtype).tiny))
    return terms.sum()


def _joint(one: Tensor, zero: Tensor) -> Tensor:
    """Probabilities [N, G, 2^k] of all values of k independent bits, from [N, G, k] of each."""
    joint = one.new_ones((*one.shape[:-1], 1))
    for k in range(one.shape[-1]):
        joint = torch.cat([joint * zero[..., k : k + 1], joint * one[..., k : k + 1]], -1)
    return joint


def _group_means(one: Tensor, zero: Tensor, group_size: int) -> Tensor:
    """Means over N of the joint probabilities [G, 2^a, 2^b] of groups of a + b bits.

    The mean of outer products of the two halves is one matrix product, so that no vector needs
    memory for all 2^(a + b) values.
    """
    one, zero = (p.reshape(p.shape[0], -1, group_size) for p in (one, zero))
    half = group_size // 2
    low = _joint(one[..., :half], zero[..., :half])
    high = _joint(one[..., half:], zero[..., half:])
    return torch.bmm(low.permute(1, 2, 0), high.transpose(0, 1)) / one.shape[0]


def soft_bit_terms(
    logits: Tensor, group_size: int, average: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Entropies of independent bits of given logits [..., L]: of each vector, and of the mean.

    average: makes the mean over this process's vectors one over several processes'. Returns
    `sample` [...] and `batch`, as EntropyTerms has them; group_size divides L.
    """
    bits = logits.shape[-1]
    # Each of both probabilities by its own sigmoid: 1 - p would cancel where p is near 1.
    one, zero = logits.sigmoid(), (-logits).sigmoid()
    # Smooth at 0, never negative, and exact to the last places for large logits.
    sample = -(one * F.logsigmoid(logits) + zero * F.logsigmoid(-logits)).sum(-1)
    one, zero = one.reshape(-1, bits), zero.reshape(-1, bits)
    if group_size == 1:
        mean = torch.stack([one.mean(0), zero.mean(0)])
    else:
        mean = _group_means(one, zero, group_size)
    return sample, _mean_entropy(mean if average is None else average(mean))


def _bit_entropy(z: Tensor, tau: float = 2.0, group_size: int = 1) -> tuple[Tensor, Tensor]:
    bits = check_entropy(z, tau, group_size)
    with torch.autocast(z.device.type, enabled=False):
        return soft_bit_terms(direction(z)[0] * (2 * tau / math.sqrt(bits)), group_size)


# Made of PyTorch's own operators throughout: autograd, also of higher order, fake tensors and the
# compiler's fusion follow from those.
torch.library.define(
    "bsqav::bit_entropy",
    "(Tensor z, float tau=2.0, int group_size=1) -> (Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
torch.library.impl("bsqav::bit_entropy", "CompositeImplicitAutograd", _bit_entropy)


def entropy_terms(z: Tensor, tau: float = 2.0, group_size: int = 1) -> EntropyTerms:
    """Entropy of soft codes, per vector and of their mean, `torch.ops.bsqav.bit_entropy`.

    With u = z / |z| the soft code of a vector has independent bits, bit d being 1 with probability
    sigmoid(2 tau u_d / sqrt(L)) (arXiv 2406.07548).

    Args:
        z: vectors [..., L] of any norm, L from 1 to 64, at least one of them, in float16, bfloat16,
            float32 or float64.
        tau: the paper's tau, positive: the inverse of a temperature. Larger is closer to the hard
            code. The paper's published program multiplies by 4 where its text has 2: its
            inv_temperature of 1 is a tau of 2 here.
        group_size: bits whose joint distribution the entropy of the mean is taken of, a divisor of
            L up to 20.

    Returns:
        `sample` [...], the exact entropy of each vector's soft code, the sum over its bits; and
        `batch`, a scalar, the entropy of the mean of the soft codes over all vectors, summed over
        groups of group_size bits that follow each other. With group_size = L the latter is exact;
        smaller groups leave out the correlation between groups and give an upper bound, with
        group_size = 1 the paper's sum over single bits. Time and memory grow with 2^(group_size/2)
        per vector and 2^group_size per group. Both in nats, float64 for float64 and else float32.
        In several processes the mean is over this one's vectors.

    Differentiable with respect to z any number of times; vectors of norm zero receive no gradient.
    Autocast is off inside: everything is computed in float32, float64 for float64. A vector with a
    NaN or an infinity makes its entropy and that of the mean NaN.

    Raises:
        UsageError: z has another dtype, no dimension, vectors of another length or none at all,
            tau is not positive and finite, or group_size is out of range or no divisor of L.
    """
    sample, batch = torch.ops.bsqav.bit_entropy(z, tau, group_size)
    return EntropyTerms(sample, batch)
