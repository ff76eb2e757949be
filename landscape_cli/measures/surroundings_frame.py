"""What there is to measure on a line or plane through one network, and the result of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape_cli.errors import ResultError
from landscape_cli.evaluation.scores import Scores, SplitFacts, quantity_of, score_columns
from landscape_cli.measures.items import scores_from
from landscape_cli.measures.line_result import LineResult
from landscape_cli.measures.plane_frame import PROJECTED, PlaneResult
from landscape_cli.sharing.share import Values

NETWORK, TRAJECTORY = "a", "trajectory "
Fact = float | int | str | None


@dataclass(frozen=True)
class SurroundingsFrame:
    """A line or plane through one network but for its scores: what these are of, and all else that its result says.

    Attributes:
        name: of the network.
        xs: the coordinates along the first axis.
        ys: along the second; none of a line.
        splits: what scores are of, by split.
        loss: whether the loss is reported beside the error.
        binary: whether the network is binary.
        on_torus: whether units turn on their spheres there.
        directions: what is known of each.
        trajectory: of the networks whose principal directions these are: their names, and where they lie.
        projected: the same of further networks.
    """

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    splits: Mapping[str, SplitFacts]
    loss: bool
    binary: bool
    on_torus: bool
    directions: tuple[Mapping[str, Fact], ...]
    trajectory: tuple[tuple[str, Mapping[str, float]], ...] = ()
    projected: tuple[tuple[str, Mapping[str, float]], ...] = ()

    @property
    def nodes(self) -> list[tuple[float, ...]]:
        """The coordinates of all points, of a plane y by y."""
        return [(x, y) for y in self.ys for x in self.xs] if self.ys else [(x,) for x in self.xs]

    @property
    def items(self) -> int:
        """How many networks are evaluated."""
        return 1 + len(self.trajectory) + len(self.projected) + len(self.xs) * max(len(self.ys), 1)

    @property
    def groups(self) -> list[list[str]]:
        """The keys of what is measured: the network, those that are shown beside it, and the points in their order."""
        shown = [
            [f"{kind}{k}" for k in range(len(networks))]
            for kind, networks in ((TRAJECTORY, self.trajectory), (PROJECTED, self.projected))
        ]
        return [[NETWORK], *shown, [str(k) for k in range(len(self.xs) * max(len(self.ys), 1))]]

    def scores(self, values: Values) -> dict[str, Scores]:
        """Return the scores of all points.

        Raises:
            ResultError: if a value is none of a network's.
        """
        return scores_from(values, self.groups[-1], self.splits)

    def result(self, values: Values) -> PlaneResult | LineResult:
        """Return the result, of what was measured of all.

        Raises:
            ResultError: if a value is none of a network's.
        """
        own, *shown, at_nodes = (scores_from(values, keys, self.splits) for keys in self.groups)
        if len(self.directions) != 1 + bool(self.ys):
            raise ResultError("a line has one direction, a plane two")

        def columns(scores: Mapping[str, Scores], k: int) -> dict[str, Any]:
            return score_columns(scores, k, loss=self.loss)

        trajectory, projected = (
            tuple({"network": name} | dict(place) | columns(scores, k) for k, (name, place) in enumerate(networks))
            for networks, scores in zip((self.trajectory, self.projected), shown, strict=True)
        )
        points = tuple(dict(zip("xy", node, strict=False)) | columns(at_nodes, k) for k, node in enumerate(self.nodes))
        if not self.ys:
            return LineResult(
                network=self.name,
                direction=self.directions[0],
                points=points,
                scores=columns(own, 0),
                trajectory=trajectory,
                on_torus=self.on_torus,
                quantity=quantity_of(self.splits),
            )
        return PlaneResult(
            names=(self.name,),
            corners=((0.0, 0.0),),
            xs=self.xs,
            ys=self.ys,
            points=points,
            corner_scores=(columns(own, 0),),
            binary=self.binary,
            given=1,
            quantity=quantity_of(self.splits),
            directions=self.directions,
            on_torus=self.on_torus,
            trajectory=trajectory,
            projected=projected,
        )
