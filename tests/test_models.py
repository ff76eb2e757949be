"""The registry: what is built, and what is refused."""

from __future__ import annotations

import pytest
import torch
from cases import SPECS

from landscape_cli.checkpoint import ModelSpec
from landscape_cli.errors import ModelError
from landscape_cli.models import build_model, create_model


@pytest.mark.parametrize("name", SPECS)
def test_shapes(name: str) -> None:
    spec = SPECS[name]
    assert create_model(spec, seed=0)(torch.zeros(3, *spec.input_shape)).shape == (3, spec.outputs)


def test_defaults_are_the_papers() -> None:
    shapes = [tuple(p.shape) for p in create_model(ModelSpec("mlp", {}, (1, 28, 28), 10), seed=0).parameters()]
    assert shapes == [(512, 784), (512,), (512, 512), (512,), (512, 512), (512,), (10, 512), (10,)]
    shapes = [tuple(p.shape) for p in create_model(ModelSpec("lenet", {}, (1, 28, 28), 10), seed=0).parameters()]
    assert shapes == [(20, 1, 5, 5), (20,), (50, 20, 5, 5), (50,), (500, 800), (500,), (10, 500), (10,)]


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
