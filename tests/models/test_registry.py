"""The registry: what is built, and what is refused."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.errors import ModelError
from landscape_cli.models import MODELS, build_model, create_model, default_arguments
from landscape_cli.models.resnet import ChannelNorm
from landscape_cli.models.vgg import vgg16
from landscape_cli.network import ModelSpec
from tests.support.cases import SPECS


@pytest.mark.parametrize("name", SPECS)
def test_shapes(name: str) -> None:
    spec = SPECS[name]
    assert create_model(spec, seed=0)(torch.zeros(3, *spec.input_shape)).shape == (3, spec.outputs)


def test_defaults_are_the_papers() -> None:
    shapes = [tuple(p.shape) for p in create_model(ModelSpec("mlp", {}, (1, 28, 28), 10), seed=0).parameters()]
    assert shapes == [(512, 784), (512,), (512, 512), (512,), (512, 512), (512,), (10, 512), (10,)]
    shapes = [tuple(p.shape) for p in create_model(ModelSpec("lenet", {}, (1, 28, 28), 10), seed=0).parameters()]
    assert shapes == [(20, 1, 5, 5), (20,), (50, 20, 5, 5), (50,), (500, 800), (500,), (10, 500), (10,)]


def test_vgg16() -> None:
    small = create_model(ModelSpec("vgg16", {}, (3, 32, 32), 10), seed=0)
    shapes = [tuple(p.shape) for p in small.parameters() if p.ndim == 4]
    assert [shape[0] for shape in shapes] == [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    # torchvision's vgg16_bn, and what is usual for CIFAR-10, has biases too before batch-norm: one for each filter
    assert sum(parameter.numel() for parameter in small.parameters()) == 14_728_266 - 4224
    with torch.device("meta"):
        large = vgg16((3, 224, 224), 1000)
    assert sum(parameter.numel() for parameter in large.parameters()) == 138_365_992 - 4224
    tiny = create_model(ModelSpec("vgg16", {"width": 2, "hidden": [7]}, (1, 64, 96), 3), seed=0)
    assert tiny(torch.zeros(2, 1, 64, 96)).shape == (2, 3)
    assert tiny.classifier.fc1.weight.shape == (7, 16 * 2 * 3)


def test_every_sum_of_a_binary_conv_but_the_last_has_a_sign() -> None:
    model = create_model(ModelSpec("binary-conv", {}, (1, 28, 28), 10), seed=0)
    kinds = [type(layer).__name__ for layer in model if type(layer).__name__ in {"SignConv2d", "SignLinear", "Sign"}]
    assert kinds == ["SignConv2d", "Sign"] * 2 + ["SignLinear", "Sign"] * 2 + ["SignLinear"]


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_resnet20(norm: str) -> None:
    model = create_model(ModelSpec("resnet20", {"norm": norm}, (3, 32, 32), 10), seed=0)
    weights = [p for p in model.parameters() if p.ndim > 1]
    assert len(weights) == 6 * 3 + 2 + 2  # and two projections
    # He et al.: 0.27 million; the projections and their norms come on top
    assert sum(p.numel() for p in model.parameters()) == 269_722 + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    deep = create_model(ModelSpec("resnet20", {"width": 2, "blocks": 5, "norm": norm}, (1, 9, 12), 4), seed=0)
    assert len([p for p in deep.parameters() if p.ndim > 1]) == 6 * 5 + 2 + 2
    assert deep(torch.zeros(2, 1, 9, 12)).shape == (2, 4)


def test_layer_norm_over_channels() -> None:
    norm = ChannelNorm(5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 3, 4)
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, keepdim=True, correction=0) + norm.eps).sqrt()
    expected = (x - mean) / deviation * norm.weight[:, None, None] + norm.bias[:, None, None]
    assert torch.allclose(norm(x), expected, atol=1e-5)
    assert not torch.allclose(torch.nn.functional.group_norm(x, 1), (x - mean) / deviation, atol=1e-2)


def test_sizes_are_what_factories_take_by_keyword() -> None:
    assert default_arguments("mlp") == {"hidden": [512, 512, 512], "bias": True, "dropout": 0.0}
    assert default_arguments("lenet") == {"filters": [20, 50], "hidden": 500, "bias": True, "dropout": 0.0}
    assert default_arguments("binary-perceptron") == {}
    assert all(list(default_arguments(name)) for name in MODELS if name != "binary-perceptron")
    with pytest.raises(ModelError, match="unknown model 'nonsense': choose mlp or lenet or "):
        default_arguments("nonsense")


def test_seeds() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    a, b, c = (create_model(SPECS["mlp"], seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not any(torch.equal(a[key], c[key]) for key in a)


def test_building_around_tensors() -> None:
    params = create_model(SPECS["lenet"], seed=3).double().state_dict()
    model = build_model(SPECS["lenet"], params)
    assert all(torch.equal(tensor, params[key]) for key, tensor in model.state_dict().items())
    assert not model.training


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (ModelSpec("resnet", {}, (5,), 2), "unknown model 'resnet'"),
        (ModelSpec("mlp", {"depth": 3}, (5,), 2), "cannot be built"),
        (ModelSpec("mlp", {"hidden": [0]}, (5,), 2), "positive"),
        (ModelSpec("mlp", {"hidden": "abc"}, (5,), 2), "cannot be built"),
        (ModelSpec("mlp", {"hidden": [10**30]}, (5,), 2), "cannot be built"),
        (ModelSpec("lenet", {}, (28, 28), 10), "images of shape"),
        (ModelSpec("lenet", {}, (1, 15, 28), 10), "at least 16x16"),
        (ModelSpec("lenet", {"filters": [3]}, (1, 28, 28), 10), "two positive numbers"),
        (ModelSpec("vgg16", {}, (3, 31, 32), 10), "at least 32x32"),
        (ModelSpec("vgg16", {}, (784,), 10), "images of shape"),
        (ModelSpec("vgg16", {"width": 0}, (3, 32, 32), 10), "positive width"),
        (ModelSpec("vgg16", {"hidden": [4, 0]}, (3, 32, 32), 10), "positive width"),
        (ModelSpec("vgg16", {"width": "wide"}, (3, 32, 32), 10), "cannot be built"),
        (ModelSpec("resnet20", {}, (3, 3, 32), 10), "at least 4x4"),
        (ModelSpec("resnet20", {}, (784,), 10), "images of shape"),
        (ModelSpec("resnet20", {"norm": "group"}, (3, 32, 32), 10), "choose batch or layer"),
        (ModelSpec("resnet20", {"norm": []}, (3, 32, 32), 10), "cannot be built"),
        (ModelSpec("resnet20", {"width": 0}, (3, 32, 32), 10), "positive width"),
        (ModelSpec("resnet20", {"blocks": 10**9}, (3, 32, 32), 10), "1 to 200 blocks"),
    ],
)
def test_what_cannot_be_built(spec: ModelSpec, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        create_model(spec, seed=0)


def test_mismatches_are_listed() -> None:
    params = create_model(SPECS["mlp"], seed=0).state_dict()
    wrong = {"extra": torch.ones(1)} | params
    wrong["fc2.weight"] = torch.ones(2, 2)
    wrong["fc2.bias"] = torch.ones(9, dtype=torch.int64)
    del wrong["fc1.weight"], wrong["fc1.bias"]
    with pytest.raises(ModelError) as error:
        build_model(SPECS["mlp"], wrong)
    for part in (
        "missing: fc1.weight, fc1.bias",
        "not in the model: extra",
        "fc2.weight is (2, 2), expected (9, 12)",
        "fc2.bias is torch.int64",
    ):
        assert part in str(error.value)
