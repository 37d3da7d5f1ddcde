"""The direction of imports and includes, and that the codec works without PyTorch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "python" / "bsqav"
SOURCES = ROOT / "cpp" / "src"

# A folder of cpp/src may include itself, the public header and the folders named here.
CPP_MAY_INCLUDE = {
    "base": set[str](),
    "bitstream": {"base"},
    "kernels": {"base"},
    "entropy": {"base", "bitstream"},
    "quantizer": {"base", "kernels"},
    "motion": {"base", "kernels"},
    "network": {"base", "kernels"},
    "codec": {"base", "bitstream", "kernels", "entropy", "motion", "network"},
    "cuda": {"base", "bitstream", "kernels", "entropy", "motion", "network", "codec"},
}

# A package of bsqav may import itself, FOUNDATION and the packages named here.
FOUNDATION = {"_core", "errors"}
CODEC_PACKAGES = {"codec", "media", "models"}
PYTHON_MAY_IMPORT = {
    "codec": {"models"},
    "models": set[str](),
    "media": {"codec", "models"},
    "cli": CODEC_PACKAGES | {"evaluation"},
    "integrations": CODEC_PACKAGES,
    "ops": set[str](),
    "nn": {"codec", "ops"},
    "training": CODEC_PACKAGES | {"ops", "nn"},
    "evaluation": CODEC_PACKAGES | {"ops", "nn", "training"},
    "export": CODEC_PACKAGES | {"ops", "nn"},
    "recipes": CODEC_PACKAGES | {"ops", "nn", "training", "evaluation", "export"},
}
# A sub-package may import itself, modules of its package that are in no sub-package, and the
# sub-packages of the same package that are named here.
SUBPACKAGES_MAY_IMPORT = {
    "media": {
        "io": set[str](),
        "metadata": {"io"},
        "mux": {"io", "metadata"},
        "demux": {"io", "metadata"},
        "inspect": {"io", "metadata", "demux"},
        "pyav_api": {"io", "metadata", "mux", "demux"},
        "transcode": {"io", "metadata", "mux", "demux", "inspect", "pyav_api"},
    },
    "nn": {"common": set[str](), "codec": {"common"}, "paper": {"common"}},
    "training": {"common": set[str](), "codec": {"common"}, "paper": {"common"}},
    "evaluation": {
        "io": set[str](),
        "metrics": {"io"},
        "compare": {"io", "metrics"},
        "research": {"io", "metrics", "compare"},
        "bench": {"io", "metrics", "compare"},
        "ablation": {"io", "metrics", "compare"},
    },
}
# The command line imports these packages inside the function that runs the command, never before.
IMPORTED_ON_DEMAND = {"training", "evaluation", "export", "recipes", "integrations"}
WITHOUT_TORCH = ("codec", "media", "cli")


def python_files(package: str) -> list[Path]:
    """The modules of one package of bsqav."""
    return sorted((PACKAGE / package).rglob("*.py"))


def packages() -> list[str]:
    """The packages of bsqav that hold Python code."""
    return sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.rglob("*.py")))


def imported_names(path: Path, nodes: list[ast.stmt] | None = None) -> set[str]:
    """Full names of the modules that a file imports: anywhere in it, or in `nodes` alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["bsqav", *path.parent.relative_to(PACKAGE).parts]
    names = set()
    for node in (n for top in (tree.body if nodes is None else nodes) for n in ast.walk(top)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def imports_at_load(path: Path) -> set[str]:
    """Full names of the modules that importing the file imports, not those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return imported_names(path, [node for node in tree.body if not isinstance(node, functions)])


def packages_of(names: set[str]) -> set[str]:
    """The packages of bsqav that full module names belong to."""
    return {name.split(".")[1] for name in names if name.startswith("bsqav.")}


@pytest.mark.parametrize("package", packages())
def test_python_imports_go_down(package: str) -> None:
    assert package in PYTHON_MAY_IMPORT, f"bsqav.{package} has no place in the layout yet"
    allowed = PYTHON_MAY_IMPORT[package] | FOUNDATION | {package}
    wrong = []
    for path in python_files(package):
        known = allowed
        if package == "cli":
            assert not packages_of(imports_at_load(path)) - allowed, path.relative_to(ROOT)
            known = allowed | IMPORTED_ON_DEMAND
        top_level = {p.stem for p in PACKAGE.glob("*.py")} - FOUNDATION
        upward = packages_of(imported_names(path)) & (set(PYTHON_MAY_IMPORT) | top_level) - known
        wrong += [f"{path.relative_to(ROOT)} imports bsqav.{name}" for name in sorted(upward)]
    assert not wrong


@pytest.mark.parametrize("package", SUBPACKAGES_MAY_IMPORT)
def test_subpackages_import_one_way(package: str) -> None:
    table = SUBPACKAGES_MAY_IMPORT[package]
    folders = {path.relative_to(PACKAGE / package).parts[0] for path in python_files(package)}
    assert {name for name in folders if not name.endswith(".py")} == set(table)
    wrong = []
    for name, allowed in table.items():
        for path in python_files(f"{package}/{name}"):
            parts = (full.split(".") for full in imported_names(path))
            used = {p[2] for p in parts if p[:2] == ["bsqav", package] and len(p) > 2}
            upward = used & set(table) - allowed - {name}
            wrong += [f"{path.relative_to(ROOT)} imports {package}.{one}" for one in sorted(upward)]
    assert not wrong


@pytest.mark.parametrize("package", [*WITHOUT_TORCH, "integrations"])
def test_no_file_names_torch(package: str) -> None:
    assert python_files(package), f"bsqav.{package} holds no Python file"
    for path in python_files(package):
        roots = {name.split(".")[0] for name in imported_names(path)}
        assert "torch" not in roots, path.relative_to(ROOT)


IMPORT_ALL = """
import importlib, pkgutil, sys
sys.modules["torch"] = None  # an import of torch raises ImportError now
import bsqav
for name in {packages!r}:
    package = importlib.import_module(f"bsqav.{{name}}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def test_imports_with_torch_blocked(tmp_path: Path) -> None:
    script = IMPORT_ALL.format(packages=WITHOUT_TORCH)
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_importing_bsqav_is_light(tmp_path: Path) -> None:
    script = "import bsqav, sys; assert not {'av', 'torch'} & set(sys.modules), sorted(sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_installing_does_not_pull_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    assert required == {"numpy", "av"}


INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)


def cpp_folders() -> dict[str, Path]:
    """The folders of cpp/src that hold code, and that of the CUDA backend."""
    folders = {p.name: p for p in SOURCES.iterdir() if p.is_dir()}
    return {**folders, "cuda": ROOT / "cpp" / "cuda"}


@pytest.mark.parametrize("folder", sorted(cpp_folders()))
def test_cpp_includes_go_down(folder: str) -> None:
    assert folder in CPP_MAY_INCLUDE, f"cpp/src/{folder} has no place in the layout yet"
    allowed = CPP_MAY_INCLUDE[folder] | {folder}
    wrong = []
    for path in sorted(cpp_folders()[folder].rglob("*")):
        if path.suffix not in {".h", ".cc", ".cu", ".cuh"}:
            continue
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            target = name.split("/")[0]
            if "/" in name and target in CPP_MAY_INCLUDE and target not in allowed:
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong


# A folder of cpp/src/codec may include itself and what is named here.
CODEC_MAY_INCLUDE = {
    "capi": {"encoder", "decoder", "common"},
    "common": set[str](),
    "decoder": {"common"},
    "encoder": {"encoder/aq", "encoder/mode", "encoder/rate", "common"},
    "encoder/aq": {"encoder/mode", "common"},
    "encoder/mode": {"common"},
    "encoder/rate": {"encoder/mode", "common"},
}


def codec_folders() -> list[str]:
    """The folders of cpp/src/codec."""
    root = SOURCES / "codec"
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_dir())


@pytest.mark.parametrize("folder", codec_folders())
def test_codec_includes_go_down(folder: str) -> None:
    assert folder in CODEC_MAY_INCLUDE, f"cpp/src/codec/{folder} has no place in the layout yet"
    allowed = CODEC_MAY_INCLUDE[folder] | {folder}
    wrong = []
    for path in sorted((SOURCES / "codec" / folder).glob("*.*")):
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            target = str(Path(name).parent.relative_to("codec")) if "codec/" in name else None
            if target is not None and target not in allowed:
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong
