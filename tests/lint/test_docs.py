"""Links between documents, and names of modules, functions and files in them, resolve."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.support import ROOT

PLACES = (
    "*.md",
    "docs/**/*.md",
    "*/README.md",
    "*/*/README.md",
    "*/*/*/README.md",
    "examples/*.md",
)
DOCUMENTS = sorted({path for place in PLACES for path in ROOT.glob(place)})
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
DOTTED_NAME = re.compile(r"\bbsqav(?:\.[A-Za-z_]\w*)+")
IMPORT = re.compile(r"^ *from (bsqav[\w.]*) import ([\w, ]+)$", re.MULTILINE)
FILE_NAMES = ("toml", "sh", "tar", "whl", "git")  # bsqav.git is no module
SOURCE_FOLDERS = [ROOT / folder for folder in ("", "python/bsqav", "cpp/src", "cpp/cuda")]
# A row of "One frame from file to packet and back": a call and its file.
CALL = re.compile(r"^\| (?:- )?`([\w:.]+)` \| `([\w./]+)` \|", re.MULTILINE)
PATH = re.compile(r"^[\w.-]+/[\w./-]+\.(?:py|h|cc|cu|c|md|cmake|txt|toml|patch)$")


def document_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


EACH_DOCUMENT = pytest.mark.parametrize("path", DOCUMENTS, ids=document_id)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = 1
        unique = anchor
        while unique in found:
            unique, count = f"{anchor}-{count}", count + 1
        found.add(unique)
    return found


def inline_code(path: Path) -> set[str]:
    """The inline code of a document, without its fenced code."""
    return set(CODE.findall(FENCE.sub("", path.read_text(encoding="utf-8"))))


def dotted_names(path: Path) -> set[str]:
    """Names `bsqav.x` in the code of a document, and `bsqav.x.y` of `from bsqav.x import y`."""
    fenced = "\n".join(FENCE.findall(path.read_text(encoding="utf-8")))
    code = "\n".join([*sorted(inline_code(path)), fenced])
    names = set(DOTTED_NAME.findall(code))
    for module, imported in IMPORT.findall(code):
        names |= {f"{module}.{name.split()[0]}" for name in imported.split(",")}
    return {name for name in names if name.rsplit(".", 1)[1] not in FILE_NAMES}


@EACH_DOCUMENT
def test_links_resolve(path: Path) -> None:
    wrong = []
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def resolve(name: str) -> None:
    """Imports the module that a dotted name begins with, and looks the rest up.

    Raises:
        AttributeError: there is no such thing.
        ModuleNotFoundError: a dependency of the module is missing.
    """
    found = importlib.import_module("bsqav")
    for count, part in enumerate(name.split(".")[1:], 2):
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(name.split(".")[:count]))
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("bsqav"):
                    raise AttributeError(name) from error
                raise
        found = getattr(found, part)


@EACH_DOCUMENT
def test_dotted_names_resolve(path: Path) -> None:
    wrong, skipped = [], []
    for name in sorted(dotted_names(path)):
        try:
            resolve(name)
        except AttributeError:
            wrong.append(name)
        except ModuleNotFoundError as error:
            skipped.append(f"{name} needs {error.name}")
    assert not wrong
    if skipped:
        pytest.skip("; ".join(skipped))


@EACH_DOCUMENT
def test_paths_in_code_exist(path: Path) -> None:
    """A source file that a document names is there: from the root, or from bsqav's package."""
    bases = [*SOURCE_FOLDERS, path.parent]
    names = {code for code in inline_code(path) if PATH.match(code)}
    assert not [n for n in sorted(names) if not any((base / n).exists() for base in bases)]


def test_calls_of_one_frame_exist() -> None:
    """Every name in "One frame from file to packet and back" is in the file given for it."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    calls = CALL.findall(text.split("\n## One frame from file to packet and back\n")[1])
    assert len(calls) > 40
    wrong = []
    for call, name in calls:
        found = [folder / name for folder in SOURCE_FOLDERS if (folder / name).exists()]
        source = found[0].read_text(encoding="utf-8") if found else ""
        before = r"\b(?:def|class) " if name.endswith(".py") else r"\b"
        if not all(re.search(rf"{before}{part}\b", source) for part in re.split(r"::|\.", call)):
            wrong.append(f"{call} in {name}")
    assert not wrong
