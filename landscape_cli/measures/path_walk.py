"""The networks of a path, in the order of their places, and what is counted from one to the next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from landscape_cli.errors import GeometryError
from landscape_cli.forward.combination import alone
from landscape_cli.geometry.barrier import even_steps, steps_beyond
from landscape_cli.geometry.path_kind import ParametricPath, PathKind
from landscape_cli.measures.repair import Repair
from landscape_cli.network import Params


@dataclass(frozen=True)
class PathWalk:
    """Which networks there are on paths of one kind.

    Attributes:
        paths: what makes them.
        points: how many there are on a piece, ends included.
        beyond: τ of those before the first network, and of those behind the last.
        repair: what corrects the units of networks between others; None if they stay as they are.
    """

    paths: PathKind
    points: int
    beyond: tuple[list[float], list[float]] = ([], [])
    repair: Repair | None = None

    def networks(self, stops: Sequence[Params], places: Iterable[int]) -> Iterator[Params]:
        """Yield networks of a path: stops, then what lies between, piece by piece, order by order, then beyond.

        Args:
            stops: what it leads through.
            places: which of all of these, in their order.
        """
        chosen = set(places)
        yield from (alone(stop) for k, stop in enumerate(stops) if k in chosen)
        first, inner = len(stops), self.paths.orders * (self.points - 2)
        for start, end in pairwise(stops):
            yield from self._between(start, end, [k for k in range(inner) if first + k in chosen])
            first += inner
        for taus in self.beyond:
            wanted = [tau for k, tau in enumerate(taus) if first + k in chosen]
            if wanted:
                assert isinstance(self.paths, ParametricPath)
                yield from self.paths.along(stops[0], stops[-1], wanted)
            first += len(taus)

    def _between(self, start: Params, end: Params, places: Sequence[int]) -> Iterable[Params]:
        """Return some of the networks between two, counted from the first of them."""
        if not places:
            return ()
        if not isinstance(self.paths, ParametricPath):
            every = self.paths.inner(start, end, self.points)
            return every if len(places) == self.paths.orders * (self.points - 2) else _some(every, set(places))
        steps = even_steps(self.points)[1:-1]
        taus = [steps[k] for k in places]
        inner = self.paths.along(start, end, taus)
        return inner if self.repair is None else self.repair.along(start, end, taus, inner)

    def counts(self, stops: Sequence[Params]) -> dict[str, list[int]]:
        """Return what is counted from the start to every point of a path, by name, such as flips of signs."""
        counts: dict[str, list[int]] = {}
        for start, end in pairwise(stops):
            for name, steps in self.paths.counts(start, end, self.points).items():
                before = counts.setdefault(name, [0])
                before += [before[-1] + step for step in steps[1:]]
        return counts


def taus_beyond(
    paths: PathKind, points: int, beyond: Sequence[float], *, kind: str, repair: bool
) -> tuple[list[float], list[float]]:
    """Return τ of all points before and behind paths.

    Raises:
        GeometryError: if paths of this kind end where their networks are, or units are to be corrected.
    """
    before, behind = steps_beyond(points, beyond)
    steps = points - 1
    if before + behind and not isinstance(paths, ParametricPath):
        raise GeometryError(f"a {kind} path ends where its networks are: there is nothing beyond")
    if before + behind and repair:
        raise GeometryError("`repair=` corrects units between the ends, and not beyond them: leave it out")
    return [k / steps for k in range(-before, 0)], [1 + k / steps for k in range(1, behind + 1)]


def _some(networks: Iterable[Params], places: Collection[int]) -> Iterator[Params]:
    return (network for k, network in enumerate(networks) if k in places)
