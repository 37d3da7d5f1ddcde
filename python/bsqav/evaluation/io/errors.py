"""What can go wrong while codecs are measured."""

from bsqav.errors import BsqError, MissingDependencyError


class EvaluationError(BsqError, RuntimeError):
    """A measurement could not be made."""


class MissingToolError(EvaluationError, MissingDependencyError):
    """A program or package that a measurement needs is not there."""


class MissingEncoderError(MissingToolError):
    """The ffmpeg binary was built without a reference encoder."""


class SourceError(EvaluationError, ValueError):
    """An input clip cannot be read."""


class CurveError(EvaluationError, ValueError):
    """Rate-distortion points that no curve can be drawn through."""
