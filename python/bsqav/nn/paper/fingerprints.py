"""Which tokenizer's tokens a prior, a masked LM or a stream is of.

Models learn the tokens of one tokenizer. Those of another of the same size have the same shape and
another meaning: nothing fails, and images or bits are wrong.
"""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from bsqav.errors import ModelError

__all__ = ["check_tokenizer", "fingerprint"]

DIGITS = 16


def fingerprint(tokenizer: nn.Module) -> str:
    """The first 16 hexadecimal digits of a SHA-256 of a tokenizer's weights and their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(tokenizer.state_dict().items()):
        found.update(f"{name} {list(tensor.shape)}\n".encode())
        values = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()
        found.update(memoryview(values.reshape(-1).numpy()).cast("B"))
    return found.hexdigest()[:DIGITS]


def check_tokenizer(tokenizer_id: str, tokenizer: nn.Module, what: str) -> None:
    """Raises ModelError where what was made for the tokens of another tokenizer.

    tokenizer_id: the fingerprint that it keeps, empty where it was made without one: then there is
    nothing to compare. what: in the error.
    """
    if tokenizer_id and tokenizer_id != (found := fingerprint(tokenizer)):
        raise ModelError(
            f"{what} is of the tokens of another tokenizer: of {tokenizer_id}, and this is {found}"
        )
