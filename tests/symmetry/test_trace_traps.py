"""Networks that invite silent wrongness: whatever is found must be true, or the model must be refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import Symmetry, trace_symmetry
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import Net as Traced
from tests.support.symmetry_checks import check_true, make_net, uncovered
from tests.support.traps import TRAPS, Net, hidden, trapped

COMPUTED = {
    "computed weights": lambda n, x: n.out(F.relu(F.linear(x, n.row * 0.3))),
    "low rank": lambda n, x: n.out(F.relu(F.linear(x, n.column @ n.row[:1]))),
    "standardised weights": lambda n, x: n.out(F.relu(F.linear(x, n.row - n.row.mean(1, keepdim=True)))),
    "masked weights": lambda n, x: n.out(F.relu(F.linear(hidden(n, x), n.d.weight.triu()))),
    "symmetric weights": lambda n, x: n.out(F.relu(hidden(n, x) @ (n.d.weight + n.d.weight.t()))),
    "weights of weights": lambda n, x: n.out(F.relu(hidden(n, x) @ n.d.weight @ n.d.weight.t())),
    "incompatible cuts": lambda n, x: n.out(
        (n.a(x).view(-1, 2, 3).flatten(1) + n.b(n.a(x)).view(-1, 3, 2).transpose(1, 2).flatten(1)).relu()
    ),
    "constants changed": lambda n, x: n.out(
        hidden(n, x) * torch.ones(len(x), 6).double().view(-1, 6).masked_fill_(hidden(n, x) > 0, 2.0)
    ),
    "written into zeros": lambda n, x: n.out(_written(torch.zeros(len(x), 6).double(), hidden(n, x))),
    "written into new zeros": lambda n, x: n.out(_written(x.new_zeros(len(x), 6), hidden(n, x))),
    "written into a copy": lambda n, x: n.out(_written(n.b(hidden(n, x)).clone(), hidden(n, x))),
    "written by out=": lambda n, x: n.out((lambda h: torch.mul(h, h, out=torch.empty_like(h)))(hidden(n, x))),
    "added into zeros": lambda n, x: n.out(torch.zeros(len(x), 6).double().add_(hidden(n, x))),
    "halves swapped": lambda n, x: n.out(torch.cat(hidden(n, x).chunk(2, 1)[::-1], 1)),
    "one unit of many": lambda n, x: n.out(n.b(hidden(n, x))[:, 2:3] * hidden(n, x)),
    "first unit and last": lambda n, x: n.out(hidden(n, x)) + hidden(n, x)[:, :1] - hidden(n, x)[:, 5:],
    "padded units": lambda n, x: n.square(F.pad(hidden(n, x), (15, 15))),
    "padded units, one half": lambda n, x: n.square(F.pad(hidden(n, x), (15, 15), value=0.5)),
    "padded inputs": lambda n, x: n.out(F.pad(x, (1, 0))),
    "whole of units": lambda n, x: n.out(hidden(n, x) * n.b(hidden(n, x)).all(0)),
    "gram of units": lambda n, x: n.square(torch.einsum("bi,bj->bij", n.a(x), n.b(n.a(x))).flatten(1)),
    "gram of the same": lambda n, x: n.square((lambda h: torch.einsum("bi,bj->bij", h, h))(n.a(x)).flatten(1)),
}


def _written(target: Tensor, source: Tensor) -> Tensor:
    target[:, :3] = source[:, :3]
    return target


EPS = 0.5  # of batch-norms that share tensors: large enough that forgetting it shows


def normed(n: nn.Module, h: Tensor, mean: str, gain: Tensor | None, eps: float = EPS) -> Tensor:
    number = mean.removeprefix("mean")
    return F.relu(F.batch_norm(h, getattr(n, mean), getattr(n, f"p{number}variance"), gain, None, eps=eps))


SHARING = {
    "one gain": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1) + normed(n, n.b(x), "mean2", n.g1)),
    "one gain, two heads": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1)) + n.p(normed(n, n.b(x), "mean2", n.g1)),
    "statistics": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1) + normed(n, n.b(x), "mean1", n.g2)),
    "statistics, no gain": lambda n, x: n.o(
        normed(n, n.a(x), "mean1", None) + normed(n, n.b(x), "mean1", None, EPS / 2)
    ),
    "a gain used elsewhere": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1)) + n.p(n.g1 * F.relu(n.b(x))),
    "a variance used elsewhere": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1) + n.p1variance * F.relu(n.b(x))),
    "a mean used elsewhere": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1)) + n.p(n.mean1 + F.relu(n.b(x))),
    "a computed gain": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1 * n.g2)),
    "a computed variance": lambda n, x: n.o(
        F.relu(F.batch_norm(n.a(x), n.mean1, n.p1variance * n.p2variance, n.g1, eps=EPS))
    ),
    "one number for all": lambda n, x: n.o(
        F.relu(F.batch_norm(n.a(x), n.mean1[:1].expand(6), n.p1variance[:1].expand(6), n.g1, eps=EPS))
    ),
    "the input and the output": lambda n, x: n.o(normed(n, n.a(x), "mean1", n.g1)) + n.p(F.relu(n.a(x))),
    "twice in a row": lambda n, x: n.o(normed(n, normed(n, n.a(x), "mean1", n.g1), "mean1", n.g1)),
    "side by side": lambda n, x: n.wide(
        F.batch_norm(torch.cat([n.a(x)] * 2, 1), torch.cat([n.mean1, n.mean2]), torch.cat([n.p1variance] * 2), eps=EPS)
    ),
}


@pytest.mark.parametrize("name", SHARING)
def test_batch_norms_that_share_tensors(name: str) -> None:
    """A gain makes up for what epsilon weighs only where it can do so for all."""
    torch.manual_seed(0)
    tensors = {key: torch.ones(6) for key in ("mean1", "mean2", "p1variance", "p2variance")}
    gains = {key: nn.Parameter(torch.ones(6)) for key in ("g1", "g2")}
    linears = {"a": nn.Linear(4, 6), "b": nn.Linear(4, 6), "o": nn.Linear(6, 3), "p": nn.Linear(6, 3)}
    check_true(make_net(Body(SHARING[name], **tensors, **gains, **linears, wide=nn.Linear(12, 3)), (4,)), range(3))


NORMS = {
    "batch-norm of the batch": lambda: nn.BatchNorm1d(2, eps=EPS, affine=False, track_running_stats=False),
    "batch-norm of the batch, gains": lambda: nn.BatchNorm1d(2, eps=EPS, track_running_stats=False),
    "batch-norm": lambda: nn.BatchNorm1d(2, eps=EPS),
    "instance-norm": lambda: nn.InstanceNorm1d(2, eps=EPS),
    "group-norm": lambda: nn.GroupNorm(2, 2, eps=EPS, affine=False),
    "layer-norm": lambda: nn.LayerNorm(6, eps=EPS, elementwise_affine=False),
    "rms-norm": lambda: nn.RMSNorm(6, eps=EPS),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("kind", ["places", "parts"])
def test_norms_of_others_than_units(name: str, kind: str) -> None:
    """Units at the places of what is normalised, or cut into two channels."""
    torch.manual_seed(0)
    if kind == "places":
        body, shape, size = (lambda m, x: m.o(m.norm(m.a(x)).mean(1))), (2, 4), 6
    else:
        body, shape, size = (lambda m, x: m.o(m.norm(m.a(x).unflatten(1, (2, 6))).flatten(1))), (4,), 12
    net = make_net(Body(body, a=nn.Linear(4, size), norm=NORMS[name](), o=nn.Linear(size, 3)), shape)
    check_true(net, range(3))
    assert sum(group.units for group in net.symmetry.permutations) >= 6


MOVED = {
    "roll": lambda x: x.roll(1, 1),
    "flip": lambda x: x.flip(1),
    "index": lambda x: x[:, [3, 1, 5, 0, 2, 4]],
    "shuffle": lambda x: x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2),
    "halves swapped": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
}


@pytest.mark.parametrize("name", MOVED)
def test_channels_moved_before_a_grouped_convolution(name: str) -> None:
    torch.manual_seed(0)
    net = Body(
        lambda m, x: m.o(F.relu(m.grouped(MOVED[name](F.relu(m.a(x))))).mean(2)),
        a=nn.Conv1d(2, 6, 1),
        grouped=nn.Conv1d(6, 9, 1, groups=3),
        o=nn.Linear(9, 3),
    )
    check_true(made := make_net(net, (2, 4)), range(4))
    assert sum(group.units for group in made.symmetry.permutations) >= 9


def _of_four(x: Tensor) -> Tensor:
    return x.unflatten(1, (4, 3)).transpose(1, 2).flatten(1, 2)


def test_rows_of_grouped_weights_that_move_only_as_wholes() -> None:
    """A residual over three groups, after a shuffle out of four: units keep their order within the three."""
    torch.manual_seed(0)
    net = Body(
        lambda m, x: m.o((lambda h: h + m.second(F.gelu(h)))(_of_four(m.first(x))).mean(2)),
        first=nn.Conv1d(4, 12, 1, groups=4),
        second=nn.Conv1d(12, 12, 1, groups=3),
        o=nn.Linear(12, 3),
    )
    check_true(made := make_net(net, (4, 5)), range(4))
    assert not uncovered(made)
    assert [group.size for group in made.symmetry.permutations] == [3]


CHANGED = {
    "view of a parameter": lambda n, x: n.out(hidden(n, x)) + n.v.view(-1).mul_(0.5).sum(),
    "part of a parameter": lambda n, x: n.out(hidden(n, x)) + n.v[:2].add_(0.5).sum(),
    "data of a parameter": lambda n, x: n.out(hidden(n, x)) + n.v.data.zero_().sum(),
    "detached parameter": lambda n, x: n.out(hidden(n, x)) + n.v.detach().copy_(x[0, 0]).sum(),
}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(64, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", TRAPS | COMPUTED)
def test_what_is_found_is_true(name: str, x: Tensor) -> None:
    if name in TRAPS:
        net = trapped(TRAPS[name])
        check_true(Traced(net, net.state_dict(), trace_symmetry(net, x), x), range(3))
    else:
        torch.manual_seed(0)
        net = Net(COMPUTED[name])
    check_true(make_net(net, (5,)))


def test_common_heads_keep_their_symmetries(x: Tensor) -> None:
    symmetry: Symmetry
    for name in ("squeezed head", "flattened head"):
        symmetry = trace_symmetry(trapped(TRAPS[name]), x)
        assert [group.name for group in symmetry.scales] == ["a"]
        assert {scaled.axis.tensor for scaled in symmetry.output} == {"one.weight", "one.bias"}
    gate = trace_symmetry(trapped(TRAPS["two factors"]), x)
    assert [group.size for group in gate.scales] == [6, 6]


@pytest.mark.parametrize("name", CHANGED)
def test_parameters_changed_in_place_are_refused(name: str, x: Tensor) -> None:
    net = Net(CHANGED[name]).double().requires_grad_(False)
    kept = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    with pytest.raises(TraceError, match="changes the parameter 'v' in place"):
        trace_symmetry(net, x)
    assert all(torch.equal(kept[key], tensor) for key, tensor in net.state_dict().items())


def test_inference_mode_and_unsaved_buffers(x: Tensor) -> None:
    class Buffered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 2)
            self.register_buffer("shift", torch.ones(6), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.relu(self.a(x) + self.shift))

    with torch.inference_mode():
        symmetry = trace_symmetry(Buffered().double(), x)
    assert not symmetry.permutations  # a constant for each unit tells them apart
    assert not symmetry.scales
