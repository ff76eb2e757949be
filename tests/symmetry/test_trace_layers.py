"""Every kind of layer: what is found of a small network is true, complete, and nothing for nothing."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from landscape_cli.symmetry.tracing.rules.convolutions import WINDOW
from tests.support.layers import NETS
from tests.support.symmetry_checks import Net, check_true, idle_axes, make_net, uncovered

MISSING = {
    name: pytest.mark.xfail(reason=known.missing, raises=AssertionError)
    for name, known in NETS.items()
    if known.missing
}


@cache
def traced(name: str) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(NETS[name].make(), NETS[name].shape)


@pytest.mark.parametrize("name", NETS)
def test_random_symmetry_keeps_the_function(name: str) -> None:
    check_true(traced(name))


@pytest.mark.parametrize("name", NETS)
def test_each_axis_matters(name: str) -> None:
    """Negative control: leaving any one axis out of any group changes the function."""
    idle = idle_axes(traced(name))
    assert not [axis for axis in idle if not any(tensor in axis for tensor in NETS[name].idle)]
    assert bool(idle) == bool(NETS[name].idle)


@pytest.mark.parametrize("name", [pytest.param(name, marks=MISSING.get(name, ())) for name in NETS])
def test_groups_are_complete(name: str) -> None:
    known, found = NETS[name], traced(name).symmetry
    assert sorted(group.units for group in found.permutations) == sorted(known.permutations)
    assert sorted(group.size for group in found.scales) == sorted(known.scales)
    assert sorted(group.size for group in found.signs) == sorted(known.signs)
    assert bool(found.output) == known.output


@pytest.mark.parametrize("name", NETS)
def test_every_axis_is_accounted_for(name: str) -> None:
    assert not uncovered(traced(name))


@pytest.mark.parametrize("name", [name for name, known in NETS.items() if not known.missing])
def test_nothing_is_noted_where_all_is_found(name: str) -> None:
    """But for channels under a window, which may be gone through backwards."""
    notes = traced(name).symmetry.notes
    assert not [note for note in notes if WINDOW not in note]
    assert bool(notes) == name.startswith("local response norm")
