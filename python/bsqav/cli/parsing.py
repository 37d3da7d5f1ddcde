"""The argument parser of every command: one line for what is wrong, and what was probably meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from bsqav.cli.spellings import translated
from bsqav.errors import UsageError

__all__ = ["Parser", "did_you_mean", "setting"]

# A value that argparse would take for an option.
_NEGATIVE = re.compile(r"-[\d.].*")
_ARGUMENT = re.compile(r"argument (?P<name>[^:]+(?::[va])?): (?P<reason>.*)", re.DOTALL)
_CHOICE = re.compile(r"invalid choice: '?(?P<value>.*?)'? \(choose from (?P<choices>.*)\)")
_NUMBER = re.compile(r"invalid (?P<kind>int|float) value: (?P<value>.*)")


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like another one; None where none is."""
    from bsqav.codec.closest import closest  # for errors only: bsqav.codec takes time to load

    return closest(word, known, cutoff=0.7)


def setting(text: str) -> tuple[str, str]:
    """NAME=VALUE, the name with hyphens or underscores; a `type` of arguments.

    Raises argparse.ArgumentTypeError for another text.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is no setting: NAME=VALUE")
    return name.replace("-", "_"), value


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are UsageError, in a sentence.

    ffmpeg's spellings of options that the parser has are understood. Of others it is said what
    does the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})
        self.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show FFmpeg's own log, and where errors come from (BSQAV_DEBUG=1)",
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does; what is left over is an error of the command that it is left over of.

        Raises:
            UsageError: the arguments are wrong.
        """
        words = list(args or ())
        if not self._is_overview():
            words = self._with_joined_values(translated(words, self._takes_value, self.prog))
        found, rest = super().parse_known_args(words, namespace)
        if rest:
            self._refuse(rest)
        return found, rest

    def _is_overview(self) -> bool:
        return self._subparsers is not None

    def _takes_value(self, word: str) -> bool | None:
        """Whether an option takes exactly one value; None where there is no such option."""
        action = self._option_string_actions.get(word)
        return None if action is None else action.nargs is None

    def _with_joined_values(self, words: list[str]) -> list[str]:
        """The words, with values such as -1x360 joined to their option."""
        joined = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                joined += [word, *rest]
            elif self._takes_value(word) and (value := next(rest, None)) is not None:
                joined += [f"{word}={value}"] if _NEGATIVE.fullmatch(value) else [word, value]
            else:
                joined.append(word)
        return joined

    # ---- sentences ----

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with argparse's message as a sentence."""
        match = _ARGUMENT.fullmatch(message)
        required = "the following arguments are required: "
        if match is not None:
            message = self._about(match["name"], match["reason"])
        elif message.startswith(required):
            missing = message.removeprefix(required).split(", ")
            verb = "is" if len(missing) == 1 else "are"
            message = f"{' and '.join(missing)} {verb} missing: `{self._call()}`"
        raise UsageError(message)

    def _about(self, name: str, reason: str) -> str:
        """A sentence on one argument."""
        if (choice := _CHOICE.fullmatch(reason)) is not None:
            known = [word.strip("' ") for word in choice["choices"].split(",")]
            kind = name.lower()
            meant = did_you_mean(choice["value"], known) if name.isupper() else None
            remedy = f"did you mean {meant}?" if meant else f"one of {', '.join(known)}"
            return f"there is no {kind} {choice['value']!r}: {remedy}"
        if (number := _NUMBER.fullmatch(reason)) is not None:
            kind = "whole number" if number["kind"] == "int" else "number"
            return f"{name}: {number['value']} is no {kind}"
        if reason == "expected one argument":
            action = self._option_string_actions.get(name.split("/")[0])
            metavar = action.metavar if action and isinstance(action.metavar, str) else "VALUE"
            return f"{name} needs a value: {name.split('/')[0]} {metavar}"
        if reason.startswith("not allowed with argument "):
            other = reason.removeprefix("not allowed with argument ")
            return f"{name} and {other} exclude each other: give one of them"
        if reason.startswith("ignored explicit argument "):
            return f"{name} takes no value: omit {reason.split()[-1]}"
        return f"{name}: {reason}"

    def _refuse(self, rest: Sequence[str]) -> NoReturn:
        """Says what is wrong with the first word that nothing takes."""
        word = rest[0]
        if not word.startswith("-") or word == "-":
            raise UsageError(
                f"{word!r} is one argument too many: `{self._call()}` (quotes keep a name with "
                "spaces together)"
            )
        option = word.split("=")[0]
        known = [name for name in self._option_string_actions if name not in ("-h", "-y", "-f")]
        meant = did_you_mean(option.replace("_", "-"), known)
        remedy = f"did you mean {meant}?" if meant else f"`{self.prog} --help` lists them all"
        command = self.prog.removeprefix("bsqav ")
        raise UsageError(f"{command} has no option {option}: {remedy}")

    def _call(self) -> str:
        """The command with the arguments that it needs."""
        names = [
            str(action.metavar or action.dest)
            for action in self._actions
            if not action.option_strings and action.nargs in (None, "+", argparse.PARSER)
        ]
        return " ".join([self.prog, *names])
