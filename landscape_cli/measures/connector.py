"""Connectors from Python: low-loss sets through several networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import combinations
from typing import TYPE_CHECKING

import torch

from landscape_cli.arguments import check_kind
from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Geometry, Kind, Precision, Statistics, Target, check_choice
from landscape_cli.errors import DataError, GeometryError, TrainingError
from landscape_cli.evaluation.splits import TRAIN, Data, named_splits
from landscape_cli.geometry.simplicial import letters, make_complex
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.connector_optimizer import ConnectorOptimizer
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.midpoint import RECIPE
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import ModelSpec
from landscape_cli.normalization.normalize import is_normalized
from landscape_cli.samplers import Recipe, TrainingObserver
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.measures.connector_result import ConnectorResult
    from landscape_cli.network import Params

POINTS = 7
"""Points on each edge of a facet, by default."""


def connector(
    model: nn.Module,
    networks: Sequence[Params],
    data: Data,
    *,
    spec: ModelSpec,
    symmetry: Symmetry,
    shape: str | None = None,
    centres: int = 1,
    train_on: str = "vertices",
    orthogonal: bool = False,
    geometry: str = "linear",
    recipe: Recipe = RECIPE,
    points: int = POINTS,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    names: Sequence[str] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    observer: TrainingObserver | None = None,
    advance: Callable[[int], None] | None = None,
) -> ConnectorResult:
    """Train a low-loss set through several networks, and measure it on a grid (docs/method.md: Connectors).

    The set is made of simplices on the networks and on new vertices, which start at barycentres and are trained. To
    connect networks up to their symmetries, normalise and align them first (`normalize`, `align_set`).

    Args:
        model: the architecture, put in evaluation mode.
        networks: two or more of it, no two equal.
        data: what to measure on; it is trained on "train", or on the only split.
        spec: the same model, to be built anew for training (`Checkpoint.model`).
        symmetry: of the networks, as `trace_symmetry` returns it.
        shape: "complex", with a vertex for each set of two networks or more and a facet for each chain of sets, or
            "star", whose facets are each network with the same centres; by default a complex of up to four networks.
        centres: how many of a star.
        train_on: what the loss is of: "vertices", of each vertex alone; "connector", of points drawn from the facets.
        orthogonal: of "vertices": whether each step is orthogonal to the lines between a vertex's networks.
        geometry: "linear" or, on the spheres of normalised networks, "spherical".
        recipe: how to train each vertex; a vertex whose training error is at most `until_error` at its start is not
            trained. On points of the connector all of them are trained for as many epochs as they would take one after
            another, and `until_error` is of the mean error at the facets' barycentres.
        points: how many on each edge of a facet, ends included.
        loss: whether `to_dict` shows the loss as well.
        bn: "keep" batch-norm statistics, which are averaged along with the networks, or "recompute" them at every
            point over the training set.
        names: of the networks, for messages and the result; by default a, b, c and so on.
        seed: of everything random.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16";
            the recipe has that of training.
        observer: whom to tell of the training.
        advance: called with the number of samples measured.

    Returns:
        The trained vertices, and errors and losses at every point of the connector, before training and after, and of
        the simplex on the networks alone.

    Raises:
        GeometryError: if there is no such connector of the networks, or it has too many points.
        ModelError: if a network does not fit the model, or is not for such a precision.
        DataError: if the data is something else.
        TrainingError: if the training of every vertex diverges.

    Warns:
        LandscapeWarning: naming a vertex whose training diverged, where others did not; if points have no error; if
            units have no unique mean on their sphere.
        Remark: if statistics are to be recomputed, and there are none; how many decisions another precision than
            float32 changes on a sample.
    """
    check_kind("networks", networks, Sequence, "give two networks or more, in a list", GeometryError)
    check_kind("spec", spec, ModelSpec, "give the model's ModelSpec, such as `Checkpoint.model`", TrainingError)
    check_kind("recipe", recipe, Recipe, "give a Recipe, as in Recipe(epochs=20)", TrainingError)
    check_choice("`geometry=`", geometry, Geometry, GeometryError, joined=" or ")
    check_target(train_on, orthogonal)
    complex_ = make_complex(len(networks), shape, centres)
    grid = complex_.grid(points)
    called = _names(names, len(networks))
    named = dict(zip(called, networks, strict=True))
    check_networks(model, named)
    check_symmetry(symmetry, networks[0])
    splits = named_splits(data, model)
    model, networks, of_model = in_effect(model, networks, symmetry, next(iter(splits.values())).x)
    symmetry, named = of_model or symmetry, dict(zip(called, networks, strict=True))
    check_connected(model, called, networks)
    if geometry == Geometry.SPHERICAL:
        _check_normalized(named, symmetry)
    if len(splits) > 1 and TRAIN not in splits:
        raise DataError(f"connectors are trained on the training set: name one of the splits {TRAIN!r}")
    paths = PathEvaluator(
        model,
        splits,
        like=networks[0],
        kind=Kind.LINEAR.value,
        points=points,
        loss=loss,
        bn=bn,
        seed=seed,
        device=device,
        precision=precision,
    )
    optimizer = ConnectorOptimizer(
        paths,
        symmetry,
        complex_,
        grid,
        Geometry(geometry),
        Target(train_on),
        orthogonal,
        recipe.with_defaults(),
        seed,
    )
    result = optimizer.optimize(
        [Checkpoint(network, spec, {}, path=name) for name, network in named.items()],
        watching=lambda: nullcontext(observer or TrainingObserver()),
        measuring=lambda samples: nullcontext(advance),
    )
    paths.warn_of_missing()
    paths.evaluator.arithmetic.tell()
    return result


def check_target(train_on: str, orthogonal: bool) -> None:
    """Check what is to be trained.

    Args:
        train_on: the vertices, or the connector.
        orthogonal: whether steps are to be orthogonal to lines between networks.

    Raises:
        TrainingError: if there is no such choice, or they do not go together.
    """
    check_choice("`train_on=`", train_on, Target, TrainingError, joined=" or ")
    check_kind("orthogonal", orthogonal, bool, "give True or False", TrainingError)
    if orthogonal and train_on != Target.VERTICES:
        raise TrainingError("`orthogonal=` is for vertices that are trained alone: leave it out")


def check_connected(model: nn.Module, names: Sequence[str], networks: Sequence[Params]) -> None:
    """Check that networks can be connected.

    Args:
        model: the architecture.
        names: what errors call the networks.
        networks: two or more.

    Raises:
        GeometryError: if they are binary, or two are equal.
    """
    if latent_names(model):
        raise GeometryError("no connector between binary networks: use `kind=` shortest")
    for (first, a), (second, b) in combinations(zip(names, networks, strict=True), 2):
        if all(torch.equal(tensor, b[name]) for name, tensor in a.items()):
            raise GeometryError(f"{first} and {second} are the same network")


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    """Return what networks are called.

    Raises:
        GeometryError: if names are not one a network, all different.
    """
    if names is None:
        return [letters(k) for k in range(count)]
    check_kind("names", names, (list, tuple), "give a list of names, one for each network", GeometryError)
    if len(names) != count or len(set(map(str, names))) != count:
        raise GeometryError(f"`names=` takes {count} different names, one for each network")
    return list(map(str, names))


def _check_normalized(networks: Mapping[str, Params], symmetry: Symmetry) -> None:
    """Check that networks lie on the spheres.

    Raises:
        GeometryError: naming one that does not.
    """
    for name, network in networks.items():
        if not is_normalized(network, symmetry):
            raise GeometryError(
                f"{name} is not normalised, so no spherical connector leads there: see landscape_cli.normalize"
            )
