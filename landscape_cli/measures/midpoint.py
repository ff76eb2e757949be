"""The optimised path's middle: a network between two others, trained on (SPEC 5)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape_cli.alignment.verified import PairAligner
from landscape_cli.binary.layers import latent_owners
from landscape_cli.choices import Kind
from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.forward.functional import cast_floats
from landscape_cli.io.checkpoint import Checkpoint, placed
from landscape_cli.measures.curve import Curve
from landscape_cli.measures.distance import Ruler
from landscape_cli.measures.path import Meter
from landscape_cli.network import ModelSpec, Params
from landscape_cli.normalization.verified import rescaled
from landscape_cli.samplers import SGD, Recipe, TrainingObserver, train
from landscape_cli.symmetry import Symmetry


def train_midpoint(
    spec: ModelSpec,
    middle: Params,
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    watcher: TrainingObserver | None = None,
    phase: str = "midpoint",
) -> tuple[dict[str, Tensor], int]:
    """Return the network that SGD makes of another, and for how many epochs it ran.

    It trains in float32, whatever the network's dtypes, which the result has again.

    Args:
        spec: the model.
        middle: the network to start from.
        data: the training set.
        recipe: how long and how fast.
        seed: of everything random.
        device: where to train.
        watcher: whom to tell.
        phase: what to call the training to the watcher.

    Raises:
        TrainingError: if training diverges.
    """
    told = watcher or TrainingObserver()
    start: Callable[[str, int, int, int], None] = lambda _, *numbers: told.start(phase, *numbers)  # noqa: E731
    [found] = train(
        spec,
        data,
        SGD(),
        recipe=recipe,
        seeds=[seed],
        device=device,
        initial=[[cast_floats(middle, torch.float32, device)]],
        observer=replace(told, start=start),
    )
    if found.params is None:
        raise TrainingError(
            f"training the midpoint diverged in epoch {found.epochs} (weights or loss are not finite): lower "
            f"`learning_rate=`, now {recipe.learning_rate}"
        )
    return {name: found.params[name].to(tensor.dtype) for name, tensor in middle.items()}, found.epochs


@dataclass(frozen=True)
class Bend:
    """An optimised path: from the start to the midpoint, and on to the end.

    Attributes:
        midpoint: the network trained from the middle of the path, with its metrics but without a history.
        body: what the result says of the pair.
        curve: errors along both pieces.
    """

    midpoint: Checkpoint
    body: dict[str, Any]
    curve: Curve


@dataclass(frozen=True)
class Bender:
    """Optimises the midpoints of paths between networks of one model.

    Attributes:
        meter: what measures them.
        symmetry: of all networks.
        aligner: what fits a trained midpoint to where it started from.
        recipe: how to train.
        seed: of the training, the same for every pair.
        watching: makes whom to tell of training, for as long as it lasts.
        progress: makes what is called with the samples done, given what is measured and how many there are.
    """

    meter: Meter
    symmetry: Symmetry
    aligner: PairAligner
    recipe: Recipe
    seed: int
    watching: Callable[[], AbstractContextManager[TrainingObserver]] = field(
        default=lambda: nullcontext(TrainingObserver())
    )
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]] = field(
        default=lambda description, samples: nullcontext()
    )

    def bend(self, start: Checkpoint, end: Checkpoint, *, out: Path | None, count: str = "") -> Bend:
        """Train the middle of the path between two networks, and measure the two pieces through it.

        Once trained, it is normalised where the path is a geodesic, and aligned to the middle, which lies half-way
        between the ends, so that the match counts both. It is not trained where its error is low enough as it is.

        Args:
            start: the network at τ = 0.
            end: the network at τ = 1.
            out: where the midpoint will be written, if anywhere.
            count: which of several pairs this is, for the progress.

        Raises:
            TrainingError: if training diverges.
            GeometryError: if the trained network cannot be normalised or aligned.
            ProofError: if that changed its function.
        """
        meter = self.meter
        device = meter.setting.device
        ends = placed(start, device), placed(end, device)
        middle = meter.with_statistics(meter.middle(*ends))
        before = meter.errors(middle)
        trained, epochs = middle, 0
        until = self.recipe.until_error
        if until is None or not before["train_error"] <= until:
            with self.watching() as watcher:
                trained, epochs = train_midpoint(
                    start.model,
                    middle,
                    meter.evaluator.splits["train"],  # on the device already
                    self.recipe,
                    seed=self.seed,
                    device=device,
                    watcher=watcher,
                    phase=f"midpoint{count}",
                )
            trained = meter.with_statistics(trained)
        name = f"the midpoint of {start.path} and {end.path}"
        network = _network(trained, start, name)
        if meter.kind is Kind.GEODESIC:
            keep = all((one.normalized or {}).get("keep_last_layer", False) for one in (start, end))
            network, _, _ = rescaled(
                meter.setting.model, network, self.symmetry, keep_last_layer=keep, seed=self.seed, device=device
            )
        reference = replace(_network(middle, start, f"the middle of the path from {start.path} to {end.path}"))
        network = self.aligner.align(replace(reference, normalized=network.normalized), network)
        params = placed(network, device)
        stops = (ends[0], params, ends[1])
        with self.progress(f"path{count}", meter.samples(meter.networks(pieces=2))) as meter.advance:
            curve = meter.curve(stops)
        metrics = curve.metrics(meter.setting.points - 1)
        errors = {key: value for key, value in metrics.items() if key.endswith("_error")}
        ruler = Ruler(self.symmetry, latent_owners(meter.setting.model))
        distances = {
            "start": ruler.columns(start, ends[0], network, params),
            "end": ruler.columns(end, ends[1], network, params),
        }
        found = {"path": None if out is None else str(out), "epochs": epochs, "middle": before}
        body = {
            "midpoint": found | errors | {"distances": distances},
            "barrier": curve.barriers(),
            "pieces": [
                {"from": one, "to": other, "barrier": curve.barriers(k), "points": curve.rows(k)}
                for k, (one, other) in enumerate(((start.path, "midpoint"), ("midpoint", end.path)))
            ],
            "points": curve.rows(),
        }
        return Bend(replace(network, metrics=metrics, data=meter.setting.data.record, path=""), body, curve)


def _network(params: Any, like: Checkpoint, name: str) -> Checkpoint:
    """Return new tensors, on the CPU, as a network of a checkpoint's model."""
    return Checkpoint({key: tensor.cpu() for key, tensor in params.items()}, like.model, data={}, path=name)
