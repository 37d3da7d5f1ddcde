"""Errors can be caught as BsqError and as the builtin that fits."""

from __future__ import annotations

import pickle

import pytest

from bsqav import errors


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.BitstreamError, ValueError),
        (errors.ModelError, ValueError),
        (errors.ModelNotFoundError, FileNotFoundError),
        (errors.UnsupportedError, NotImplementedError),
        (errors.MediaError, OSError),
        (errors.MissingDependencyError, ImportError),
        (errors.EndOfStreamError, EOFError),
        (errors.DivergedError, ArithmeticError),
    ],
)
def test_error_is_a_bsq_error_and_a_builtin(
    kind: type[errors.BsqError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="what to do") as caught:
        raise kind("what to do")
    assert isinstance(caught.value, errors.BsqError)


def test_bitstream_error_names_the_place() -> None:
    error = errors.BitstreamError("checksum differs", packet=3, byte=17)
    assert str(error) == "checksum differs (packet 3, byte 17)"
    assert str(errors.BitstreamError("empty file")) == "empty file"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.packet, again.byte) == (str(error), 3, 17)


def test_every_error_is_exported() -> None:
    kinds = {
        n
        for n, k in vars(errors).items()
        if isinstance(k, type) and k.__module__ == errors.__name__
    }
    assert kinds == set(errors.__all__)
