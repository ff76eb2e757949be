"""A plane but for what is measured in it, how that is measured, and the result that both become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Third
from landscape_cli.errors import ResultError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import ERROR, Quantity, SplitFacts, quantity_of, score_columns
from landscape_cli.geometry.plane import Plane
from landscape_cli.io.results import finite
from landscape_cli.measures.corners import LETTERS, Corners
from landscape_cli.measures.items import measure_items, scores_from
from landscape_cli.network import Params
from landscape_cli.sharing.share import Values

PROJECTED = "project "
"""How keys of networks that are projected begin."""


@dataclass(frozen=True)
class PlaneResult:
    """What was measured in a plane.

    Attributes:
        names: of the three networks, or the one: their files, or a, b and c; of what stands in for one, what it is.
        corners: their coordinates (x, y), in units of Euclidean distance.
        xs: the x coordinates of the grid.
        ys: its y coordinates.
        points: a row for each node, y by y: `x`, `y`, `train_error`, … (NaN where outputs are).
        corner_scores: the same columns for each of the three.
        binary: whether the networks are binary, and the plane that of their latent weights.
        third: what stands in for networks: "origin" or "random"; None where nothing does.
        given: how many of the three are networks; the others stand in.
        quantity: what the plane is of: the error, or the loss where there is no error.
        directions: of a plane through one network, what is known of either: what it is, its length, which is that of
            one unit of its coordinate, eigenvalue, share of variance, …
        on_torus: whether units turn on their spheres there.
        trajectory: of the networks whose principal directions span the plane, in order, where they lie (`x`, `y`, and
            `distance` from the plane), and the same columns.
        projected: the same of further networks.
    """

    names: tuple[str, ...]
    corners: tuple[tuple[float, float], ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    points: tuple[Mapping[str, float], ...]
    corner_scores: tuple[Mapping[str, float], ...]
    binary: bool = False
    third: Third | None = None
    given: int = len(LETTERS)
    quantity: Quantity = ERROR
    directions: tuple[Mapping[str, Any], ...] = ()
    on_torus: bool = False
    trajectory: tuple[Mapping[str, Any], ...] = ()
    projected: tuple[Mapping[str, Any], ...] = ()

    def grid(self, column: str) -> list[list[float]]:
        """Return a column, such as `train_error`, as a list of rows, one for each y, from the lowest."""
        values = [point[column] for point in self.points]
        return [values[k * len(self.xs) : (k + 1) * len(self.xs)] for k in range(len(self.ys))]

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the result of `landscape plane`, missing errors being None."""
        networks: list[dict[str, Any]] = [
            {"name": corner, "network": name, "x": x, "y": y, **scores}
            for corner, name, (x, y), scores in zip(LETTERS, self.names, self.corners, self.corner_scores, strict=False)
        ]
        kind: dict[str, Any] = self.quantity.about() | ({"binary": True} if self.binary else {})
        if self.third is not None:
            kind["third"] = self.third.value
            for stand_in in networks[self.given :]:
                stand_in["third"] = self.third.value
        if self.on_torus:
            kind["on_torus"] = True
        more = {"directions": self.directions, "trajectory": self.trajectory, "projected": self.projected}
        body = {"networks": networks} | {key: value for key, value in more.items() if value}
        return dict(finite(kind | body | {"x": self.xs, "y": self.ys, "points": self.points}))


@dataclass(frozen=True)
class PlaneFrame:
    """A plane but for its scores: what these are of, and all else that its result says.

    Attributes:
        names: as in `PlaneResult`, and likewise corners, xs, ys, binary, third, given.
        splits: what scores are of, by split.
        loss: whether the loss is reported beside the error.
        projected: further networks: their names, where they lie, how far from the plane.
    """

    names: tuple[str, ...]
    corners: tuple[tuple[float, float], ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    splits: Mapping[str, SplitFacts]
    loss: bool
    binary: bool
    third: Third | None
    given: int
    projected: tuple[tuple[str, float, float, float], ...] = ()

    @property
    def nodes(self) -> list[tuple[float, float]]:
        """The coordinates of all nodes, y by y."""
        return [(x, y) for y in self.ys for x in self.xs]

    @property
    def items(self) -> int:
        """How many networks are evaluated."""
        return len(self.projected) + len(LETTERS) + len(self.xs) * len(self.ys)

    @property
    def groups(self) -> list[list[str]]:
        """The keys of what is measured: what is projected, the three networks, and the nodes in their order."""
        further = [f"{PROJECTED}{k}" for k in range(len(self.projected))]
        return [further, list(LETTERS), [str(k) for k in range(len(self.xs) * len(self.ys))]]

    def result(self, values: Values) -> PlaneResult:
        """Return the result, of what was measured of all.

        Raises:
            ResultError: if a value is none of a network's.
        """
        if {len(self.names), len(self.corners)} != {len(LETTERS)} or not 1 <= self.given <= len(LETTERS):
            raise ResultError("a plane goes through three networks, or what stands in for some")
        own, of_corners, of_nodes = (scores_from(values, keys, self.splits) for keys in self.groups)
        return PlaneResult(
            names=self.names,
            corners=self.corners,
            xs=self.xs,
            ys=self.ys,
            points=tuple(
                {"x": x, "y": y} | score_columns(of_nodes, k, loss=self.loss) for k, (x, y) in enumerate(self.nodes)
            ),
            corner_scores=tuple(score_columns(of_corners, k, loss=self.loss) for k in range(len(LETTERS))),
            binary=self.binary,
            third=self.third,
            given=self.given,
            quantity=quantity_of(self.splits),
            projected=tuple(
                {"network": name, "x": x, "y": y, "distance": distance} | score_columns(own, k, loss=self.loss)
                for k, (name, x, y, distance) in enumerate(self.projected)
            ),
        )


def plane_frame(
    spanned: Plane,
    corners: Corners,
    evaluator: Evaluator,
    *,
    grid: int,
    margin: float,
    loss: bool,
    project: Mapping[str, Params],
) -> PlaneFrame:
    """Return what there is to measure in a plane.

    Args:
        spanned: the plane.
        corners: what it goes through, on the evaluator's device.
        evaluator: measures the errors on its splits.
        grid: nodes along each side.
        margin: round the three and what is projected, as a fraction of their extent.
        loss: whether to report the loss beside the error.
        project: further networks, by name.
    """
    places = [spanned.place(network) for network in project.values()]
    xs, ys = map(tuple, spanned.grid(grid, margin, places))
    return PlaneFrame(
        names=corners.names,
        corners=spanned.corners,
        xs=xs,
        ys=ys,
        splits=evaluator.facts,
        loss=loss,
        binary=bool(latent_names(evaluator.model)),
        third=corners.third,
        given=corners.given,
        projected=tuple((name, *place) for name, place in zip(project, places, strict=True)),
    )


def measure_nodes(
    frame: PlaneFrame,
    spanned: Plane,
    corners: Corners,
    evaluator: Evaluator,
    keys: Sequence[str],
    project: Mapping[str, Params],
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of some of the frame's keys, a few networks after others."""
    nodes, like, further = frame.nodes, corners.networks[0], list(project.values())

    def projected(some: Sequence[str]) -> Iterator[Params]:
        return (further[int(key.removeprefix(PROJECTED))] for key in some)

    def at_corners(some: Sequence[str]) -> Iterator[Params]:
        return (corners.networks[LETTERS.index(key)] for key in some)

    def at_nodes(some: Sequence[str]) -> Iterator[Params]:
        return (spanned.network(*nodes[int(key)]) for key in some)

    ways = {PROJECTED: projected, LETTERS: at_corners, "": at_nodes}
    kind_of = {key: PROJECTED if key.startswith(PROJECTED) else LETTERS if key in LETTERS else "" for key in keys}
    for kind, networks in ways.items():
        yield from measure_items(evaluator, [key for key in keys if kind_of[key] == kind], networks, like)
