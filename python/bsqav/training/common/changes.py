"""Settings of a recipe by their names: listed, and changed by text as `--set data.side=128`.

A recipe is a dataclass whose fields are numbers, words, tuples of numbers and other dataclasses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from bsqav.codec.closest import closest
from bsqav.errors import UsageError

__all__ = ["NO_SETTING", "Listed", "changed", "listed", "refuse_twice"]

Config = TypeVar("Config")
# Metadata of fields that are no settings.
NO_SETTING = {"setting": False}
_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}


class Listed(NamedTuple):
    """A setting: its name, what it may be, and what it is."""

    name: str
    kind: str
    value: str


def listed(config: object, prefix: str = "") -> Iterator[Listed]:
    """All settings of a recipe, in its order, those of inner dataclasses by dotted names."""
    hints = get_type_hints(type(config))
    for field in fields(config):  # type: ignore[arg-type]
        if not field.metadata.get("setting", True):
            continue
        value, hint = getattr(config, field.name), hints[field.name]
        name = prefix + field.name
        if is_dataclass(value):
            if _is_union(hint):
                yield Listed(name, _kind(hint), type(value).__name__)
            yield from listed(value, f"{name}.")
        elif not is_dataclass(hint):
            yield Listed(name, _kind(hint), _text(value))


def changed(config: Config, changes: Iterable[str]) -> tuple[Config, frozenset[str]]:
    """A recipe with other values, and the names that were set.

    changes: `name=value` each, in their order. Numbers and words are as Python has them, tuples
    as 64,64 or 64x64, and `none` where a setting may be left out. Raises UsageError for what is no
    such text, a name that is not known, a value of another type, and one name twice.
    """
    names: set[str] = set()
    for change in changes:
        name, mark, text = (part.strip() for part in change.partition("="))
        if not mark or not name:
            raise UsageError(f"--set {change}: it takes NAME=VALUE")
        if name in names:
            raise UsageError(f"--set {name} is given twice")
        names.add(name)
        config = _with(config, name.split("."), text, name)
    return config, frozenset(names)


def refuse_twice(given: Set[str], options: Mapping[str, object]) -> None:
    """Raises UsageError where an option (not None) is also among the names that were set."""
    for name, value in options.items():
        if value is not None and name in given:
            option = name.rpartition(".")[2].replace("_", "-")
            raise UsageError(f"--{option} and --set {name} are the same: give one of them")


def _with(config: Any, path: list[str], text: str, name: str) -> Any:
    """The configuration with one setting changed, `path` within it."""
    hints = get_type_hints(type(config)) if is_dataclass(config) else {}
    if path[0] not in _settings(config):
        raise UsageError(_unknown(config, path, name))
    hint, value = hints[path[0]], getattr(config, path[0])
    if len(path) > 1:
        inner = _with(value, path[1:], text, name)
    elif is_dataclass(hint):
        raise UsageError(_unknown(value, [""], name))
    else:
        inner = _parsed(hint, text, name)
    return replace(config, **{path[0]: inner})


def _settings(config: Any) -> set[str]:
    """Names of a dataclass's settings; none of another value."""
    known = fields(config) if is_dataclass(config) else ()
    return {field.name for field in known if field.metadata.get("setting", True)}


def _unknown(config: Any, path: list[str], name: str) -> str:
    """The message for a name that is no setting."""
    prefix = name[: len(name) - len(".".join(path))]
    prefix = f"{name}." if path == [""] else prefix
    known = [setting.name for setting in listed(config, prefix)] if is_dataclass(config) else []
    if not known:
        return f"--set {name}: there is no such setting; {prefix.rstrip('.')} is a single value"
    meant = closest(name, known)
    if meant:
        return f"--set {name}: there is no such setting; did you mean {meant}?"
    return f"--set {name}: there is no such setting; bsqav train settings RECIPE lists them"


# ---- values ----


def _is_union(hint: Any) -> bool:
    """Whether it is one of several dataclasses."""
    return get_origin(hint) in (Union, UnionType) and all(is_dataclass(x) for x in get_args(hint))


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(hint: Any) -> str:
    """A type in words."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return " | ".join(str(part) for part in parts)
    if get_origin(hint) in (Union, UnionType):
        return " | ".join(_kind(part) for part in parts)
    if get_origin(hint) is tuple:
        ends = parts[1:] == (...,)
        return f"{_kind(parts[0])},..." if ends else ",".join(_kind(part) for part in parts)
    return "none" if hint is NoneType else str(getattr(hint, "__name__", hint))


def _parsed(hint: Any, text: str, name: str) -> Any:
    """A value of a type from its text. Raises UsageError for another."""
    try:
        return _value(hint, text)
    except ValueError as error:
        raise UsageError(f"--set {name}={text}: it takes {_kind(hint)}") from error


def _value(hint: Any, text: str) -> Any:
    parts, origin = get_args(hint), get_origin(hint)
    if _is_union(hint):
        return _chosen({part.__name__: part for part in parts}, text)
    if origin in (Union, UnionType):
        if text.lower() == "none" and NoneType in parts:
            return None
        return _value(next(part for part in parts if part is not NoneType), text)
    if origin is Literal:
        if text not in parts:
            raise ValueError
        return text
    if origin is tuple:
        words = text.strip("()").replace("x", ",").split(",")
        parts = parts[:1] * len(words) if parts[1:] == (...,) else parts
        if len(words) != len(parts):
            raise ValueError
        return tuple(_value(part, word.strip()) for part, word in zip(parts, words, strict=True))
    return _single(hint, text)


def _single(hint: Any, text: str) -> Any:
    try:
        if hint is bool:
            return _WORDS[text.lower()]
        if hint is int:
            return int(text)
        if hint is float and not math.isnan(value := float(text)):
            return value
    except (KeyError, ValueError):
        pass
    else:
        if hint is str:
            return text
    raise ValueError


def _chosen(kinds: dict[str, Any], text: str) -> Any:
    """One of several dataclasses, with its defaults."""
    if text not in kinds:
        raise ValueError
    return kinds[text]()
