"""What is fixed is fixed for a reason that is true, and in words."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import Symmetry, trace_symmetry
from landscape_cli.symmetry.explain import explain, explanation_rows, fixed_for
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net


def traced(body, shape: tuple[int, ...] = (12,), **parts) -> Symmetry:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return make_net(Net(body, **parts), shape).symmetry


def reasons(symmetry: Symmetry, tensor: str, dim: int) -> set[str]:
    return {axis.reason for axis in symmetry.fixed if (axis.tensor, axis.dim) == (tensor, dim)}


def patches(m: Net, x: Tensor) -> Tensor:
    return m.o(F.relu(m.a(x.view(-1, 4, 3))).mean(1))


READING = {
    "flattened": (lambda m, x: m.o(F.relu(m.a(x.flatten(1)))), (2, 2, 3), 12),
    "in patches": (patches, (12,), 3),
    "in patches of an image": (
        lambda m, x: m.o(F.relu(m.a(F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2))).mean(1)),
        (2, 4, 4),
        8,
    ),
    "in channels": (
        lambda m, x: m.o(F.relu(F.conv1d(x.view(-1, 3, 4), m.a.weight[..., None], m.a.bias)).mean(2)),
        (12,),
        3,
    ),
    "beside itself": (lambda m, x: m.o(F.relu(m.a(torch.cat([x, x.flip(1)], 1)))), (6,), 12),
    "unfolded": (lambda m, x: m.o(F.relu(m.a(F.unfold(x, 2).transpose(1, 2))).mean(1)), (2, 4, 4), 8),
    "unfolded with padding": (
        lambda m, x: m.o(F.relu(m.a(F.unfold(x, 2, padding=1, stride=2).transpose(1, 2))).mean(1)),
        (2, 4, 4),
        8,
    ),
    "in windows": (lambda m, x: m.o(F.relu(m.a(x.unfold(1, 3, 1))).mean(1)), (6,), 3),
    "in windows of an image": (
        lambda m, x: m.o(
            F.relu(m.a(x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3))).mean((1, 2))
        ),
        (2, 4, 4),
        8,
    ),
}


@pytest.mark.parametrize("name", READING)
def test_what_reads_the_input_is_fixed_as_the_input(name: str) -> None:
    body, shape, width = READING[name]
    symmetry = traced(body, shape, a=nn.Linear(width, 6), o=nn.Linear(6, 3))
    assert reasons(symmetry, "a.weight", 1) == {"input"}
    assert [group.name for group in symmetry.permutations] == ["a"]
    assert not symmetry.notes


def test_neighbours_under_a_window() -> None:
    """Channels under local response normalisation are no places of an image."""
    symmetry = traced(
        lambda m, x: m.o(F.relu(F.local_response_norm(m.a(x)[..., None], 3))[..., 0]),
        a=nn.Linear(12, 6),
        o=nn.Linear(6, 3),
    )
    assert reasons(symmetry, "a.weight", 0) == {"units in a row, neighbours under a window"}


def test_operators_are_told_in_words() -> None:
    tied = traced(lambda m, x: m.o((lambda h: h + h.roll(1, 1))(m.a(x))), a=nn.Linear(12, 6), o=nn.Linear(6, 3))
    assert "units tied by a sum (aten.add) in a way that is not followed" in fixed_for(tied)
    unknown = traced(lambda m, x: m.o(m.a(x).renorm(2, 0, 1.0)), a=nn.Linear(12, 6), o=nn.Linear(6, 3))
    fixed = {row["name"] for row in explanation_rows(unknown) if row["kind"] == "not understood"}
    assert {"units that reach aten.renorm, which has no rule", "places after aten.renorm"} <= fixed
    raw = {row["reason"] for row in explain(unknown)["fixed"]}
    assert "units that reach aten.renorm, which has no rule" in raw


@pytest.mark.parametrize("offset", [0, 2])
def test_a_diagonal_is_permuted_as_a_whole(offset: int) -> None:
    """The rows and columns of a matrix whose diagonal gates units move together."""
    net = Net(
        lambda m, x: m.o(F.relu(m.a(x) * torch.diagonal(m.w, offset))),
        a=nn.Linear(12, 6 - offset),
        w=nn.Parameter(torch.ones(6, 6)),
        o=nn.Linear(6 - offset, 3),
    )
    made = make_net(net, (12,))
    check_true(made)
    assert max(group.size for group in made.symmetry.permutations) == 6 - offset
    assert max(group.size for group in made.symmetry.scales) == 6 - offset
    found = {axis.reason for axis in made.symmetry.fixed}
    assert not any("no permutation keeps" in reason for reason in found)


def test_buffers_are_no_parameters() -> None:
    def counting(m: Net, x: Tensor) -> Tensor:
        m.n.add_(1)
        return m.a(x)

    with pytest.raises(TraceError, match="changes the buffer 'n' in place"):
        trace_symmetry(Net(counting, a=nn.Linear(12, 3), n=torch.zeros(1)), torch.zeros(2, 12))


def test_parts_of_axes_are_said() -> None:
    """Units that live on a part of an axis; a unit that is a whole tensor."""

    def forward(m: Net, x: Tensor) -> Tensor:
        gate, value = m.a(x).chunk(2, 1)
        return m.o(m.g * torch.tanh(m.b(torch.sigmoid(gate) * value)))

    parts = {"a": nn.Linear(12, 6), "b": nn.Linear(3, 4), "o": nn.Linear(4, 2), "g": nn.Parameter(torch.tensor([1.5]))}
    said = {(row["kind"], row["name"]): row["axes"] for row in explanation_rows(traced(forward, **parts))}
    assert said["permutation", "a"].startswith("written by a.weight[0] (2 places a unit)")
    assert said["scale", "a"] == "x a.{weight,bias}[0] 3-5; / b.weight[1]"
    assert said["scale", "g"] == "x g[0]; / o.weight all"
