"""`bsqav bench`: every part's figures are there and sane, whatever the time is."""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

import pytest

from bsqav import _core
from bsqav.cli.main import main
from bsqav.codec.models import default_model
from bsqav.errors import UnsupportedError
from bsqav.evaluation.bench.report import WIDTH
from bsqav.evaluation.bench.run import PARTS
from bsqav.evaluation.bench.sections import multiply_adds
from tests.evaluation.conftest import HEADER, ffmpeg, write_y4m

__all__ = ["ffmpeg"]  # a fixture

# What every row of a part has, and what all rows together say in the first of these.
KEYS = {
    "codec": ("kernels", "threads", "frames", "encode_fps", "decode_fps", "bpp"),
    "sections": ("section", "way", "threads", "ms_per_frame", "share", "calls_per_frame"),
    "kernels": ("operation", "kernels", "rows", "inputs", "outputs", "gmacs", "share_of_peak"),
    "entropy": ("coder", "encode_ns", "decode_ns", "bits_per_ideal"),
    "networks": ("engine", "analysis_ms", "synthesis_ms", "both_ms"),
    "references": ("codec", "quality", "encode_fps", "decode_fps", "bpp"),
    "sizes": ("size", "pixels", "encode_fps", "decode_fps", "bpp"),
    "memory": ("way", "peak_mb", "before_mb"),
}
SMALL = ["--size", "64x48", "--heights", "32,48", "--memory-size", "64x48"]
SHORT = ["--frames", "3", "--size-frames", "2", "--repeats", "1", "--quiet"]


def figures(value: object) -> list[float]:
    """The numbers of a value: one, or those of a spread."""
    if isinstance(value, dict):
        assert value["low"] <= value["median"] <= value["high"]
        return list(value.values())
    return [value] if isinstance(value, int | float) else []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> dict[str, Any]:
    """All parts on a small clip."""
    folder = tmp_path_factory.mktemp("bench")
    clip = write_y4m(folder / "clip.y4m", HEADER, 4)
    out = folder / "bench.json"
    options = [
        "--model",
        str(model_file),
        "--json",
        str(out),
        "--html",
        str(out.with_suffix(".html")),
    ]
    assert main(["bench", str(clip), *SMALL, *SHORT, *options]) == 0
    content: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert all(escape(part["title"]) in page for part in content["parts"].values())
    assert page.count("<table>") == sum(1 for part in content["parts"].values() if part["rows"])
    assert "://" not in page
    return content


def test_every_part_has_its_figures(report: dict[str, Any], ffmpeg: str) -> None:
    assert list(report["parts"]) == list(PARTS) == list(KEYS)
    for name, part in report["parts"].items():
        assert part["title"]
        assert part["rows"], name
        for row in part["rows"]:
            assert set(KEYS[name]) <= set(row), name
            numbers = [n for value in row.values() for n in figures(value)]
            assert all(math.isfinite(n) and n >= 0 for n in numbers), row


def test_machine_versions_and_command_are_named(report: dict[str, Any]) -> None:
    machine = report["machine"]
    assert machine["processor"] and machine["processors"] >= 1
    assert machine["bsqav"] == _core.__version__
    assert machine["kernel_set"] in machine["kernel_sets"] == _core.kernel_sets()
    assert len(machine["model_id"]) == 32
    assert machine["packages"]["numpy"]
    assert report["command"].startswith("bsqav bench clip.y4m --size 64x48 --heights 32,48")


def test_units_are_sane(report: dict[str, Any]) -> None:
    parts = report["parts"]
    kernel_sets = {row["kernels"] for row in parts["codec"]["rows"]}
    assert kernel_sets == set(_core.kernel_sets())
    # The same pictures cost the same on every kernel set and number of threads.
    assert len({row["bpp"] for row in parts["codec"]["rows"]}) == 1
    for way in ("encode", "decode"):
        shares = [row["share"] for row in parts["sections"]["rows"] if row["way"] == way]
        threads = {row["threads"] for row in parts["sections"]["rows"]}
        assert sum(shares) == pytest.approx(len(threads), abs=0.01)
    for row in parts["entropy"]["rows"]:
        assert 1 <= row["bits_per_ideal"] < 1.01
    assert [row["way"] for row in parts["memory"]["rows"]] == ["encode", "decode"]
    for row in parts["memory"]["rows"]:
        assert 0 < row["before_mb"] <= row["peak_mb"]
    assert [row["pixels"] for row in parts["sizes"]["rows"]] == [42 * 32, 64 * 48]
    assert "encode_exponent_of_time_in_pixels" in parts["sizes"]["facts"]


def test_sections_name_what_encoders_and_decoders_do(report: dict[str, Any]) -> None:
    rows = report["parts"]["sections"]["rows"]
    sections = {
        way: {r["section"] for r in rows if r["way"] == way} for way in ("encode", "decode")
    }
    both = {"synthesis", "prior trunk", "prior bits", "range coding", "prediction", "deblocking"}
    assert sections["encode"] >= both | {"import", "lookahead", "motion search", "analysis"}
    assert sections["decode"] >= both | {"export"}
    assert not sections["decode"] & {"motion search", "analysis", "lookahead", "decisions"}


def test_the_clock_counts_only_while_it_is_on() -> None:
    _core.set_section_clock(True)
    _core.set_section_clock(False)
    _core.Encoder({"width": 16, "height": 16}, default_model())
    assert set(_core.section_times().values()) == {(0.0, 0, 0)}


def test_multiply_adds_of_the_default_sizes() -> None:
    config = {"stages": 8}
    config |= {"encoder_width": 192, "encoder_hidden": 384, "encoder_blocks": 2}
    config |= {"decoder_width": 192, "decoder_hidden": 384, "decoder_blocks": 3}
    config |= {"prior_width": 128, "prior_hidden": 256, "prior_blocks": 2}
    ffn = 2 * 192 * 384 + 25 * 192
    assert multiply_adds(config) == {
        "analysis": 200 * 192 + 2 * ffn + 192 * 256,
        "synthesis": (264 + 104) * 192 + 3 * ffn + 192 * 96,
        "prior trunk": (264 + 104) * 128 + 2 * (2 * 128 * 256 + 25 * 128) + 128 * 24,
    }


def test_tables_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "codec,sections", *SMALL, *SHORT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("encode fps" in line for line in lines)
    assert all(len(line) <= WIDTH for line in lines), max(lines, key=len)


def test_markdown_and_json_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--only", "entropy", "--markdown", "--json", "-", *SHORT]
    assert main(["bench", *options]) == 0
    shown = capsys.readouterr()
    assert set(json.loads(shown.out)["parts"]) == {"entropy"}
    assert "| coder | encode ns/bit |" in shown.err


def test_missing_references_are_named_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["bench", "--only", "entropy,networks", *SMALL, *SHORT]) == 0
    out = capsys.readouterr().out
    assert "constriction is not installed: pip install 'bsqav[bench]'" in out
    assert "PyTorch is not installed" in out
    assert "bsqav " in out


@pytest.mark.parametrize(
    "options",
    [
        ["--only", "nothing"],
        ["--frames", "0"],
        ["--repeats", "-1"],
        ["--size", "63x48"],
        ["--heights", "31"],
        ["--heights", "a"],
        ["--threads", "0"],
        ["--crf", "64"],
    ],
)
def test_wrong_usage_gives_status_two(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *options]) == 2
    assert "bsqav" in capsys.readouterr().err


def test_a_bare_loop_counts_products() -> None:
    for kernels in _core.kernel_sets():
        if kernels == "scalar":
            with pytest.raises(UnsupportedError):
                _core.time_peak(kernels, 10)
            continue
        once, _ = _core.time_peak(kernels, 10)
        twice, seconds = _core.time_peak(kernels, 10, 2)
        assert twice == 2 * once > 0
        assert seconds > 0
