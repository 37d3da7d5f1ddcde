"""Options that the commands of `bsqav eval` share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["FEATURES", "add_common", "add_figure_options", "add_tokenizer_options"]

FEATURES = (
    "weights of Inception-v3 (images) or I3D (videos) as they are commonly distributed: "
    "pt_inception-2015-12-05-6726825d.pth, inception-2015-12-05.pt, i3d_pretrained_400.pt, "
    "rgb_imagenet.pt or i3d_torchscript.pt; or st-lpips, a substitute that stlpips-pytorch carries"
)
FITS = {
    "squares": "the middle of each image, scaled to --side",
    "tiles": "images of any size, cut into squares of the tokenizer's size",
    "whole": "images of any size in one piece, positions interpolated",
}


def add_figure_options(job: argparse.ArgumentParser) -> None:
    """Weights that figures need, which the user gives."""
    job.add_argument(
        "--lpips", type=Path, nargs="+", metavar="FILE", help="weights of LPIPS: trunk and heads"
    )
    job.add_argument(
        "--trunk", choices=("vgg", "alex"), default="alex", help="of LPIPS (alex, the paper's)"
    )
    job.add_argument("--features", metavar="FILE", help=f"for a column of rFID or rFVD: {FEATURES}")


def add_tokenizer_options(job: argparse.ArgumentParser, fits: Sequence[str]) -> None:
    """Data, the tokenizer and how images go through it, by names of FITS, the first the default."""
    job.add_argument(
        "--fit",
        choices=fits,
        default=fits[0],
        help="; ".join(f"{name}: {FITS[name]}" for name in fits) + f" (default: {fits[0]})",
    )
    job.add_argument(
        "data",
        type=Path,
        help="folder of images, or of videos for a tokenizer of videos; or of .tar shards",
    )
    job.add_argument("--tokenizer", type=Path, required=True, help="weights.pt of a tokenizer")
    job.add_argument(
        "--published",
        action="store_true",
        help="the tokenizer is a checkpoint of the authors' program",
    )
    job.add_argument("--side", type=int, help="of the images (default: the tokenizer's)")
    job.add_argument(
        "--list",
        dest="listed",
        type=Path,
        metavar="FILE",
        help="text file of the paths under the folder to take, one a line (UCF-101's splits)",
    )
    job.add_argument(
        "--attention",
        choices=("sdpa", "flex"),
        default="sdpa",
        help="of tokenizers of videos; flex compiles a kernel first (default: sdpa)",
    )


def add_common(job: argparse.ArgumentParser) -> None:
    """How much of the data, on which device, and JSON."""
    job.add_argument("--limit", type=int, help="images or videos at most, the first by name")
    job.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    job.add_argument(
        "--matrix",
        choices=("auto", "bt601", "bt709"),
        default="auto",
        help="of raw videos (.yuv); auto (default): BT.709 from 720 lines on, BT.601 below",
    )
    job.add_argument("--json", action="store_true", help="the figures as a JSON object")
