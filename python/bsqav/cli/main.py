"""The entry point `bsqav`: picks the command, and turns errors into a line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import bsqav
from bsqav.cli.values import printable
from bsqav.errors import BsqError, UsageError

__all__ = ["COMMANDS", "main"]

# Command, its module, and its line in the overview. A module is loaded when its command is called,
# so that one which needs an extra is in nobody's way.
COMMANDS = (
    ("transcode", "bsqav.cli.transcode", "turn a video into BSQ, or BSQ into another video"),
    ("info", "bsqav.cli.info", "show streams, model, blocks and bits per frame"),
    ("play", "bsqav.cli.play", "play a file"),
    ("verify", "bsqav.cli.verify", "check every packet and print the conformance hash"),
    ("compare", "bsqav.cli.compare", "measure BSQ beside other codecs"),
    ("bench", "bsqav.cli.bench", "measure speed beside the peers"),
    ("models", "bsqav.cli.models", "list, show, import and export models"),
    ("train", "bsqav.cli.train", "train the codec's and the paper's networks (extra train)"),
    ("eval", "bsqav.cli.eval", "measure the paper's networks (extra train)"),
    ("generate", "bsqav.cli.generate", "draw pictures with a masked LM (extra train)"),
)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"bsqav {bsqav.__version__}")
        parser.exit()


def _build_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser with all commands in its overview, and the arguments of `command` only."""
    parser = argparse.ArgumentParser(
        prog="bsqav",
        description="A video codec on Binary Spherical Quantization.",
        allow_abbrev=False,
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


def _say(message: str) -> None:
    """Prints one line on standard error."""
    print(f"bsqav: {printable(' '.join(message.split()))}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns 0, 1 where it failed, 2 where it was wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _build_parser(_command_of(arguments))
        args = parser.parse_args(arguments)
        return int(args.run(args))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILED
    except UsageError as error:
        _say(f"{error}")
        return EXIT_USAGE
    except KeyboardInterrupt as error:
        _say(str(error) or "interrupted")
        return EXIT_FAILED
    except BrokenPipeError as error:
        # Of a listing that is no news; a video that is not whole is.
        if isinstance(error, BsqError):
            _say(str(error))
        _leave_pipe()
        return EXIT_FAILED
    except (BsqError, OSError) as error:
        _say(str(error))
        return EXIT_FAILED
    except ImportError as error:
        _say(f"a part of bsqav is missing: {error}")
        return EXIT_FAILED
    except MemoryError:
        _say("out of memory")
        return EXIT_FAILED
    except Exception as error:
        if os.environ.get("BSQAV_DEBUG"):
            traceback.print_exc()
        _say(
            f"internal error: {type(error).__name__}: {error}; please report it with the output "
            "of the same command under BSQAV_DEBUG=1"
        )
        return EXIT_FAILED


def _leave_pipe() -> None:
    """The reader of standard output has gone: nothing may be written to it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
