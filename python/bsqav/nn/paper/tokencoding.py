"""Tokens to bytes and back by the range coder, under an autoregressive prior's probabilities.

A stream is a header of 30 bytes, little-endian, and a range code: "BSQT", version (1 byte, 3), bits
of a token (1), rows, columns, frames and batch (2 each), CRC-32 of the prior's weights in float32
(4), CRC-32 of the tokens (4), and the fingerprint of the tokenizer whose tokens the prior learned
(8, all 0 where it is not known). The code has, sub-token by sub-token and within one clip by clip,
the bits of its value from the highest on, each under the probability that the prior gives it after
those before. Probabilities come from exact arithmetic (bsqav.nn.paper.exactprior): a stream is the
same on every machine, and decodes on every other.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bsqav import _core
from bsqav.errors import BitstreamError, ModelError, UsageError
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.exactprior import ExactPrior
from bsqav.nn.paper.fingerprints import check_tokenizer

__all__ = ["compress", "decompress"]

MAGIC, VERSION = b"BSQT", 3
HEADER = struct.Struct("<4sBBHHHHII8s")
MAX_TOKENS = 1 << 26
# Memory that keys and values of a stream's clips may take, in bytes, unless the caller allows more.
MAX_MEMORY = 4 << 30
ONE = 1 << 16

_Sums = npt.NDArray[np.float64]


def compress(prior: ARPrior, indices: Tensor) -> bytes:
    """Indices [B, (T,) H, W], int64 -> a stream, the same on every machine.

    Raises UsageError for tokens that are not of the prior's grid, or too many, and for priors that
    ExactPrior does not take.
    """
    values_BS = prior.sequence(indices)
    batch, length = values_BS.shape
    tokens, (rows, columns) = prior.config.tokens, prior.config.grid
    frames = length // (rows * columns * tokens.groups)
    if max(batch, frames, rows, columns) >= ONE or batch * length > MAX_TOKENS or not batch:
        raise UsageError(f"{batch} clips of {length} sub-tokens do not fit into one stream")
    exact, encoder = ExactPrior(prior), _core.RangeEncoder()
    chances = np.stack([_chances_of(exact, values, tokens.group) for values in values_BS])
    bits = values_BS.cpu().numpy()[..., None] >> np.arange(tokens.group)[::-1] & 1
    # From clips of sub-tokens to sub-tokens of clips, as the decoder meets them.
    for bit, chance in zip(
        bits.swapaxes(0, 1).ravel().tolist(), chances.swapaxes(0, 1).ravel().tolist(), strict=True
    ):
        encoder.encode(bit, chance)
    header = HEADER.pack(
        *(MAGIC, VERSION, tokens.bits, rows, columns, frames, batch),
        *(_weights_checksum(prior), _checksum(values_BS), bytes.fromhex(prior.tokenizer_id)),
    )
    return header + encoder.finish()


def decompress(
    prior: ARPrior, data: bytes, *, memory: int = MAX_MEMORY, tokenizer: nn.Module | None = None
) -> Tensor:
    """The indices [B, T, H, W], of images [B, H, W], that compress wrote with the same prior.

    tokenizer: what the indices are for; it is compared with the one that they came from. memory:
    bytes that the cache of keys and values may take; more raises UsageError. Raises BitstreamError
    for a stream that is damaged, ModelError where it was written with another prior or is for
    another tokenizer.
    """
    batch, length, checksum, tokenizer_id = _read_header(prior, data)
    if tokenizer is not None:
        check_tokenizer(tokenizer_id, tokenizer, "the stream")
    needed = cache_bytes(prior, batch, length)
    if needed > memory:
        raise UsageError(
            f"{batch} clips of {length} sub-tokens need {needed >> 20} MiB of memory; allow that "
            "much, or code fewer clips in a stream"
        )
    decoder, group = _core.RangeDecoder(data[HEADER.size :]), prior.config.tokens.group

    def read(s: int, weights_BV: Tensor) -> Tensor:
        if decoder.overrun:
            raise BitstreamError(f"the stream ends at sub-token {s} of {length}")
        values = [_decode(decoder, sums, group) for sums in _sums(weights_BV)]
        return torch.tensor(values, device=weights_BV.device)

    values_BS = ExactPrior(prior).unroll(batch, length, read)
    decoder.check_end()
    if _checksum(values_BS) != checksum:
        raise BitstreamError("the tokens are not those that were coded: the stream is damaged")
    return prior.frames_of(values_BS)


def cache_bytes(prior: ARPrior, batch: int, length: int) -> int:
    """Memory that the keys and values of some clips of some sub-tokens take."""
    sizes = prior.config.transformer
    return 2 * sizes.layers * batch * length * sizes.width * torch.float64.itemsize


def _read_header(prior: ARPrior, data: bytes) -> tuple[int, int, int, str]:
    """Batch, sub-tokens of a clip, the tokens' checksum and the tokenizer's fingerprint."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise BitstreamError("this is no stream of tokens", byte=0)
    _, version, bits, rows, columns, frames, batch, weights, checksum, known = HEADER.unpack_from(
        data
    )
    if version != VERSION:
        raise BitstreamError(f"streams of tokens of version {version} are not known", byte=4)
    config = prior.config
    if bits != config.tokens.bits or (rows, columns) != config.grid or frames > config.frames:
        raise ModelError(
            f"the stream has {frames} frames of {rows} x {columns} tokens of {bits} bits, which "
            "this prior does not"
        )
    length = rows * columns * frames * config.tokens.groups
    if not batch * frames or batch * length > MAX_TOKENS:
        raise BitstreamError(f"{batch} clips of {frames} frames are out of range", byte=6)
    if weights != _weights_checksum(prior):
        raise ModelError("the stream was written with another prior")
    return batch, length, checksum, known.hex() if any(known) else ""


# ---- sub-tokens by bits ----


def _sums(weights: Tensor) -> _Sums:
    """Of the weights [..., V] of values the sums of all before each, [..., V + 1], exact."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1))
    np.cumsum(weights.cpu().numpy(), axis=-1, out=sums[..., 1:])
    return sums


def _chances_of(exact: ExactPrior, values_S: Tensor, group: int) -> npt.NDArray[np.int64]:
    """Probabilities [S, group] of a 1 for the bits of a clip's values, the highest first."""
    sums = _sums(exact.weights_of(values_S[None])[0])
    values, rows = values_S.cpu().numpy(), np.arange(len(values_S))
    found = np.empty((len(values), group), np.int64)
    for column, place in enumerate(reversed(range(group))):
        first = values >> (place + 1) << (place + 1)
        edges = (sums[rows, first + (step << place)] for step in range(3))
        found[:, column] = _chance(*edges)
    return found


def _chance(a: _Sums, b: _Sums, c: _Sums) -> npt.NDArray[np.int64]:
    """Of the upper half of the values against the lower, in units of 2^-16: sums at their edges."""
    total = c - a
    share = np.divide(c - b, total, out=np.full_like(total, 0.5), where=total > 0)
    chance: npt.NDArray[np.int64] = np.rint(share * ONE).clip(1, ONE - 1).astype(np.int64)
    return chance


def _decode(decoder: _core.RangeDecoder, sums: _Sums, group: int) -> int:
    """One sub-token, its highest bit first, each under its probability given the ones before."""
    value = 0
    for place in reversed(range(group)):
        edges = sums[[value, value + (1 << place), value + (2 << place)]]
        bit = decoder.decode(int(_chance(*edges[:, None])[0]))
        value |= bit << place
    return value


def _weights_checksum(prior: ARPrior) -> int:
    checksum = 0
    for tensor in prior.state_dict().values():
        checksum = _core.crc32(tensor.detach().float().cpu().contiguous().numpy(), checksum)
    return checksum


def _checksum(values_BS: Tensor) -> int:
    return _core.crc32(values_BS.to(torch.int32).cpu().contiguous().numpy())
