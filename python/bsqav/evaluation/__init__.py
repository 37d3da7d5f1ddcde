"""Measuring codecs: sources, reference encoders, quality metrics, BD-rate, comparisons.

Nothing in this package imports PyTorch; it needs NumPy and PyAV, and for reference encoders and
metrics the ffmpeg binary of PyPI's ``imageio-ffmpeg``.
"""

from bsqav.evaluation.bdrate import BdResult, bd_quality, bd_rate
from bsqav.evaluation.errors import EvaluationError, MissingEncoderError, MissingToolError

__all__ = [
    "BdResult",
    "EvaluationError",
    "MissingEncoderError",
    "MissingToolError",
    "bd_quality",
    "bd_rate",
]
