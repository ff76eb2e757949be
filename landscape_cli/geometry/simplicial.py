"""Sets of simplices that meet face to face, on the vertices of a connector (docs/method.md: Connectors).

Pure combinatorics: no networks and no tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, permutations
from math import comb, factorial
from string import ascii_lowercase
from typing import NamedTuple

from landscape_cli.arguments import check_whole
from landscape_cli.choices import Shape, check_choice
from landscape_cli.errors import GeometryError

LARGEST_COMPLEX = 5
"""Networks on which a subdivided simplex has 26 trained vertices and 120 facets; on one more 57 and 720."""
MOST_POINTS = 20_000
COUNTED = 10**15
"""Up to where points are counted exactly, for a message."""
MOST_OF_SIMPLEX = 2_000
"""Points on the simplex of the networks alone, which is only compared with: its grid is coarser where they are more."""


class Vertex(NamedTuple):
    """A vertex of a connector.

    Attributes:
        name: letters of the networks, or the number of a centre.
        of: the indices of the networks whose barycentre it is, or starts from.
        trained: whether it is to be trained; networks themselves are not.
    """

    name: str
    of: tuple[int, ...]
    trained: bool


@dataclass(frozen=True)
class Grid:
    """Points of a complex, those on shared faces once.

    Attributes:
        steps: by how many equal steps an edge is divided.
        points: of each point, how many steps of each vertex's weight, by the vertex's index; those of weight 0 are
            left out, the others add up to `steps`.
        facets: of each facet, the indices of its points; in which order its vertices come, `SimplicialComplex` says.
        first: of each point, the first facet that it lies in.
    """

    steps: int
    points: tuple[dict[int, int], ...]
    facets: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]

    def weights(self, point: int, vertices: Sequence[int]) -> list[float]:
        """Return the barycentric coordinates of a point in these vertices: numbers in [0, 1], 1 in all."""
        return [self.points[point].get(vertex, 0) / self.steps for vertex in vertices]

    def triangles(self, facet: int) -> list[tuple[int, int, int]]:
        """Return the small triangles that the grid cuts a facet of three vertices into, by the indices of points."""
        parts = compositions(self.steps, 3)
        index = {weights[1:]: point for weights, point in zip(parts, self.facets[facet], strict=True)}
        cells = []
        for i, j in index:
            if i + j < self.steps:
                cells.append((index[i, j], index[i + 1, j], index[i, j + 1]))
            if i + j < self.steps - 1:
                cells.append((index[i + 1, j], index[i, j + 1], index[i + 1, j + 1]))
        return cells

    def at_vertex(self, vertex: int) -> int:
        """Return the index of the point that is a vertex."""
        return self.points.index({vertex: self.steps})


@dataclass(frozen=True)
class SimplicialComplex:
    """Simplices of one dimension that meet face to face.

    Attributes:
        shape: "star", "complex" or "simplex".
        vertices: the networks first, then what is to be trained, in the order of training.
        facets: the simplices, each by the indices of its vertices.
        faces: returns how many different faces of so many vertices there are.
    """

    shape: str
    vertices: tuple[Vertex, ...]
    facets: tuple[tuple[int, ...], ...]
    faces: Callable[[int], int] = field(repr=False, compare=False)

    @property
    def networks(self) -> int:
        """How many vertices are the networks themselves."""
        return sum(not vertex.trained for vertex in self.vertices)

    @property
    def trained(self) -> list[int]:
        """The indices of the vertices that are to be trained."""
        return [k for k, vertex in enumerate(self.vertices) if vertex.trained]

    def count(self, points: int) -> int:
        """Return how many points a grid with so many nodes an edge has, those on shared faces once.

        Inside a simplex of k + 1 vertices there are C(points - 2, k). Of more than `COUNTED` it is some number above.
        """
        total = 0
        for size in range(1, min(points - 1, len(self.facets[0])) + 1):
            total += self.faces(size) * comb(points - 2, size - 1)
            if total > COUNTED:
                break
        return total

    def grid(self, points: int) -> Grid:
        """Return the barycentric grid with so many nodes an edge, ends included.

        Raises:
            GeometryError: if there are fewer than two nodes an edge, or too many points in all.
        """
        check_whole("points", points, GeometryError)
        if points < 2:
            raise GeometryError(f"an edge has at least 2 points, its ends, not {points}")
        count = self.count(points)
        if count > MOST_POINTS:
            raise GeometryError(
                f"a connector with {points} points on each edge has {shown_count(count)}, and {MOST_POINTS} can be "
                "measured: lower `points=`"
            )
        index: dict[tuple[tuple[int, int], ...], int] = {}
        facets, first = [], []
        for number, facet in enumerate(self.facets):
            inside = []
            for parts in compositions(points - 1, len(facet)):
                key = tuple(sorted((vertex, part) for vertex, part in zip(facet, parts, strict=True) if part))
                if key not in index:
                    index[key] = len(index)
                    first.append(number)
                inside.append(index[key])
            facets.append(tuple(inside))
        return Grid(points - 1, tuple(map(dict, index)), tuple(facets), tuple(first))


def make_complex(networks: int, shape: str | None = None, centres: int = 1) -> SimplicialComplex:
    """Return the vertices and facets of a connector of so many networks.

    Args:
        networks: how many.
        shape: "complex", the barycentric subdivision of the simplex on the networks, or "star", simplices that share
            the centres; by default a complex of up to four.
        centres: of a star.

    Raises:
        GeometryError: if there is no such shape, it is too large, or there are fewer than two networks.
    """
    if networks < 2:
        raise GeometryError(f"a connector connects at least 2 networks, not {networks}")
    if shape is None:
        shape = Shape.COMPLEX if networks <= 4 and centres == 1 else Shape.STAR
    check_choice("`shape=`", shape, Shape, GeometryError, joined=" or ")
    check_whole("centres", centres, GeometryError, least=1)
    if shape == Shape.STAR:
        return star(networks, centres)
    if centres != 1:
        raise GeometryError("`centres=` is for `shape=` star: leave it out")
    if networks > LARGEST_COMPLEX:
        raise GeometryError(
            f"a complex of {networks} networks has {shown_count(2**networks - 1 - networks)} vertices and "
            f"{shown_count(factorial(networks))} facets: say `shape=` star"
        )
    return subdivided_simplex(networks)


def star(networks: int, centres: int = 1) -> SimplicialComplex:
    """Return the simplices of each network with the same centres, which are trained (Benton et al., 2021)."""
    everyone = tuple(range(networks))
    vertices = [Vertex(letters(k), (k,), False) for k in everyone]
    vertices += [Vertex(str(k + 1), everyone, True) for k in range(centres)]
    shared = tuple(range(networks, networks + centres))
    return SimplicialComplex(
        Shape.STAR.value,
        tuple(vertices),
        tuple((k, *shared) for k in everyone),
        lambda size: comb(centres, size) + networks * comb(centres, size - 1),
    )


def subdivided_simplex(networks: int) -> SimplicialComplex:
    """Return the barycentric subdivision of the simplex on the networks.

    A vertex for each set of networks, a facet for each chain of sets that grow by one network at a time.
    """
    sets = [of for size in range(1, networks + 1) for of in combinations(range(networks), size)]
    index = {of: k for k, of in enumerate(sets)}
    vertices = tuple(Vertex("".join(map(letters, of)), of, len(of) > 1) for of in sets)
    facets = tuple(
        tuple(index[tuple(sorted(order[:size]))] for size in range(1, networks + 1))
        for order in permutations(range(networks))
    )
    return SimplicialComplex(Shape.COMPLEX.value, vertices, facets, partial(_count_faces, facets))


def flat_simplex(networks: int) -> SimplicialComplex:
    """Return the one simplex on the networks alone."""
    everyone = tuple(range(networks))
    vertices = tuple(Vertex(letters(k), (k,), False) for k in everyone)
    return SimplicialComplex("simplex", vertices, (everyone,), partial(comb, networks))


def coarsened(simplex: SimplicialComplex, points: int) -> int:
    """Return how many nodes an edge of the simplex of the networks has: so many, or fewer where points are too many."""
    while points > 2 and simplex.count(points) > MOST_OF_SIMPLEX:
        points -= 1
    return points


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to write a whole number as a sum of so many from 0, in their order."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def letters(k: int) -> str:
    """Return the name of a network by its index: a to z, then aa, ab, and so on."""
    name = ""
    k += 1
    while k:
        k, letter = divmod(k - 1, len(ascii_lowercase))
        name = ascii_lowercase[letter] + name
    return name


def shown_count(count: int) -> str:
    """Return a count as a message can show it, however large."""
    return str(count) if count <= COUNTED else f"over {COUNTED:.0e}"


def _count_faces(facets: Sequence[tuple[int, ...]], size: int) -> int:
    """Return how many different faces of so many vertices facets have."""
    return len({face for facet in facets for face in combinations(sorted(facet), size)})
