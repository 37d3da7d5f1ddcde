"""Types of the compiled extension: a thin interface to libbsq's C API (cpp/include/bsq/bsq.h)."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt
from typing_extensions import CapsuleType

from bsqav.codec.sequence import CodedFrame, PacketHeader, SequenceHeader

__version__: str

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
KernelSet = Literal["scalar", "avx2", "avx512vnni", "neon", "neondot"]

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
    @property
    def stages(self) -> int:
        """Stages of 32 bits that a token has at most."""
    @property
    def config(self) -> dict[str, int]:
        """Sizes of the networks, by the names of codec.modelspec.ModelConfig."""

# ---- the encoder's constants ----

# "lambda" is a keyword, so that the syntax of a class does not do.
EncoderDecisions = TypedDict(
    "EncoderDecisions",
    {
        "lambda": float,
        "keyframe_lambda": float,
        "motion_lambda": float,
        "layer_spacing": int,
        "layer_slack": int,
        "coarse_layers": int,
        "coarse_energy": float,
        "keyframe_gain": int,
        "base_gain": int,
        "token_energy": float,
        "mean_weights": list[float],
    },
)

def encoder_decisions() -> EncoderDecisions:
    """The constants of the encoder's decisions that concern training (Decisions in decisions.h).

    token_energy and mean_weights are those of the balanced tuning. Steps are in q.
    """

# ---- codestream ----

# Sequence headers travel as dictionaries with exactly these keys (bsq_sequence in bsq.h):
#   width, height, bit_depth, alpha (0 or 1), full_range, color_primaries, color_transfer,
#   color_matrix, chroma_location, rotation, version, level: int
#   chroma: "gray" | "420" | "422" | "444"
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
    @property
    def disposable(self) -> bool: ...

class _AnyFrame:
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def chroma(self) -> Literal["gray", "420", "422", "444"]: ...
    @property
    def bit_depth(self) -> int: ...
    @property
    def pts(self) -> int: ...
    @property
    def duration(self) -> int: ...
    @property
    def keyframe(self) -> bool: ...
    @property
    def b_frame(self) -> bool: ...
    @property
    def concealed(self) -> bool: ...

class Frame(_AnyFrame):
    @property
    def planes(self) -> list[Plane]:
        """Height x width arrays, uint8 for 8-bit and uint16 for deeper samples; own memory."""

class EncoderSetting:
    """A setting of an encoder, as bsq_setting has it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str:
        """ "integer", "number", "boolean" or "choice"."""
    @property
    def zero_is_none(self) -> bool:
        """0 is allowed beside minimum to maximum, and means none."""
    @property
    def minimum(self) -> Any: ...
    @property
    def maximum(self) -> Any: ...
    @property
    def default(self) -> Any: ...
    @property
    def file_default(self) -> Any:
        """For programs that write files."""
    @property
    def choices(self) -> tuple[str, ...]:
        """Names, of a choice."""
    @property
    def unit(self) -> str: ...
    @property
    def help(self) -> str: ...

def encoder_settings() -> list[EncoderSetting]:
    """All settings of an encoder, in the order in which programs show them."""

def check_encoder_settings(**settings: Any) -> None:
    """Raises UsageError where a setting is unknown or out of range."""

class Encoder:
    """send() a frame, receive() packets until None, flush() at the end.

    Raises UsageError for parameters out of range, ModelError, BsqError. The GIL is released
    while coding.
    """

    def __init__(
        self,
        sequence: SequenceHeader,
        model: Model,
        *,
        first_pass: Sequence[tuple[float, float, float, bool]] = (),
        library: CudaLibrary | None = None,
        device: int = 0,
        stream: int = 0,
        **settings: Any,
    ) -> None:
        """`sequence` needs width and height; other keys have the defaults of
        bsq_encoder_config_init; unknown keys raise UsageError. `settings` are those that
        encoder_settings() lists; `first_pass` holds the `pass_record` of every frame of a first
        pass. With a `library` the encoder works on one of its devices, in the order of a
        cudaStream_t."""
    @property
    def header(self) -> bytes: ...
    def send(
        self,
        planes: Sequence[Plane],
        pts: int,
        *,
        duration: int = 0,
        keyframe: bool = False,
        context_only: bool = False,
    ) -> None:
        """Planes may have any row stride; the samples are copied. `context_only`: the frame, before
        the first or after the last that is coded, is looked at and not coded."""
    def send_device(
        self,
        planes: Sequence[Any],
        pts: int,
        *,
        duration: int = 0,
        keyframe: bool = False,
    ) -> None:
        """Planes on the encoder's device that speak DLPack, read in the order of its stream."""
    def flush(self) -> None: ...
    def receive(self) -> Packet | None:
        """None: more input is needed, or everything has been returned after flush()."""
    @property
    def stats(self) -> dict[str, Any]:
        """Of the last packet, all its frames, with the keys of bsq_packet_stats: motion_bits,
        flag_bits, delta_q_bits, sample_bits and token_bits, by the model's probabilities, and
        ideal_bits, their sum; tokens, coded_tokens and coded_stages, of all layers. psnr_y, of the
        frame shown; level_bits, a list: bits of frames by level in their group of B frames."""
    def trace(self) -> None:
        """Notes the layers of the first component from now on; for training."""
    def take_layers(self) -> list[dict[str, Any]]:
        """Those coded since the last call, in order, those of base frames included: planes
        `source` and `prediction` [uint16]; `bits` [H, W, S] of 32 each, `stages` [H, W] and `q`
        [H, W] of the tokens; `previous_bits` and `previous_stages`; `first_of_keyframe`, `later`,
        `above`."""
    @property
    def pass_record(self) -> tuple[float, float, float, bool]:
        """Of the last packet: seconds the frame shows for, bits, crf, whether a keyframe."""
    @property
    def rate(self) -> dict[str, float]:
        """How the bit rate was kept so far, with the keys of bsq_rate_report: bitrate, maxrate,
        actual_bitrate, vbv_buffer_bits, vbv_min_fullness, underflows, frames_at_max_q,
        frames_capped; all 0 without a bit rate."""
    @property
    def reconstruction_hash(self) -> str:
        """SHA-256 of the samples that a decoder shows for the last packet; for tests."""

class _AnyDecoder:
    def send(self, data: bytes, pts: int = 0, *, duration: int = 0) -> None: ...
    def flush(self) -> None: ...
    def reset(self) -> None: ...
    @property
    def sequence(self) -> SequenceHeader | None:
        """The last sequence header, None before the first keyframe."""

class Decoder(_AnyDecoder):
    """send() packets, receive() frames until None. Raises BitstreamError (with .packet and
    .byte), ModelNotFoundError (with .model_id), UnsupportedError; after an error the decoder goes
    on with the next keyframe. The GIL is released while decoding."""

    def __init__(
        self,
        models: Sequence[Model],
        *,
        threads: int = 0,
        max_level: int = 28,
        strict: bool = False,
        keep_layers: bool = False,
    ) -> None: ...
    def receive(self) -> Frame | None: ...
    @property
    def tokens(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]] | None:
        """Of the last layer of the frame shown: stages [H, W] (0..S per 8x8 token) and bits
        [H, W, S], bit i of a word being bit i of that stage. None before the first frame, while
        frames are concealed and, without keep_layers, where an earlier packet has the frame."""
    @property
    def layer_tokens(self) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]]:
        """The same of all its layers, in coding order; none where `tokens` is None.
        Needs keep_layers=True: raises BsqError without."""

def probe_packet(data: bytes) -> PacketHeader:
    """Headers of a packet, checksum verified: keyframe, index_in_group, frames (coded in it, 0
    where it shows a held one), held_frames (of these, those that others may refer to), b_frames
    (likewise, those that refer to a later one), layers and crf of the frame shown, tiles, pts,
    ticks_per_frame, group_counter, duration (-1 where the packet states none) and `sequence` (a
    dictionary, or None between keyframes). Between keyframes tiles and ticks_per_frame are 0 and
    pts is the deviation
    from the regular time. Without coded frames layers is 0. crf is -1 where the packet does not
    say: only the stream tells.

    Raises BitstreamError, UnsupportedError."""

def probe_frames(data: bytes) -> list[CodedFrame]:
    """The coded frames of a packet, in order: by how many frames each is ahead of the one that the
    packet shows, the distances `back` and `forth` to its references, 0 for none (`forth` is
    negative where the second one is before the frame), its bytes, and its crf, -1 where it has the
    steps of the reference that was decoded later.

    Raises BitstreamError, UnsupportedError."""

def probe_sequence(data: bytes) -> SequenceHeader:
    """The sequence header in a container's private data, as `probe_packet` gives it; bytes after it
    are passed over.

    Raises BitstreamError, UnsupportedError."""

def set_packet_group_counter(data: bytes, group_counter: int) -> bytes:
    """The packet with another group counter, 0 to 3, and a new checksum: from group to group of a
    stream it rises by one, to 0 after 3, and all packets of a group have the same.

    Raises UsageError, BitstreamError, UnsupportedError."""

# ---- the CUDA backend (docs/cuda.md) ----

class CudaLibrary:
    """The CUDA backend, libbsq_cuda, loaded from `path`; without one its emulation on the host,
    in which the tests run it. Raises UnsupportedError for a file that is not it."""

    def __init__(self, path: str | None = None) -> None: ...
    @property
    def emulated(self) -> bool: ...
    @property
    def version(self) -> str: ...
    def device_count(self) -> int:
        """Devices that can be opened; 0 without a driver. The emulated ones differ in the order in
        which they work: 1 and 3 do nothing before the host waits, 2 and 3 go backwards."""

class CudaPlane:
    """Samples [H, W], uint8 or above 8 bits uint16, in the device's memory (the emulation's: the
    host's). Lives as long as its users, also after its decoder. Work of other streams on it must be
    done before it is let go: its memory serves for later frames."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def pointer(self) -> int: ...
    @property
    def stride(self) -> int:
        """Bytes from row to row."""
    def __dlpack__(self, *, stream: int | None = None, **_: object) -> CapsuleType:
        """Waits until the samples are there, unless `stream` is -1: the consumer then works on the
        decoder's stream."""
    def __dlpack_device__(self) -> tuple[int, int]: ...

class CudaFrame(_AnyFrame):
    @property
    def planes(self) -> list[CudaPlane]: ...

class CudaDecoder(_AnyDecoder):
    """Decoder on a device, to the same samples. All its work is on `stream`, a cudaStream_t of the
    device as a number, 0 for the default one, which must outlive the decoder and its frames.
    Raises what Decoder raises, and UnsupportedError where there is no driver or the device is too
    old."""

    def __init__(
        self,
        library: CudaLibrary,
        models: Sequence[Model],
        *,
        device: int = 0,
        stream: int = 0,
        threads: int = 0,
        max_level: int = 28,
        strict: bool = False,
    ) -> None: ...
    def receive(self) -> CudaFrame | None:
        """The frame in memory of its own on the device."""
    def receive_host(self) -> Frame | None:
        """The frame in memory of the host."""

# ---- parts of the codec, for training, tests and tools ----
#
# Arrays have exactly the types stated and any layout. All raise UsageError for other types, shapes
# or values. `threads` never changes a result; `kernels` is a kernel set, None for the current one.

Bytes = bytes | bytearray | memoryview | npt.NDArray[Any]
_U8 = npt.NDArray[np.uint8]
_U16 = npt.NDArray[np.uint16]
_U64 = npt.NDArray[np.uint64]
_S8 = npt.NDArray[np.int8]
_S16 = npt.NDArray[np.int16]
_S32 = npt.NDArray[np.int32]
_F32 = npt.NDArray[np.float32]
_Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_Bits = npt.NDArray[np.uint8] | npt.NDArray[np.bool_]

# ---- hashes ----

def sha256(data: Bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""

def crc32(data: Bytes, previous: int = 0) -> int:
    """CRC-32 as in zlib.crc32; `previous` is the checksum of the bytes before."""

# ---- range coder ----

class RangeEncoder:
    """Codes bits under given probabilities. A probability is that of a 1, in units of 2^-16, from
    1 to 65535."""

    def __init__(self) -> None: ...
    @property
    def bits(self) -> float:
        """Bits taken by the symbols so far."""
    def encode(self, bit: int, p: int) -> None: ...
    def encode_bits(self, bits: _Bits, probs: _U16) -> None:
        """Bits [N] under probs [N]."""
    def encode_logits(self, bits: _Bits, logits: _S16) -> None:
        """Bits [N] under logits [N] in units of 1/256."""
    def finish(self) -> bytes:
        """Ends the code and returns its bytes; the encoder then starts anew."""

class RangeDecoder:
    """Decodes what RangeEncoder wrote, given the same probabilities. Any bytes decode to
    something; check_end() tells whether they were sound."""

    def __init__(self, data: Bytes) -> None: ...
    @property
    def overrun(self) -> bool:
        """True if no encoder can have written these bytes for the symbols decoded so far."""
    @property
    def unread(self) -> int:
        """Bytes that decoding has not reached: none after the last symbol of an intact code."""
    def decode(self, p: int) -> int: ...
    def decode_bits(self, probs: _U16) -> _U8:
        """Bits [N] under probs [N]."""
    def decode_logits(self, logits: _S16) -> _U8:
        """Bits [N] under logits [N] in units of 1/256."""
    def check_end(self) -> None:
        """Raises BitstreamError if overrun or if bytes are left; for after the last symbol."""

class MixedContexts:
    """Contexts of adaptive bits: two sets of weights, three inputs of four contexts each."""

    def __init__(self) -> None: ...
    def probability(self, number: int, contexts: tuple[int, int, int], logit: int = 0) -> int:
        """Probability of a 1 in units of 2^-16, 32 .. 65504."""
    def encode(
        self,
        encoder: RangeEncoder,
        bit: int,
        number: int,
        contexts: tuple[int, int, int],
        logit: int = 0,
    ) -> None: ...
    def decode(
        self, decoder: RangeDecoder, number: int, contexts: tuple[int, int, int], logit: int = 0
    ) -> int: ...

class MixedLogits(MixedContexts):
    """Likewise of bits that have a logit."""

class SignedContexts:
    """Contexts for integers from -32767 to 32767, one per bin."""

    def __init__(self) -> None: ...
    def encode(self, encoder: RangeEncoder, value: int) -> None: ...
    def decode(self, decoder: RangeDecoder) -> int:
        """Raises BitstreamError on damaged data."""

def probability_from_logit(logits: _S16) -> _U16:
    """Probabilities of a 1 for logits in units of 1/256, any shape."""

def bit_cost(bits: _Bits, probs: _U16) -> npt.NDArray[np.float64]:
    """What each of the bits [N] costs under probs [N], in bits."""

# ---- quantizer and tiles ----

def quantize(z: _F32) -> _U64:
    """Codes [...] of vectors z [..., L], L from 1 to 64: bit i is set where z[..., i] >= 0."""

def project(z: _F32) -> _F32:
    """z / |z| along the last dimension; (1, ..., 1)/sqrt(L) for |z| = 0."""

def dequantize(codes: _U64, bits: int) -> _F32:
    """Vectors [..., bits] of codes [...]: +-1/sqrt(bits)."""

def pack_bits(codes: _U64, bits: int) -> bytes:
    """Codes [N] as bytes, `bits` bits each, lowest bit first, without gaps."""

def unpack_bits(data: Bytes, count: int, bits: int) -> _U64:
    """The codes [count] that pack_bits packed. Raises BitstreamError if the size does not fit or
    padding bits are set."""

class TileGrid:
    """How a frame is cut into tiles."""

    @property
    def tokens_x(self) -> int: ...
    @property
    def tokens_y(self) -> int: ...
    @property
    def superblocks_x(self) -> int: ...
    @property
    def superblocks_y(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def tiles(self) -> list[tuple[int, int, int, int]]:
        """(x, y, width, height) of every tile in superblocks, raster order."""

def tile_grid(width: int, height: int) -> TileGrid:
    """The tile grid of a frame of the given size in luma samples, 1 to 8192 either way."""

# ---- motion ----

def motion_search(
    cur: _Samples,
    ref: _Samples,
    lam: float = 4.0,
    range: int = 64,  # noqa: A002 - the word of the C++ side
    previous: _S16 | None = None,
    bit_depth: int = 8,
    tiles: Sequence[Sequence[int]] | None = None,
    threads: int = 1,
    fine: bool = False,
    emulated_device: int | None = None,
) -> tuple[_U8, _S16]:
    """Searches the motion of a luma plane [H, W] against another; H and W are multiples of 8.

    lam: lambda for an estimated bit of vector, in units of absolute difference of 8-bit samples.
    range: luma samples each way of the coarse search, 4 to 512. previous: [ceil(H/16),
    ceil(W/16), 2], vectors to try as well. tiles: (x_begin, y_begin, x_end, y_end) in superblocks,
    ends excluded, tiling the frame, within which vectors are predicted; None is one tile.
    Returns (split [ceil(H/32), ceil(W/32)], mv [ceil(H/16), ceil(W/16), 2]); mv holds (x, y) in
    quarter luma samples. fine: blocks may be split into 8x8 sub-blocks; mv is [H/8, W/8, 2], and
    split, where it is not 0, 1 plus 2 << i for every such block i of the superblock.
    """

def motion_search_batch(
    cur: _Samples,
    ref: _Samples,
    lam: float = 4.0,
    range: int = 64,  # noqa: A002 - the word of the C++ side
    bit_depth: int = 8,
    threads: int = 1,
    fine: bool = False,
) -> tuple[_U8, _S16]:
    """motion_search over a batch [B, H, W], without the GIL."""

def motion_compensate(
    ref_planes: Sequence[_Samples], split: _U8, mv: _S16, bit_depth: int = 8
) -> list[_Samples]:
    """Predicts a frame from a reference frame and a motion field.

    ref_planes: one plane (gray) or three [H, W]; chroma has the size of luma, or half of it on
    both axes. split, mv: as motion_search returns them.
    """

def motion_predict_batch(
    y: _Samples,
    u: _Samples,
    v: _Samples,
    split: _U8,
    mv: _S16,
    bit_depth: int = 8,
    threads: int = 1,
) -> tuple[_Samples, _Samples, _Samples]:
    """motion_compensate over a batch of 4:2:0 frames, without the GIL: y [B, H, W], u and v
    [B, H/2, W/2]."""

# B frames. distances: of the two references, in frames. temporal: (mv [H/8, W/8, 2], distance,
# shared), the vectors that temporal vectors are made of, the frames that they span, and whether
# they are those of the first reference into the second; None: there are none.

_BField = tuple[_U8, _U8, _S16]  # split, direction [H/8, W/8], mv [2, H/8, W/8, 2]
_Temporal = tuple[_S16, int, bool] | None
_Vector = tuple[int, int]

class _BPlace(TypedDict):
    square: tuple[int, int, int]  # x, y, side in sub-blocks
    predictor: tuple[_Vector, _Vector]
    merged: int
    both: int
    side: int
    differs: list[int]
    candidates: list[tuple[int, tuple[_Vector, _Vector]]]

def b_motion_search(
    cur: _Samples,
    first: _Samples,
    second: _Samples,
    distances: tuple[int, int] = (1, 1),
    lam: float = 4.0,
    range: int = 64,  # noqa: A002 - the word of the C++ side
    pair_rounds: int = 2,
    temporal: _Temporal = None,
    bit_depth: int = 8,
    tiles: Sequence[Sequence[int]] | None = None,
    threads: int = 1,
) -> _BField:
    """Searches the motion of a luma plane against two references, as that of a B frame.

    pair_rounds: of the refinement of both vectors; the rest as motion_search.
    """

def b_motion_places(
    split: _U8,
    direction: _U8,
    mv: _S16,
    distances: tuple[int, int] = (1, 1),
    temporal: _Temporal = None,
    tiles: Sequence[Sequence[int]] | None = None,
) -> list[_BPlace]:
    """What is known of each square of a B frame's field before it is coded, in coding order."""

def b_motion_code(
    split: _U8,
    direction: _U8,
    mv: _S16,
    distances: tuple[int, int] = (1, 1),
    temporal: _Temporal = None,
    tiles: Sequence[Sequence[int]] | None = None,
) -> tuple[int, _BField]:
    """Codes a B frame's field with fresh contexts and decodes it: bytes, and the decoded field."""

def scale_motion_vector(v: Sequence[int], n: int, d: int) -> _Vector:
    """scale(v, n, d) of docs/bitstream.md section 4.6, in x and y."""

_PlannedFrame = tuple[int, int | None, int | None, int | None, int, int | None]

def group_frames(sizes: Sequence[int]) -> list[_PlannedFrame]:
    """The frames of hierarchical groups of these sizes after a keyframe, in coding order.

    Returns tuples (index in the GOP, first reference, second reference, what else an anchor may
    have for its second reference, level, slot), None where there is none."""

def planned_packets(
    frames: _Samples,
    *,
    lookahead: int = 24,
    bframes: int = 7,
    gop: int = 250,
    scene_cut: bool = True,
    keyframes: Sequence[int] = (),
    context_from: int | None = None,
    threads: int = 1,
) -> list[list[tuple[_PlannedFrame, npt.NDArray[np.float64] | None]]]:
    """What an encoder's lookahead plans for each packet of a stream of luma planes.

    frames: uint8, or uint16 of 10 bits [N, H, W], H and W multiples of 8. keyframes: numbers of
    frames that are asked to be one. context_from: number of the first frame that is context only.
    Returns for each packet a list of pairs: a tuple of a frame as group_frames() gives it, and its
    propagation cost on every superblock in octaves, [ceil(H/32), ceil(W/32)], or None without a
    lookahead."""

def motion_vector_predictors(
    width: int, height: int, split: _U8, mv: _S16, tile: Sequence[int] | None = None
) -> _S16:
    """The vector that each vector of a field is coded against.

    tile: (x_begin, y_begin, x_end, y_end) in superblocks, ends excluded; predictors are found
    inside it, and are zero outside; the whole frame if None. Returns an array like mv.
    """

# ---- networks (docs/numerics.md) ----
#
# H and W are in tokens; S stages a token, V values a token vector;
# active: [superblocks_y, superblocks_x], not 0 where active, None for all.

def step_q8(q: int) -> int:
    """Quantization step of q, Q8: docs/numerics.md section 3."""

def side_vectors(
    prediction: Sequence[_U16],
    bit_depth: int,
    q: int,
    first_of_keyframe: bool,
    later: bool,
    above: int,
    active: _U8 | None = None,
    *,
    prediction_side: _S16 | None = None,
    threads: int = 1,
) -> _S16:
    """Side vectors [H, W, 104] of a list of planes of whole tokens; prediction_side [H, W, 2]."""

def residual_vectors(
    source: Sequence[_U16],
    prediction: Sequence[_U16],
    bit_depth: int,
    q: int,
    active: _U8 | None = None,
    *,
    chroma_crf_offset: int = -2,
    threads: int = 1,
) -> _S16:
    """Residual vectors [H, W, 96]."""

def reconstruct(
    prediction: Sequence[_U16],
    bit_depth: int,
    output: _S16,
    q: int,
    active: _U8 | None = None,
    *,
    chroma_crf_offset: int = -2,
    threads: int = 1,
) -> list[_U16]:
    """Planes of prediction + step * output; output [H, W, 96]."""

def tokenizer_encode(
    model: Model,
    side: _S16,
    residual: _S16,
    active: _U8 | None = None,
    *,
    kernels: str | None = None,
    threads: int = 1,
) -> _U8:
    """Bits [H, W, S, 32] of the tokenizer's encoder; side [H, W, 104], residual [H, W, 96]; 0 at
    inactive tokens."""

def tokenizer_gains(
    model: Model,
    residual: _S16,
    output: _S16,
    active: _U8 | None = None,
    *,
    kernels: str | None = None,
    threads: int = 1,
) -> _S16:
    """What every bit gains by the errors that output leaves of residual, [H, W, 32 S] in 32nds of a
    squared step size; both [H, W, 96]."""

def tokenizer_decode(
    model: Model,
    tokens: _S8,
    side: _S16,
    active: _U8 | None = None,
    *,
    kernels: str | None = None,
    threads: int = 1,
) -> _S16:
    """Output [H, W, 96], Q8 in steps, of the tokenizer's decoder; tokens [H, W, V]."""

def prior_flags(
    model: Model,
    previous: _S8,
    side: _S16,
    active: _U8 | None = None,
    *,
    kernels: str | None = None,
    threads: int = 1,
) -> _S16:
    """Logits [H, W, 3 S] of the stage flags; previous [H, W, V]."""

def prior_logits(
    model: Model,
    previous: _S8,
    side: _S16,
    active: _U8 | None,
    tokens: _S8,
    *,
    kernels: str | None = None,
    threads: int = 1,
    tiles: Sequence[Sequence[int]] | None = None,
) -> _S32:
    """Logits [H, W, S, 32] of all coded bits given the tokens before them; tokens [H, W, V] are
    the truth, tiles a list of (y, x, height, width) in tokens, None for one; 0 where nothing is
    coded."""

# ---- kernels, for their tests and benchmarks ----

def kernel_linear8(kernels: str, x: _S8, w: _S8, b: _S32) -> _S32:
    """Sums [T, N] of x [T, K], w [N, K]; K a multiple of 8."""

def kernel_linear8_rq8(
    kernels: str, x: _S8, w: _S8, b: _S32, m: _S32, n: int, table: _S8 | None = None
) -> _S8:
    """table(rq8(linear8(x))) [T, N]."""

def kernel_linear8_rq16(
    kernels: str, x: _S8, w: _S8, b: _S32, m: _S32, n: int, add: _S16 | None = None
) -> _S16:
    """add16(add, rq16(linear8(x))) [T, N]."""

def kernel_linear16_rq16(
    kernels: str, x: _S16, w: _S8, b: _S32, m: _S32, n: int, add: _S16 | None = None
) -> _S16:
    """add16(add, rq16(linear16(x))) [T, N]."""

def kernel_dwconv5(kernels: str, x: _S8, w: _S8, b: _S32, m: _S32, n: int) -> _S8:
    """rq8(dwconv5(x)) [H, W, C] of x [H + 4, W + 4, C] with its border."""

def kernel_requant8(kernels: str, x: _S16, m: _S32, n: int, table: _S8 | None = None) -> _S8:
    """table(rq8(x)) of x [T, C]."""

# ---- times, for `bsqav bench` ----

def set_section_clock(on: bool) -> None:
    """Count the time of encoders and decoders by section, from zero, or stop; process-wide."""

def section_times() -> dict[str, tuple[float, int, int]]:
    """Seconds, calls and tokens by the name of the section, since set_section_clock(True), of the
    threads that call encoders and decoders; a section leaves out what runs inside it as another."""

def time_peak(kernels: str, rounds: int, threads: int = 1) -> tuple[float, float]:
    """Multiply-adds and seconds of the set's products in a bare loop on registers, on every thread
    at once. Raises UnsupportedError for "scalar"."""

def time_linear(
    kernels: str, operation: str, rows: int, inputs: int, outputs: int, repeats: int
) -> list[float]:
    """Seconds of each call of "linear8_rq8" (with a table), "linear8_rq16" or "linear16_rq16" (both
    adding to what is there)."""

def time_tokenizer(
    model: Model, half: str, height: int, width: int, threads: int, repeats: int
) -> list[float]:
    """Seconds of each run of the "analysis" or "synthesis" network over all tokens of a frame of
    height x width tokens, by the current kernels."""
