"""Networks that invite silent wrongness: parts, and forward passes to trap whoever derives symmetries."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
