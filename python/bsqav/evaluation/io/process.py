"""Running a program with its wall-clock time and its peak memory."""

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Finished:
    """A program that has ended: exit status, what it said on both streams, seconds, peak bytes.

    `memory` is None where the system does not tell (no /proc) or the program was too short.
    """

    status: int
    output: bytes
    errors: bytes
    seconds: float
    memory: int | None


def run_measured(command: Sequence[str], folder: Path) -> Finished:
    """Runs a program in `folder` without input, and waits for it.

    Raises OSError where it cannot be started.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        watch = _MemoryWatch(process.pid)
        try:
            output, errors = process.communicate()
        except BaseException:
            process.kill()  # whoever ends this program wants the end of that one too
            raise
        seconds = time.perf_counter() - start
        memory = watch.stop()
    return Finished(process.returncode, output, errors, seconds, memory)


def peak_memory(pid: int | str = "self") -> int | None:
    """The most memory that a process has held so far, in bytes.

    Read from /proc, because getrusage counts for a child what its parent held when it was started.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return None


class _MemoryWatch:
    """Asks for a running process's peak memory now and then; the last answer counts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self._peak = peak_memory(self._pid) or self._peak

    def stop(self) -> int | None:
        self._stop.set()
        self._thread.join()
        return self._peak
