"""Fixtures for all tests, and the rule that in continuous integration nothing skips.

Tiers: the default run leaves out the markers `slow` and `host` (pyproject.toml). A test that may
skip even in continuous integration, because of the processor it runs on, is marked `hardware`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.media_data import shared_data, write_data
from tests.readme import Readme, commands_of
from tests.support import ROOT, find_tool, made_once, tools_are_required

# Each process imports PyTorch: more of them would take much memory and save little time.
MOST_PROCESSES = 8


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """A whole tier runs in a process for each processor, with pytest-xdist.

    Tests that are named on the command line run in this process, as does everything with `-n 0`,
    `-s` or `--pdb`, and where pytest-xdist is not installed.
    """
    option = config.option
    if not config.pluginmanager.hasplugin("xdist") or "PYTEST_XDIST_WORKER" in os.environ:
        return
    if (
        option.numprocesses is None
        and config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and option.capture != "no"
        and not option.usepdb
    ):
        processors = len(os.sched_getaffinity(0))
        processes = min(processors, MOST_PROCESSES)
        option.numprocesses = processes if processes > 1 else 0
        # NumPy and PyTorch in each of them, and in programs that tests start, use their share.
        os.environ.setdefault("OMP_NUM_THREADS", str(processors // processes))
    if option.numprocesses and option.dist == "no":
        # Neighbours stay together, since they share fixtures, until a process has nothing to do.
        option.dist = "worksteal"


def pytest_report_header() -> list[str]:
    """Says which kernel sets this run exercises and must (BSQAV_REQUIRE_KERNELS), and the clips."""
    from bsqav import _core

    required = os.environ.get("BSQAV_REQUIRE_KERNELS", "none")
    return [
        f"bsqav kernel sets: {', '.join(_core.kernel_sets())} (required: {required})",
        f"bsqav test clips: {shared_data() or 'synthesised'}",
    ]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with train/ and eval/ clips: BSQAV_DATA, or synthesised ones without it."""
    return shared_data() or made_once(tmp_path_factory, "test-clips", write_data)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], Path]:
    """A function from a program's name to its path; the test skips, or in CI fails, without it."""
    return find_tool


@pytest.fixture(scope="session")
def c_library(tmp_path_factory: pytest.TempPathFactory) -> Readme:
    """README's C section, run in a copy of the source; for tests marked `host`."""

    def make(folder: Path) -> None:
        readme = Readme(folder)
        readme.copy_source(("cmake", "ninja", "cc", "pkg-config"))
        readme.run(commands_of(ROOT / "README.md", "C"))

    return Readme(made_once(tmp_path_factory, "readme", make))


@pytest.fixture(scope="session")
def libbsq_build(c_library: Readme) -> Path:
    """The folder in which README's commands built libbsq, without Python."""
    return c_library.source / "build" / "release"


@pytest.fixture(scope="session")
def libbsq_prefix(c_library: Readme) -> Path:
    """The folder in which libbsq, its header, models and package files are installed."""
    return c_library.home / ".local"


@pytest.fixture(scope="session")
def ffmpeg_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an ffmpeg, ffprobe and ffplay with BSQ, built by its README's commands.

    Its commands take this Debian's source; BSQAV_FFMPEG_BIN names a folder that exists already.
    """
    given = os.environ.get("BSQAV_FFMPEG_BIN")
    if given:
        return Path(given)
    for program in ("apt-get", "dpkg-source", "make"):
        find_tool(program)
    readme: Readme = request.getfixturevalue("c_library")
    page = ROOT / "integrations" / "ffmpeg" / "README.md"
    made_once(tmp_path_factory, "ffmpeg", lambda _: readme.run(commands_of(page, "BSQ in FFmpeg")))
    return readme.home / ".local" / "bsq-ffmpeg" / "bin"


def _fail_instead_of_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skip into a failure with the skip's reason."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{reason} (nothing may skip with BSQAV_REQUIRE_TOOLS=1)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails a test that skipped where nothing may be missing (an expected failure stays one)."""
    report = yield
    if (
        report.skipped
        and tools_are_required()
        and not hasattr(report, "wasxfail")
        and item.get_closest_marker("hardware") is None
    ):
        _fail_instead_of_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fails a test file that skipped as a whole (importorskip) where nothing may be missing."""
    report = yield
    if report.skipped and tools_are_required():
        _fail_instead_of_skip(report)
    return report
