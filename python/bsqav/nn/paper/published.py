"""Checkpoints of the paper's published program (zhaoyue-zephyrus/bsq-vit) as BSQViT.

They hold the image tokenizers: BSQ of 18 and 36 bits, and one with a fixed spherical codebook.
Names of tensors are translated; sign(0) = -1 and the most significant bit first are kept, so that
indices are those of the program. Its own files carry objects of other packages besides the tensors:
nothing of that is imported or run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bsqav.errors import ModelError, UnsupportedError, UsageError
from bsqav.nn.common.safeload import read_checkpoint, tensors_of
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig
from bsqav.nn.paper.quantizers import BSQConfig, QuantizerConfig, VQConfig

__all__ = ["from_published", "load_published", "read_published"]

# Its configurations have heads of 64 channels, and normalize latents and codes of VQ.
HEAD_WIDTH = 64
MAX_WIDTH, MAX_LAYERS = 8192, 128

_NAMES = (
    (r"(encoder|decoder)\.positional_embedding", r"\1.position.spatial"),
    (r"(encoder|decoder)\.ln_pre\.(weight|bias)", r"\1.norm_in.\2"),
    (r"(encoder|decoder)\.ln_post\.(weight|bias)", r"\1.norm_out.\2"),
    (r"encoder\.conv1\.weight", "embed.weight"),
    (r"quant_embed\.(weight|bias)", r"to_latent.\1"),
    (r"post_quant_embed\.(weight|bias)", r"from_latent.\1"),
    (r"decoder\.ffn\.0\.(weight|bias)", r"head.0.\1"),
    (r"decoder\.conv_out\.(weight|bias)", r"head.2.\1"),
    (r"quantize\.embedding\.weight", "quantizer.codebook"),
)
_BLOCK = re.compile(r"(encoder|decoder)\.transformer\.resblocks\.(\d{1,4})\.(.+)")
_IN_BLOCK = (
    (r"ln_([12])\.(weight|bias)", r"norm\1.\2"),
    (r"attn\.in_proj_(weight|bias)", r"attention.qkv.\1"),
    (r"attn\.out_proj\.(weight|bias)", r"attention.out.\1"),
    (r"mlp\.c_fc\.(weight|bias)", r"mlp.0.\1"),
    (r"mlp\.c_proj\.(weight|bias)", r"mlp.2.\1"),
)
# Powers of two that the program keeps with the weights.
_IGNORED = frozenset({"quantize.basis", "quantize.group_basis", "quantize.group_codebook"})


def load_published(path: Path, *, ema: bool | None = None) -> BSQViT:
    """The tokenizer of one of the program's checkpoint files, in evaluation mode.

    ema: the averaged weights, or those of the last step; None: averaged where the file has them,
    as the program does. Pixels go in and come out from -1 to 1. Raises ModelError for a file that
    is no such checkpoint, lacks the weights asked for or has other networks in it, and
    UnsupportedError for ones that this class does not have.
    """
    plain, averaged = read_published(path)
    if ema and averaged is None:
        raise ModelError(f"{path} holds no averaged weights: load it with ema=False")
    state = averaged if averaged is not None and ema is not False else plain
    return from_published(state)


def read_published(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """The tensors of a checkpoint file by the program's names, and the averaged ones or None.

    Read with weights_only: of anything that is not a tensor, a number, a string or a plain
    container, nothing is imported or called. A file of tensors alone is taken as the first.
    Raises ModelError for a file that holds none, FileNotFoundError where there is none.
    """
    found = read_checkpoint(path)
    if not isinstance(found, Mapping):
        raise ModelError(f"{path} holds no state dict")
    plain = tensors_of(found.get("state_dict", found))
    averaged = tensors_of(found.get("ema_state_dict"))
    if not plain:
        raise ModelError(f"{path} holds no state dict of a tokenizer")
    return plain, averaged or None


def from_published(state: Mapping[str, Tensor]) -> BSQViT:
    """A tokenizer from tensors by the program's names, in float32 and evaluation mode.

    Sizes are those of the tensors. Raises ModelError where a tensor is missing, too many or of a
    wrong shape, UnsupportedError for networks of the program that no published checkpoint has.
    """
    _refuse_others(state)
    config = _config(state)
    try:
        with torch.device("meta"):  # the file's tensors become the parameters
            model = BSQViT(config)
    except UsageError as error:
        raise ModelError(f"the checkpoint's sizes are out of range: {error}") from error
    renamed = {
        _rename(name): tensor.float() for name, tensor in state.items() if name not in _IGNORED
    }
    for part in ("encoder", "decoder"):
        name = f"{part}.position.spatial"
        if name in renamed and renamed[name].dim() == 2:
            renamed[name] = renamed[name].reshape(*config.grid, -1)
    try:
        model.load_state_dict(renamed, assign=True)
    except RuntimeError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise ModelError(f"the checkpoint's networks are others than expected: {reason}") from error
    trained = not isinstance(config.quantizer, VQConfig)
    for name, weight in model.named_parameters():
        weight.requires_grad_(trained or name != "quantizer.codebook")
    return model.eval()


# ---- what it is ----


def _refuse_others(state: Mapping[str, Tensor]) -> None:
    if any("temporal_positional_embedding" in name for name in state):
        raise UnsupportedError(
            "the checkpoint is of a video tokenizer, of which none was published; load the image "
            "tokenizer and inflate it"
        )
    if any(".ls_1." in name or ".ls_2." in name for name in state):
        raise UnsupportedError("the checkpoint has layer scales, which no published one has")
    if "encoder.conv1.bias" in state or "encoder.ln_pre.weight" not in state:
        raise UnsupportedError(
            "the checkpoint lacks encoder.ln_pre: it is no published tokenizer of images"
        )


def _shape(state: Mapping[str, Tensor], name: str, dims: int) -> tuple[int, ...]:
    if name not in state or state[name].dim() != dims:
        raise ModelError(f"the checkpoint has no tensor {name} of {dims} dimensions")
    return tuple(state[name].shape)


def _config(state: Mapping[str, Tensor]) -> ViTConfig:
    """The configuration by the shapes of tensors; values out of range raise ModelError."""
    width, pixels = _shape(state, "encoder.conv1.weight", 2)
    tokens = _shape(state, "encoder.positional_embedding", 2)[0]
    patch, side = math.isqrt(pixels // 3), math.isqrt(tokens)
    if 3 * patch * patch != pixels or side * side != tokens or not patch or not side:
        raise ModelError(f"{pixels} samples a patch and {tokens} tokens are no square images")
    layers = {int(at[2]) for name in state if (at := _BLOCK.fullmatch(name))}
    if not 1 <= len(layers) <= MAX_LAYERS or not HEAD_WIDTH <= width <= MAX_WIDTH:
        raise ModelError(f"a tokenizer of {len(layers)} layers, {width} wide, is out of range")
    if _shape(state, "decoder.conv_out.weight", 2)[0] == 2 * pixels:
        raise UnsupportedError("the checkpoint predicts logit-Laplace, which no published one does")
    hidden = _shape(state, "encoder.transformer.resblocks.0.mlp.c_fc.weight", 2)[0]
    head = _shape(state, "decoder.ffn.0.weight", 2)[0]
    bits = _shape(state, "quant_embed.weight", 2)[0]
    transformer = TransformerConfig(width, len(layers), max(1, width // HEAD_WIDTH), hidden)
    quantizer = _quantizer(state, bits)
    return ViTConfig(transformer, quantizer, (side * patch, side * patch), 1, patch, head)


def _quantizer(state: Mapping[str, Tensor], bits: int) -> QuantizerConfig:
    """VQ on the sphere where the checkpoint has a codebook, and else BSQ."""
    if "quantize.embedding.weight" in state:
        codes, dim = _shape(state, "quantize.embedding.weight", 2)
        return VQConfig(codes, dim, normalize=True, trained=False)
    # inv_temperature 1 is tau 2, and the identity is before the division by sqrt(L).
    return BSQConfig(bits, tau=2.0, zero_bit=0, most_first=True, gradient_scale=bits**-0.5)


def _rename(name: str) -> str:
    """The name of a tensor here; one that is not known stays and is found to be too many."""
    rules: tuple[tuple[str, str], ...] = _NAMES
    prefix, rest = "", name
    if block := _BLOCK.fullmatch(name):
        rules, rest = _IN_BLOCK, block[3]
        prefix = f"{block[1]}.transformer.blocks.{int(block[2])}."
    for pattern, replacement in rules:
        if re.fullmatch(pattern, rest):
            return prefix + re.sub(pattern, replacement, rest)
    return name
