"""Saved buffers: those of hidden units go with them, and a remark says so; constants stay as they are."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment.verified import align
from landscape_cli.errors import Remark
from landscape_cli.normalization.verified import normalize
from landscape_cli.symmetry import trace_symmetry
from landscape_cli.symmetry.checking.completeness import check_completeness
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net

CONSTANTS = {"mean", "spread", "temperature", "gain"}


def network(seed: int) -> nn.Module:
    """Inputs are normalised, and outputs divided, by buffers; hidden units have a table of positions, and a norm."""
    torch.manual_seed(seed)

    def forward(m: Net, x: Tensor) -> Tensor:
        h = F.relu(m.a((x - m.mean) / m.spread)) + m.table
        y: Tensor = m.b(m.norm((m.gain * h).transpose(1, 2)).mean(2)) / m.temperature
        return y

    parts = {"a": nn.Linear(2, 3), "norm": nn.BatchNorm1d(3), "b": nn.Linear(3, 2)}
    model = Net(forward, **parts)
    for name, shape in {"mean": (2,), "spread": (2,), "temperature": (), "gain": (), "table": (2, 3)}.items():
        model.register_buffer(name, torch.rand(shape) + 0.5)
    return model.eval()


def test_constants_keep_their_numbers() -> None:
    model = network(0)
    symmetry = trace_symmetry(model, torch.zeros(2, 2, 2))
    moved = {axis.tensor for group in (*symmetry.permutations, *symmetry.signs) for axis in group.axes}
    moved |= {scaled.axis.tensor for group in symmetry.scales for scaled in group.axes}
    assert not moved & CONSTANTS
    assert {"table", "norm.running_mean"} <= moved
    params = {name: tensor.double() for name, tensor in model.state_dict().items()}
    checked = check_completeness(model, params, symmetry, generator=torch.Generator().manual_seed(0))
    assert checked.is_complete, checked


def test_a_table_goes_with_its_units_and_that_is_said() -> None:
    model, other = network(0), network(1)
    symmetry = trace_symmetry(model, torch.zeros(2, 2, 2))
    assert symmetry.buffers == ("table",)
    reference, params = model.state_dict(), other.state_dict()
    with pytest.warns(Remark, match="the buffer 'table' went with the units"):
        normal = normalize(model, params, symmetry).params
    with pytest.warns(Remark, match="the buffer 'table' went with the units"):
        aligned = align(model, reference, params, symmetry).params
    for network_ in (normal, aligned):
        assert not torch.equal(network_["table"], params["table"])
        assert all(torch.equal(network_[name], params[name]) for name in CONSTANTS)


def halves_turned(table: str, z: Tensor) -> Tensor:
    """What is turned by 90 degrees, pair by pair: halves of each head, or neighbours."""
    if table == "halves":
        return torch.cat([-z[..., 2:], z[..., :2]], -1)
    return torch.stack([-z[..., 1::2], z[..., ::2]], -1).flatten(-2)


@pytest.mark.parametrize("table", ["halves", "neighbours"])
def test_both_columns_of_a_pair_in_a_saved_table_of_rotary_positions_stay_in_their_order(table: str) -> None:
    """Pairs trade places with the columns of the table, both of each; within a pair there is a first and a second."""

    def turned(m: Net, z: Tensor) -> Tensor:
        return z * m.cos + halves_turned(table, z) * m.sin

    def forward(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        q, k, v = (part(h).unflatten(-1, (2, 4)).transpose(1, 2) for part in (m.q, m.k, m.v))
        y = (turned(m, q) @ turned(m, k).mT).softmax(-1) @ v
        return m.o(y.transpose(1, 2).flatten(2).mean(1))

    torch.manual_seed(0)
    model = Net(forward, i=nn.Linear(3, 5), q=nn.Linear(5, 8), k=nn.Linear(5, 8), v=nn.Linear(5, 8), o=nn.Linear(8, 2))
    for name in ("cos", "sin"):
        model.register_buffer(name, torch.randn(3, 4))
    net = make_net(model, (3, 3))
    groups = {frozenset(axis.tensor for axis in group.axes): group for group in net.symmetry.permutations}
    [pairs] = [group for tensors, group in groups.items() if "cos" in tensors]
    assert (pairs.size, pairs.blocks) == (2, 1)
    assert {axis.tensor for axis in pairs.axes} == {"cos", "sin", "q.weight", "q.bias", "k.weight", "k.bias"}
    check_true(net)
