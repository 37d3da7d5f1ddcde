"""Measuring codecs: sources, reference encoders, quality metrics, BD-rate, comparisons.

It needs NumPy and PyAV, and for reference encoders and metrics the ffmpeg binary of PyPI's
``imageio-ffmpeg``; nothing in it imports PyTorch until ST-LPIPS is asked for.
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
