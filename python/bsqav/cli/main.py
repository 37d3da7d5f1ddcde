"""The entry point `bsqav`: picks the command, and turns errors into a line and an exit status."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import NoReturn, TextIO

import bsqav
from bsqav.cli import display
from bsqav.cli.interrupts import terminated_like_interrupted
from bsqav.cli.parsing import Parser, did_you_mean
from bsqav.errors import BsqError, BsqWarning, UsageError

__all__ = ["COMMANDS", "main", "run"]

# Command, its module, and its line in the overview. A module is loaded when its command is called,
# so that one which needs an extra is in nobody's way.
COMMANDS = (
    ("transcode", "bsqav.cli.transcode", "turn a video into BSQ, or BSQ into another video"),
    ("info", "bsqav.cli.info", "show streams, model, blocks and bits per frame"),
    ("play", "bsqav.cli.play", "play a file"),
    ("verify", "bsqav.cli.verify", "check every packet and print the conformance hash"),
    ("compare", "bsqav.cli.compare", "compare BSQ with other codecs"),
    ("bench", "bsqav.cli.bench", "measure speed and compare it with other codecs"),
    ("models", "bsqav.cli.models", "list, show, import and export models"),
    ("train", "bsqav.cli.train", "train the codec's and the paper's networks (extra train)"),
    ("eval", "bsqav.cli.eval", "measure the paper's networks (extra train)"),
    ("tokenize", "bsqav.cli.tokenize", "turn images or videos into tokens (extra train)"),
    ("detokenize", "bsqav.cli.detokenize", "turn tokens into images or videos (extra train)"),
    ("compress", "bsqav.cli.compress", "code images or videos by the paper's networks (train)"),
    ("decompress", "bsqav.cli.decompress", "decode what compress wrote (extra train)"),
    ("generate", "bsqav.cli.generate", "draw images with a masked LM (extra train)"),
)

EXIT_FAILED = 1
EXIT_USAGE = 2


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        display.show(f"bsqav {bsqav.__version__}")
        parser.exit()


def _build_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser with all commands in its overview, and the arguments of `command` only."""
    parser = Parser(
        prog="bsqav",
        description="A video codec on Binary Spherical Quantization.",
        epilog="`bsqav COMMAND --help` describes a command.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module, overview in COMMANDS:
        if name == command:
            importlib.import_module(module).add_parser(commands)
        else:
            commands.add_parser(name, help=overview)
    return parser


def _command_of(arguments: Sequence[str]) -> str | None:
    """The command that a command line names: its first word that is no option."""
    return next((word for word in arguments if not word.startswith("-")), None)


def _check_command(command: str | None) -> None:
    """Raises UsageError where there is no such command."""
    names = [name for name, _, _ in COMMANDS]
    if command is not None and command not in names:
        meant = did_you_mean(command, names)
        if meant is None and os.path.exists(command):  # noqa: PTH110 - any text may be a command
            meant = f"`bsqav transcode {command} OUT`, `bsqav info {command}`"
        remedy = f"did you mean {meant}?" if meant else f"there is {', '.join(names)}"
        raise UsageError(f"there is no command {command!r}: {remedy}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns 0, 1 where it failed, 2 where it was wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or bool(os.environ.get("BSQAV_DEBUG"))
    with _surroundings(debug):
        try:
            return _run(arguments)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else EXIT_FAILED
        except (Exception, KeyboardInterrupt) as error:
            if debug:
                display.show(traceback.format_exc().rstrip(), file=sys.stderr)
            return _failed(error)


def _run(arguments: Sequence[str]) -> int:
    command = _command_of(arguments)
    _check_command(command)
    parser = _build_parser(command)
    if not arguments:
        parser.print_help()
        return EXIT_USAGE
    args = parser.parse_args(arguments)
    if getattr(args, "run", None) is None:
        raise UsageError("which command? `bsqav --help` lists them")
    return int(args.run(args))


def _failed(error: BaseException) -> int:
    """Says what has ended a command, in a line; returns the exit status."""
    if isinstance(error, UsageError):
        display.say(str(error))
        return EXIT_USAGE
    if isinstance(error, KeyboardInterrupt):
        display.say(str(error) or "interrupted")
    elif isinstance(error, BrokenPipeError):
        # Of a listing that is no news; a video that is not whole is.
        if isinstance(error, BsqError):
            display.say(str(error))
        _leave_pipe()
    elif isinstance(error, BsqError | OSError):
        display.say(str(error))
    elif isinstance(error, ImportError):
        display.say(f"a part of bsqav is missing: {error}")
    elif isinstance(error, MemoryError):
        display.say("out of memory")
    else:
        display.say(
            f"internal error: {type(error).__name__}: {error}; please report it with the output "
            "of the same command with --debug"
        )
    return EXIT_FAILED


@contextlib.contextmanager
def _surroundings(debug: bool) -> Iterator[None]:
    """How a command hears of signals, and where its warnings and FFmpeg's own log go."""

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, BsqWarning):
            display.warn(str(message))
        else:
            before(message, category, filename, lineno, file, line)

    before = warnings.showwarning
    with warnings.catch_warnings(), terminated_like_interrupted():
        warnings.simplefilter("always", BsqWarning)
        warnings.showwarning = shown
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # names may not fit the terminal's encoding
                stream.reconfigure(errors="backslashreplace")
        if debug:
            # PyAV is loaded here, and not where there is nothing to show.
            importlib.import_module("bsqav.media.io.ffmpeg_log").show_log()
        yield


def _leave_pipe() -> None:
    """The reader of standard output has gone: nothing may be written to it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def run() -> NoReturn:
    """The program: `main`, and the end of the process with its exit status.

    A call that was interrupted may still wait inside FFmpeg, in a thread of its own. Python cannot
    end such a thread, and a normal exit while it runs can crash: the process then ends at once,
    without exit handlers.
    """
    status = main()
    waiting = sys.modules.get("bsqav.media.io.waiting")  # PyAV is not loaded for this check
    if waiting is not None and waiting.is_any_abandoned():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
