"""Simplices that meet face to face, against brute force."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from math import comb, factorial

import numpy as np
import pytest

from landscape_cli.errors import GeometryError
from landscape_cli.geometry.simplicial import (
    MOST_OF_SIMPLEX,
    MOST_POINTS,
    SimplicialComplex,
    coarsened,
    compositions,
    flat_simplex,
    letters,
    make_complex,
    shown_count,
    star,
    subdivided_simplex,
)

COMPLEXES = {
    "path": subdivided_simplex(2),
    "triangle": subdivided_simplex(3),
    "tetrahedron": subdivided_simplex(4),
    "star": star(4),
    "fan": star(3, 2),
    "thick fan": star(2, 3),
    "simplex": flat_simplex(4),
}


def coordinates(complex_: SimplicialComplex) -> np.ndarray:
    """Return vertices as barycentres of unit vectors, shape (vertices, networks): where a subdivision has them."""
    places = np.zeros((len(complex_.vertices), complex_.networks))
    for row, vertex in zip(places, complex_.vertices, strict=True):
        row[list(vertex.of)] = 1 / len(vertex.of)
    return places


@pytest.mark.parametrize("networks", [2, 3, 4, 5])
def test_a_subdivision_has_a_vertex_a_set_and_a_facet_a_chain(networks: int) -> None:
    complex_ = subdivided_simplex(networks)
    sets = [of for size in range(1, networks + 1) for of in combinations(range(networks), size)]
    assert [vertex.of for vertex in complex_.vertices] == sets
    assert len(complex_.trained) == 2**networks - 1 - networks
    assert [complex_.vertices[k].trained for k in range(networks)] == [False] * networks
    assert len(set(complex_.facets)) == len(complex_.facets) == factorial(networks)
    for facet in complex_.facets:
        chain = [set(complex_.vertices[k].of) for k in facet]
        assert [len(of) for of in chain] == list(range(1, networks + 1))
        assert all(small < large for small, large in pairwise(chain))
    assert [vertex.name for vertex in subdivided_simplex(3).vertices] == ["a", "b", "c", "ab", "ac", "bc", "abc"]


def test_a_star_has_a_facet_a_network() -> None:
    fan = star(3, 2)
    assert [vertex.name for vertex in fan.vertices] == ["a", "b", "c", "1", "2"]
    assert fan.facets == ((0, 3, 4), (1, 3, 4), (2, 3, 4))
    assert [fan.vertices[k].of for k in fan.trained] == [(0, 1, 2)] * 2


@pytest.mark.parametrize("points", [2, 3, 5])
@pytest.mark.parametrize("name", COMPLEXES)
def test_grids_count_what_is_shared_once(name: str, points: int) -> None:
    complex_ = COMPLEXES[name]
    grid = complex_.grid(points)
    expected: dict[frozenset[int], set[tuple[int, ...]]] = {}
    every = set()
    for facet in complex_.facets:
        inside = set()
        for parts in product(range(points), repeat=len(facet)):  # all, of which those on the simplex are kept
            if sum(parts) == points - 1:
                point = [0] * len(complex_.vertices)
                for vertex, part in zip(facet, parts, strict=True):
                    point[vertex] = part
                inside.add(tuple(point))
        expected[frozenset(facet)] = inside
        every |= inside
    found = [tuple(point.get(k, 0) for k in range(len(complex_.vertices))) for point in grid.points]
    assert len(found) == len(set(found)) == complex_.count(points)
    assert set(found) == every
    for number, facet in enumerate(complex_.facets):
        assert {found[k] for k in grid.facets[number]} == expected[frozenset(facet)]
        assert len(grid.facets[number]) == comb(points - 1 + len(facet) - 1, len(facet) - 1)
    for k, number in enumerate(grid.first):
        assert number == min(n for n in range(len(complex_.facets)) if k in grid.facets[n])
        weights = grid.weights(k, complex_.facets[number])
        assert min(weights) >= 0
        assert sum(weights) == pytest.approx(1)
    for vertex in range(len(complex_.vertices)):
        assert grid.weights(grid.at_vertex(vertex), [vertex]) == [1]


@pytest.mark.parametrize("name", ["path", "triangle", "tetrahedron"])
def test_facets_fill_the_simplex_and_do_not_overlap(name: str) -> None:
    complex_ = COMPLEXES[name]
    places = coordinates(complex_)
    points = np.random.default_rng(0).dirichlet(np.ones(complex_.networks), size=200)
    inside = np.zeros(len(points), dtype=int)
    for facet in complex_.facets:
        weights = np.linalg.solve(places[list(facet)].T, points.T)
        inside += (weights > 0).all(axis=0)
    assert (inside == 1).all()
    for point in complex_.grid(4).points:
        at = sum(part / 3 * places[vertex] for vertex, part in point.items())
        assert at.min() >= -1e-12
        assert at.sum() == pytest.approx(1)


def test_defaults() -> None:
    assert [make_complex(networks).shape for networks in (2, 4, 5, 30)] == ["complex", "complex", "star", "star"]
    assert make_complex(3, centres=2).shape == "star"
    assert make_complex(5, "complex").shape == "complex"


def test_large_ones_are_counted_without_being_listed() -> None:
    assert star(2, 4000).count(2) == 4002
    for complex_ in COMPLEXES.values():
        assert complex_.count(2) == len(complex_.vertices)
    simplex = flat_simplex(12)
    nodes = coarsened(simplex, 7)
    assert simplex.count(nodes) <= MOST_OF_SIMPLEX < simplex.count(nodes + 1)
    assert coarsened(flat_simplex(3), 7) == 7
    assert coarsened(flat_simplex(5000), 7) == 2
    assert "over 1e+15" in shown_count(star(3, 10**5).count(7))


@pytest.mark.parametrize(
    ("arguments", "points", "words"),
    [
        ((1,), 7, "connects at least 2 networks, not 1"),
        ((6, "complex"), 7, "a complex of 6 networks has 57 vertices and 720 facets: say `shape=` star"),
        ((60, "complex"), 7, "say `shape=` star"),
        ((3, "ring"), 7, "unknown `shape=` 'ring': choose complex or star"),
        ((3, "complex", 2), 7, "`centres=` is for `shape=` star"),
        ((3, "star", 0), 7, "`centres=` must be a whole number of at least 1"),
        ((3,), 1, "at least 2 points"),
        ((4,), 40, "lower `points=`"),
        ((3, "star", 500), 7, "lower `points=`"),
        ((3,), 2.5, "`points=` must be a whole number"),
    ],
)
def test_refusals(arguments: tuple, points: int, words: str) -> None:
    with pytest.raises(GeometryError) as refused:
        make_complex(*arguments).grid(points)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 200


def test_the_message_holds_the_count() -> None:
    complex_ = subdivided_simplex(4)
    points = next(points for points in range(2, 60) if complex_.count(points) > MOST_POINTS)
    assert len(complex_.grid(points - 1).points) <= MOST_POINTS
    with pytest.raises(GeometryError, match=str(complex_.count(points))):
        complex_.grid(points)


def test_letters() -> None:
    assert [letters(k) for k in (0, 25, 26, 27, 51, 52, 701, 702)] == ["a", "z", "aa", "ab", "az", "ba", "zz", "aaa"]


def test_compositions() -> None:
    assert list(compositions(2, 2)) == [(2, 0), (1, 1), (0, 2)]
    assert len(list(compositions(5, 4))) == comb(8, 3)
