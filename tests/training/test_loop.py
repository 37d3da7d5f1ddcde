"""Training from a recipe: it runs, repeats with its seed, resumes, and its result exports."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav.codec.modelfile import read_model
from bsqav.errors import ModelError
from bsqav.export.exporter import export_run
from bsqav.nn.codec.networks import CodecNet
from bsqav.nn.codec.sparse import start_from_transform
from bsqav.recipes.codec import codec_smoke
from bsqav.training.codec.data import ClipSampler
from bsqav.training.codec.decisions import LAYER_SPACING
from bsqav.training.codec.loop import Trainer
from bsqav.training.codec.objective import code_layer
from bsqav.training.codec.rollout import Rollout, RolloutConfig, layer_steps
from tests.training.models import changed_networks, smoke, train


def losses(run: Path) -> list[float]:
    lines = (run / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["distortion"] for line in lines]


CONFIG = smoke()


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(shards: Path, whole_folder: Path) -> Trainer:
    """A run that has ended."""
    return train(CONFIG, shards, whole_folder)


def test_a_run_repeats_and_resumes_and_exports(
    shards: Path, tmp_path: Path, whole: Trainer, whole_folder: Path
) -> None:
    config = CONFIG
    again = train(config, shards, tmp_path / "again")
    assert whole.progress.quant and whole.progress.step >= config.steps
    assert losses(whole_folder) == losses(tmp_path / "again")
    for left, right in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(left, right)

    model = tmp_path / "smoke.bsqm"
    weights = tmp_path / "smoke.pt"
    model_id = export_run(whole_folder, model, {"name": "smoke"}, weights)
    contents = read_model(model)
    assert contents.id == model_id and contents.text["name"] == "smoke"
    assert contents.config == contents.keyframes == config.model
    follower = Trainer(config, shards, tmp_path / "follower")
    follower.start_from(weights)
    assert follower.progress.step == 0

    resumed = Trainer(config, shards, whole_folder)
    assert resumed.resume() and resumed.progress.step == whole.progress.step
    for left, right in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(left, right)


def test_unfinished_runs_do_not_export(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train first"):
        export_run(tmp_path, tmp_path / "x.bsqm", {"name": "x"})
    trainer = Trainer(codec_smoke(), shards, tmp_path)
    trainer.save()
    with pytest.raises(ModelError, match="quantized phase"):
        export_run(tmp_path, tmp_path / "x.bsqm", {"name": "x"})
    other = replace(codec_smoke(), model=replace(codec_smoke().model, prior_blocks=2))
    with pytest.raises(ModelError, match="another model configuration"):
        Trainer(other, shards, tmp_path).resume()


@pytest.mark.usefixtures("whole")
def test_keyframe_weights_that_do_not_fit_are_a_clear_error(
    tmp_path: Path, whole_folder: Path
) -> None:
    out, weights = tmp_path / "x.bsqm", tmp_path / "keyframes.pt"
    torch.save({"enc": torch.zeros(1)}, weights)
    with pytest.raises(ModelError, match=r"keyframes.pt holds no weights"):
        export_run(whole_folder, out, {"name": "x"}, keyframes=weights)
    weights.write_text("no weights")
    with pytest.raises(ModelError, match=r"keyframes.pt cannot be read"):
        export_run(whole_folder, out, {"name": "x"}, keyframes=weights)
    torch.save(CodecNet(CONFIG.model).state_dict(), weights)
    with pytest.raises(ModelError, match="ranges were not observed"):
        export_run(whole_folder, out, {"name": "x"}, keyframes=weights)
    assert not out.exists()


def test_checkpoints_of_other_networks_are_a_clear_error(shards: Path, tmp_path: Path) -> None:
    trainer = Trainer(codec_smoke(), shards, tmp_path)
    trainer.progress.quant = True
    trainer.save()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["config"]["stages"]  # one field fewer, the same networks
    torch.save(state, tmp_path / "checkpoint.pt")
    assert Trainer(codec_smoke(), shards, tmp_path).resume()
    changes: list[dict[str, Any]] = [{"config": {"feedback": 3}}, {"net": {}, "average": {}}]
    for change in changes:
        torch.save({**state, **change}, tmp_path / "checkpoint.pt")
        with pytest.raises(ModelError, match="another version"):
            Trainer(codec_smoke(), shards, tmp_path).resume()
        with pytest.raises(ModelError, match="another version"):
            export_run(tmp_path, tmp_path / "x.bsqm", {"name": "x"})


def test_the_layers_of_a_clip_follow_each_other(shards: Path) -> None:
    config = codec_smoke()
    sampler = ClipSampler(shards, config.data, 3)
    rollout = Rollout(
        sampler.batch(), RolloutConfig(), config.model.stages, torch.Generator().manual_seed(8)
    )
    net = CodecNet(config.model)
    start_from_transform(net)
    places, steps, coded = [], [], []
    with torch.no_grad():
        for layer, candidates in rollout.layers():
            result = code_layer(net, layer, candidates, rate_grad=1.0)
            rollout.accept(result)
            places.append(layer.place)
            steps.append(layer.q_B)
            coded.append(result.stages_BHW.flatten(1).amax(1) > 0)
    first = [place for place in places if place.intra]
    assert first == places[:1] and not places[0].later
    last = [place for place in places if place.above == 0]
    assert len(last) == config.data.frames  # every image ends at its own step
    for index, place in enumerate(places[:-1]):
        following = places[index + 1]
        if place.above == 0:  # the next image
            assert not torch.as_tensor(following.later).any()
            continue
        assert following.above < place.above
        assert (steps[index + 1] <= steps[index]).all()
        # A clip with nothing to code in a coarse layer goes on as if that had not been there.
        if following.later is not True:
            before = torch.as_tensor(place.later).bool()
            assert torch.equal(torch.as_tensor(following.later).bool(), before | coded[index])


def test_weights_that_do_not_fit_are_a_clear_error(shards: Path, tmp_path: Path) -> None:
    trainer = Trainer(codec_smoke(), shards, tmp_path / "run")
    torch.save({"enc": torch.zeros(1)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name in ("other.pt", "text.pt"):
        with pytest.raises(ModelError, match=name):
            trainer.start_from(tmp_path / name)


def test_keyframe_layers_go_down_in_even_steps() -> None:
    drop = LAYER_SPACING
    assert layer_steps(400, 400) == [400]
    assert layer_steps(400, 400 - drop) == [400, 400 - drop]
    assert layer_steps(400, 400 - 1.1 * drop) == [400, 400 - 1.1 * drop]  # not worth a layer more
    assert layer_steps(400, 400 - 1.5 * drop) == [400, 400 - 0.75 * drop, 400 - 1.5 * drop]
    steps = layer_steps(400, 400 - 3 * drop)
    assert len(steps) == 4 and len(set(np.diff(steps))) == 1


@pytest.mark.usefixtures("whole")
def test_the_prior_alone_leaves_the_tokenizer_as_it_is(
    shards: Path, tmp_path: Path, whole_folder: Path
) -> None:
    first, second = tmp_path / "first.bsqm", tmp_path / "second.bsqm"
    export_run(whole_folder, first, {"name": "first"}, tmp_path / "first.pt")
    alone = replace(CONFIG, tokenizer=False, steps=12, drop=1.0)
    trainer = Trainer(alone, shards, tmp_path / "prior")
    trainer.start_from(tmp_path / "first.pt")
    trainer.train(lambda line: None)
    export_run(tmp_path / "prior", second, {"name": "second"})
    assert changed_networks(first, second) == {"prior", "key.prior"}
