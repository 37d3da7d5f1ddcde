"""ffmpeg's options: those that mean the same are understood, for others the message names ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from bsqav.errors import UsageError

__all__ = ["same_options", "translated"]

# Settings whose option of ffmpeg's takes another value.
_OWN_MEANING = {"scene_cut", "vbv_buffer"}
# ffmpeg's option and ours, which means exactly the same and takes the same value.
_SAME = {
    "-acodec": "-c:a",
    "-b:v": "--bitrate",
    "-codec:a": "-c:a",
    "-codec:v": "-c:v",
    "-framerate": "--fps",
    "-maxrate:v": "--maxrate",
    "-pix_fmt": "--pix-fmt",
    "-s": "--scale",
    "-ss": "--start",
    "-start_number": "--start-number",
    "-t": "--duration",
    "-to": "--to",
    "-vb": "--bitrate",
    "-vcodec": "-c:v",
}


@lru_cache(maxsize=1)
def same_options() -> dict[str, str]:
    """ffmpeg's options that mean exactly the same as ours, those of the encoder's settings too."""
    # Here, since bsqav.codec takes time to load and few calls need it.
    from bsqav.cli.settings import option_of
    from bsqav.codec.encoder_options import FFMPEG_NAMES
    from bsqav.codec.settings import SETTINGS

    names = [name for name in SETTINGS if name not in _OWN_MEANING]
    return {**_SAME, **{f"-{FFMPEG_NAMES.get(name, name)}": option_of(name) for name in names}}


# Those without a value, and what they come to.
_FIXED = {
    "-an": ["--audio", "none"],
    "-hide_banner": [],
    "-n": [],  # existing files are never replaced without -y
    "-nostdin": [],
    "-sn": ["--subtitles", "none"],
    "-stats": [],
}
_QUIET = {"quiet", "panic", "fatal", "error", "-8", "0", "8", "16"}
_LOUD = {"verbose", "debug", "trace", "40", "48", "56"}
_SCALE = re.compile(r"scale=(?:w=)?(-?\d+)[:x](?:h=)?(-?\d+)")

_FILTERS = (
    "there are no filters except --scale: ffmpeg filters into a pipe, "
    "`ffmpeg -i IN ... -c:v ffv1 -c:a copy -f nut - | bsqav transcode - OUT`"
)
_SOUND = (
    "sound is copied, or coded by -c:a CODEC with that encoder's defaults; for more, code it with "
    "ffmpeg first"
)
_TIMES = "every frame keeps its time: leave it out"
_TAGS = "tags and chapters are carried over as they are: change them in OUT with `ffmpeg -c copy`"
_PRIVATE = "options of one encoder alone are not handed on: use ffmpeg itself for them"
_QUALITY = "the quality is --crf N, from 0 (finest) to 63, and a bit rate is --bitrate RATE"
# Those that have no twin, and what to do instead.
_ANSWERS = {
    **dict.fromkeys(
        ("-vf", "-filter:v", "-filter_complex", "-lavfi", "-af", "-filter:a"), _FILTERS
    ),
    **dict.fromkeys(("-b:a", "-ab", "-q:a", "-qscale:a", "-ar", "-ac"), _SOUND),
    **dict.fromkeys(("-q", "-q:v", "-qscale", "-qscale:v", "-qp", "-cq"), _QUALITY),
    **dict.fromkeys(("-vsync", "-fps_mode", "-copyts", "-async", "-itsoffset", "-re"), _TIMES),
    **dict.fromkeys(("-metadata", "-map_metadata", "-map_chapters"), _TAGS),
    **dict.fromkeys(("-x264-params", "-x265-params", "-svtav1-params", "-profile:v"), _PRIVATE),
    **dict.fromkeys(("-bf", "-refs", "-level", "-keyint_min", "-sc_threshold"), _PRIVATE),
    **dict.fromkeys(("-bufsize", "-bufsize:v"), "give --vbv-buffer T in seconds of the rate"),
    "-minrate": "a rate has no lower bound: leave it out",
    **dict.fromkeys(("-pass", "-passlogfile"), "one command does both: --two-pass --bitrate RATE"),
    **dict.fromkeys(
        ("-c:s", "-scodec", "-codec:s"),
        "text subtitles are carried as OUT holds them, and --subtitles LIST chooses among them",
    ),
    **dict.fromkeys(("-frames:v", "-vframes", "-frames"), "give the length: --duration T"),
    "-aspect": "the shape of pixels stays what it is: leave it out",
    "-hwaccel": "--device cuda codes BSQ on a CUDA device",
    "-map": "tracks are chosen by --video N, --audio LIST and --subtitles LIST",
    "-movflags": "OUT is written for files and streaming alike; `ffmpeg -c copy` rewrites it",
    "-shortest": "no track is lengthened: cut with --duration T",
    "-strict": "no encoder needs it here: leave it out (--strict refuses to lose a track)",
    "-vn": "OUT has the video in it: `ffmpeg -i IN -vn OUT` takes the sound alone",
}
_RATE = (
    "-r: every frame is kept with its time, and rates are not converted: leave it out "
    "(in front of IN, or as --fps N, it is the rate of numbered images)"
)


@dataclass
class _Words:
    """A command line on its way into our words."""

    rest: list[str]
    prog: str
    takes_value: Callable[[str], bool | None]
    done: list[str] = field(default_factory=list)
    has_input: bool = False  # a positional argument has come
    starts_input: bool = False  # -ss has, in front of it

    def value(self, option: str) -> str:
        """The value that follows an option."""
        if not self.rest:
            raise UsageError(f"{option} needs a value")
        return self.rest.pop(0)

    def knows(self, option: str) -> bool:
        return self.takes_value(option) is not None


def translated(
    words: Sequence[str], takes_value: Callable[[str], bool | None], prog: str
) -> list[str]:
    """The words of a command line with ffmpeg's options in ours.

    Args:
        words: what follows the command.
        takes_value: whether an option of the command takes one value; None for no option.
        prog: what messages call the command.

    Raises:
        UsageError: an option of ffmpeg's that has no twin; the message says what does instead.
    """
    line = _Words(list(words), prog, takes_value)
    names_input = "-i" in line.rest
    while line.rest:
        word = line.rest.pop(0)
        if word == "--":
            return [*line.done, word, *line.rest]
        if word == "-f" and names_input and not line.has_input and line.knows("--input-format"):
            line.done += ["--input-format", line.value(word)]
        elif line.knows(word.split("=")[0]):
            line.done.append(word)
            if line.takes_value(word) and line.rest:
                line.done.append(line.rest.pop(0))
        elif not word.startswith("-") or word == "-":
            line.has_input = True
            line.done.append(word)
        else:
            _translate(word, line)
    return line.done


def _translate(word: str, line: _Words) -> None:
    """Takes one option that the command does not have itself."""
    ours = same_options().get(word)
    if word == "-i":
        if line.has_input:
            raise UsageError("one input at a time: -i IN, once")
        line.has_input = True
        line.done.append(line.value(word))
    elif ours is not None and line.knows(ours):
        line.starts_input |= word == "-ss" and not line.has_input
        if word == "-to" and line.has_input and line.starts_input:
            raise UsageError("-to behind IN counts from -ss, as -t does: say -t (--duration T)")
        line.done += [ours, line.value(word)]
    elif word in _FIXED and all(line.knows(part) for part in _FIXED[word][:1]):
        line.done += _FIXED[word]
    elif word in ("-c", "-codec") and line.knows("-c:v"):
        _both_codecs(word, line)
    elif word in ("-loglevel", "-v") and line.knows("--quiet"):
        line.done += _loudness(word, line.value(word))
    elif word == "-r" and line.knows("--fps"):
        if line.has_input:
            raise UsageError(_RATE)
        line.done += ["--fps", line.value(word)]
    elif word in ("-vf", "-filter:v") and line.knows("--scale") and line.rest:
        line.done += _filter(word, line.value(word))
    elif word in _ANSWERS and line.knows("-c:v"):
        raise UsageError(f"{word}: {_ANSWERS[word]}")
    else:
        line.done.append(word)  # the parser says that there is none


def _both_codecs(word: str, line: _Words) -> None:
    codec = line.value(word)
    if codec != "copy":
        raise UsageError(f"{word} {codec}: say -c:v {codec} for the video, or -c:a for the sound")
    line.done += ["-c:v", "copy", "-c:a", "copy"]


def _loudness(word: str, level: str) -> list[str]:
    if level in _QUIET:
        return ["--quiet"]
    if level in _LOUD:
        return ["--debug"]
    if level in ("info", "32"):
        return []
    raise UsageError(f"{word} {level}: --quiet shows errors alone, and --debug FFmpeg's own log")


def _filter(word: str, text: str) -> list[str]:
    match = _SCALE.fullmatch(text)
    if match is None:
        raise UsageError(f"{word}: {_FILTERS}")
    return ["--scale", f"{match[1]}x{match[2]}"]
