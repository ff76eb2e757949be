"""The options of `path --optimize-midpoint`: how midpoints are trained, and which files they go to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import Kind, Optimizer, Schedule
from landscape_cli.cli.merging import merged
from landscape_cli.cli.outputs import check_distinct, named_paths, write_network
from landscape_cli.cli.parsing import flag, given
from landscape_cli.cli.provenance import OF_MIDPOINT, OF_MIDPOINT_ALONE
from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import check_output
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.optimized_path import OptimizedPath
    from landscape_cli.samplers import Recipe

TRAIN = "landscape train"


def midpoint_recipe(context: typer.Context) -> Recipe | None:
    """Return how the command's options say to train midpoints, or vertices; None where there are to be none.

    Without a learning rate it has that which suits the networks, once these are known (`Recipe.with_defaults`).

    Raises:
        BadParameter: if an option of training is given where nothing is trained, or is out of range.
        TrainingError: if one makes no sense.
    """
    from landscape_cli.samplers import Recipe

    options = context.params
    connects = options["kind"] == Kind.CONNECTOR
    if not options["optimize_midpoint"]:
        for name in (*(() if connects else OF_MIDPOINT), *OF_MIDPOINT_ALONE, "midpoint_out"):
            if given(context, name):
                others = " or --kind connector" if name in OF_MIDPOINT else ""
                raise typer.BadParameter(f"{flag(name)} is for --optimize-midpoint{others}: leave it out")
        if not connects:
            return None
    until = options["until_error"]
    if not 0 <= until <= 1:
        raise typer.BadParameter(f"--until-error takes a fraction from 0 to 1, not {until}")
    momentum = options["momentum"] if given(context, "momentum") else None
    if momentum is not None and options["optimizer"] is Optimizer.ADAM:
        raise typer.BadParameter("--momentum is for --optimizer sgd: adam has its own")
    return Recipe(options["epochs"], options["lr"], momentum, options["batch_size"], until)


def trained_alike(recipe: Recipe, options: Mapping[str, Any], networks: Sequence[Checkpoint]) -> Recipe:
    """Return a recipe with the optimiser and schedule of the options, or else of the networks, if they agree on one."""
    trainings: list[Mapping[str, Any]] = [
        next((step["arguments"] for step in reversed(network.history) if step.get("command") == TRAIN), {})
        for network in networks
    ]

    def choose(name: str, choices: Collection[str], usual: str) -> str:
        chosen = options[name]
        if chosen is not None:
            return str(chosen.value)
        recorded = {str(training.get(name)) for training in trainings}
        return recorded.pop() if len(recorded) == 1 and recorded <= {*choices} else usual

    optimizer = Optimizer.SGD.value if recipe.momentum is not None else choose("optimizer", list(Optimizer), "sgd")
    schedules = [schedule for schedule in Schedule if schedule is not Schedule.STEP]  # whose steps are settings, too
    return replace(recipe, optimizer=optimizer, schedule=choose("lr_schedule", schedules, "cosine"))


def recorded_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return what provenance says of how midpoints were trained, where it was not by the options alone."""
    others = {"optimizer": recipe.optimizer, "lr_schedule": str(recipe.schedule)}
    usual = {"optimizer": Optimizer.SGD.value, "lr_schedule": Schedule.COSINE.value}
    return {"lr": recipe.learning_rate} | {name: value for name, value in others.items() if value != usual[name]}


def midpoint_paths(
    template: Path | None, ends: Sequence[tuple[Path, Path]], outputs: Sequence[Path | None], *, force: bool
) -> list[Path | None]:
    """Return where the midpoint of each pair goes, checking that it may.

    Args:
        template: `--midpoint-out`, in which {start} and {end} stand for the stems of the two files.
        ends: the files of each pair.
        outputs: further outputs of the command.
        force: whether existing files may be replaced.

    Raises:
        BadParameter: if the template has a field that is not known.
        CheckpointError: if two would go to one file, or a file stands in the way.
        ResultError: if one would be another output.
    """
    if template is None:
        return [None] * len(ends)
    names = [{"{start}": start.stem, "{end}": end.stem} for start, end in ends]
    paths = named_paths(template, "--midpoint-out", names, what="midpoints")
    networks = [resolved(network) for pair in ends for network in pair]
    for path in paths:
        _check_midpoint(path, networks, outputs, force=force)
    return list(paths)


def _check_midpoint(path: Path, networks: Sequence[Path], outputs: Sequence[Path | None], *, force: bool) -> None:
    """Check that a midpoint can be written, and is neither another output nor one of the networks."""
    from landscape_cli.io.checkpoint import check_checkpoint_name

    check_checkpoint_name(path)
    check_output(path, force=force, error=CheckpointError)
    check_distinct(path, *outputs)
    if resolved(path) in networks:
        raise CheckpointError(f"{path} is one of the networks themselves: name the midpoint otherwise")


def write_midpoint(
    optimized: OptimizedPath,
    out: Path,
    ends: Sequence[Checkpoint],
    *,
    data: DataSet,
    provenance: Callable[..., dict[str, Any]],
    force: bool,
    quiet: bool,
) -> LandscapeError | None:
    """Write a midpoint as a checkpoint, with the history of both ends and this command; return why it cannot be."""
    from landscape_cli.io.results import finite

    step, normalized = provenance(networks=ends), optimized.normalized
    seen, metrics = data.seen_by(ends[0]), finite(optimized.metrics)
    midpoint = merged(ends, optimized.midpoint, data=seen, step=step, metrics=metrics, normalized=normalized)
    return write_network(out, midpoint, force=force, quiet=quiet)
