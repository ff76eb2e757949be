"""What every kind of paths does: its inner points, its middle, what it counts."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.choices import Kind
from landscape_cli.errors import GeometryError
from landscape_cli.geometry.geodesic import GeodesicPath, geodesic
from landscape_cli.geometry.hamming import hamming, midpoint, planned_flips, random_path
from landscape_cli.geometry.linear import LinearPath, linear
from landscape_cli.geometry.shortest import ShortestPath
from tests.support.paths import BINARY, MLP, make_ends


def test_the_choices_name_them() -> None:
    paths = [kind for kind in Kind if kind.is_path]
    assert [kind.load() for kind in paths] == [LinearPath, GeodesicPath, ShortestPath]
    assert [kind for kind in paths if kind.load().binary] == [kind for kind in paths if kind.load().random]
    assert [kind for kind in paths if kind.load().needs_symmetry] == [Kind.GEODESIC]


@pytest.mark.parametrize("points", [2, 3, 6])
def test_parametric_paths(points: int) -> None:
    ends = make_ends(MLP, normalized=True)
    line, arc = LinearPath(ends.model, orders=7), GeodesicPath(ends.model, ends.symmetry)
    assert (line.orders, arc.orders) == (1, 1)
    assert line.counts(ends.start, ends.end, points) == {}
    taus = [k / (points - 1) for k in range(1, points - 1)]
    for inner, expected in (
        (line.inner(ends.start, ends.end, points), [linear(ends.start, ends.end, tau) for tau in taus]),
        (arc.inner(ends.start, ends.end, points), [geodesic(ends.start, ends.end, t, ends.symmetry) for t in taus]),
        ([line.middle(ends.start, ends.end)], [linear(ends.start, ends.end, 0.5)]),
        ([arc.middle(ends.start, ends.end)], [geodesic(ends.start, ends.end, 0.5, ends.symmetry)]),
    ):
        for network, other in zip(inner, expected, strict=True):
            assert all(torch.equal(network[name], other[name]) for name in other)


def test_shortest_paths() -> None:
    ends = make_ends(BINARY)
    kind, latents = ShortestPath(ends.model, orders=3, seed=5), {name: name for name in ends.start}
    plan = planned_flips(hamming(ends.start, ends.end, latents).flips, 5)
    assert kind.counts(ends.start, ends.end, 5) == {"flips": plan}
    expected = [
        network
        for order in range(3)
        for network in random_path(ends.start, ends.end, latents, plan[1:-1], seed=5, order=order)
    ]
    inner = list(kind.inner(ends.start, ends.end, 5))
    assert len(inner) == 9
    for network, other in zip(inner, expected, strict=True):
        assert all(torch.equal(network[name], other[name]) for name in other)
    middle = midpoint(ends.start, ends.end, latents, seed=5)
    assert all(torch.equal(middle[name], t) for name, t in kind.middle(ends.start, ends.end).items())


def test_a_geodesic_needs_a_symmetry() -> None:
    with pytest.raises(GeometryError, match="`symmetry=`"):
        GeodesicPath(make_ends(MLP).model)
