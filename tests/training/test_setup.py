"""A run is resumed with the settings, the data and the start that it began with, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav.cli.main import main
from bsqav.errors import UsageError
from bsqav.nn.codec.networks import CodecNet
from bsqav.recipes.codec import codec_smoke
from bsqav.recipes.starting import start
from bsqav.training.codec.engine import Engine
from bsqav.training.codec.loop import TrainConfig, Trainer
from bsqav.training.common.setup import Setting, digest_of_data, reconcile, settings_of
from bsqav.training.paper.images import BatchConfig
from tests.support import one_torch_thread
from tests.training.models import smoke, train
from tests.training.test_phases import LOSS, RUN, tokenizer_recipe

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
HERE = Path("run/checkpoint.pt")


def tiny(**changes: Any) -> TrainConfig:
    config = smoke(**{"steps": 2, "quant_from": 1.0, **changes})
    return replace(config, data=replace(config.data, size=32, frames=2))


@pytest.fixture
def copied(shards: Path, tmp_path: Path) -> Path:
    """The shards in a folder of the test's own."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for path in shards.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


# ---- the comparison ----


def test_what_differs_is_named_and_may_be_overridden() -> None:
    saved: dict[str, Setting] = {
        "lr": 0.1,
        "data.batch": 8,
        "data.size": 64,
        "files": "a",
        "start": "",
    }
    now = {**saved, "lr": 0.2, "data.batch": 4, "new": 1}
    del now["start"]
    words = (
        "lr was 0.1, is now 0.2; data.batch was 8, is now 4.*--override lr --override data.batch"
    )
    with pytest.raises(UsageError, match=words):
        reconcile(saved, now, [], HERE)
    with pytest.raises(UsageError, match="settings: lr was"):
        reconcile(saved, now, ["batch"], HERE)
    for override in (["all"], ["lr", "data.batch"], ["lr", "batch"], ["data", "lr"]):
        setup, notes = reconcile(saved, now, override, HERE)
        assert setup == {**saved, **now} and len(notes) == 2
    with pytest.raises(UsageError, match=r"--override rate: there is data.batch.*, lr, new, all"):
        reconcile(saved, now, ["rate"], HERE)
    with pytest.raises(UsageError, match="--override start"):
        reconcile(saved, now, ["start"], HERE)
    assert "not compared" in reconcile(None, now, [], HERE)[1][0]


def test_settings_leave_out_what_may_change() -> None:
    config = smoke()
    found = settings_of(config)
    assert found["data.batch"] == 1 and found["lr"] == config.lr and found["bf16"] is False
    assert not {"steps", "minutes", "threads", "device", "check_minutes"} & set(found)
    assert digest_of_data([("a", 1), ("b", 2)]).startswith("2 files of 3 bytes (")
    assert digest_of_data([("a", 1)]) != digest_of_data([("b", 1)])


# ---- the codec's trainer ----


def test_other_settings_or_data_are_refused(copied: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny(), copied, run)
    for config, words in (
        (tiny(lr=1e-5, seed=3), "seed was 1, is now 3; lr was 0.0004, is now 1e-05"),
        (tiny(bf16=True), "bf16 was False, is now True"),
        (replace(tiny(), data=replace(tiny().data, batch=2)), "data.batch was 1, is now 2"),
    ):
        with pytest.raises(UsageError, match=words):
            Trainer(config, copied, run).resume()
    free = tiny(steps=9, minutes=3.0, board=True, checkpoint_minutes=1.0, log_seconds=1.0)
    assert Trainer(free, copied, run).resume()
    photos = np.load(copied / "photos-000.npz")["photos"]
    np.savez(copied / "photos-001.npz", photos=photos)
    trainer = Trainer(tiny(), copied, run)
    with pytest.raises(UsageError, match=r"files was 2 files of .* is now 3 files of"):
        trainer.resume()
    trainer.run.override = ["files"]
    assert trainer.resume()
    trainer.save()
    assert Trainer(tiny(), copied, run).resume()


def test_override_on_the_command_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "tokenizer", "codec-smoke", "--data", str(shards), "--threads", "1"]
    words += ["--run", str(tmp_path), "--device", "cpu", "--steps", "2"]
    assert main([*words, "--batch", "1"]) == 0
    assert main(words) == 2
    assert "data.batch was 1, is now 2" in capsys.readouterr().err
    assert main([*words, "--override", "batch"]) == 0
    assert "overridden: data.batch was 1" in capsys.readouterr().err
    assert main(words) == 0
    assert main([*words, "--override", "bathc"]) == 2


# ---- the start ----


def test_a_run_that_did_nothing_leaves_no_checkpoint(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And --start counts when the call is repeated, instead of what it left."""
    words = ["train", "tokenizer", "codec-smoke", "--data", str(shards), "--threads", "1"]
    words += ["--run", str(tmp_path / "run"), "--device", "cpu", "--steps", "2", "--batch", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "train", lambda *_: 1 / 0)
        assert main(words) == 1
    assert not list((tmp_path / "run").glob("*.pt"))
    weights = tmp_path / "weights.pt"
    torch.save(CodecNet(codec_smoke().model).state_dict(), weights)
    began = []
    monkeypatch.setattr(Trainer, "start_from", lambda self, path: began.append(path))
    assert main([*words, "--start", str(weights)]) == 0
    assert began == [weights]


def test_start_beside_a_checkpoint(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "tokenizer", "codec-smoke", "--data", str(shards), "--threads", "1"]
    words += ["--device", "cpu", "--batch", "1", "--steps"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert main([*words, "2", "--run", str(first)]) == 0
    weights = first / "weights.pt"
    again = [*words, "2", "--run", str(second), "--start", str(weights)]
    assert main(again) == 0
    capsys.readouterr()
    # The same command again resumes, and so does one without the option.
    assert main(again) == 0
    assert "--start names the weights that this run began from" in capsys.readouterr().err
    assert main([*words, "9", "--run", str(second)]) == 0
    assert main(again) == 0
    # Another start than the run's is refused, also for a run that had none.
    assert main([*words, "2", "--run", str(first), "--start", str(weights)]) == 2
    assert "a run that began without --start" in capsys.readouterr().err
    other = [*words, "2", "--run", str(second), "--start", str(second / "weights.pt")]
    assert main(other) == 2
    assert "a run that began from other weights" in capsys.readouterr().err


# ---- the paper's trainer ----


def test_a_phase_compares_too(images: Path, tmp_path: Path) -> None:
    recipe = tokenizer_recipe(run=replace(RUN, steps=2))
    start(recipe, images, tmp_path / "run", device="cpu").train(lambda _: None)
    data = replace(recipe, data=BatchConfig(16, batch=2, workers=1))
    loss = replace(recipe, loss=replace(LOSS, pixel="l1"))
    decay = replace(recipe, run=replace(RUN, weight_decay=0.5))
    cases = (
        (data, images, "settings: data.batch was 4, is now 2. Resume"),
        (loss, images, "loss.pixel was l2, is now l1"),
        (decay, images, "weight_decay was 0.0001, is now 0.5"),
        (recipe, images / "dark", "files was 6 files of .* is now 3 files of"),
    )
    for other, folder, words in cases:
        with pytest.raises(UsageError, match=words):
            start(other, folder, tmp_path / "run", device="cpu").resume()
    trainer = start(decay, images, tmp_path / "run", device="cpu")
    trainer.run.override = ["weight_decay"]
    assert trainer.resume()
    assert trainer.optimizers[0].param_groups[0]["weight_decay"] == 0.5
    weights = tmp_path / "run" / "weights.pt"
    with pytest.raises(UsageError, match="without --start"):
        start(recipe, images, tmp_path / "run", device="cpu", weights=weights).resume()
    begun = start(recipe, images, tmp_path / "begun", device="cpu", weights=weights)
    begun.train(lambda _: None)
    assert start(recipe, images, tmp_path / "begun", device="cpu", weights=weights).resume()
    assert start(recipe, images, tmp_path / "begun", device="cpu").resume()
