"""Which data `landscape train` trains on: named, or the one that `--init` brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import Nonlinearity, Task
from landscape_cli.cli.objectives import chosen_objective
from landscape_cli.cli.options import LARGEST_SEED, ObjectiveOptions, flag, given

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSpec
    from landscape_cli.forward.objective import Objective
    from landscape_cli.io.checkpoint import Checkpoint

OF_THE_DATA = ("train_size", "data_seed", "task")


@dataclass(frozen=True)
class TrainingDataOptions(ObjectiveOptions):
    """The data that networks learn, and what outputs are held against."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="hmm (generated), mnist, fashion-mnist, cifar10, wedges (of --model wedges), FILE.safetensors.  "
            "[default: hmm, or --init's]",
        ),
    ] = None
    task: Annotated[
        Task | None,
        typer.Option("--task", help="mnist, FILE.safetensors: parity, of the labels, in place of the labels."),
    ] = None
    data_dir: Annotated[str, typer.Option("--data-dir", help="Where torchvision's files lie.")] = "data"
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data with torchvision.")] = False
    train_size: Annotated[
        int | None, typer.Option("--train-size", help="Train on a class-balanced subset of so many samples.")
    ] = None
    data_seed: Annotated[
        int,
        typer.Option("--data-seed", min=0, max=LARGEST_SEED, help="Seed of the subset and of generated data."),
    ] = 0
    hmm_latent: Annotated[int, typer.Option("--hmm-latent", help="hmm: D, the hidden dimension.")] = 201
    hmm_dim: Annotated[int, typer.Option("--hmm-dim", help="hmm: N, the dimension of inputs.")] = 401
    hmm_patterns: Annotated[
        int | None, typer.Option("--hmm-patterns", help="hmm: P, training patterns.  [default: 3 D]")
    ] = None
    hmm_test: Annotated[int, typer.Option("--hmm-test", help="hmm: test patterns.")] = 2000
    hmm_nonlinearity: Annotated[Nonlinearity, typer.Option("--hmm-nonlinearity", help="hmm: f.")] = Nonlinearity.SIGN


def data_spec(context: typer.Context, options: TrainingDataOptions, starts: Sequence[Checkpoint]) -> DataSpec:
    """Return which data to train on.

    Raises:
        BadParameter: if an option belongs to other data, or `--init` brings none.
        DataError: if what `--init` says of its data is malformed.
    """
    from landscape_cli.data.datasets import DataSpec
    from landscape_cli.data.hidden_manifold import HiddenManifold

    names = {field.name for field in fields(options)}
    named = [name for name in context.params if name in names and given(context, name)]
    sizes_of_hmm = [name for name in named if name.startswith("hmm_")]
    objective = chosen_objective(options, starts)
    if options.data is None and starts:
        misplaced = sizes_of_hmm + [name for name in named if name in OF_THE_DATA]
        return _data_of(starts[0], misplaced, options.data_dir if "data_dir" in named else None, objective)
    if sizes_of_hmm and options.data not in {None, "hmm"}:
        raise typer.BadParameter(f"{flag(sizes_of_hmm[0])} is for --data hmm, not {options.data}")
    sizes = HiddenManifold(
        options.hmm_latent,
        options.hmm_dim,
        3 * options.hmm_latent if options.hmm_patterns is None else options.hmm_patterns,
        options.hmm_test,
        options.hmm_nonlinearity.value,
    )
    return DataSpec(
        options.data or "hmm",
        options.data_dir,
        options.train_size,
        options.data_seed,
        sizes,
        None if options.task is None else options.task.value,
        objective=objective,
    )


def _data_of(start: Checkpoint, misplaced: Sequence[str], directory: str | None, objective: Objective) -> DataSpec:
    """Return the data that a checkpoint brings along; `misplaced` are options that would change it."""
    from landscape_cli.data.datasets import DataSpec

    if misplaced:
        raise typer.BadParameter(f"--init brings its data along: leave out {flag(misplaced[0])}, or name --data")
    if not start.data:
        raise typer.BadParameter(f"{start.path} does not say which data it was trained on: name them with --data")
    return replace(DataSpec.from_record(start.data, directory), objective=objective)
