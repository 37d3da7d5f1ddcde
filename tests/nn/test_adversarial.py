"""Discriminators, adversarial losses, R1 and LPIPS."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from bsqav.errors import ModelError, UsageError
from bsqav.nn.paper.adversarial import discriminator_loss, generator_loss, r1_penalty
from bsqav.nn.paper.discriminators import (
    ClipDiscriminator,
    PatchDiscriminator,
    StyleDiscriminator,
    minibatch_deviation,
)
from bsqav.nn.paper.lpips import LPIPS, Trunk, _alex, _vgg


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_the_style_discriminator_has_the_known_size() -> None:
    """28.86 M parameters at 256 x 256 without labels, as StyleGAN2's has."""
    net = StyleDiscriminator(256)
    assert sum(p.numel() for p in net.parameters()) == 28_864_129


def test_style_discriminator() -> None:
    torch.manual_seed(2)
    net = StyleDiscriminator(16, channels=128, most=16)
    x = images(4, 3, 16, 16)
    logits = net(x)
    assert logits.shape == (4, 1) and logits.isfinite().all()
    (logits**2).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    video = images(2, 3, 2, 16, 16)
    frames = torch.stack([video[0, :, 0], video[0, :, 1], video[1, :, 0], video[1, :, 1]])
    assert torch.equal(net(video), net(frames))
    with pytest.raises(UsageError, match="power of two"):
        StyleDiscriminator(24)
    with pytest.raises(UsageError, match="16 x 16 pixels"):
        net(images(4, 3, 8, 16))


def test_downsampling_is_centred() -> None:
    """A mirrored image gives the mirrored result where the kernels are symmetric."""
    block = StyleDiscriminator(16, channels=64, most=4).blocks[0]
    for part in (block.conv0, block.conv1, block.skip):
        assert isinstance(part, nn.Module) and isinstance(part.weight, Tensor)
        part.weight.data = part.weight.data + part.weight.data.flip(-1)
    x = images(1, 4, 16, 16)
    torch.testing.assert_close(block(x).flip(-1), block(x.flip(-1)))
    assert block(x).shape[-2:] == (8, 8)


def test_minibatch_deviation() -> None:
    x = images(6, 4, 3, 3)
    found = minibatch_deviation(x, 4)  # groups of 3: samples 0, 2, 4 and 1, 3, 5
    assert found.shape == (6, 5, 3, 3)
    even = x[::2].std(0, unbiased=False).mean()
    torch.testing.assert_close(found[0, 4], even.expand(3, 3))
    torch.testing.assert_close(found[4, 4], found[0, 4])
    assert minibatch_deviation(x[:1], 4)[0, 4].max() < 1e-3


def test_patch_discriminator() -> None:
    net = PatchDiscriminator(8)
    assert net(images(2, 3, 64, 64)).shape == (2, 1, 6, 6)
    assert net(images(1, 3, 2, 64, 64)).shape == (2, 1, 6, 6)
    assert sum(p.numel() for p in PatchDiscriminator().parameters()) == 2_765_633
    with pytest.raises(UsageError):
        net(images(2, 4, 64, 64))


@pytest.mark.parametrize("frames", [2, 3, 4, 6])
def test_clip_discriminator(frames: int) -> None:
    """One logit for a clip, of all its frames and of their order."""
    torch.manual_seed(2)
    net = ClipDiscriminator(16, frames, channels=128, most=16)
    x = images(4, 3, frames, 16, 16)
    logits = net(x)
    assert logits.shape == (4, 1)
    assert logits.isfinite().all()
    (logits**2).mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
    assert not torch.allclose(net(x.flip(2)), logits, atol=1e-6)
    r1_penalty(net, x).backward()
    with pytest.raises(UsageError, match=f"takes .B, 3, {frames}, 16, 16."):
        net(x[:, :, :1])
    with pytest.raises(UsageError, match="2 frames or more"):
        ClipDiscriminator(16, 1)


def test_a_clip_discriminator_learns_what_single_frames_do_not_show() -> None:
    """Clips forward and backward have the same frames: only their order tells them apart."""
    torch.manual_seed(3)
    rows = torch.arange(16.0).view(1, -1, 1)
    starts = torch.randint(0, 8, (16, 1, 1, 1))
    steps = torch.arange(4.0).view(1, 4, 1, 1)
    real = torch.sign((rows - starts - 2 * steps).abs() - 2.5)[:, None].expand(-1, 3, -1, -1, 16)
    net = ClipDiscriminator(16, 4, channels=64, most=8)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(60):
        loss = discriminator_loss(net(real), net(real.flip(2)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3  # 0.69: nothing learned


def test_losses() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    expected = (-real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()) / 2
    torch.testing.assert_close(discriminator_loss(real, fake), expected)
    torch.testing.assert_close(generator_loss(fake), -fake.sigmoid().log().mean())
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx((1.0 + 0.75) / 2)
    assert generator_loss(fake, "hinge").item() == pytest.approx(1.25)


def test_r1_penalty() -> None:
    """Of a linear discriminator: the squared norm of its weights, and its gradient."""
    net = nn.Linear(12, 1)
    found = r1_penalty(lambda x: net(x.flatten(1)), images(5, 3, 2, 2))
    torch.testing.assert_close(found, net.weight.square().sum())
    found.backward()
    torch.testing.assert_close(net.weight.grad, 2 * net.weight)
    style = StyleDiscriminator(8, channels=64, most=8)
    r1_penalty(style, images(2, 3, 8, 8)).backward()
    assert style.conv.weight.grad is not None and style.conv.weight.grad.any()


# ---- LPIPS ----


def lpips_files(folder: Path, trunk: Trunk) -> tuple[Path, Path]:
    """Random weights in the files' own names."""
    torch.manual_seed(4)
    layers = _vgg() if trunk == "vgg" else _alex()
    names = {f"features.{name}": value for name, value in layers.state_dict().items()}
    torch.save({**names, "classifier.0.weight": torch.zeros(3)}, folder / "trunk.pt")
    widths = (64, 128, 256, 512, 512) if trunk == "vgg" else (64, 192, 384, 256, 256)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate(widths)}
    torch.save(heads, folder / "heads.pt")
    return folder / "trunk.pt", folder / "heads.pt"


@pytest.mark.parametrize("trunk", ["vgg", "alex"])
def test_lpips_against_its_definition(tmp_path: Path, trunk: Trunk) -> None:
    trunk_file, heads_file = lpips_files(tmp_path, trunk)
    net = LPIPS(trunk_file, heads_file, trunk=trunk)
    x, y = images(2, 3, 32, 32), images(3, 3, 32, 32)[1:]
    assert (net(x, x) == 0).all()
    found = net(x, y)
    torch.testing.assert_close(found, net(y, x))
    layers = _vgg() if trunk == "vgg" else _alex()
    given = torch.load(trunk_file)
    layers.load_state_dict({name: given[f"features.{name}"] for name in layers.state_dict()})
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    a, b = (((p + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1) for p in (x, y))
    expected = torch.zeros(2)
    heads = iter(torch.load(heads_file).values())
    for index, layer in enumerate(layers):
        a, b = layer(a), layer(b)
        if index in net.taps:
            gap = nn.functional.normalize(a, dim=1) - nn.functional.normalize(b, dim=1)
            expected += (gap.square() * next(heads)).sum(1).mean((1, 2))
    torch.testing.assert_close(found, expected.detach(), rtol=2e-2, atol=1e-4)
    z = x.clone().requires_grad_()
    net(z, y).sum().backward()
    assert z.grad is not None and z.grad.isfinite().all() and z.grad.any()
    assert not any(p.requires_grad for p in net.parameters())
    videos = torch.stack([x, y], 2)
    assert net(videos, videos.flip(2)).shape == (4,)


def test_lpips_needs_its_weights(tmp_path: Path) -> None:
    trunk_file, heads_file = lpips_files(tmp_path, "alex")
    for files in ((), (heads_file,), (trunk_file,)):
        with pytest.raises(ModelError, match="LPIPS lacks"):
            LPIPS(*files, trunk="alex")
    with pytest.raises(ModelError, match="of shape"):
        LPIPS(trunk_file, heads_file, trunk="vgg")
    with pytest.raises(FileNotFoundError):
        LPIPS(tmp_path / "none.pt")
    with pytest.raises(UsageError, match="no trunk"):
        LPIPS(trunk="resnet")  # type: ignore[arg-type]
