"""Operators that are traced as others, which compute the same: products by groups of rows or with choices, counts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import flip, permute, random_permutations, random_signs, trace_symmetry
from landscape_cli.errors import TraceError
from landscape_cli.symmetry.tracing.rewritten import chosen_by_matrix, counted_by_number, grouped_product
from landscape_cli.symmetry.tracing.tensors import SORTED
from tests.support.composed import undone
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net


class Experts(nn.Module):
    """Rows in the order of their experts, in one product with all of these, stored one way round or the other."""

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        self.first, self.gate, self.last = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 2)
        self.up = nn.Parameter(torch.randn(3, 16, 8) if transposed else torch.randn(3, 8, 16))
        self.down = nn.Parameter(torch.randn(3, 16, 8))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        best, chosen = self.gate(h).softmax(-1).topk(2, -1)
        chosen, order = chosen.flatten().sort()
        ends = (chosen[:, None] == torch.arange(3)).sum(0).cumsum(0).to(torch.int32)
        up = self.up.transpose(1, 2) if self.transposed else self.up
        y = torch._grouped_mm(torch._grouped_mm(h[order // 2], up, offs=ends).tanh(), self.down, offs=ends)
        return self.last(torch.zeros_like(h).index_add(0, order // 2, y * best.flatten()[order][:, None]))


def test_the_same_numbers() -> None:
    rows, matrices = torch.randn(7, 8), torch.randn(3, 8, 16)
    offs = torch.tensor([2, 2, 7], dtype=torch.int32)
    ours = grouped_product(rows, matrices, offs)
    torch.testing.assert_close(ours, torch._grouped_mm(rows, matrices, offs=offs))
    assert grouped_product(rows, matrices, offs, torch.randn(16)) is None
    assert grouped_product(torch.randn(3, 7, 8), matrices) is None


def test_the_same_counts() -> None:
    numbers, weights = torch.tensor([2, 0, 2, 3]), torch.randn(4)
    torch.testing.assert_close(counted_by_number(numbers, None, 5), torch.bincount(numbers, minlength=5))
    ours = counted_by_number(numbers, weights, 4)
    torch.testing.assert_close(ours, torch.bincount(numbers, weights, minlength=4))


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_the_same_rows_and_columns(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape)
    rows, columns = torch.eye(3)[[2, 0, 0, 1, 2]], torch.eye(4)[:, [3, 3, 0]]
    if matrix.ndim > 2:
        rows, columns = rows.expand(2, -1, -1), columns.expand(2, -1, -1)
    torch.testing.assert_close(chosen_by_matrix((rows, matrix), (rows, None)), rows @ matrix)
    torch.testing.assert_close(chosen_by_matrix((matrix, columns), (None, columns)), matrix @ columns)
    assert chosen_by_matrix((2 * rows, matrix), (2 * rows, None)) is None
    assert chosen_by_matrix((matrix, torch.ones(4, 3)), (None, torch.ones(4, 3))) is None


def test_types_that_a_matrix_looks_up_trade_places() -> None:
    """Units in pairs of one type: so do these within their type, and types with their rows of a table."""

    def body(m: Net, x: Tensor) -> Tensor:
        types = F.one_hot(torch.tensor([0, 0, 1, 1, 2, 2])).to(x.dtype) @ m.table
        result: Tensor = m.o(F.relu(torch.einsum("bi,nid->bnd", x, m.w) + types).sum(1))
        return result

    torch.manual_seed(0)
    parts = {"w": nn.Parameter(torch.randn(6, 3, 4)), "table": nn.Parameter(torch.randn(3, 4)), "o": nn.Linear(4, 2)}
    net = make_net(Net(body, **parts), (3,))
    assert sorted((g.blocks, g.size) for g in net.symmetry.permutations) == [(1, 3), (1, 4), (3, 2)]
    check_true(net)
    assert undone(net, 0) == ""


def test_samples_that_are_sorted_by_their_expert_are_told() -> None:
    symmetry = trace_symmetry(Experts(transposed=False).eval(), torch.randn(6, 4))
    assert any(SORTED in note for note in symmetry.notes)
    assert {axis.tensor for axis in symmetry.fixed if axis.reason == SORTED} >= {"up", "down", "gate.weight"}


@pytest.mark.parametrize("way", ["counted", "listed"])
def test_samples_cut_by_how_many_each_expert_has_are_refused_with_a_remedy(way: str) -> None:
    def body(m: Net, x: Tensor) -> Tensor:
        chosen, order = m.g(x).argmax(-1).sort()
        ends = torch.bincount(chosen, minlength=3).cumsum(0)
        sizes = ends.tolist() if way == "listed" else [int(end) for end in ends]
        return m.o(x[order][: sizes[0]])

    with pytest.raises(TraceError, match=r"by a mask \(torch.where\(chosen == k\)\)"):
        trace_symmetry(Net(body, g=nn.Linear(4, 3), o=nn.Linear(4, 2)), torch.randn(6, 4))


def test_units_of_experts_are_found_in_step() -> None:
    for transposed in (False, True):
        torch.manual_seed(0)
        model = Experts(transposed=transposed).eval()
        params, x = dict(model.state_dict()), torch.randn(6, 4)
        symmetry = trace_symmetry(model, x)
        rows = 1 if transposed else 2
        units = {group.size: {(axis.tensor, axis.dims) for axis in group.axes} for group in symmetry.permutations}
        assert units[16] == {("up", (rows,)), ("down", (1,))}
        assert sum(group.size for group in symmetry.permutations) == 8 + 16 + 8
        assert {name for name in ("up", "down") if f"by its number, of {name!r}" in " ".join(symmetry.notes)} == {
            "up",
            "down",
        }
        source = torch.Generator().manual_seed(1)
        moved = permute(params, symmetry, random_permutations(symmetry, generator=source))
        moved = flip(moved, symmetry, random_signs(symmetry, generator=source))
        assert not torch.equal(moved["down"], params["down"])
        outputs = [torch.func.functional_call(model, each, (x,)) for each in (params, moved)]
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
