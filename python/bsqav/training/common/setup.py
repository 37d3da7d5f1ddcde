"""What decides the result of a run, as its checkpoint keeps it, and what has changed since.

A setup is flat: settings of the configuration by dotted names (`lr`, `data.batch`), and digests of
the files that the run reads: `files` the data, `start` the weights that it began from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from bsqav.errors import UsageError

Setting = str | int | float | bool | None
Setup = Mapping[str, Setting]

START = "start"
ALL = "all"
# Budget, messages, and where and how it is computed: these may change from session to session.
FREE = frozenset(
    {"steps", "minutes", "checkpoint_minutes", "check_minutes", "log_seconds", "log_steps"}
    | {"max_skipped", "board", "threads", "device", "batched", "graphs", "compiled", "sharded"}
    | {
        "attention",
        "workers",
        "validate_steps",
        "keep",
        "model",
    }  # the networks' configuration is compared by itself
)


def settings_of(config: object, prefix: str = "") -> dict[str, Setting]:
    """The fields of a configuration (a dataclass) that decide a result, nested ones by dots."""
    assert is_dataclass(config)
    found: dict[str, Setting] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in FREE:
            continue
        if is_dataclass(value):
            found |= settings_of(value, f"{prefix}{field.name}.")
        else:
            plain = value is None or isinstance(value, str | int | float)
            found[prefix + field.name] = value if plain else str(value)
    return found


def digest_of_file(path: Path) -> str:
    """The first 16 digits of a file's SHA-256. Raises OSError where it cannot be read.

    Of a folder: of the largest of its files.
    """
    if path.is_dir():
        path = max(path.iterdir(), key=lambda file: file.stat().st_size, default=path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def digest_of_data(files: Iterable[tuple[str, int]]) -> str:
    """Number, bytes and a hash of the names and sizes of a data set's files, in their order."""
    count, total, found = 0, 0, hashlib.sha256()
    for name, size in files:
        found.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
        count, total = count + 1, total + size
    return f"{count} files of {total} bytes ({found.hexdigest()[:16]})"


def reconcile(
    saved: object, now: Setup, override: Sequence[str], checkpoint: Path
) -> tuple[dict[str, Setting], list[str]]:
    """The setup that a resumed run goes on with, and what to say of it.

    saved: the checkpoint's. now: this session's; START in it only where weights to begin from were
    named, which have to be those that the run began from. override: names of settings that may
    differ, groups of them (`data`) or ALL. Raises UsageError for others that differ.
    """
    allowed = _named(override, now)
    if not isinstance(saved, Mapping):
        return dict(now), [
            f"{checkpoint} does not say what it was trained on: its settings are not compared"
        ]
    notes = []
    if START in now:
        if saved.get(START) != now[START]:
            began = "from other weights" if saved.get(START) else "without --start"
            raise UsageError(
                f"{checkpoint} is of a run that began {began}: omit --start to resume it, or take "
                "another --run folder"
            )
        notes.append("--start names the weights that this run began from: it goes on from there")
    changed = {
        name: f"{name} was {_shown(saved[name])}, is now {_shown(value)}"
        for name, value in now.items()
        if name != START and name in saved and saved[name] != value
    }
    refused = [name for name in changed if name not in allowed]
    if refused:
        options = " ".join(f"--override {name}" for name in refused)
        raise UsageError(
            f"{checkpoint} is of a run with other settings: "
            f"{'; '.join(changed[name] for name in refused)}. Resume it with those, take another "
            f"--run folder, or go on with the new ones: {options}"
        )
    notes += [f"overridden: {words}" for words in changed.values()]
    return {**saved, **now}, notes


def changes_between(saved: object, now: Setup, group: str) -> str:
    """What of a group of settings (`network.`) is another, in words after a colon; may be empty."""
    if not isinstance(saved, Mapping):
        return ""
    found = [
        f"{name} was {_shown(saved[name])}, is now {_shown(value)}"
        for name, value in now.items()
        if name.startswith(group) and name in saved and saved[name] != value
    ]
    return f": {'; '.join(found)}" if found else ""


def _shown(value: object) -> str:
    return "none" if value in ("", None) else str(value)


def _named(override: Sequence[str], now: Setup) -> set[str]:
    """The settings that names, last parts of names (`batch`) or groups (`data`) stand for."""
    known, found = sorted(set(now) - {START}), set()
    for word in override:
        named = {
            name
            for name in known
            if word in (ALL, name) or name.startswith(f"{word}.") or name.endswith(f".{word}")
        }
        if not named:
            raise UsageError(f"--override {word}: there is {', '.join([*known, ALL])}")
        found |= named
    return found
