"""Networks that invite silent wrongness: whatever is found must be true, or the model must be refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cases import random_factors
from torch import Tensor, nn

from landscape_cli.align import align
from landscape_cli.errors import TraceError
from landscape_cli.normalize import normalization, normalize
from landscape_cli.symmetry import Symmetry, permute, random_permutations, rescale, trace_symmetry


class Net(nn.Module):
    """Parts to build traps from, and a forward pass given from outside."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.a, self.g = nn.Linear(5, 6), nn.Linear(5, 1)
        self.b, self.c, self.d = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6, bias=False)
        self.one = nn.Linear(6, 1)
        self.square = nn.Linear(36, 3)
        self.out = nn.Linear(6, 3)
        self.k, self.v = nn.Parameter(torch.ones(1) * 1.5), nn.Parameter(torch.randn(6))
        self.column, self.row = nn.Parameter(torch.randn(6, 1)), nn.Parameter(torch.randn(6, 5))
        self.body = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def trapped(forward) -> Net:
    """Return the net without the parts that its forward pass does not use."""
    torch.manual_seed(0)
    net = Net(forward).double()
    used: set[int] = set()
    x = torch.randn(64, 5).double()
    for name, parameter in net.named_parameters():
        (gradient,) = torch.autograd.grad(net(x).square().sum(), parameter, allow_unused=True)
        if gradient is not None:
            used.add(id(parameter))
            assert gradient.abs().sum() > 0, name
    for owner in [net, *net.children()]:
        for name, parameter in list(owner._parameters.items()):
            if parameter is not None and id(parameter) not in used:
                owner._parameters[name] = None
    return net.requires_grad_(False)


def outputs(net: Net, params: dict[str, Tensor], x: Tensor) -> Tensor:
    return torch.func.functional_call(net, params, (x,), tie_weights=False)


def hidden(net: Net, x: Tensor) -> Tensor:
    return F.relu(net.a(x))


def block(layer: nn.Module, h: Tensor) -> Tensor:
    return h + F.relu(layer(h))


TRAPS = {
    "squeezed head": lambda n, x: n.one(hidden(n, x)).squeeze(-1),
    "flattened head": lambda n, x: n.one(hidden(n, x)).view(-1),
    "gate": lambda n, x: n.out(hidden(n, x) * F.relu(n.g(x))),
    "expanded gate": lambda n, x: n.out(hidden(n, x) * F.relu(n.g(x)).expand(-1, 6)),
    "two factors": lambda n, x: n.out(hidden(n, x) * F.relu(x @ n.row.t())),
    "temperature": lambda n, x: n.out(hidden(n, x) * n.k),
    "scaled output": lambda n, x: n.out(hidden(n, x)) * n.k,
    "sum kept": lambda n, x: n.out(hidden(n, x) * (hidden(n, x) * n.v).sum(1, keepdim=True)),
    "same matrix twice": lambda n, x: n.out(F.relu(n.d(F.relu(n.d(hidden(n, x)))))),
    "outer product": lambda n, x: n.square((hidden(n, x)[:, :, None] * hidden(n, x)[:, None, :]).flatten(1)),
    "bias as a column": lambda n, x: n.out(F.relu(torch.addmm(n.column, n.row, x.t())).t()),
    "squared output": lambda n, x: n.out(hidden(n, x)).mul(n.out(hidden(n, x))),
    "one-layer blocks": lambda n, x: n.out(
        (lambda h: (lambda k: k + F.relu(n.c(k)))(h + F.relu(n.b(h))))(hidden(n, x))
    ),
    "residual output": lambda n, x: (lambda h: h + n.c(F.relu(n.b(h))))(n.a(x)),
    "mean of units": lambda n, x: n.out(n.b(hidden(n, x)).relu() * hidden(n, x).mean(1, keepdim=True)),
    "thirds then quarters": lambda n, x: n.out(hidden(n, x).view(-1, 2, 3).relu().reshape(-1, 6)),
}
REFUSED = {
    "computed weights": (lambda n, x: n.out(F.relu(F.linear(x, n.row * 0.3))), "computed from parameters"),
    "low rank": (lambda n, x: n.out(F.relu(F.linear(x, n.column @ n.row[:1]))), "rule"),
    "view of a parameter changed": (lambda n, x: n.out(hidden(n, x)) + n.v.view(-1).mul_(0.5).sum(), "in place"),
    "constants changed": (
        lambda n, x: n.out(hidden(n, x) * torch.ones(64, 6).double().view(-1, 6).masked_fill_(hidden(n, x) > 0, 2.0)),
        "made of constants|no symmetry rule",
    ),
    "incompatible cuts": (
        lambda n, x: n.out((n.a(x).view(-1, 2, 3).flatten(1) + n.a(x).view(-1, 3, 2).flatten(1)).relu()),
        "unequal meaning",
    ),
}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(64, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def check(net: Net, symmetry: Symmetry, x: Tensor) -> None:
    params = net.state_dict()
    expected = outputs(net, params, x)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        moved = permute(params, symmetry, random_permutations(symmetry, generator=generator))
        assert torch.allclose(outputs(net, moved, x), expected, rtol=1e-9, atol=1e-11)
        factor = 3.0 if symmetry.output else 1.0
        moved = rescale(params, symmetry, random_factors(symmetry, seed), output=factor)
        assert torch.allclose(outputs(net, moved, x), factor * expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", TRAPS)
def test_what_is_found_is_true(name: str, x: Tensor) -> None:
    net = trapped(TRAPS[name])
    symmetry = trace_symmetry(net, x)
    check(net, symmetry, x)
    params = net.state_dict()
    found = normalization(params, symmetry)
    expected = found.output_factor * outputs(net, params, x)
    assert torch.allclose(outputs(net, found.params, x), expected, rtol=1e-9, atol=1e-11)
    twice = normalize(found.params, symmetry)
    assert all(torch.allclose(twice[key], found.params[key], rtol=1e-10, atol=1e-12) for key in twice)
    moved = normalize(rescale(params, symmetry, random_factors(symmetry, 1)), symmetry)
    assert all(torch.allclose(moved[key], found.params[key], rtol=1e-9, atol=1e-11) for key in moved)


@pytest.mark.parametrize("name", ["one-layer blocks", "same matrix twice", "residual output", "squeezed head"])
def test_planted_relabelling_is_found(name: str, x: Tensor) -> None:
    net = trapped(TRAPS[name])
    symmetry = trace_symmetry(net, x)
    params = net.state_dict()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        planted = permute(params, symmetry, random_permutations(symmetry, generator=generator))
        found = align(params, planted, symmetry)
        assert all(torch.equal(found.params[key], params[key]) for key in params)


def test_common_heads_keep_their_symmetries(x: Tensor) -> None:
    for name in ("squeezed head", "flattened head"):
        symmetry = trace_symmetry(trapped(TRAPS[name]), x)
        assert [group.name for group in symmetry.scales] == ["a"]
        assert {scaled.axis.tensor for scaled in symmetry.output} == {"one.weight", "one.bias"}
    gate = trace_symmetry(trapped(TRAPS["two factors"]), x)
    assert [group.name for group in gate.scales] == ["a", "a#2"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused(name: str, x: Tensor) -> None:
    forward, word = REFUSED[name]
    net = trapped(forward) if name == "computed weights" else Net(forward).double()
    kept = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    with pytest.raises(TraceError, match=word):
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
