"""Measuring codecs: sources, reference encoders, quality metrics, BD-rate, comparisons.

It needs NumPy and PyAV, and for reference encoders and metrics the ffmpeg binary of PyPI's
``imageio-ffmpeg``; nothing in it imports PyTorch until ST-LPIPS is asked for.
"""

from bsqav.evaluation.io.errors import EvaluationError, MissingEncoderError, MissingToolError
from bsqav.evaluation.metrics.bdrate import BdResult, bd_quality, bd_rate

__all__ = [
    "BdResult",
    "EvaluationError",
    "MissingEncoderError",
    "MissingToolError",
    "bd_quality",
    "bd_rate",
]
