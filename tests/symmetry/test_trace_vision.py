"""Architectures of torchvision, of little width, traced, moved by a random element of all groups, and recovered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.torchvision_compat import import_torchvision
from tests.support.symmetry_checks import Net, check_true, make_net, random_element, uncovered

SIDE = 32
EXACT = 1e-6


def models() -> Any:
    return import_torchvision("models")


def stages(block: Callable[..., Any]) -> list[Any]:
    """Return two stages of EfficientNet, of one block each."""
    return [block(1, 3, 1, 8, 8, 1, 1.0, 1.0), block(3, 3, 2, 8, 12, 1, 1.0, 1.0)]


def convnext_block(*sizes: int | None) -> Any:
    return models().convnext.CNBlockConfig(*sizes)


def regnet() -> nn.Module:
    """Return a RegNet of two stages, with squeeze and excitation."""
    made: nn.Module = models().RegNet(
        models().regnet.BlockParams.from_init_params(3, 8, 8.0, 2.0, 4, se_ratio=0.25), 7, stem_width=6
    )
    return made


MODELS: dict[str, Callable[[], nn.Module]] = {
    "resnext": lambda: models().ResNet(models().resnet.Bottleneck, [1, 1, 1, 1], 7, groups=4, width_per_group=2),
    "densenet": lambda: models().DenseNet(6, (2, 3), 8, bn_size=2, num_classes=7),
    "regnet": regnet,
    "shufflenet": lambda: models().ShuffleNetV2([2, 2, 2], [8, 16, 24, 32, 40], 7),
    "mnasnet": lambda: models().MNASNet(0.2, 7),
    "efficientnet": lambda: models().EfficientNet(stages(models().efficientnet.MBConvConfig), 0.2, 0.0, 7),
    "convnext": lambda: models().ConvNeXt([convnext_block(8, 12, 1), convnext_block(12, None, 1)], num_classes=7),
    "vit": lambda: models().VisionTransformer(SIDE, 16, 2, 2, 8, 12, num_classes=7),
    "swin": lambda: models().SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], num_classes=7),
    "maxvit": lambda: models().MaxVit((64, 64), 8, 2, [8, 8], [1, 1], 4, 0.0, num_classes=7),
}


class Logits(nn.Module):
    """A model of transformers, called for its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x).logits
        return logits


def made(make: Callable[[], nn.Module], side: int = SIDE) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(make(), (3, side, side), batch=2)


def check_recovered(net: Net, seed: int = 0) -> None:
    """Check that normalising and matching undo a random permutation with flips and scales."""
    moved, _ = random_element(net, seed, spread=2.0)
    reference = normalize_params(net.params, net.symmetry).params
    found = match_networks(reference, normalize_params(moved, net.symmetry).params, net.symmetry).params
    for name, tensor in reference.items():
        assert not tensor.is_floating_point() or (found[name] - tensor).abs().max() <= EXACT * tensor.abs().max(), name


@pytest.mark.parametrize("name", MODELS)
def test_what_is_found_is_true_and_undone(name: str) -> None:
    net = made(MODELS[name], 64 if name == "maxvit" else SIDE)
    check_true(net, range(1))
    assert not uncovered(net)
    assert not net.symmetry.notes
    assert net.symmetry.permutations
    check_recovered(net)


def test_models_of_timm() -> None:
    timm = pytest.importorskip("timm")
    mixer = partial(timm.models.mlp_mixer.MlpMixer, 7, img_size=SIDE, patch_size=16, num_blocks=1, embed_dim=8)
    vit = partial(timm.models.vision_transformer.VisionTransformer, SIDE, 16, num_classes=7, embed_dim=8, depth=1)
    for make in (mixer, partial(vit, num_heads=2, qk_norm=True, init_values=0.1)):
        net = made(make)
        check_true(net, range(1))
        check_recovered(net)


def test_models_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "use_cache": False}
    config = transformers.LlamaConfig(**sizes, **heads)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make_net(Logits(transformers.LlamaForCausalLM(config)), (6,), batch=2, words=11)
    check_true(net, range(1))
    check_recovered(net)


def test_residual_network_has_the_groups_it_is_known_to_have() -> None:
    """The stem's stream and those of three stages, and what is inside each of eight blocks."""
    net = made(partial(models().resnet18, num_classes=7))
    sizes = sorted(group.size for group in net.symmetry.permutations)
    assert sizes == sorted([64, 128, 256, 512, 64, 64, 128, 128, 256, 256, 512, 512])
