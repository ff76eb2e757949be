"""What counts as a weight: what is contracted with activations, however it was made ready; not biases, nor gains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import distance, local_energy, permute, trace_symmetry
from landscape_cli.alignment.align import match_networks
from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.symmetry import Role, Symmetry, random_permutations
from tests.support.symmetry_checks import make_net

Ready = Callable[[Tensor], Tensor]


class Made(nn.Module):
    """Two fully connected layers; the first one's weight, and the second's, are made ready first."""

    def __init__(self, ready: Ready = lambda w: w, convolved: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 4)
        self.ready, self.convolved = ready, convolved

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.ready(self.a.weight), self.ready(self.b.weight)
        if self.convolved:
            x = F.relu(F.conv1d(x[:, :, None], a[:, :, None], self.a.bias))
            return self.h(F.gelu(F.conv1d(x, b[:, :, None], self.b.bias)).mean(2))
        x = F.relu(F.linear(x, a, self.a.bias))
        return self.h(F.gelu(x @ b.T + self.b.bias))


READY: dict[str, Ready] = {
    "scaled": lambda w: w * 0.5,
    "shifted": lambda w: w + 0.1,
    "softmax": lambda w: w.softmax(1),
    "squashed": lambda w: torch.tanh(w),
    "standardised": lambda w: (w - w.mean(1, keepdim=True)) / (w.std(1, keepdim=True) + 1e-5),
    "copied": lambda w: w.clone() * torch.ones(1),
    "written": lambda w: torch.zeros_like(w).copy_(w),
}


def traced(model: nn.Module) -> Symmetry:
    torch.manual_seed(0)
    return trace_symmetry(model.eval(), torch.zeros(2, 6))


def writers(symmetry: Symmetry) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    return {g.name: [(axis.tensor, axis.dims) for axis in g.writers] for g in symmetry.permutations}


@pytest.mark.parametrize("convolved", [False, True])
@pytest.mark.parametrize("name", READY)
def test_weights_made_ready_are_weights(name: str, convolved: bool) -> None:
    plain, made = traced(Made(convolved=convolved)), traced(Made(READY[name], convolved))
    assert made.spheres == plain.spheres
    assert {sphere.tensor: sphere.dim for sphere in plain.spheres} == {"a.weight": 0, "b.weight": 0, "h.weight": None}
    assert writers(made) == writers(plain)


class Several(nn.Module):
    """Low-rank updates, stacked experts, weights and gains of many uses."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.down, self.up = nn.Parameter(torch.randn(3, 8)), nn.Parameter(torch.randn(8, 3))
        self.first, self.second = nn.Parameter(torch.randn(2, 7, 8)), nn.Parameter(torch.randn(2, 7, 8))
        self.by_hand, self.centres = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8, 8))
        self.gain, self.shift = nn.Parameter(torch.rand(8)), nn.Parameter(torch.randn(8))
        self.rows, self.place = nn.Parameter(torch.rand(8, 1)), nn.Parameter(torch.randn(8))
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x)) + self.place
        x = F.relu(F.linear(x, (self.b.weight + self.up @ self.down) * self.rows + self.shift[:, None], self.b.bias))
        z = F.relu(torch.einsum("bi,eoi->beo", x, self.first))
        x = self.norm(x + torch.einsum("beo,eop->bp", z, self.second)) * self.gain
        x = x + (x[:, None] * self.by_hand).sum(-1) + torch.cdist(x, self.centres)
        return self.h(x)


def test_which_are_weights() -> None:
    symmetry = traced(Several())
    weights = {"a.weight", "b.weight", "down", "up", "first", "second", "by_hand", "centres", "h.weight"}
    assert set(symmetry.weights) == weights
    rest = {"a.bias", "b.bias", "h.bias", "gain", "shift", "rows", "place", "norm.weight", "norm.bias"}
    assert set(symmetry.parameters) - weights == rest
    assert symmetry.tables == ()


class LowRank(Made):
    """A product of two matrices added to a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(torch.randn(3, 8)), nn.Parameter(torch.randn(7, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        return self.h(F.relu(F.linear(x, self.b.weight + self.up @ self.down, self.b.bias)))


def test_axes_of_products_of_parameters() -> None:
    symmetry = traced(LowRank())
    roles = {(a.tensor, a.dims): a.role for group in symmetry.permutations for a in group.axes}
    assert roles["up", (0,)] is roles["down", (0,)] is roles["b.weight", (0,)] is Role.INCOMING
    assert roles["up", (1,)] is roles["down", (1,)] is roles["b.weight", (1,)] is Role.OUTGOING


def test_what_weights_count_for() -> None:
    """Noise, distances and matching: the same as for a weight that is taken as it is."""
    torch.manual_seed(0)
    net = make_net(Made(READY["scaled"]), (6,))
    plain = trace_symmetry(Made().double().eval(), net.inputs[:2])
    moved = {name: tensor + 0.1 for name, tensor in net.params.items()}
    assert distance(net.params, moved, net.symmetry) == distance(net.params, moved, plain)
    assert net.symmetry.weights == plain.weights
    without = replace(plain, spheres=tuple(sphere for sphere in plain.spheres if sphere.tensor != "a.weight"))
    assert distance(net.params, moved, without).geodesic < distance(net.params, moved, plain).geodesic
    evaluator = Evaluator(net.model, Split(net.inputs, torch.arange(len(net.inputs)) % 4))
    noisy, quiet = (
        local_energy(evaluator, net.params, weights=names, sigma=[50.0], samples=20).draws["data"].abs().max()
        for names in (net.symmetry.weights, [])
    )
    assert noisy > quiet == 0
    planted = permute(net.params, net.symmetry, random_permutations(net.symmetry, generator=torch.Generator()))
    found = match_networks(net.params, planted, net.symmetry)
    assert all(torch.equal(found.params[name], tensor) for name, tensor in net.params.items())
    assert min(found.similarity.values()) > 1 - 1e-12


class Table(Made):
    """Gains that are a table: units in rows, places in columns."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.rand(2, 8))

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x)
        return self.h(F.relu(self.b(self.p[0] * z + self.p[1] * z**2)))


def test_tables_that_are_no_weights_are_told() -> None:
    symmetry = traced(Table())
    assert "p" not in symmetry.weights
    assert symmetry.tables == ("p",)
    assert traced(Made()).tables == ()
