"""What `landscape path --optimize-midpoint` does with one pair: train the middle, and fit it to the ends again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.distances import Ruler
from landscape_cli.cli.options import Kind
from landscape_cli.cli.session import OF_MIDPOINT, check_distinct, placed
from landscape_cli.cli.training.sampler_options import BINARY_RATES, LEARNING_RATES
from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import check_output

if TYPE_CHECKING:
    from landscape_cli.cli.curves import Curve
    from landscape_cli.cli.meters import Meter
    from landscape_cli.cli.relabelling import Aligner
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.samplers import Recipe
    from landscape_cli.symmetry import Symmetry


def check_training(context: typer.Context) -> Recipe | None:
    """Return how the command's options say to train midpoints; None where there are to be none.

    `with_rate` gives it the learning rate that suits the networks, once these are known.

    Raises:
        BadParameter: if an option of training is given without `--optimize-midpoint`, or is out of range.
        TrainingError: if one makes no sense.
    """
    from landscape_cli.samplers import Recipe

    given = context.params
    if not given["optimize_midpoint"]:
        for name in (*OF_MIDPOINT, "midpoint_out"):
            if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
                raise typer.BadParameter(f"--{name.replace('_', '-')} is for --optimize-midpoint: leave it out")
        return None
    until = given["until_error"]
    if not 0 <= until <= 1:
        raise typer.BadParameter(f"--until-error takes a fraction from 0 to 1, not {until}")
    rate = LEARNING_RATES["sgd"] if given["lr"] is None else given["lr"]
    return Recipe(given["epochs"], rate, given["momentum"], given["batch_size"], until)


def with_rate(recipe: Recipe | None, rate: float | None, *, binary: bool) -> Recipe | None:
    """Return the recipe with the learning rate that binary networks have by default, where none is given."""
    if recipe is None or rate is not None or not binary:
        return recipe
    return replace(recipe, learning_rate=BINARY_RATES["sgd"])


def midpoint_paths(
    template: Path | None, ends: Sequence[tuple[Path, Path]], others: Sequence[Path | None], *, force: bool
) -> list[Path | None]:
    """Return where the midpoint of each pair goes, checking that it may.

    Args:
        template: `--midpoint-out`, in which {start} and {end} stand for the stems of the two files.
        ends: the files of each pair.
        others: further outputs of the command.
        force: whether existing files may be replaced.

    Raises:
        CheckpointError: if two would go to one file, or a file stands in the way.
        ResultError: if one would be another output.
    """
    from landscape_cli.io.checkpoint import check_checkpoint_name

    if template is None:
        return [None] * len(ends)
    names = [str(template).replace("{start}", start.stem).replace("{end}", end.stem) for start, end in ends]
    for name in names:
        if names.count(name) > 1:
            raise CheckpointError(
                f"several midpoints would be written to {name}: tell them apart by {{start}} and {{end}} in "
                "--midpoint-out, which stand for the stems of the files"
            )
    paths = [Path(name) for name in names]
    for path in paths:
        check_checkpoint_name(path)
        check_output(path, force=force, error=CheckpointError)
        check_distinct(path, *others)
        if any(path.resolve() == own.resolve() for pair in ends for own in pair):
            raise CheckpointError(f"{path} is one of the networks themselves: name the midpoint otherwise")
    return list(paths)


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
    """

    meter: Meter
    symmetry: Symmetry
    aligner: Aligner
    recipe: Recipe
    seed: int

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
        from landscape_cli.binary.layers import latent_owners
        from landscape_cli.cli.training.log import watch
        from landscape_cli.measures.midpoint import train_midpoint
        from landscape_cli.normalization.verified import rescaled

        meter = self.meter
        device, quiet = meter.setting.device, meter.setting.quiet
        ends = placed(start, device), placed(end, device)
        middle = meter.with_statistics(meter.middle(*ends))
        before = meter.errors(middle)
        trained, epochs = middle, 0
        until = self.recipe.until_error
        if until is None or not before["train_error"] <= until:
            with watch(None, 1, 1, quiet=quiet) as watcher:
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
        with meter.watched(f"path{count}", meter.networks(pieces=2)):
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
    from landscape_cli.io.checkpoint import Checkpoint

    return Checkpoint({key: tensor.cpu() for key, tensor in params.items()}, like.model, data={}, path=name)
