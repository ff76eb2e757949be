"""Paths between two networks from Python: the error at points along one, and its barrier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from landscape_cli.choices import Precision, Statistics
from landscape_cli.evaluation.splits import named_splits
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.models.fitting import check_networks

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.evaluation.splits import Data
    from landscape_cli.geometry.barrier import Barrier
    from landscape_cli.measures.path_result import PathResult
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry


def path(
    model: nn.Module,
    start: Params,
    end: Params,
    data: Data,
    *,
    kind: str | None = None,
    symmetry: Symmetry | None = None,
    points: int = 21,
    orders: int = 10,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    repair: bool = False,
    beyond: Sequence[float] = (0.0, 1.0),
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> PathResult:
    """Measure error and loss along the path between two networks (docs/method.md: Paths and barriers).

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        start: the network at τ = 0.
        end: the network at τ = 1.
        data: what to measure on; of splits by name, "train" is the training set, or else the first.
        kind: "linear", "geodesic" (between normalised networks) or "shortest" (between binary ones); by default linear,
            between binary networks shortest.
        symmetry: of both networks, as `trace_symmetry` returns it; geodesics need it, and `repair`.
        points: how many points, evenly spaced, ends included.
        orders: of shortest paths: in how many random orders signs flip.
        loss: whether `to_dict` shows the loss as well.
        bn: "keep" batch-norm statistics, which move along with the networks, or "recompute" them at every point over
            the training set.
        repair: of networks without batch-norm: whether to correct the mean and deviation of every hidden unit between
            the ends, over the training set, to between theirs (REPAIR, Jordan et al., 2022); needs the symmetry.
        beyond: from which τ to which, up to 0 and from 1 on, straight and geodesic paths are measured: (-0.5, 1.5) goes
            half as far beyond either end, at points as far apart. Barriers are those between the ends.
        seed: of the orders.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16".
        advance: called with the number of samples done: of every point on each split, and over the training
            set once more where statistics are recomputed, or units repaired.

    Returns:
        By split, the error (a fraction of samples, in [0, 1]) and the loss (in nats) at every point, shape
        (orders, points), float64, NaN where outputs are; paths that are not random have one order.

    Raises:
        GeometryError: if there is no such path between the two, there are fewer than two points, or nothing to repair,
            or nothing beyond.
        ModelError: if a network does not fit the model, or is not for such a precision.
        DataError: if the data is something else.

    Warns:
        LandscapeWarning: if points have no error, as outputs are NaN.
        Remark: if statistics are to be recomputed, and there are none; of units that are not repaired; how many
            decisions another precision than float32 changes on a sample.
    """
    check_networks(model, {"start": start, "end": end})
    splits = named_splits(data, model)
    model, (start, end), symmetry = in_effect(model, [start, end], symmetry, next(iter(splits.values())).x)
    evaluator = PathEvaluator(
        model,
        splits,
        like=start,
        kind=kind,
        symmetry=symmetry,
        points=points,
        orders=orders,
        loss=loss,
        bn=bn,
        repair=repair,
        beyond=beyond,
        seed=seed,
        device=device,
        precision=precision,
    )
    evaluator.check_scales({"start": start, "end": end})
    result = evaluator.measure([start, end], advance=advance)
    evaluator.warn_of_missing()
    evaluator.evaluator.arithmetic.tell()
    return result


def barrier(
    model: nn.Module,
    start: Params,
    end: Params,
    data: Data,
    *,
    kind: str | None = None,
    symmetry: Symmetry | None = None,
    points: int = 21,
    orders: int = 10,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    repair: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Barrier]:
    """Return the barrier along the path between two networks, by split; with `loss`, that of the loss.

    See docs/method.md: Paths and barriers. Shorthand for `path(...).barrier`.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        start: the network at τ = 0.
        end: the network at τ = 1.
        data: what to measure on; of splits by name, "train" is the training set, or else the first.
        kind: as for `path`, and likewise all that follows.
        symmetry: of both networks; geodesics need it.
        points: how many points, evenly spaced, ends included.
        orders: of shortest paths: in how many random orders signs flip.
        loss: whether to return the barrier of the loss instead of that of the error.
        bn: "keep" or "recompute" batch-norm statistics.
        repair: whether to correct hidden units between the ends.
        seed: of the orders.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16".
        advance: called with the number of samples done.

    Returns:
        The barrier of each split: of the error, in fractions of samples, or with `loss` of the loss, in nats. Its
        figures are NaN if outputs are at some point.

    Raises:
        GeometryError: if there is no such path between the two, there are fewer than two points, or nothing to repair.
        ModelError: if a network does not fit the model, or is not for such a precision.
        DataError: if the data is something else.

    Warns:
        LandscapeWarning: if points have no error, as outputs are NaN.
        Remark: if statistics are to be recomputed, and there are none; of units that are not repaired; how many
            decisions another precision than float32 changes on a sample.
    """
    measured = path(
        model,
        start,
        end,
        data,
        kind=kind,
        symmetry=symmetry,
        points=points,
        orders=orders,
        loss=loss,
        bn=bn,
        repair=repair,
        seed=seed,
        device=device,
        precision=precision,
        advance=advance,
    )
    return measured.loss_barrier if loss else measured.barrier
