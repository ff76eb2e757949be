"""Models of torchvision, traced without a word written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from landscape_cli.torchvision_compat import import_torchvision
from tests.support.symmetry_checks import check_true, make_net, uncovered

SIDE = 64
MODELS: dict[str, dict[str, Any]] = {
    "resnet18": {"width_per_group": 64},
    "mobilenet_v3_small": {"width_mult": 0.25},
    "shufflenet_v2_x0_5": {},
    "squeezenet1_1": {},
    "mnasnet0_5": {},
}
# of ResNet18: the stem's stream and those of three stages, and what is inside each of eight blocks
KNOWN = {"resnet18": sorted([64, 128, 256, 512, 64, 64, 128, 128, 256, 256, 512, 512])}


@pytest.mark.parametrize("name", [*MODELS, "densenet", "vit"])
def test_random_symmetry_keeps_the_function(name: str) -> None:
    models = import_torchvision("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name == "densenet":
            made = models.DenseNet(growth_rate=6, block_config=(2, 3), num_init_features=8, bn_size=2, num_classes=7)
        elif name == "vit":
            made = models.VisionTransformer(SIDE, 32, 2, 2, 8, 12, num_classes=7)
        else:
            made = getattr(models, name)(num_classes=7, **(MODELS[name] if name == "mobilenet_v3_small" else {}))
    net = make_net(made, (3, SIDE, SIDE), batch=2)
    check_true(net, range(1))
    assert not uncovered(net)
    assert not net.symmetry.notes
    assert net.symmetry.permutations
    if name in KNOWN:
        assert sorted(group.size for group in net.symmetry.permutations) == KNOWN[name]
