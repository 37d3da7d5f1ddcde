"""Checkpoints of the paper's authors as folders of this package."""

from pathlib import Path

from bsqav.nn.paper.published import load_published

__all__ = ["convert"]


def convert(checkpoint: Path, out: Path, *, last: bool = False) -> str:
    """Writes the tokenizer of a checkpoint as a folder for load_model; returns what it is.

    last: weights of the last step, not the average. Raises what load_published raises.
    """
    model = load_published(checkpoint, ema=False if last else None)
    model.save_pretrained(out)
    rows, columns = model.config.size
    return f"tokenizer of images, {rows} x {columns}, {model.quantizer.bits:.4g} bits a token"
