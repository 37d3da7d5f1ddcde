"""Networks whose features FID, FVD and their kin compare, from weights that the user gives.

What a distance may be called depends on them: FID and FVD are distances of certain networks with
certain weights, and a substitute's distance has another name everywhere.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bsqav.errors import ModelError, UsageError
from bsqav.evaluation.metrics import perceptual
from bsqav.nn.common.safeload import read_checkpoint, tensors_of
from bsqav.nn.paper import i3d, inception

__all__ = ["STAND_IN", "UNDERSTOOD", "FeatureNetwork", "load_features"]

# The substitute, as the command line names it.
STAND_IN = "st-lpips"
UNDERSTOOD = (
    "for images pt_inception-2015-12-05-6726825d.pth (pytorch-fid's, torch-fidelity's) or "
    "inception-2015-12-05.pt (StyleGAN2-ADA's TorchScript); for videos i3d_pretrained_400.pt "
    "(VideoGPT's, TATS's), rgb_imagenet.pt (pytorch-i3d's) or i3d_torchscript.pt (StyleGAN-V's)"
)
# How the SHA-256 of the one file begins that FID is measured with; its name says so.
FID_DIGEST = "6726825d"

Features = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class FeatureNetwork:
    """A network for images, or for clips.

    title, key: of its Frechet distance, in tables and in JSON. source: the network and its weights.
    clips: it takes [B, 3, T, rows, columns], others [B, 3, rows, columns]; from -1 to 1. run: gives
    features [B, dimensions], and logits [B, classes] where it classifies images.
    """

    title: str
    key: str
    source: str
    dimensions: int
    clips: bool
    run: Callable[[Tensor], Features]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Features:
        """Features of a batch, on the CPU in float32. ModelError where they are not as promised."""
        features, logits = self.run(x)
        if features.shape != (len(x), self.dimensions):
            raise ModelError(f"{self.source} gives {tuple(features.shape)} instead of features")
        return features.float().cpu(), None if logits is None else logits.float().cpu()


def load_features(weights: str | Path, device: str = "cpu") -> FeatureNetwork:
    """The network of a file of weights (UNDERSTOOD), or of STAND_IN.

    State dicts are read safely; a TorchScript file is a program, which is run. Raises ModelError
    for a file of another kind, FileNotFoundError where there is none, MissingToolError for a
    substitute that is not installed.
    """
    if str(weights) == STAND_IN:
        return _stand_in()
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(2, "there is no file of weights", str(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    named = f"{path.name}, SHA-256 {digest[:8]}"
    if _is_program(path):
        return _program(path, named, device)
    state = tensors_of(read_checkpoint(path))
    if "Conv3d_1a_7x7.conv3d.weight" in state:
        clips = _filled(i3d.I3D(), state, path).to(device)
        return FeatureNetwork("FVD", "fvd", f"I3D, {named}", i3d.CLASSES, True, _clip_run(clips))
    if "Conv2d_1a_3x3.conv.weight" in state:
        net = _filled(inception.InceptionV3(), state, path).to(device)
        title, key = "FID", "fid"
        if not digest.startswith(FID_DIGEST):
            title, key = "FD (Inception-v3, other weights)", "fd_inception_v3_other_weights"
        return FeatureNetwork(
            title, key, f"Inception-v3, {named}", inception.FEATURES, False, net.__call__
        )
    raise ModelError(f"{path} holds neither Inception-v3 nor I3D. Understood are {UNDERSTOOD}")


def _stand_in() -> FeatureNetwork:
    perceptual.weights_path()  # not there: said before anything is read

    def run(x: Tensor) -> Features:
        try:
            return perceptual.pooled_features(x), None
        except ValueError as error:
            raise UsageError(f"{STAND_IN}: {error}") from error

    return FeatureNetwork(
        "FD (ST-LPIPS AlexNet)", "fd_st_lpips_alexnet", perceptual.TITLE, 256, False, run
    )


def _clip_run(net: nn.Module) -> Callable[[Tensor], Features]:
    def run(x: Tensor) -> Features:
        return net(x), None

    return run


def _filled(net: nn.Module, state: dict[str, Tensor], path: Path) -> nn.Module:
    """The network with a file's weights, for inference."""
    own = net.state_dict()
    wanted = {name for name in own if not name.endswith("num_batches_tracked")}
    missing, odd = sorted(wanted - set(state)), sorted(set(state) - set(own))
    wrong = [name for name in sorted(wanted & set(state)) if state[name].shape != own[name].shape]
    if missing or odd or wrong:
        name = (wrong or missing or odd)[0]
        what = (
            f"has {name} of shape {tuple(state[name].shape)}"
            if wrong
            else (f"lacks {name}" if missing else f"holds {name} besides")
        )
        raise ModelError(f"{path} {what}: another network. Understood are {UNDERSTOOD}")
    net.load_state_dict(state, strict=False)
    return net.requires_grad_(False).eval()


# ---- TorchScript ----


def _is_program(path: Path) -> bool:
    """Whether it is a TorchScript archive: a zip file with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _program(path: Path, named: str, device: str) -> FeatureNetwork:
    """The networks of StyleGAN2-ADA and StyleGAN-V, distinguished by their arguments."""
    try:
        module: Any = torch.jit.load(str(path), map_location=device).eval()
        arguments = {argument.name for argument in module.forward.schema.arguments}
    except (RuntimeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read as TorchScript: {error}") from error

    def images(x: Tensor) -> Features:
        whole = ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        chances = module(whole, no_output_bias=True)  # after the softmax
        return module(whole, return_features=True), chances.clamp_min(1e-30).log()

    def clips(x: Tensor) -> Features:
        return module(i3d.at_side(x), rescale=False, resize=False, return_features=True), None

    if {"no_output_bias", "return_features"} <= arguments:
        return FeatureNetwork(
            "FID", "fid", f"Inception-v3, {named}", inception.FEATURES, False, images
        )
    if {"rescale", "resize", "return_features"} <= arguments:
        return FeatureNetwork("FVD", "fvd", f"I3D, {named}", i3d.CLASSES, True, clips)
    raise ModelError(f"{path} is another TorchScript. Understood are {UNDERSTOOD}")
