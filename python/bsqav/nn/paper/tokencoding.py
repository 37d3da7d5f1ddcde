"""Tokens to bytes and back by the range coder, under an autoregressive prior's probabilities.

A stream is a header of 30 bytes, little-endian, and a range code: "BSQT", version (1 byte), bits of
a token (1), rows, columns, frames and batch (2 each), CRC-32 of the prior's weights (4), CRC-32 of
the tokens (4), and the fingerprint of the tokenizer whose tokens the prior learned (8, all 0 where
it is not known). The prior's floating point sums differ between machines,
libraries, devices and thread counts, and where one does, decoding goes astray from there: the
second checksum finds that. Streams are for the machine that wrote them; files that travel are the
codec's, whose prior is integers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bsqav import _core
from bsqav.errors import BitstreamError, ModelError, UsageError
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.fingerprints import check_tokenizer

__all__ = ["compress", "decompress"]

MAGIC, VERSION = b"BSQT", 2
HEADER = struct.Struct("<4sBBHHHHII8s")
MAX_TOKENS = 1 << 26
# Memory that keys and values of a stream's clips may take, in bytes, unless the caller allows more.
MAX_MEMORY = 4 << 30
ONE = 1 << 16

_Probabilities = npt.NDArray[np.float64]


def compress(prior: ARPrior, indices: Tensor) -> bytes:
    """Indices [B, (T,) H, W], int64 -> a stream.

    The prior runs step by step, exactly as decompress runs it. Raises UsageError for tokens that
    are not of the prior's grid, or too many.
    """
    values_BS = prior.sequence(indices)
    batch, length = values_BS.shape
    tokens, (rows, columns) = prior.config.tokens, prior.config.grid
    frames = length // (rows * columns * tokens.groups)
    if max(batch, frames, rows, columns) >= ONE or batch * length > MAX_TOKENS or not batch:
        raise UsageError(f"{batch} clips of {length} sub-tokens do not fit into one stream")
    encoder, group = _core.RangeEncoder(), tokens.group

    def given(s: int, logits_BV: Tensor) -> Tensor:
        for value, chances in zip(values_BS[:, s].tolist(), _chances(logits_BV), strict=True):
            _encode(encoder, value, chances, group)
        return values_BS[:, s]

    with _inference(prior):
        prior.unroll(batch, length, given)
    header = HEADER.pack(
        *(MAGIC, VERSION, tokens.bits, rows, columns, frames, batch),
        *(_weights_checksum(prior), _checksum(values_BS), bytes.fromhex(prior.tokenizer_id)),
    )
    return header + encoder.finish()


def decompress(
    prior: ARPrior, data: bytes, *, memory: int = MAX_MEMORY, tokenizer: nn.Module | None = None
) -> Tensor:
    """The indices [B, T, H, W] of a stream that compress wrote with the same prior.

    tokenizer: what the indices are for; it is compared with the one that they came from. memory:
    bytes that the cache of keys and values may take; more raises UsageError. Raises BitstreamError
    for a stream that is damaged or whose tokens do not come out as they went in (another machine,
    library, device or number of threads does that too), ModelError where it was written with
    another prior or is for another tokenizer.
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
    decoder, tokens = _core.RangeDecoder(data[HEADER.size :]), prior.config.tokens

    def read(s: int, logits_BV: Tensor) -> Tensor:
        if decoder.overrun:
            raise BitstreamError(f"the stream ends at sub-token {s} of {length}")
        values = [_decode(decoder, chances, tokens.group) for chances in _chances(logits_BV)]
        return torch.tensor(values, device=logits_BV.device)

    with _inference(prior):
        values_BS = prior.unroll(batch, length, read)
    decoder.check_end()
    if _checksum(values_BS) != checksum:
        raise BitstreamError(
            "the tokens are not those that were coded: the stream is damaged, or its prior was run "
            "elsewhere than here or with another number of threads, where its sums differ"
        )
    return prior.frames_of(values_BS)


def cache_bytes(prior: ARPrior, batch: int, length: int) -> int:
    """Memory that the keys and values of some clips of some sub-tokens take."""
    sizes, weight = prior.config.transformer, prior.start
    return 2 * sizes.layers * batch * length * sizes.width * weight.element_size()


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


def _chances(logits_BV: Tensor) -> _Probabilities:
    """Probabilities [B, V] in float64."""
    chances: _Probabilities = logits_BV.double().softmax(-1).cpu().numpy()
    return chances


def _probability(chances: _Probabilities) -> int:
    """Of the upper half of the values against the lower, in units of 2^-16."""
    half = len(chances) // 2
    low, high = float(chances[:half].sum()), float(chances[half:].sum())
    share = high / (low + high) if low + high > 0 else 0.5
    return min(ONE - 1, max(1, round(share * ONE)))


def _encode(encoder: _core.RangeEncoder, value: int, chances: _Probabilities, group: int) -> None:
    """One sub-token, its highest bit first, each under its probability given the ones before."""
    for place in reversed(range(group)):
        bit, half = value >> place & 1, len(chances) // 2
        encoder.encode(bit, _probability(chances))
        chances = chances[half:] if bit else chances[:half]


def _decode(decoder: _core.RangeDecoder, chances: _Probabilities, group: int) -> int:
    value = 0
    for _ in range(group):
        bit, half = decoder.decode(_probability(chances)), len(chances) // 2
        value = value << 1 | bit
        chances = chances[half:] if bit else chances[:half]
    return value


@contextmanager
def _inference(prior: ARPrior) -> Iterator[None]:
    """Evaluation mode, and back to what was."""
    before = prior.training
    prior.eval()
    try:
        yield
    finally:
        prior.train(before)


def _weights_checksum(prior: ARPrior) -> int:
    checksum = 0
    for tensor in prior.state_dict().values():
        checksum = _core.crc32(tensor.detach().float().cpu().contiguous().numpy(), checksum)
    return checksum


def _checksum(values_BS: Tensor) -> int:
    return _core.crc32(values_BS.to(torch.int32).cpu().contiguous().numpy())
