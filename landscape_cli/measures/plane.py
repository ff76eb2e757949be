"""The error on a grid in the plane through three networks (docs/method.md: Planes)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import torch
from torch import nn

from landscape_cli.arguments import check_kind, check_tensors, device_of
from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Precision, Statistics, Third
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError, ResultError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import ERROR, Quantity, SplitFacts, quantity_of, score_columns
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.geometry.plane import Plane
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.io.results import finite
from landscape_cli.measures.corners import LETTERS, Corners, check_third, find_corners, span_corners, tensors_on
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.items import count_compared, measure_items, scores_from
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params
from landscape_cli.sharing.share import ALONE, Values

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


def plane(
    model: nn.Module,
    a: Params | Checkpoint,
    b: Params | Checkpoint | None,
    c: Params | Checkpoint | None,
    data: Data,
    *,
    third: Third | str | None = None,
    project: Mapping[str, Params] | None = None,
    grid: int = 25,
    margin: float = 0.2,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> PlaneResult:
    """Measure the error on a grid in the plane through three networks (Garipov et al., 2018).

    Something may stand in for the third, or for all but the first. See docs/method.md: Planes.

    Of binary networks the plane is that of their latent weights; at every node the network is the signs there.

    Args:
        model: the architecture; its own parameters are not used.
        a: the network at the origin.
        b: the network on the x axis; None, with c, for a random direction.
        c: the network above it; None for what stands in for it.
        data: what to measure on; of splits by name, "train" is the training set, or else the first.
        third: what stands in for networks that are None: "origin", the zero network; "random", the first network plus
            a random direction in which each unit's row is as long as the network's, of a binary network random signs.
        project: further networks whose coordinates in the plane, and distances from it, are wanted, by name.
        grid: nodes along each side.
        margin: round the three and what is projected, as a fraction of their extent.
        loss: whether to report the mean cross-entropy, in nats, beside the error.
        bn: "keep" batch-norm statistics as they move along with the networks, or "recompute" them over the training
            set for every network.
        seed: of random directions.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16".
        advance: called with the number of samples done, of every network measured, for a progress bar.

    Returns:
        For each of the grid × grid nodes and the three networks: coordinates, as Euclidean distances in units of the
        weights; by split the error, a fraction of samples in [0, 1], and with `loss` the loss, in nats; NaN where
        outputs are.

    Raises:
        GeometryError: if two networks are equal, the three lie on one line, there are too few or too many with what
            stands in, or the grid is no grid.
        ModelError: if a network does not fit the model, or is not for such a precision.
        DataError: if the data is something else.

    Warns:
        LandscapeWarning: if only some are normalised, the outputs are NaN at some node, or, for a random direction,
            units are not wholly known.
        Remark: how many decisions another precision than float32 changes on a sample.
    """
    check_grid(grid, margin)
    statistics, splits = statistics_of(bn), named_splits(data, model)
    if b is None and c is not None:
        raise GeometryError("`c=` is a network and `b=` is none: give the second network as `b=`")
    networks = [a, *(network for network in (b, c) if network is not None)]
    check_third(len(networks), third, seed)
    further = networks_by_name("project", project)
    train, device = training_split(splits), device_of(device)
    tensors = [tensors_on(network, "cpu") for network in (*networks, *further.values())]
    check_networks(model, dict(zip([*LETTERS[: len(networks)], *further], tensors, strict=True)))
    model, tensors, _ = in_effect(model, tensors, None, splits[train].x)
    networks = [
        replace(network, params=params) if isinstance(network, Checkpoint) else params
        for network, params in zip(networks, tensors, strict=False)
    ]
    further = dict(zip(further, tensors[len(networks) :], strict=True))
    corners = find_corners(model, networks, third, example=splits[train].x[:2].cpu(), seed=seed, device=device)
    spanned = span_corners(corners)
    like = tensors_on(networks[0], splits[train].x.device)
    recomputed = samples_recomputed(model, like, splits[train], statistics)
    recompute_on = train if recomputed else None
    evaluator = Evaluator(model, splits, device=device, advance=advance, recompute_on=recompute_on, precision=precision)
    further = {name: tensors_on(network, evaluator.device) for name, network in further.items()}
    frame = plane_frame(spanned, corners, evaluator, grid=grid, margin=margin, loss=loss, project=further)
    keys = ALONE.wanted(frame.groups)
    values = ALONE.collect(measure_nodes(frame, spanned, corners, evaluator, keys, further))
    result = frame.result(values)
    count_compared(evaluator.arithmetic, values)
    evaluator.arithmetic.tell()
    warn_of_missing_nodes(result, model, like, splits[train], statistics)
    return result


def check_grid(grid: int, margin: float) -> None:
    """Check the size of a grid.

    Raises:
        GeometryError: if there are fewer than two nodes a side, or the margin is negative or not finite.
    """
    if not isinstance(grid, int) or grid < 2:
        raise GeometryError(f"`grid=` must be a whole number of at least 2 nodes a side, not {grid}")
    check_kind("margin", margin, Real, "give a fraction, such as 0.2", GeometryError)
    if not 0 <= margin < math.inf:
        raise GeometryError(f"`margin=` must be a finite number{' that is not negative' * (margin < 0)}, not {margin}")


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


def networks_by_name(name: str, networks: Mapping[str, Params] | None) -> Mapping[str, Params]:
    """Return networks that are given by name, by a parameter, checked to be that; none for None.

    Raises:
        GeometryError: if they are not.
        ModelError: if one is no tensors by name.
    """
    if networks is None:
        return {}
    check_kind(name, networks, Mapping, "give networks by name", GeometryError)
    for network in networks.values():
        check_tensors(network)
    return networks


def warn_of_missing_nodes(result: PlaneResult, model: nn.Module, params: Params, train: Split, bn: Statistics) -> None:
    """Say at how many nodes there is no error.

    Args:
        result: what was measured.
        model: the architecture.
        params: one of the networks, on the device of the training set.
        train: the training set.
        bn: what became of batch-norm statistics.

    Warns:
        LandscapeWarning: if there are any.
    """
    quantity = result.quantity.name
    errors = [column for column in result.points[0] if column.endswith(f"_{quantity}")]
    missing = [torch.tensor([math.isnan(point[column]) for point in result.points]) for column in errors]
    warn_of_missing(missing, "nodes", model=model, params=params, train=train, bn=bn, quantity=quantity)
