"""The plane through three networks: its basis, its grid, and what spans none (docs/method.md: Planes)."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from landscape_cli.errors import GeometryError
from landscape_cli.geometry.linear import linear
from landscape_cli.geometry.plane import span_plane
from tests.support.cases import make_case


def test_plane_passes_through_its_corners() -> None:
    networks = [make_case("mlp", seed=seed).params for seed in range(3)]
    plane = span_plane(*networks)
    for network, (x, y) in zip(networks, plane.corners, strict=True):
        found = plane.network(x, y)
        assert all(torch.allclose(found[key], network[key], rtol=0, atol=1e-12) for key in network)
    flat_u, flat_v = (torch.cat([t.flatten() for t in w.values()]) for w in (plane.u, plane.v))
    assert float(flat_u @ flat_v) == pytest.approx(0, abs=1e-12)
    assert float(flat_u.norm()) == pytest.approx(1)
    assert float(flat_v.norm()) == pytest.approx(1)
    sides = [
        math.sqrt(sum(float((p[k] - q[k]).square().sum()) for k in p))
        for p, q in ((networks[0], networks[2]), (networks[1], networks[2]))
    ]
    assert sides == pytest.approx([math.dist(plane.corners[2], plane.corners[k]) for k in (0, 1)])


def test_grid_surrounds_the_corners() -> None:
    plane = span_plane(*[make_case("mlp", seed=seed).params for seed in range(3)])
    xs, ys = plane.grid(5, 0.2)
    width = max(x for x, _ in plane.corners) - min(x for x, _ in plane.corners)
    assert len(xs) == len(ys) == 5
    assert xs[0] == pytest.approx(min(x for x, _ in plane.corners) - 0.2 * width)
    assert xs[-1] == pytest.approx(max(x for x, _ in plane.corners) + 0.2 * width)
    assert [b - a for a, b in pairwise(xs)] == pytest.approx([(xs[-1] - xs[0]) / 4] * 4)


def test_no_plane_through_a_line() -> None:
    a, b = (make_case("mlp", seed=seed, dtype=torch.float32).params for seed in (1, 2))
    with pytest.raises(GeometryError, match="on one line"):
        span_plane(a, b, linear(a, b, 0.3))
    close = {key: tensor + 0.001 * b[key] for key, tensor in a.items()}
    with pytest.raises(GeometryError, match="on one line"):
        span_plane(a, close, linear(a, close, 0.3))
    with pytest.raises(GeometryError, match="equal"):
        span_plane(a, b, a)
