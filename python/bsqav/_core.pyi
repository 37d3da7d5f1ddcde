"""Types of the compiled extension: a thin face over libbsq's C API (cpp/include/bsq/bsq.h)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__version__: str

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
KernelSet = Literal["scalar", "avx2", "avx512vnni", "neon"]

# ---- the library ----

def kernel_sets() -> list[str]:
    """Kernel sets this processor can run, best first."""

def set_kernels(name: str | None) -> None:
    """Force a kernel set for encoders and decoders opened from now on; None picks the best."""

def current_kernels() -> str: ...

# ---- models ----

class Model:
    """An immutable model, parsed from the bytes of a model file. Raises ModelError."""

    def __init__(self, data: bytes) -> None: ...
    @property
    def id(self) -> str:
        """First 16 bytes of the file's SHA-256, 32 hexadecimal digits."""
    @property
    def name(self) -> str: ...
    @property
    def json(self) -> str: ...

# ---- codestream ----

# Sequence headers travel as dictionaries with exactly these keys (bsq_sequence in bsq.h):
#   width, height, bit_depth, full_range, color_primaries, color_transfer, color_matrix,
#   chroma_location, rotation, version, level: int
#   chroma: "gray" | "420"
#   time_base, frame_rate, sample_aspect: tuple[int, int]
#   model_id: str (32 hexadecimal digits)

class Packet:
    @property
    def data(self) -> bytes: ...
    @property
    def pts(self) -> int: ...
    @property
    def duration(self) -> int: ...
    @property
    def keyframe(self) -> bool: ...

class Picture:
    @property
    def planes(self) -> list[Plane]:
        """Height x width arrays, uint8 for 8-bit and uint16 for deeper samples; own memory."""
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def chroma(self) -> str: ...
    @property
    def bit_depth(self) -> int: ...
    @property
    def pts(self) -> int: ...
    @property
    def duration(self) -> int: ...
    @property
    def keyframe(self) -> bool: ...
    @property
    def concealed(self) -> bool: ...

class Encoder:
    """send() a picture, receive() packets until None, flush() at the end.

    Raises UsageError for parameters out of range, ModelError, BsqError. The GIL is released
    while coding.
    """

    def __init__(
        self,
        sequence: Mapping[str, Any],
        model: Model,
        *,
        crf: float = 32.0,
        gop: int = 250,
        scene_cut: bool = True,
        threads: int = 0,
        preset: str = "medium",
    ) -> None:
        """`sequence` needs width and height; other keys have the defaults of
        bsq_encoder_config_init; unknown keys raise UsageError."""
    @property
    def header(self) -> bytes: ...
    def send(
        self, planes: Sequence[Plane], pts: int, *, duration: int = 0, keyframe: bool = False
    ) -> None:
        """Planes may have any row stride; the samples are copied."""
    def flush(self) -> None: ...
    def receive(self) -> Packet | None:
        """None: more input is needed, or everything has been returned after flush()."""
    @property
    def stats(self) -> dict[str, float]:
        """Of the last packet: keys of bsq_packet_stats."""

class Decoder:
    """send() packets, receive() pictures until None. Raises BitstreamError (with .packet and
    .byte), ModelNotFoundError (with .model_id), UnsupportedError; after an error the decoder goes
    on with the next keyframe. The GIL is released while decoding."""

    def __init__(
        self,
        models: Sequence[Model],
        *,
        threads: int = 0,
        max_level: int = 26,
        strict: bool = False,
    ) -> None: ...
    def send(self, data: bytes, pts: int = 0, *, duration: int = 0) -> None: ...
    def flush(self) -> None: ...
    def receive(self) -> Picture | None: ...
    def reset(self) -> None: ...
    @property
    def sequence(self) -> dict[str, Any] | None:
        """The last sequence header, None before the first keyframe."""

def probe_packet(data: bytes) -> dict[str, Any]:
    """Headers of a packet, checksum verified: keyframe, index_in_group, layers, crf, blocks, pts,
    and `sequence` (a dictionary, or None between keyframes). Raises BitstreamError,
    UnsupportedError."""
