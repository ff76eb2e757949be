"""The error on a grid in the plane through three networks (docs/method.md: Planes)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real

import torch
from torch import nn

from landscape_cli.arguments import check_kind, check_tensors, device_of
from landscape_cli.choices import Precision, Statistics, Third
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.corners import LETTERS, check_third, find_corners, span_corners, tensors_on
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.items import count_compared
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.measures.plane_frame import PlaneResult, measure_nodes, plane_frame
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params
from landscape_cli.sharing.share import ALONE


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
