"""Running ffmpeg and ffprobe in a test, and what they say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class FFmpeg:
    """ffmpeg and its kin of one folder, run in another."""

    programs: Path
    folder: Path

    def __call__(
        self,
        *arguments: str | Path,
        fails: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Runs ffmpeg; returns what it prints. `fails`: it must fail, and its messages count."""
        result = self._run("ffmpeg", *ALWAYS, *arguments, environment=environment)
        if (result.returncode != 0) != fails:
            pytest.fail(f"status {result.returncode}: {result.stdout}{result.stderr}")
        return result.stderr if fails else result.stdout

    def warnings(self, *arguments: str | Path) -> str:
        """Runs ffmpeg, which must succeed, and returns its messages."""
        result = self._run("ffmpeg", *ALWAYS, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stderr

    def probe(self, file: str | Path, *what: str) -> Any:
        """ffprobe's JSON."""
        result = self._run("ffprobe", "-v", "error", "-of", "json", *what, file)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def _run(
        self, name: str, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in (self.programs / name, *arguments)],
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def video(self, file: str | Path) -> dict[str, Any]:
        """What ffprobe says of the video stream."""
        streams = self.probe(file, "-show_streams", "-select_streams", "v")["streams"]
        return dict(streams[0])

    def packets(self, file: str | Path) -> list[dict[str, Any]]:
        """What ffprobe says of the video's packets."""
        found = self.probe(file, "-show_packets", "-select_streams", "v")
        return list(found["packets"])

    def times(self, file: str | Path) -> list[Fraction]:
        """Timestamps of the video's packets, in seconds."""
        return [Fraction(packet["pts_time"]) for packet in self.packets(file)]

    def hash(self, *arguments: str | Path) -> str:
        """bsqav's conformance hash: SHA-256 over all planes. The arguments name the input."""
        printed = self(
            *("-noautorotate", *arguments, "-map", "0:v:0"),
            *PASS,
            "-f",
            "hash",
            "-hash",
            "sha256",
            "-",
        )
        return printed.strip().removeprefix("SHA256=")

    def frames(self, *arguments: str | Path) -> list[str]:
        """The MD5 of every decoded picture."""
        printed = self(*arguments, "-map", "0:v:0", *PASS, "-f", "framemd5", "-")
        return [line.split()[-1] for line in printed.splitlines() if not line.startswith("#")]


ALWAYS = ("-v", "warning", "-nostdin", "-y")
# Every frame with its own time: none repeated or dropped for a constant rate.
PASS = ("-fps_mode", "passthrough")
