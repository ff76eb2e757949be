"""Training what lies between networks: a vertex alone, or several on points of simplices.

See docs/method.md: Connectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.forward.functional import cast_floats
from landscape_cli.samplers import SGD, Recipe, Sampler, Solution, TrainingObserver, train
from landscape_cli.samplers.simplices import SimplexSGD

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.data.datasets import Split
    from landscape_cli.network import ModelSpec, Params
    from landscape_cli.symmetry import Symmetry


def train_vertex(
    spec: ModelSpec,
    start: Params,
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    sampler: Sampler | None = None,
    observer: TrainingObserver | None = None,
    name: str = "midpoint",
    phase: str = "midpoint",
) -> tuple[dict[str, Tensor], int]:
    """Return the network that SGD makes of another, and for how many epochs it ran.

    It trains in float32, whatever the network's dtypes, which the result has again.

    Args:
        spec: the model.
        start: the network to start from.
        data: the training set.
        recipe: how long and how fast.
        seed: of everything random.
        device: where to train.
        sampler: how to take a step, by default that of SGD.
        observer: whom to tell.
        name: what errors call the network.
        phase: what to call the training to the observer.

    Raises:
        TrainingError: if training diverges.
    """
    [solution] = train(
        spec,
        data,
        sampler or SGD(),
        recipe=recipe,
        seeds=[seed],
        device=device,
        initial=[[cast_floats(start, torch.float32, device)]],
        observer=_called(observer, phase),
    )
    if solution.params is None:
        raise _diverged(name, solution, recipe)
    return _in_types_of(start, solution.params), solution.epochs


def train_simplices(
    model: nn.Module,
    spec: ModelSpec,
    fixed: Sequence[Params],
    starts: Sequence[Params],
    facets: Sequence[tuple[int, ...]],
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    spheres: Mapping[str, int | None],
    observer: TrainingObserver | None = None,
    name: str = "connector",
    phase: str = "connector",
) -> tuple[list[dict[str, Tensor]], int]:
    """Return the networks that SGD makes of others on points of simplices, and for how many epochs it ran.

    Running statistics of batch-norm are recomputed over the training set.

    Args:
        model: the architecture.
        spec: the same, to be built anew.
        fixed: the vertices that stay.
        starts: the vertices to be trained, as they begin.
        facets: the simplices, by the indices of their vertices, first those that stay.
        data: the training set.
        recipe: how long and how fast all of them are trained; `until_error` is of the mean error at the barycentres.
        seed: of everything random.
        device: where to train.
        spheres: of the parameters, as `spheres_of` returns them; empty for flat simplices.
        observer: whom to tell.
        name: what errors call the whole.
        phase: what to call the training to the observer.

    Raises:
        TrainingError: if training diverges.
    """
    single = [cast_floats(network, torch.float32, device) for network in (*fixed, *starts)]
    count = len(fixed)
    [solution] = train(
        spec,
        data,
        SimplexSGD(single[:count], len(starts), facets, spheres),
        recipe=recipe,
        seeds=[seed],
        device=device,
        initial=[single[count:]],
        observer=_called(observer, phase),
    )
    if solution.params is None:
        raise _diverged(name, solution, recipe)
    trained = [recompute_statistics(model, network, data.x) for network in solution.replicas]
    return [_in_types_of(a, b) for a, b in zip(starts, trained, strict=True)], solution.epochs


def spheres_of(symmetry: Symmetry) -> dict[str, int | None]:
    """Return along which axis of each parameter units have spheres of their own; None of one sphere for the whole."""
    learned = set(symmetry.parameters)
    return {sphere.tensor: sphere.dim for sphere in symmetry.spheres if sphere.tensor in learned}


def _called(observer: TrainingObserver | None, phase: str) -> TrainingObserver:
    """Return an observer that is told another name of the phase."""
    observer = observer or TrainingObserver()
    begin = observer.start
    start: Callable[[str, int, int, int], None] = lambda _, *numbers: begin(phase, *numbers)  # noqa: E731
    return replace(observer, start=start)


def _in_types_of(start: Params, trained: Params) -> dict[str, Tensor]:
    return {name: trained[name].to(tensor.dtype) for name, tensor in start.items()}


def _diverged(name: str, solution: Solution, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"training the {name} diverged in epoch {solution.epochs} (weights or loss are not finite): lower "
        f"`learning_rate=`, now {recipe.learning_rate}"
    )
