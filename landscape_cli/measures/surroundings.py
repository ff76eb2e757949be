"""The surroundings of one network from Python: a line or a plane through it, along directions of several kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.arguments import check_tensors, check_whole
from landscape_cli.choices import DirectionNorm, LineDirection, Precision, Statistics
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.splits import Data, named_splits
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.items import count_compared
from landscape_cli.measures.line_result import LineResult
from landscape_cli.measures.plane import check_grid, networks_by_name
from landscape_cli.measures.plane_frame import PlaneResult
from landscape_cli.measures.surroundings_evaluator import SurroundingsEvaluator
from landscape_cli.measures.surroundings_settings import SurroundingsSettings
from landscape_cli.models.fitting import check_networks

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry


def plane_around(
    model: nn.Module,
    params: Params,
    data: Data,
    *,
    directions: Sequence[str] = (LineDirection.RANDOM.value,),
    towards: Mapping[str, Params] | None = None,
    trajectory: Mapping[str, Params] | None = None,
    project: Mapping[str, Params] | None = None,
    normalize_directions: DirectionNorm | str | None = None,
    limits: Sequence[float] | str | None = None,
    growth: float | None = None,
    on_torus: bool = False,
    all_parameters: bool = False,
    symmetry: Symmetry | None = None,
    grid: int = 25,
    margin: float = 0.2,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> PlaneResult:
    """Measure the error on a grid in a plane through one network (Li et al., 2018; docs/method.md: Surroundings).

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        params: the network, at coordinates (0, 0).
        data: what to measure on; of splits by name, "train" is the training set, or else the first.
        directions: two of "random", "gradient" (of the training loss), "hessian" (its leading eigenvectors) and names
            in `towards`; one alone gives both if it is "random", "hessian" or "pca" (principal directions of the
            `trajectory`).
        towards: networks that lie at coordinate 1 of the directions named so.
        trajectory: the networks of "pca", by name, in order; `params` is one of them, by custom the last.
        project: further networks whose coordinates in the plane, and distances from it, are wanted, by name.
        normalize_directions: "filter", each unit's row as long as the network's; "layer", each tensor; "none", of
            length 1. By default "filter" for random directions; a way to a network is as long as the way.
        limits: the lowest and highest coordinate, in units of the directions, or those of x and of y; "auto": where the
            training error has grown by `growth`. By default -1 and 1, and as far as networks lie that are shown.
        growth: of the error (0.1).
        on_torus: whether every unit of a normalised network turns on its sphere, so that all points are normalised.
        all_parameters: whether biases and norm layers move along random directions and slopes, too.
        symmetry: of the model, as `trace_symmetry` returns it; by default it is derived where it is needed.
        grid: nodes along each side.
        margin: round networks that are shown, as a fraction of their extent.
        loss: whether to report the mean loss beside the error.
        bn: "keep" batch-norm statistics, or "recompute" them over the training set for every network.
        seed: of random directions.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16".
        advance: called with the number of samples done.

    Returns:
        For each of the grid × grid nodes: coordinates in units of the directions, whose Euclidean lengths over all
        parameters are in `directions`; by split the error, a fraction of samples in [0, 1], and with `loss` the loss;
        NaN where outputs are. The same of `trajectory` and `project`, with distances from the plane.

    Raises:
        GeometryError: if directions are none, zero or the same, there is no such grid, or units are to stay on spheres
            that they do not lie on.
        ModelError: if a network does not fit the model.
        DataError: if the data is something else.
        TraceError: if the model cannot be followed, where that is needed.

    Warns:
        LandscapeWarning: if nodes have no error, as outputs are NaN; of what is not known of units.
        Remark: of scales, statistics or angles that what is seen depends on; of growth that is not reached; how many
            decisions another precision than float32 changes on a sample.
    """
    check_grid(grid, margin)
    settings = SurroundingsSettings(
        directions, 2, normalize_directions, limits, growth, on_torus=on_torus, all_parameters=all_parameters
    )
    check_whole("seed", seed, GeometryError, least=0)
    shown = {
        name: networks_by_name(name, networks) for name, networks in (("towards", towards), ("trajectory", trajectory))
    }
    arithmetic = Arithmetic(precision)
    evaluator, further = _evaluator_of(
        model,
        params,
        data,
        settings,
        shown | {"project": networks_by_name("project", project)},
        symmetry=symmetry,
        loss=loss,
        bn=bn,
        seed=seed,
        device=device,
        precision=arithmetic,
    )
    measured = _measure(evaluator, arithmetic, points=grid, margin=margin, project=further, advance=advance)
    assert isinstance(measured, PlaneResult)
    return measured


def line_around(
    model: nn.Module,
    params: Params,
    data: Data,
    *,
    direction: str = LineDirection.RANDOM.value,
    towards: Mapping[str, Params] | None = None,
    trajectory: Mapping[str, Params] | None = None,
    normalize_directions: DirectionNorm | str | None = None,
    limits: Sequence[float] | str | None = None,
    growth: float | None = None,
    on_torus: bool = False,
    all_parameters: bool = False,
    symmetry: Symmetry | None = None,
    points: int = 21,
    margin: float = 0.2,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> LineResult:
    """Measure the error along a line through one network (docs/method.md: Surroundings).

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        params: the network, at coordinate 0.
        data: what to measure on.
        direction: one of those of `plane_around`, and likewise all that follows.
        towards: the network that lies at coordinate 1, by the name that is the direction.
        trajectory: the networks of "pca", by name.
        normalize_directions: "filter", "layer" or "none".
        limits: the lowest and highest coordinate, or "auto".
        growth: of the error, for "auto" (0.1).
        on_torus: whether units turn on their spheres.
        all_parameters: whether biases and norm layers move, too.
        symmetry: of the model.
        points: how many, evenly spaced.
        margin: round a network that lies on the line.
        loss: whether to report the mean loss beside the error.
        bn: "keep" or "recompute" batch-norm statistics.
        seed: of a random direction.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16".
        advance: called with the number of samples done.

    Returns:
        At each point its coordinate in units of the direction, by split the error and with `loss` the loss, NaN where
        outputs are.

    Raises:
        GeometryError, ModelError, DataError, TraceError: as `plane_around` does.

    Warns:
        LandscapeWarning, Remark: likewise.
    """
    settings = SurroundingsSettings(
        *([direction], 1, normalize_directions, limits, growth),
        on_torus=on_torus,
        all_parameters=all_parameters,
        named_by="direction",
    )
    check_whole("points", points, GeometryError, least=2)
    check_whole("seed", seed, GeometryError, least=0)
    shown = {
        name: networks_by_name(name, networks) for name, networks in (("towards", towards), ("trajectory", trajectory))
    }
    arithmetic = Arithmetic(precision)
    evaluator, _ = _evaluator_of(
        model,
        params,
        data,
        settings,
        shown,
        symmetry=symmetry,
        loss=loss,
        bn=bn,
        seed=seed,
        device=device,
        precision=arithmetic,
    )
    measured = _measure(evaluator, arithmetic, points=points, margin=margin, advance=advance)
    assert isinstance(measured, LineResult)
    return measured


def _evaluator_of(
    model: nn.Module,
    params: Params,
    data: Data,
    settings: SurroundingsSettings,
    shown: Mapping[str, Mapping[str, Params]],
    *,
    symmetry: Symmetry | None,
    **setting: Any,
) -> tuple[SurroundingsEvaluator, dict[str, Params]]:
    """Return what measures, of checked networks by their effective weights, and those that are to be projected."""
    check_tensors(params)
    names = [(kind, name) for kind, networks in shown.items() for name in networks]
    networks = [params, *(shown[kind][name] for kind, name in names)]
    check_networks(model, dict(zip(["the network", *(name for _, name in names)], networks, strict=True)))
    splits = named_splits(data, model)
    model, [base, *others], symmetry = in_effect(model, networks, symmetry, next(iter(splits.values())).x)
    effective: dict[str, dict[str, Params]] = {kind: {} for kind in ("towards", "trajectory", "project")}
    for (kind, name), network in zip(names, others, strict=True):
        effective[kind][name] = network
    evaluator = SurroundingsEvaluator(
        model,
        splits,
        base,
        settings,
        name="the network",
        targets=effective["towards"],
        trajectory=effective["trajectory"],
        symmetry=symmetry,
        **setting,
    )
    return evaluator, effective["project"]


def _measure(evaluator: SurroundingsEvaluator, arithmetic: Arithmetic, **layout: Any) -> PlaneResult | LineResult:
    """Return what is measured of all that `lay_out` lays out, and say what another precision changes."""
    frame = evaluator.lay_out(**layout)
    values = evaluator.measure(frame)
    count_compared(arithmetic, values)
    arithmetic.tell()
    return frame.result(values)
