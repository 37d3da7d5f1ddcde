"""The reference encoders, with settings that do them justice, run through ffmpeg.

All take 8-bit 4:2:0 (VVenC as 10 bits, it has nothing else), no audio, the keyframe interval given,
and two-way prediction where the format has it. Constant quality throughout, so that a curve is a
list of qualities.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from bsqav.evaluation.io.errors import EvaluationError, MissingEncoderError
from bsqav.evaluation.io.ffmpeg import Run, encoders, run_ffmpeg


@dataclass(frozen=True)
class Reference:
    """One encoder: ffmpeg's name, arguments before the quality, and the qualities of its curve.

    even_only     the encoder refuses odd sizes in 4:2:0
    intra_only    every frame is a keyframe, there is no interval to set
    pixel_format  what the encoder takes; what it decodes to is brought back to 8 bits
    step          the least difference between two qualities
    least_gop     the shortest keyframe interval that it takes
    """

    name: str
    title: str
    encoder: str
    arguments: tuple[str, ...]
    option: str
    points: tuple[int, ...]
    even_only: bool = False
    intra_only: bool = False
    pixel_format: str = "yuv420p"
    step: float = 1.0
    least_gop: int = 1


# Rate-distortion optimised decisions and trellis quantization are on in x264's presets and off by
# default in FFmpeg's MPEG encoders, where they save 5 to 14 % of rate at equal PSNR-Y. Motion JPEG
# stays plain: trellis gains 4 % in PSNR-Y there and nothing in MS-SSIM.
_SEARCH = ("-mbd", "rd", "-trellis", "2")
# x264 writes its settings as 600-odd bytes of text into the first packet, which would weigh on a
# short clip at a low rate; the bitstream filter drops that message.
_NO_TEXT = ("-bsf:v", "filter_units=remove_types=6")

# Without "unofficial" ffmpeg stretches limited-range video to full range and back.
_MJPEG = ("-strict", "unofficial", "-huffman", "optimal")
_X265 = ("-preset", "medium", "-x265-params", "log-level=error:info=0")
_VP9 = ("-b:v", "0", "-deadline", "good", "-cpu-used", "2", "-row-mt", "1")
_SCALES = (2, 4, 7, 12, 20, 31)


def _mpeg(name: str, title: str, encoder: str, arguments: tuple[str, ...]) -> Reference:
    """One of FFmpeg's MPEG encoders, whose quality is a quantizer scale."""
    return Reference(name, title, encoder, arguments, "-q:v", _SCALES, step=0.1)


def _x26x(name: str, arguments: tuple[str, ...]) -> Reference:
    """x264 or x265, whose crf are of one scale."""
    points = (18, 23, 28, 33, 39, 45)
    return Reference(
        name, f"{name} medium", f"lib{name}", arguments, "-crf", points, even_only=True, step=0.1
    )


_AV1_POINTS = (20, 28, 36, 44, 53, 62)
_VP9_POINTS = (22, 30, 38, 46, 54, 62)
_VVENC = Reference(
    "vvenc",
    "VVenC faster",
    "libvvenc",
    ("-preset", "faster"),
    "-qp",
    (22, 27, 32, 37, 42, 47),
    even_only=True,
    pixel_format="yuv420p10le",
    least_gop=16,
)
_ALL = (
    replace(_mpeg("mjpeg", "Motion JPEG", "mjpeg", _MJPEG), intra_only=True),
    _mpeg("mpeg2", "MPEG-2", "mpeg2video", ("-bf", "2", *_SEARCH)),
    _mpeg("mpeg4", "MPEG-4 ASP", "mpeg4", ("-bf", "2", *_SEARCH)),
    _x26x("x264", ("-preset", "medium", *_NO_TEXT)),
    _x26x("x265", _X265),
    Reference("svtav1", "SVT-AV1 preset 6", "libsvtav1", ("-preset", "6"), "-crf", _AV1_POINTS),
    Reference("vp9", "libvpx-vp9 cpu-used 2", "libvpx-vp9", _VP9, "-crf", _VP9_POINTS),
    _VVENC,
)
REFERENCES: dict[str, Reference] = {reference.name: reference for reference in _ALL}


def check_reference(reference: Reference, width: int, height: int, gop: int = 250) -> None:
    """Raise MissingEncoderError or EvaluationError where the encoder cannot take the clip."""
    if reference.encoder not in encoders():
        raise MissingEncoderError(
            f"this ffmpeg has no encoder {reference.encoder} ({reference.title})"
        )
    if reference.even_only and (width % 2 or height % 2):
        raise EvaluationError(
            f"{reference.title} takes only even sizes, the clip is {width}x{height}: scale it"
        )
    if gop < reference.least_gop and not reference.intra_only:
        raise EvaluationError(
            f"{reference.title} takes keyframe intervals of {reference.least_gop} and more, "
            f"not {gop}"
        )


def _interval(reference: Reference, gop: int) -> list[str]:
    """The arguments that hold an encoder to a keyframe at least every `gop` frames."""
    if reference.intra_only:
        return []
    if reference.encoder != "libvvenc":
        return ["-g", str(gop)]
    # ffmpeg does not hand -g on to VVenC, whose interval goes by seconds unless given in frames,
    # and is a multiple of its mini-GOP
    mini = 32 if gop >= 32 else 16
    return ["-vvenc-params", f"gopsize={mini}:intraperiod={gop // mini * mini}"]


def encode_reference(reference: Reference, y4m: Path, quality: float, gop: int, out: Path) -> Run:
    """Encode `y4m` into the Matroska file `out` in its folder; return the command and its seconds.

    quality   of the encoder's own scale (crf or quantiser); lower is better and larger
    gop       frames from one keyframe to the next at most
    """
    arguments = ["-i", y4m.name, "-an", "-c:v", reference.encoder, *reference.arguments]
    arguments += [reference.option, f"{quality:g}"]
    arguments += _interval(reference, gop)
    arguments += ["-pix_fmt", reference.pixel_format, "-f", "matroska", out.name]
    return run_ffmpeg(arguments, y4m.parent)
