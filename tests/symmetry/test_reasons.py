"""What is fixed by nature is told from what is not understood, counted, and refused where that is asked for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import trace_symmetry
from landscape_cli.symmetry.reasons import counted, not_understood
from tests.support.layers import NETS, Net

TIED = {
    "by a sum": lambda m, x: m.o((lambda h: h + h.roll(1, 1))(m.a(x))),
    "under windows, which may be gone through backwards": lambda m, x: m.o(
        F.local_response_norm(m.a(x)[..., None], 3)[..., 0]
    ),
    "without a rule": lambda m, x: m.o(m.a(x).renorm(2, 0, 1.0)),
}


def net(body) -> Net:  # type: ignore[no-untyped-def]
    return Net(body, a=nn.Linear(4, 6), o=nn.Linear(6, 3))


def test_nature_is_understood() -> None:
    symmetry = trace_symmetry(net(lambda m, x: m.o(m.a(x).cumsum(1))), torch.zeros(2, 4))
    assert not not_understood(symmetry)
    assert counted(symmetry) == {"free": 0, "by_nature": 6, "not_understood": 0}
    trace_symmetry(net(lambda m, x: m.o(F.relu(m.a(x)))), torch.zeros(2, 4), strict=True)


@pytest.mark.parametrize("way", TIED)
def test_what_is_not_followed_is_counted_told_and_refused(way: str) -> None:
    symmetry = trace_symmetry(net(TIED[way]), torch.zeros(2, 4))
    assert {(axis.tensor, axis.dim) for axis in not_understood(symmetry)} >= {("a.weight", 0), ("a.bias", 0)}
    assert counted(symmetry)["not_understood"] == 3
    assert symmetry.notes
    with pytest.raises(TraceError, match="strict"):
        trace_symmetry(net(TIED[way]), torch.zeros(2, 4), strict=True)


def test_groups_that_a_shuffle_mixes_are_counted() -> None:
    """Several channels of each group to each group: they move within where both meet, and the groups do not."""
    known = NETS["channel shuffle"]
    symmetry = trace_symmetry(known.make(), torch.zeros(2, *known.shape))
    assert {(axis.tensor, axis.dim, axis.places) for axis in not_understood(symmetry)} == {("first.weight", 0, 8)}
    assert "mixed" in symmetry.notes[0]


class PaddedWindows(nn.Module):
    """Attention within windows of an image that is padded, with a number added for each distance of two places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.qkv, self.out = nn.Conv2d(3, 6, 1), nn.Linear(6, 12), nn.Linear(4, 5)
        self.distances = nn.Parameter(torch.randn(2, 4))
        self.register_buffer("which", torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(self.stem(x).permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1))
        x = x.view(-1, 2, 2, 2, 2, 6).transpose(2, 3).reshape(-1, 4, 6)
        q, k, v = self.qkv(x).view(-1, 4, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind()
        weights = (q @ k.transpose(-2, -1) + self.distances[:, self.which]).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)).view(len(x) // 4, -1, 5).mean(1)


def test_what_is_added_to_places_of_several_kinds_is_fixed_by_nature() -> None:
    symmetry = trace_symmetry(PaddedWindows(), torch.zeros(2, 3, 3, 3))
    assert {axis.reason for axis in symmetry.fixed if axis.tensor == "distances"} == {"a fixed place"}
    assert not not_understood(symmetry)


def test_numbers_of_what_is_not_followed_are_told_too() -> None:
    """Sums of keys in two tables are looked for: the rule of `topk` follows none, and its numbers look values up."""

    def body(m: Net, x: Tensor) -> Tensor:
        left, right = m.q(x).chunk(2, -1)
        sums = m.k1(left)[:, :, None] + m.k2(right)[:, None]
        best, which = sums.flatten(1).topk(2)
        return m.o((best.softmax(-1)[..., None] * m.values(which)).sum(1))

    keys = {key: nn.Linear(3, 3, bias=False) for key in ("k1", "k2")}
    model = Net(body, q=nn.Linear(4, 6), values=nn.Embedding(9, 5), o=nn.Linear(5, 2), **keys)
    symmetry = trace_symmetry(model, torch.zeros(2, 4))
    assert {("k1.weight", 0), ("k2.weight", 0)} <= {(axis.tensor, axis.dim) for axis in not_understood(symmetry)}
    assert any("k1.weight[0]" in note for note in symmetry.notes)
    with pytest.raises(TraceError, match="strict was asked for"):
        trace_symmetry(model, torch.zeros(2, 4), strict=True)
