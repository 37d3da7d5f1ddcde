"""What a mistyped word was meant to be."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["closest"]


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that another one is probably meant to be; None where none is like it."""
    import difflib  # for errors only

    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), lower, n=5, cutoff=cutoff)
    # Letters in another order are the commonest slip.
    swapped = [name for name in found if sorted(name) == sorted(word.lower())]
    return lower[(swapped or found)[0]] if found else None
