"""Networks rescaled step by step, whose large tensors are made when asked for: the same numbers, bit for bit."""

from __future__ import annotations

import weakref

import pytest
import torch

from landscape_cli.normalization import rescaled
from landscape_cli.normalization.rescaled import RescaledParams, StoredParams
from landscape_cli.symmetry import rescale
from tests.support.cases import random_factors
from tests.support.normed import make_net

NETS = ["chain", "no-affine", "attention"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("large", [0, 1 << 30])
@pytest.mark.parametrize("name", NETS)
def test_steps_are_those_of_rescale(name: str, large: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescaled, "LARGE", large)
    net = make_net(name, dtype=dtype)
    step_by_step = RescaledParams(net.params, net.symmetry)
    at_once = {n: t.double() if t.is_floating_point() else t for n, t in net.params.items()}
    for seed in range(3):
        factors, output = random_factors(net.symmetry, seed, 1.0), 1.5 if net.symmetry.output else 1.0
        step_by_step.rescale(factors, output=output)
        at_once = rescale(at_once, net.symmetry, factors, output=output)
    assert list(step_by_step) == list(at_once)
    assert len(step_by_step) == len(at_once)
    assert all(torch.equal(step_by_step[n], tensor) for n, tensor in at_once.items())
    assert not all(torch.equal(tensor.double(), at_once[n].double()) for n, tensor in net.params.items())
    stored = StoredParams(step_by_step, net.params)
    assert all(torch.equal(stored[n], at_once[n].to(tensor.dtype)) for n, tensor in net.params.items())
    assert len(stored) == len(list(stored)) == len(at_once)


def test_signs_are_given_at_the_end() -> None:
    net = make_net(NETS[0])
    name = next(n for n, tensor in net.params.items() if tensor.ndim > 1)
    params = RescaledParams(net.params, net.symmetry)
    params.signs = [name]
    assert set(params[name].unique().tolist()) == {-1.0, 1.0}


def test_a_large_tensor_in_use_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescaled, "LARGE", 0)
    net = make_net(NETS[0], dtype=torch.float32)
    params = RescaledParams(net.params, net.symmetry)
    params.rescale(random_factors(net.symmetry, 0, 1.0))
    name = next(iter(params._factors))
    made = params[name]
    assert params[name] is made
    params.rescale(random_factors(net.symmetry, 1, 1.0))
    assert not torch.equal(params[name], made)
    kept = weakref.ref(params[name])
    assert kept() is None
