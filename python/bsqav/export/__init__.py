"""From trained PyTorch networks to a model file of integers."""

from bsqav.export.exporter import export_tensors, write_codec_model

__all__ = ["export_tensors", "write_codec_model"]
