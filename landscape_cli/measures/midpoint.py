"""The optimised path between two networks: through a midpoint, trained from the middle of their path.

See docs/method.md: Paths and barriers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from landscape_cli.alignment.align import check_method
from landscape_cli.alignment.pairs import PairAligner
from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.binary.layers import latent_owners
from landscape_cli.choices import Precision, Statistics, Target, check_choice
from landscape_cli.errors import DataError, LandscapeWarning, TrainingError
from landscape_cli.evaluation.splits import TRAIN, Data, named_splits
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.connector_training import spheres_of, train_simplices, train_vertex
from landscape_cli.measures.distance import WeightDistances
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.optimized_path import OptimizedPath, pooled
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import ModelSpec
from landscape_cli.normalization.verified import normalize_checkpoint
from landscape_cli.rng import derive_seed
from landscape_cli.samplers import Recipe, TrainingObserver
from landscape_cli.symmetry.checks import check_symmetry

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry

Advance = Callable[[int], None]
RECIPE = Recipe(epochs=20, until_error=0.0)
PIECES = ((0, 2), (1, 2))
"""Both pieces of a path through a midpoint, of start, end and midpoint."""


def optimize_midpoint(
    model: nn.Module,
    start: Params,
    end: Params,
    data: Data,
    *,
    spec: ModelSpec,
    symmetry: Symmetry,
    kind: str | None = None,
    recipe: Recipe = RECIPE,
    midpoints: int = 1,
    train_on: str = "vertices",
    method: str = "cosine",
    points: int = 21,
    orders: int = 10,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    keep_last_layer: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    observer: TrainingObserver | None = None,
    advance: Advance | None = None,
) -> OptimizedPath:
    """Train the middle of the path between two networks, and measure the two pieces through it.

    The optimised path of Pittorino et al. (2022); see docs/method.md: Paths and barriers.

    Once trained, it is normalised where the path is a geodesic, and its units are permuted to match the middle's; both
    are proved.

    Args:
        model: the architecture, put in evaluation mode.
        start: the network at τ = 0.
        end: the network at τ = 1.
        data: what to measure on; it is trained on "train", or on the only split.
        spec: the same model, to be built anew for training (`Checkpoint.model`).
        symmetry: of both networks, as `trace_symmetry` returns it.
        kind: as for `path`.
        recipe: how to train; not at all where the middle's error is at most `until_error`. Without a
            learning rate, at the usual one of such networks: 0.02, or 20 of binary ones.
        midpoints: how many are trained for the pair, each from a middle and with draws of its own.
        train_on: what the loss is of: "vertices", of the midpoint; "connector", of points drawn from both pieces
            (Garipov et al., 2018), where `until_error` is of the mean error half-way along these.
        method: by what units are matched: "cosine", "weight" or "activation".
        points: how many points on each piece, ends included.
        orders: as for `path`.
        loss: as for `path`.
        bn: as for `path`; recomputed statistics are trained with, too.
        keep_last_layer: whether both ends were normalised so that the last layer keeps its scale.
        seed: of all that is random.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16";
            the recipe has that of training.
        observer: whom to tell of the training.
        advance: called with the number of samples done on the path, as by `path`.

    Returns:
        The midpoint, on the CPU, in the dtypes of the ends; errors (fractions of samples, in [0, 1]) and losses (nats)
        at every point of both pieces; and the midpoint's distances from both ends, in units of the weights. Of several
        midpoints the first, and means and deviations over the paths through each, as over random orders.

    Raises:
        GeometryError, ModelError, DataError: as `path` does, or if the midpoint cannot be normalised or aligned.
        TrainingError: if training diverges, or paths between binary networks are to be trained on.
        ProofError: if the midpoint, normalised or aligned, does not compute what it did.

    Warns:
        LandscapeWarning: if the midpoint ended farther from both ends than they are apart; if points have no error.
        Remark: how many decisions another precision than float32 changes on a sample.
    """
    check_networks(model, {"start": start, "end": end})
    check_kind("spec", spec, ModelSpec, "give the model's ModelSpec, such as `Checkpoint.model`", TrainingError)
    check_kind("recipe", recipe, Recipe, "give a Recipe, as in Recipe(epochs=20)", TrainingError)
    check_symmetry(symmetry, start)
    check_method(method)
    check_whole("midpoints", midpoints, TrainingError, least=1)
    check_choice("`train_on=`", train_on, Target, TrainingError, joined=" or ")
    splits = named_splits(data, model)
    model, (start, end), of_model = in_effect(model, [start, end], symmetry, next(iter(splits.values())).x)
    symmetry = of_model or symmetry
    if len(splits) > 1 and TRAIN not in splits:
        raise DataError(f"midpoints are trained on the training set: name one of the splits {TRAIN!r}")
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
        seed=seed,
        device=device,
        precision=precision,
    )
    evaluator.check_scales({"start": start, "end": end})
    normalized = {"keep_last_layer": keep_last_layer} if evaluator.paths.needs_normalized else None
    ends = [Checkpoint(p, spec, {}, normalized=normalized, path=n) for n, p in (("start", start), ("end", end))]
    inputs = evaluator.evaluator.splits[evaluator.train].x.cpu()
    aligner = PairAligner(
        model, ends[0], symmetry, method=method, inputs=lambda _: inputs, seed=seed, device=evaluator.device
    )
    recipe = recipe.with_defaults(binary=evaluator.paths.binary)
    optimizer = MidpointOptimizer(evaluator, symmetry, aligner, recipe, seed=seed, target=Target(train_on))
    optimized = optimizer.optimize_several(
        midpoints,
        *ends,
        watching=lambda: nullcontext(observer or TrainingObserver()),
        measuring=lambda samples: nullcontext(advance),
    )
    evaluator.warn_of_missing()
    evaluator.evaluator.arithmetic.tell()
    return optimized


@dataclass(frozen=True)
class MidpointOptimizer:
    """Optimises the midpoints of paths between networks of one model.

    Attributes:
        evaluator: what measures the paths.
        symmetry: of all networks.
        aligner: what fits a trained midpoint to where it started from.
        recipe: how to train.
        seed: of the training, the same for every pair.
        number: which midpoint of a pair it makes, counted from 0.
        target: what is trained: the midpoint alone, or on points of both pieces of the path.

    Raises:
        TrainingError: if paths between binary networks are to be trained on.
    """

    evaluator: PathEvaluator
    symmetry: Symmetry
    aligner: PairAligner
    recipe: Recipe
    seed: int
    target: Target = Target.VERTICES
    number: int = 0

    def __post_init__(self) -> None:
        """Check that there are such paths to train on."""
        if self.target is Target.CONNECTOR and self.evaluator.paths.binary:
            raise TrainingError("signs flip one by one between binary networks, so `train_on=` must be vertices")

    def optimize_several(self, count: int, start: Checkpoint, end: Checkpoint, **how: Any) -> OptimizedPath:
        """Optimise so many midpoints of one pair, each with draws of its own; the arguments are those of `optimize`.

        Raises:
            TrainingError, GeometryError, ProofError: as `optimize` does.
        """
        numbered = [replace(self, number=k, seed=derive_seed(self.seed, k) if k else self.seed) for k in range(count)]
        return pooled([each.optimize(start, end, **how) for each in numbered])

    def optimize(
        self,
        start: Checkpoint,
        end: Checkpoint,
        *,
        watching: Callable[[], AbstractContextManager[TrainingObserver]] = lambda: nullcontext(TrainingObserver()),
        measuring: Callable[[int], AbstractContextManager[Advance | None]] = lambda samples: nullcontext(),
        phase: str = "midpoint",
    ) -> OptimizedPath:
        """Train the middle of the path between two networks, and measure the two pieces through it.

        Args:
            start: the network at τ = 0.
            end: the network at τ = 1.
            watching: makes whom to tell of the training, for as long as it lasts.
            measuring: makes what is called with the samples done, for as long as so many are measured.
            phase: what to call the training to the observer.

        Raises:
            TrainingError: if training diverges.
            GeometryError: if the trained network cannot be normalised or aligned.
            ProofError: if that changed its function.

        Warns:
            LandscapeWarning: if the midpoint ended farther from both ends than they are apart.
        """
        evaluator = self.evaluator
        middle = evaluator.middle(start.params, end.params, self.number)
        errors = evaluator.errors(middle)
        trained: Params = middle
        epochs = 0
        if not self._suffices(start, middle, end, errors):
            with watching() as observer:
                trained, epochs = self._train(start, middle, end, observer, phase)
            trained = evaluator.with_statistics(trained)
        network = self._fitted(middle, trained, start, end)
        midpoint = evaluator.on_device(network.params)
        distances = {"start": self._distances(start, network), "end": self._distances(end, network)}
        self._warn_if_away(start, end, network, distances)
        with measuring(evaluator.samples(evaluator.networks(pieces=2))) as advance:
            path = evaluator.measure([start.params, midpoint, end.params], advance=advance)
        return OptimizedPath(
            network.params,
            path,
            epochs,
            errors,
            distances=distances,
            normalized=network.normalized,
            names=(start.path, end.path),
        )

    def _train(
        self, start: Checkpoint, middle: Params, end: Checkpoint, observer: TrainingObserver, phase: str
    ) -> tuple[Params, int]:
        """Return the trained midpoint, and for how many epochs it was trained."""
        evaluator, seed, device = self.evaluator, self.seed, self.evaluator.device
        recipe = self._recipe
        data = evaluator.evaluator.splits[evaluator.train]  # on the device already
        if self.target is Target.VERTICES:
            return train_vertex(
                start.model, middle, data, recipe, seed=seed, device=device, observer=observer, phase=phase
            )
        [trained], epochs = train_simplices(
            evaluator.model,
            start.model,
            [start.params, end.params],
            [middle],
            PIECES,
            data,
            recipe,
            seed=seed,
            device=device,
            spheres=spheres_of(self.symmetry) if evaluator.paths.needs_normalized else {},
            observer=observer,
            name="midpoint",
            phase=phase,
        )
        return trained, epochs

    @property
    def _recipe(self) -> Recipe:
        return self.recipe.suited(has_error=self.evaluator.evaluator.quantity.has_error)

    def _suffices(self, start: Checkpoint, middle: Params, end: Checkpoint, errors: Mapping[str, float]) -> bool:
        """Tell whether the error is low enough before training: the middle's, or the mean half-way to it."""
        until, name = self._recipe.until_error, f"{self.evaluator.train}_error"
        if until is None or self.target is Target.VERTICES:
            return until is not None and errors[name] <= until
        ways = (self.evaluator.middle(end.params, middle) for end in (start, end))
        return sum(self.evaluator.errors(way)[name] for way in ways) / len(PIECES) <= until

    def _fitted(self, middle: Params, trained: Params, start: Checkpoint, end: Checkpoint) -> Checkpoint:
        """Return the trained network, normalised where the ends are, its units permuted to match the middle's.

        The middle lies half-way between the ends, so that the match counts both.
        """
        device = self.evaluator.device
        network = _checkpoint(trained, start.model, f"the midpoint of {start.path} and {end.path}")
        if self.evaluator.paths.needs_normalized:
            keep = all((network.normalized or {}).get("keep_last_layer", False) for network in (start, end))
            network, _ = normalize_checkpoint(
                self.evaluator.model, network, self.symmetry, keep_last_layer=keep, seed=self.seed, device=device
            )
        reference = _checkpoint(middle, start.model, f"the middle of the path from {start.path} to {end.path}")
        return self.aligner.align(replace(reference, normalized=network.normalized), network)

    def _warn_if_away(
        self, start: Checkpoint, end: Checkpoint, midpoint: Checkpoint, distances: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Warn if a midpoint has left the middle for somewhere else: farther from both ends than they are apart."""
        name = "hamming" if self.evaluator.paths.binary else "euclidean"
        apart = self._distances(start, end)[name] or 0.0
        nearest = min(of_end[name] for of_end in distances.values())
        if nearest > apart:
            warnings.warn(
                f"{midpoint.path} has left the middle: it is {nearest:.3g} from the nearer end, and the ends are "
                f"{apart:.3g} apart: lower `lr=`, or `epochs=`",
                LandscapeWarning,
                stacklevel=3,
            )

    def _distances(self, end: Checkpoint, midpoint: Checkpoint) -> dict[str, float | None]:
        distances = WeightDistances(self.symmetry, latent_owners(self.evaluator.model))
        params, trained = (self.evaluator.on_device(network.params) for network in (end, midpoint))
        return distances.columns(end, params, midpoint, trained)


def _checkpoint(params: Params, model: ModelSpec, name: str) -> Checkpoint:
    """Return new tensors, on the CPU, as a network of a model."""
    return Checkpoint({key: tensor.cpu() for key, tensor in params.items()}, model, data={}, path=name)
