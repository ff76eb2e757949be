"""Gradients of what has none."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.spec import Places
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import make_net


def test_operators_without_a_derivative_are_steps() -> None:
    """They are told as those of a sign are, and the rest is compared: a wrong group is wrong."""
    torch.manual_seed(0)
    parts = {"a": nn.Linear(3, 3), "o": nn.Linear(3, 2)}
    body = Body(lambda m, x: m.o(torch.heaviside(m.a(x), torch.zeros((), dtype=x.dtype))), **parts)
    net = make_net(body, (3,))
    generator = torch.Generator().manual_seed(0)
    check = check_completeness(net.model, net.params, net.symmetry, generator=generator)
    assert check.unseen == ("a.weight", "a.bias")
    assert (check.groups.found, check.groups.missed, check.scales.found) == (1, 0, 4)
    assert not any(count.wrong for count in check.counts)
    [group] = net.symmetry.permutations
    axes = tuple(replace(axis, places=Places(axis.places.table[::-1])) for axis in group.axes[:1])
    wrong = replace(net.symmetry, permutations=(replace(group, axes=axes + group.axes[1:]),))
    assert check_completeness(net.model, net.params, wrong, generator=generator).groups.wrong
