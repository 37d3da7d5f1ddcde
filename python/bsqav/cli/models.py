"""`bsqav models`: the trained models that are installed."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bsqav.cli.display import show
from bsqav.cli.values import human_size
from bsqav.codec.files import written_whole
from bsqav.codec.models import ModelInfo, find_model, import_model, list_models, model_folders
from bsqav.errors import MediaError, ModelNotFoundError

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "models",
        help="list, show, import and export models",
        description="The trained models that are installed. A stream names its model by id.",
    )
    parser.set_defaults(run=run, action="list", json=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, text in (("list", "every model that can be loaded"), ("show", "one model in full")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--json", action="store_true", help="print as JSON")
        if name == "show":
            action.add_argument("model", metavar="NAME|ID|FILE")
    take = actions.add_parser("import", help="verify a model file and install it")
    take.add_argument("file", metavar="FILE", type=Path)
    give = actions.add_parser("export", help="copy an installed model to a file")
    give.add_argument("model", metavar="NAME|ID")
    give.add_argument("file", metavar="FILE", type=Path)
    give.add_argument("-y", dest="overwrite", action="store_true", help="replace FILE")


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    actions = {"list": _list, "show": _show, "import": _import, "export": _export}
    return actions[args.action or "list"](args)


def _plain(info: ModelInfo) -> dict[str, Any]:
    return {**asdict(info), "path": str(info.path)}


def _list(args: argparse.Namespace) -> int:
    models = list_models()
    if args.json:
        show(json.dumps([_plain(info) for info in models], indent=2))
        return 0
    for info in models:
        mark = "*" if info.default else " "
        show(f"{mark} {info.name:24} {info.id}  {human_size(info.size):>8}  {info.path}")
    if not models:
        show("no models are installed; looked in " + ", ".join(map(str, model_folders())))
    return 0


def _info(which: str) -> ModelInfo:
    """What is known of an installed model, or of a file."""
    model = find_model(which)
    for info in list_models():
        if info.id == model.id:
            return info
    path = Path(which)
    description = json.loads(model.json)
    return ModelInfo(
        id=model.id,
        name=model.name,
        path=path,
        size=path.stat().st_size,
        shipped=False,
        default=False,
        description=description if isinstance(description, dict) else {},
    )


def _show(args: argparse.Namespace) -> int:
    info = _info(args.model)
    if args.json:
        show(json.dumps(_plain(info), indent=2))
        return 0
    rows: dict[str, Any] = {
        "name": info.name,
        "id": info.id,
        "file": info.path,
        "size": human_size(info.size),
        "shipped": "yes" if info.shipped else "no",
        "default": "yes" if info.default else "no",
    }
    for key, value in rows.items():
        show(f"{key:8} {value}")
    show(json.dumps(info.description, indent=2))
    return 0


def _import(args: argparse.Namespace) -> int:
    info = import_model(args.file)
    show(f"{info.name} {info.id} is installed as {info.path}")
    return 0


def _export(args: argparse.Namespace) -> int:
    info = _info(args.model)
    if not info.path.is_file():
        raise ModelNotFoundError(f"{info.path} is gone")
    target = args.file / info.path.name if args.file.is_dir() else args.file
    if target.exists() and not args.overwrite:
        raise MediaError(f"{target} exists already: -y replaces it")
    with written_whole(target) as partial:
        shutil.copyfile(info.path, partial)
    show(f"{info.name} {info.id} is copied to {target}")
    return 0
