"""The types in _core.pyi name exactly what the compiled module has."""

from __future__ import annotations

import ast

from bsqav import _core
from tests.support import ROOT

STUB = ast.parse((ROOT / "python" / "bsqav" / "_core.pyi").read_text())


def public(names: object) -> set[str]:
    """Names that do not begin with an underscore."""
    return {name for name in dir(names) if not name.startswith("_")}


def test_functions_and_classes() -> None:
    defined = (ast.FunctionDef, ast.ClassDef)
    names = {node.name for node in STUB.body if isinstance(node, defined)}
    assert {name for name in names if not name.startswith("_")} == public(_core)


CLASSES = {node.name for node in STUB.body if isinstance(node, ast.ClassDef)}


def functions(name: str) -> set[str]:
    """Functions of a class of the stub, and of its bases there."""
    (node,) = (node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == name)
    own = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    bases = (base.id for base in node.bases if isinstance(base, ast.Name))
    return own.union(*(functions(base) for base in bases if base in CLASSES))


def test_methods() -> None:
    for node in STUB.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = {name for name in functions(node.name) if not name.startswith("__")}
            assert methods == public(getattr(_core, node.name)), node.name
