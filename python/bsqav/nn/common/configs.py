"""Configurations of networks as plain data, and back: dataclasses of numbers, tuples and others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from bsqav.errors import UsageError

__all__ = ["config_from", "plain"]

# What names the class where a field may have one of several.
KIND = "kind"


def plain(config: Any) -> dict[str, Any]:
    """A configuration as dictionaries, lists, numbers and strings, as JSON has them."""
    hints = get_type_hints(type(config))
    return {name: _plain(hints[name], getattr(config, name)) for name in hints}


def _plain(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        found = plain(value)
        return {KIND: type(value).__name__, **found} if _is_union(hint) else found
    return list(value) if isinstance(value, tuple) else value


def config_from(kind: type[Any], values: object) -> Any:
    """A configuration from what `plain` made of it.

    Raises UsageError for a field that is missing, too many or of another type.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{kind.__name__} is no mapping")
    hints = get_type_hints(kind)
    if set(values) != set(hints):
        odd = sorted(str(name) for name in set(values) ^ set(hints))
        raise UsageError(f"{kind.__name__} has other fields here: {', '.join(odd)}")
    return kind(**{name: _value(hints[name], values[name], name) for name in hints})


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _value(hint: Any, value: object, name: str) -> object:
    if _is_union(hint):
        kinds = {kind.__name__: kind for kind in get_args(hint)}
        if isinstance(value, Mapping) and (chosen := value.get(KIND)) in kinds:
            return config_from(kinds[str(chosen)], {k: v for k, v in value.items() if k != KIND})
    elif dataclasses.is_dataclass(hint):
        return config_from(hint, value)  # type: ignore[arg-type]
    elif get_origin(hint) is tuple:
        parts = get_args(hint)
        if isinstance(value, list | tuple):
            if parts[1:] == (...,):
                parts = parts[:1] * len(value)
            if len(value) == len(parts):
                return tuple(_value(part, v, name) for part, v in zip(parts, value, strict=True))
    elif hint is float and type(value) is int:
        return float(value)
    elif type(value) is hint:
        return value
    raise UsageError(f"{name} is {value!r:.60}, no {hint}")
