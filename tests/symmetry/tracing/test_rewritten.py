"""Products of groups of rows, as of experts, are traced as products with matrices that are looked up: the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from landscape_cli import flip, permute, random_permutations, random_signs, trace_symmetry
from landscape_cli.symmetry.tracing.rewritten import grouped_product


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
