"""How containers name BSQ video; the same four bytes open a sequence header."""

from __future__ import annotations

__all__ = ["CODEC_TAG", "FOURCC"]

CODEC_TAG = "BSQ1"
FOURCC = CODEC_TAG.encode("ascii")
