"""Builds of BSQ with settings, as codecs of a comparison."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bsqav.errors import UsageError
from bsqav.evaluation.ablation import worker
from bsqav.evaluation.compare.bsq import Encoded, decode_arguments, run_reporting
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import Run
from bsqav.evaluation.io.y4m import Y4mHeader

# Besides the encoder's settings.
MODEL = "model"


@dataclass(frozen=True)
class Build:
    """Where `bsqav` is imported from: the interpreter's own, or the one in a folder."""

    python: tuple[str, ...] = (sys.executable,)
    folder: Path | None = None
    title: str = "this build"

    @classmethod
    def at(cls, path: Path) -> "Build":
        """A checkout, a folder that holds `bsqav`, a virtual environment, or an interpreter.

        Raises UsageError where there is none of these.
        """
        for folder in (path / "python", path):
            if not (folder / "bsqav" / "__init__.py").is_file():
                continue
            if not any((folder / "bsqav").glob("_core.*[!i]")):
                raise UsageError(
                    f"{path} has no extension in {folder / 'bsqav'}: build it with "
                    "-DBSQ_BUILD_PYTHON=ON and link it there, or give the virtual environment "
                    "that it is installed in"
                )
            return cls(folder=folder.resolve(), title=str(path))
        python = path if path.is_file() else path / "bin" / "python"
        if not python.is_file():
            raise UsageError(
                f"{path} is no build: give a checkout with its extension in python/bsqav, or a "
                "virtual environment"
            )
        # without PYTHONPATH, which may name another build
        return cls(python=(str(python.absolute()), "-E"), title=str(path))

    def run(self, job: str, **arguments: object) -> dict[str, Any]:
        """Runs a job of `worker.JOBS` in the build and returns its report.

        Raises EvaluationError where it failed.
        """
        folder = None if self.folder is None else str(self.folder)
        given = json.dumps({"folder": folder, **arguments})
        try:
            return run_reporting([*self.python, "-P", worker.__file__, job, given])
        except EvaluationError as error:
            raise EvaluationError(f"{self.title}: {error}") from error


class BuildCodec:
    """A build with settings: the codec under test, or the one that it is compared with.

    Encoding and decoding take one thread each, and seconds are those of the processor.

    settings  by name, as text; `model` is one too

    Raises EvaluationError where the build does not run or does not take the settings, UsageError
    for a quality or rate among them.
    """

    def __init__(self, build: Build, settings: Mapping[str, str]) -> None:
        for name in ("crf", "bitrate"):
            if name in settings:
                raise UsageError(f"{name} is no setting of one side: both are coded by crf")
        self.build = build
        self.settings = {name: text for name, text in settings.items() if name != MODEL}
        self.model = settings.get(MODEL)
        shown = [f"{name}={text}" for name, text in settings.items()]
        self.title = ", ".join(shown if shown and build == Build() else [build.title, *shown])
        self._identity = self._identify()

    def identity(self) -> dict[str, object]:
        """See `BsqCodec`."""
        return {"ablation": self._identity}

    def _identify(self) -> dict[str, Any]:
        return self.build.run("identify", settings=self.settings, model=self.model)

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        """See `BsqCodec`."""
        settings = {"gop": str(gop), "threads": "1", **self.settings, "crf": f"{crf:g}"}
        report = self.build.run(
            "encode", y4m=str(y4m), out=str(out), settings=settings, model=self.model
        )
        if self._identify() != self._identity:
            raise EvaluationError(f"{self.build.title} changed while it was measured")
        shown = " ".join(f"{name}={text}" for name, text in settings.items())
        return Encoded(
            report["sizes"],
            report["seconds"],
            f"{self.build.title}: {shown}",
            report["memory"],
            packet_stats=report["stats"],
        )

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> Run:
        """See `BsqCodec`."""
        report = self.build.run("decode", **decode_arguments(stream, y4m, header, self.model))
        return Run(f"{self.build.title}: decode", report["seconds"], report["memory"])
