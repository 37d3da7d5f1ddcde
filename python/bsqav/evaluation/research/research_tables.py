"""What `bsqav eval` found, as text for a terminal: the paper's columns in the paper's order."""

from __future__ import annotations

from collections.abc import Sequence

from bsqav.evaluation.io.text import align
from bsqav.evaluation.research.features import FeatureNetwork
from bsqav.evaluation.research.generated import Generation
from bsqav.evaluation.research.integer_prior import IntegerPrior
from bsqav.evaluation.research.tokens import Compression, Reconstruction
from bsqav.nn.paper.quantizers import CodebookUse

__all__ = ["compression_text", "generation_text", "reconstruction_text"]


def reconstruction_text(found: Reconstruction, network: FeatureNetwork | None) -> str:
    """The row of the paper's table, and what is said of codes below it."""
    distance = next(iter(found.distances.values()), None)
    head = ["bits", "bpp", "PSNR", "SSIM", "MS-SSIM", "LPIPS"]
    row = [
        f"{found.bits:.4g}",
        f"{found.bpp:.4f}",
        f"{found.psnr:.2f}",
        f"{found.ssim:.4f}",
        _or_dash(found.ms_ssim, ".4f"),
        _or_dash(found.lpips, ".4f"),
    ]
    if network is not None:
        head.append(f"r{network.title}")
        row.append(_or_dash(distance, ".4g"))
    head.append("images/s")
    row.append(f"{found.images_per_second:.1f}")
    lines = [f"{found.images} images", *align([head, row])]
    lines.append(f"  {_use_text(found.use)}")
    if network is not None:
        lines.append(f"  r{network.title} with {network.source}")
    return "\n".join(lines)


def _use_text(use: CodebookUse) -> str:
    text = (
        f"{use.codes} different codes in {use.tokens} tokens, {100 * use.share:.3g} % of what "
        f"there can be; perplexity {use.perplexity:.4g}"
    )
    if not use.balance:
        return text
    return f"{text}; bits are 1 in {min(use.balance):.0%} to {max(use.balance):.0%} of them"


def compression_text(
    prior: Compression, integer: Sequence[IntegerPrior], name: str, what: str, unit: str
) -> str:
    """The prior's row, and the codec's at each quality; see integer_prior.

    name: of the codec's model. what: the tokenizer's tokens. unit: images or clips.
    """
    head = ["tokens", "prior", "bits", "with prior", "saved", "bpp", "PSNR"]
    rows = [
        [
            what,
            "autoregressive",
            f"{prior.bits:.2f}",
            f"{prior.bits_per_token:.2f}",
            _percent(prior.saved),
            f"{prior.bpp:.4f}",
            f"{prior.psnr:.2f}",
        ]
    ]
    rows += [
        [
            f"{name}, crf {found.crf:g}",
            "integers",
            f"{found.bits:.2f}",
            f"{found.bits_per_token:.2f}",
            _percent(found.saved),
            f"{found.bpp:.4f}",
            f"{found.psnr:.2f}",
        ]
        for found in integer
    ]
    lines = [f"{prior.clips} {unit}", *align([head, *rows])]
    lines.append(
        f"  without the prior {prior.bpp_plain:.4f} bpp; the prior decodes "
        f"{prior.tokens_per_second:.0f} tokens/s"
    )
    if integer:
        lines.append(
            "  A token is a square of pixels in both, but the tokenizers differ: compare bpp at "
            "like PSNR.\n  Bits of the codec's tokens are mostly 0, which is where its prior saves."
        )
    return "\n".join(lines)


def generation_text(found: Generation, network: FeatureNetwork, neighbours: int) -> str:
    """A line for each figure."""
    reference = f"{found.reference}" if found.reference else "an unknown number of"
    lines = [
        f"{found.samples} samples compared with {reference} of the reference",
        f"  {network.source}",
    ]
    rows = [[network.title, f"{found.distance:.4g}"]]
    if found.inception_score is not None:
        mean, spread = found.inception_score
        rows.append(["IS", f"{mean:.2f} +- {spread:.2f}"])
    if found.precision is not None and found.recall is not None:
        rows.append(["precision", f"{found.precision:.3f} ({neighbours} neighbours)"])
        rows.append(["recall", f"{found.recall:.3f}"])
    return "\n".join([*lines, *align(rows)])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _or_dash(value: float | None, shape: str) -> str:
    return "-" if value is None else format(value, shape)
