"""Gains with a number for each of several axes of a weight: KAN layers, and where there is no such freedom."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import trace_symmetry
from landscape_cli.alignment.align import match_networks
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Symmetry, flip, permute, random_permutations, random_signs, rescale


class Kan(nn.Module):
    """Two layers of splines and a base, as efficient implementations of KANs have them."""

    def __init__(self, *, shown: bool = False) -> None:
        super().__init__()
        self.shown = shown
        sizes = ((6, 4), (3, 6))
        self.base = nn.ParameterList([nn.Parameter(torch.randn(size)) for size in sizes])
        self.spline = nn.ParameterList([nn.Parameter(torch.randn(*size, 5)) for size in sizes])
        self.scale = nn.ParameterList([nn.Parameter(torch.randn(size)) for size in sizes])
        self.register_buffer("grid", torch.linspace(-1, 1, 5))

    def forward(self, x: Tensor) -> Tensor:
        for base, spline, scale in zip(self.base, self.spline, self.scale, strict=True):
            bases = torch.exp(-((2 * (x[..., None] - self.grid)) ** 2)).flatten(1)
            gain = scale[..., None]
            shown = gain.sum() if self.shown else 0
            x = F.linear(F.silu(x), base) + F.linear(bases, (spline * gain).flatten(1)) + shown
        return x


def make(seed: int, *, shown: bool = False) -> tuple[nn.Module, dict[str, Tensor], Symmetry]:
    torch.manual_seed(seed)
    model = Kan(shown=shown).double().eval()
    params = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    return model, params, trace_symmetry(model, torch.zeros(2, 4, dtype=torch.float64))


def test_every_number_has_a_scale_and_a_sign() -> None:
    model, params, symmetry = make(0)
    assert {group.size for group in symmetry.scales} == {24, 18}
    source = torch.Generator().manual_seed(1)
    factors = {g.name: torch.exp(2 * torch.randn(g.size, generator=source).double()) for g in symmetry.scales}
    moved = permute(params, symmetry, random_permutations(symmetry, generator=source))
    moved = rescale(flip(moved, symmetry, random_signs(symmetry, generator=source)), symmetry, factors)
    assert not torch.allclose(moved["scale.0"].abs(), params["scale.0"].abs())
    x = torch.randn(9, 4, generator=source, dtype=torch.float64)
    before, after = (torch.func.functional_call(model, network, (x,)) for network in (params, moved))
    assert torch.allclose(after, before, atol=1e-10)
    form, other = (normalize_params(network, symmetry) for network in (params, moved))
    assert form.output_factor == pytest.approx(other.output_factor)
    assert normalize_params(form.params, symmetry).output_factor == pytest.approx(1)
    aligned = match_networks(form.params, other.params, symmetry).params
    for key, tensor in form.params.items():
        assert torch.allclose(aligned[key], tensor, atol=1e-10), key


class Products(nn.Module):
    """Weights that are products of two parameters, number by number, with tanh between."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((7, 4), (7, 7), (3, 7))
        self.left = nn.ParameterList([nn.Parameter(torch.randn(size)) for size in sizes])
        self.right = nn.ParameterList([nn.Parameter(torch.randn(size)) for size in sizes])

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = (left * right for left, right in zip(self.left, self.right, strict=True))
        return torch.tanh(torch.tanh(x @ first.T) @ second.T) @ last.T


def test_units_are_matched_whatever_the_signs_of_their_gains() -> None:
    torch.manual_seed(0)
    model = Products().double().eval()
    params = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    symmetry = trace_symmetry(model, torch.zeros(2, 4, dtype=torch.float64))
    source = torch.Generator().manual_seed(1)
    moved = permute(params, symmetry, random_permutations(symmetry, generator=source))
    moved = flip(moved, symmetry, random_signs(symmetry, generator=source))
    aligned = match_networks(params, moved, symmetry)
    assert all(torch.equal(aligned.params[key], tensor) for key, tensor in params.items())
    assert all(value == pytest.approx(1) for value in aligned.similarity.values())
    assert all(value < 0.9 for value in aligned.similarity_before.values())


def test_none_where_the_gain_has_another_use_under_a_view() -> None:
    _, _, symmetry = make(0, shown=True)
    assert all(axis.tensor not in {"scale.0", "scale.1"} for group in symmetry.signs for axis in group.axes)
    assert all(scaled.axis.tensor != "scale.0" for group in symmetry.scales for scaled in group.axes)
