"""Scales of no unit's own: one form whatever they are, zero and negative numbers included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli.alignment.align import match_networks
from landscape_cli.errors import GeometryError
from landscape_cli.normalization.normalize import is_normalized, normalize_params
from landscape_cli.symmetry import flip, random_signs, rescale
from tests.support.cases import random_factors
from tests.support.layers import NETS, WHOLE
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import Net, make_net


def made(name: str) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(NETS[name].make(), NETS[name].shape)


@pytest.mark.parametrize("name", [*WHOLE, "tied autoencoder, relu", "mixer", "gated mlp", "fixup"])
def test_one_form_whatever_the_scales(name: str) -> None:
    net = made(name)
    form = normalize_params(net.params, net.symmetry)
    assert not form.unsettled
    assert not form.degenerate
    for seed in range(2):
        moved = rescale(net.params, net.symmetry, random_factors(net.symmetry, seed, 2.0), output=2.5)
        assert net.deviation(moved, 2.5) < 1e-10
        assert not all(torch.allclose(moved[key], tensor) for key, tensor in net.params.items())
        again = normalize_params(moved, net.symmetry)
        assert all(torch.allclose(again.params[key], tensor, atol=1e-9) for key, tensor in form.params.items())
        assert again.output_factor * 2.5 == pytest.approx(form.output_factor)
    assert normalize_params(form.params, net.symmetry).output_factor == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in WHOLE if WHOLE[name].signs])
def test_signs_are_undone(name: str) -> None:
    net = made(name)
    moved = flip(net.params, net.symmetry, random_signs(net.symmetry, generator=torch.Generator().manual_seed(3)))
    back = match_networks(net.params, moved, net.symmetry).params
    assert all(torch.equal(back[key], tensor) for key, tensor in net.params.items())


@pytest.mark.parametrize("number", [0.0, -0.3])
def test_a_number_of_any_sign(number: float) -> None:
    net = made("rezero, no axis")
    params = net.params | {"alpha": torch.tensor(number, dtype=torch.float64)}
    form = normalize_params(params, net.symmetry)
    assert float(form.params["alpha"]) == pytest.approx(-1.0 if number else 0.0)
    assert bool(form.degenerate) == (number == 0)
    assert all(bool(tensor.isfinite().all()) for tensor in form.params.values())
    before, after = (net.outputs(network)[0] for network in (params, form.params))
    assert torch.allclose(after, form.output_factor * before)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_factors_that_are_none_are_refused(factor: float) -> None:
    net = made("rezero, no axis")
    (name,) = [group.name for group in net.symmetry.scales if group.size == 1]
    with pytest.raises(GeometryError, match="positive factors"):
        rescale(net.params, net.symmetry, {name: torch.tensor([factor])})


def einsum_last(m: Body, x: Tensor) -> Tensor:
    return torch.einsum("bef,efo->bo", F.relu(torch.einsum("bd,edf->bef", x, m.a)), m.b) + m.c


def matmul_last(m: Body, x: Tensor) -> Tensor:
    return (F.relu(x @ m.a) @ m.b).sum(0) + m.c


def product_last(m: Body, x: Tensor) -> Tensor:
    h = F.relu(torch.einsum("bd,edf->bef", x, m.a))
    return (h[..., None] * m.b).sum((1, 2)) + m.c


@pytest.mark.parametrize("forward", [einsum_last, matmul_last, product_last])
def test_the_outputs_scale_of_a_last_layer_that_is_a_stack(forward: Callable[[Body, Tensor], Tensor]) -> None:
    """Its weights are on one sphere, whatever its axes are to the outputs; a bias alone does not set the scale."""
    torch.manual_seed(0)
    parts = {"a": torch.randn(2, 3, 4), "b": torch.randn(2, 4, 2), "c": torch.randn(2)}
    net = make_net(Body(forward, **{name: nn.Parameter(tensor) for name, tensor in parts.items()}), (3,))
    assert net.symmetry.output
    form = normalize_params(net.params, net.symmetry)
    moved = rescale(net.params, net.symmetry, random_factors(net.symmetry, 1, 2.0), output=3.5)
    assert net.deviation(moved, 3.5) < 1e-10
    for params in (moved, form.params):
        again = normalize_params(params, net.symmetry)
        assert all(torch.allclose(again.params[key], tensor, atol=1e-11) for key, tensor in form.params.items())
    assert normalize_params(moved, net.symmetry).output_factor * 3.5 == pytest.approx(form.output_factor)
    assert net.deviation(form.params, form.output_factor) < 1e-10
    assert is_normalized(form.params, net.symmetry, last_layer=True)
    assert not is_normalized(rescale(form.params, net.symmetry, {}, output=3.5), net.symmetry, last_layer=True)
    nothing = net.params | {"c": torch.zeros_like(net.params["c"])}
    assert normalize_params(nothing, net.symmetry).output_factor == pytest.approx(form.output_factor)
