"""`--set name=value`: typed, checked, recorded; and 36 bits through every stage by it alone."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from bsqav.cli.main import main
from bsqav.errors import UsageError
from bsqav.nn import ARPrior, BSQViT, FSQConfig, MaskedLM, TransformerConfig, ViTConfig, load_model
from bsqav.recipes import codec, paper
from bsqav.recipes.starting import start
from bsqav.training.common.changes import changed, listed
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
RECIPES = {**codec.RECIPES, **paper.RECIPES}


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_takes_its_own_value(name: str) -> None:
    """What `listed` shows can be given back, for all settings of all recipes."""
    recipe = RECIPES[name]()
    settings = list(listed(recipe))
    assert len({setting.name for setting in settings}) == len(settings) > 40
    for setting in settings:
        if setting.name != "network":  # its class decides what the others are
            found, given = changed(recipe, [f"{setting.name}={setting.value}"])
            assert found == recipe or "quantizer" in setting.name
            assert given == {setting.name}


def test_values_are_typed() -> None:
    recipe = paper.RECIPES["small-image"]()
    sets = [
        "network.quantizer.bits=36",
        "run.betas=0.8,0.9",
        "network.size=32x32",
        "run.minutes=inf",
    ]
    found, _ = changed(recipe, [*sets, "run.bf16=yes", "loss.pixel=l1"])
    assert isinstance(found.network, ViTConfig)
    assert found.network.size == (32, 32)
    assert found.run.betas == (0.8, 0.9)
    assert found.run.bf16 is True
    levels = ["network.quantizer=FSQConfig", "network.quantizer.levels=8,5,5"]
    other, _ = changed(recipe, levels)
    assert isinstance(other.network, ViTConfig)
    assert other.network.quantizer == FSQConfig((8, 5, 5))
    trained, _ = changed(codec.RECIPES["codec-v1"](), ["batched=none", "traces=none", "lr=1e-4"])
    assert trained.lr == 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.quantizer.bit=3", "did you mean network.quantizer.bits"),
        ("nothing=3", "bsqav train settings RECIPE lists them"),
        ("data.side=x", "it takes int"),
        ("data.side=1.5", "it takes int"),
        ("run.lr=nan", "it takes float"),
        ("run.betas=0.9", "it takes float,float"),
        ("run.bf16=maybe", "it takes bool"),
        ("loss.pixel=l3", "it takes l1 | l2"),
        ("network.quantizer=BSQ", "it takes BSQConfig | VQConfig"),
        ("data.side.x=3", "data.side is a single value"),
        ("loss=1", "no such setting"),
        ("given=a", "no such setting"),
        ("data.side", "it takes NAME=VALUE"),
        ("network=ARPriorConfig", "that is a prior, not a tokenizer"),
        ("data.batch=0", "at least 1"),
        ("run.lr=0", "more than 0"),
        ("run.steps=0", "at least 1"),
        ("network.size=32,16", "for 32 x 16 pixels"),
    ],
)
def test_what_does_not_fit_is_said(change: str, message: str, images: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        recipe = paper.configured("small-image", "tokenizer", lpips=False, sets=[change])
        start(recipe, images, tmp_path, device="cpu")
    assert message in str(caught.value)


def test_settings_that_belong_together() -> None:
    def made(*sets: str, batch: int | None = None, name: str = "paper-image-18") -> paper.Recipe:
        return paper.configured(name, "tokenizer", batch, sets=sets)

    smaller = made("data.side=128")
    assert isinstance(smaller.network, ViTConfig)
    assert smaller.network.size == (128, 128)
    assert made("network.size=128x128").data.side == 128
    assert made("network.frames=4", name="paper-video-18").data.frames == 4
    assert made("data.frames=4", name="paper-video-18").network.frames == 4  # type: ignore[union-attr]
    assert made("data.batch=64").run.lr == pytest.approx(64 * 4e-7)
    assert made("data.batch=64", "run.lr=0.1").run.lr == 0.1
    with pytest.raises(UsageError, match="pixels and 1 frames, its data have 128 x 128"):
        made("network.size=64,64", "data.side=128")
    with pytest.raises(UsageError, match=r"--batch and --set data\.batch are the same"):
        made("data.batch=4", batch=8)
    with pytest.raises(UsageError, match=r"data\.batch is given twice"):
        made("data.batch=4", "data.batch=8")
    with pytest.raises(UsageError, match="--lr and --set lr"):
        codec.configured("codec-v1", None, {"lr": 1.0}, ["lr=2"])


SMALL = [
    *("network.transformer.width=16", "network.transformer.layers=1"),
    *("network.transformer.heads=2", "network.transformer.hidden=32"),
    *("run.steps=3", "run.threads=1", "run.log_steps=1", "data.batch=2", "data.workers=0"),
]


def train(task: str, recipe: str, run: Path, data: Path, *more: str) -> int:
    sets = [word for change in SMALL for word in ("--set", change)]
    words = ["train", task, recipe, "--run", str(run), "--data", str(data), "--device", "cpu"]
    return main([*words, *sets, *more])


def test_36_bits_through_every_stage(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --set alone: tokenizer, prior, masked LM, compression, the table of Kodak."""
    image, prior, lm = tmp_path / "image", tmp_path / "prior", tmp_path / "lm"
    bits = ("--set", "network.quantizer.bits=36", "--set", "data.side=32")
    assert train("tokenizer", "small-image", image, images, *bits, "--no-lpips") == 0
    assert "network.quantizer.bits=36" in capsys.readouterr().err
    weights = image / "weights.pt"
    assert load_model(weights, BSQViT).config.grid == (4, 4)
    tokens = ("--tokenizer", str(weights))
    group = ("--set", "network.tokens.group=9")
    assert train("prior", "paper-prior-image", prior, images, *tokens, *group) == 0
    assert train("masked-lm", "small-masked-lm", lm, images, *tokens) == 0
    found = load_model(prior / "weights.pt", ARPrior).config
    assert (found.grid, found.tokens.bits, found.tokens.group) == ((4, 4), 36, 9)
    assert load_model(lm / "weights.pt", MaskedLM).config.tokens.group == 6
    settings = json.loads((prior / "settings.json").read_text())
    assert settings["network.tokens.bits"] == 36
    assert settings["run.lr" if "run.lr" in settings else "lr"] == 1e-4
    priors = ("--prior", str(prior / "weights.pt"))
    small = ("--limit", "2", "--batch", "2")
    assert main(["eval", "compression", str(images), *tokens, *priors, *small]) == 0
    capsys.readouterr()
    table = ["eval", "table", "kodak", str(images), *tokens, *priors, "--codecs", "jpeg2000"]
    assert main([*table, "--limit", "2"]) == 0
    assert "36" in capsys.readouterr().out


def test_a_prior_follows_its_tokenizer(images: Path, tmp_path: Path) -> None:
    sizes = TransformerConfig(16, 1, 2, 32)
    videos = BSQViT(ViTConfig(sizes, size=(16, 16), frames=4, head=16))
    file = tmp_path / "video"
    videos.save_pretrained(file)

    def made(task: str, name: str, *sets: str) -> None:
        recipe = paper.configured(name, task, sets=sets)
        start(recipe, images, tmp_path / "run", device="cpu", tokenizer=file)

    with pytest.raises(UsageError, match="masked LM takes tokenizers of images"):
        made("masked-lm", "small-masked-lm")
    with pytest.raises(UsageError, match=r"network\.frames=2: with this tokenizer it is 4"):
        made("prior", "small-prior", "network.frames=2")
    with pytest.raises(UsageError, match=r"network\.tokens\.bits=36: with this tokenizer it is 18"):
        made("prior", "small-prior", "network.tokens.bits=36", "network.tokens.group=9")


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "settings", "small-prior", "--set", "run.lr=0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["setting", "type", "value"]
    assert ["run.lr", "float", "0.5"] in [line.split() for line in lines]
    assert main(["train", "settings", "nothing"]) == 2
    assert "small-prior" in capsys.readouterr().err
