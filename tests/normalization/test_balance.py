"""Scale groups that share tensors: the normalised network is one form, whatever the scales were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.normalization.balance import balance
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Axis, Places, Role, ScaledAxis, ScaleGroup, rescale
from tests.support.cases import random_factors
from tests.support.symmetry_checks import Net, make_net


class LowRank(nn.Module):
    """A product of two matrices added to the weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(6, 9), nn.Linear(9, 7), nn.Linear(7, 4)
        self.down, self.up = nn.Parameter(torch.randn(3, 9)), nn.Parameter(torch.randn(7, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        return self.h(F.relu(F.linear(x, self.b.weight + self.up @ self.down, self.b.bias)))


class LowRankAlone(LowRank):
    """The same without a weight that it is added to."""

    def forward(self, x: Tensor) -> Tensor:
        return self.h(F.relu(F.linear(F.relu(self.a(x)), self.up @ self.down)))


class Experts(nn.Module):
    """Weights of experts stacked, mixed by a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.h = nn.Linear(6, 3), nn.Linear(5, 4)
        self.first, self.second = nn.Parameter(torch.randn(3, 8, 6)), nn.Parameter(torch.randn(3, 8, 5))

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(torch.einsum("bi,eoi->beo", x, self.first))
        return self.h(F.relu(torch.einsum("beo,eop,be->bp", z, self.second, self.gate(x).softmax(-1))))


class Cubic(nn.Module):
    """Each unit has a polynomial of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 4)
        self.p = nn.Parameter(torch.randn(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x) / 3
        return self.h(F.relu(self.b(self.p[0] * z + self.p[1] * z**2 + self.p[2] * z.pow(3))))


class Diagonal(nn.Module):
    """Only the diagonal of a matrix matters, which its rows' and columns' scales leave as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.h(F.relu(self.a(x) * torch.diagonal(self.b.weight)))


class Recurrent(nn.Module):
    """Units that write themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.v, self.w, self.h = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(6, 6) / 3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(x[:, :1] * self.v)
        for _ in range(3):
            z = F.relu(F.linear(z, self.w)) + z
        return self.h(z)


MODELS = [LowRank, LowRankAlone, Experts, Cubic, Diagonal, Recurrent]


def network(kind: type[nn.Module], seed: int) -> Net:
    torch.manual_seed(seed)
    return make_net(kind(), (6,), seed=seed)


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max()) for name in one)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", MODELS)
def test_one_form(kind: type[nn.Module], seed: int) -> None:
    net = network(kind, seed)
    result = normalize_params(net.params, net.symmetry)
    once = dict(result.params)
    assert not result.unsettled
    assert net.deviation(once, result.output_factor) < 1e-9
    assert furthest(normalize_params(once, net.symmetry).params, once) < 1e-9
    factor = 7.0 if net.symmetry.output else 1.0
    moved = rescale(net.params, net.symmetry, random_factors(net.symmetry, seed, 2.0), output=factor)
    assert furthest(normalize_params(moved, net.symmetry).params, once) < 1e-8
    assert furthest(moved, net.params) > 1e-2
    kept = normalize_params(net.params, net.symmetry, keep_last_layer=True).params
    assert net.deviation(kept) < 1e-9
    assert furthest(normalize_params(moved, net.symmetry, keep_last_layer=True).params, kept) < (
        1e-8 if factor == 1 else 1e3
    )


def test_other_networks_are_no_different() -> None:
    """Negative control: two networks that no rescaling relates have two forms."""
    one, other = network(LowRank, 0), network(LowRank, 1)
    assert (
        furthest(
            normalize_params(one.params, one.symmetry).params, normalize_params(other.params, other.symmetry).params
        )
        > 0.1
    )


def test_units_are_on_spheres_where_they_can_be() -> None:
    low_rank, experts, cubic = (network(kind, 0) for kind in (LowRank, Experts, Cubic))
    norms = [
        normalize_params(low_rank.params, low_rank.symmetry).params["b.weight"].norm(dim=1),
        normalize_params(experts.params, experts.symmetry).params["first"].norm(dim=2),
        normalize_params(cubic.params, cubic.symmetry).params["p"].norm(dim=0),
    ]
    for norm in norms:
        assert torch.allclose(norm, torch.ones_like(norm), rtol=1e-9)


def test_what_one_tensor_does_not_tell_is_said() -> None:
    """All rows may grow as all columns shrink: the tensor stays as it is, others that the groups read do not."""
    params = {name: torch.rand(4, 4).double() + 1 for name in ("shared", "one", "other")}
    places = Places(np.arange(4)[:, None])

    def axis(name: str, dim: int, power: int) -> ScaledAxis:
        return ScaledAxis(Axis(name, (dim,), Role.INCOMING, places), power)

    setters = axis("shared", 0, 1), axis("shared", 1, 1)
    groups = [
        ScaleGroup("rows", 4, (setters[0], axis("one", 1, -1))),
        ScaleGroup("columns", 4, (setters[1], axis("other", 1, -1))),
    ]
    _, determined = balance(params, groups, setters)
    assert not determined
    alone = [ScaleGroup(group.name, 4, (setter,)) for group, setter in zip(groups, setters, strict=True)]
    factors, determined = balance(params, alone, setters)
    assert determined
    scaled = params["shared"] * factors["rows"][:, None] * factors["columns"]
    assert torch.allclose(scaled.norm(dim=0), torch.ones(4).double())
    assert torch.allclose(scaled.norm(dim=1), torch.ones(4).double())
