"""Which data `landscape train` trains on: named, or the one that `--init` brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import Nonlinearity
from landscape_cli.cli.console import say
from landscape_cli.cli.data_options import DataTask, ImageSize, ObjectiveOptions
from landscape_cli.cli.data_options import image_size as parse_image_size
from landscape_cli.cli.objectives import chosen_objective
from landscape_cli.cli.options import LARGEST_SEED
from landscape_cli.cli.parsing import flag, given
from landscape_cli.cli.training.model_options import DEFAULT

if TYPE_CHECKING:
    import torch

    from landscape_cli.cli.preprocessing_options import PreprocessingOptions
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.data.spec import DataSpec
    from landscape_cli.forward.objective import Objective
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import ModelSpec

OF_THE_DATA = ("train_size", "data_seed", "task", "image_size")


@dataclass(frozen=True)
class TrainingDataOptions(ObjectiveOptions):
    """The data that networks learn, and what outputs are held against."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="hmm (generated), mnist, fashion-mnist, cifar10, wedges (of --model wedges), FILE.safetensors, "
            "FILE.npz, a folder of images by class, or package.module:function?arg=1, code of yours that returns a "
            "training and a test set.  [default: hmm, or --init's]",
        ),
    ] = None
    task: DataTask = None
    data_dir: Annotated[str, typer.Option("--data-dir", help="Where torchvision's files lie.")] = "data"
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data with torchvision.")] = False
    train_size: Annotated[
        int | None, typer.Option("--train-size", help="Train on a class-balanced subset of so many samples.")
    ] = None
    data_seed: Annotated[
        int,
        typer.Option("--data-seed", min=0, max=LARGEST_SEED, help="Seed of the subset and of generated data."),
    ] = 0
    image_size: ImageSize = None
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
    from landscape_cli.data.hidden_manifold import HiddenManifold
    from landscape_cli.data.spec import DataSpec
    from landscape_cli.data.user_function import allow_function, is_function

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
    if options.data is not None and is_function(options.data):
        allow_function(options.data)
    return DataSpec(
        options.data or "hmm",
        options.data_dir,
        options.train_size,
        options.data_seed,
        sizes,
        None if options.task is None else options.task.value,
        parse_image_size(options.image_size),
        objective,
    )


def training_preprocessing(
    options: PreprocessingOptions, starts: Sequence[Checkpoint], *, renewed: bool
) -> Preprocessing | None:
    """Return how the networks are to see inputs: as the user says, or else as those see them that `--init` names.

    Args:
        options: what the user says.
        starts: these networks.
        renewed: whether they go on with other data, by whose own statistics such are standardised anew.

    Returns:
        None for what is usual.

    Raises:
        TrainingError: if they do not see inputs alike, and the user does not say.
        DataError: if what one says of itself is malformed.
    """
    from landscape_cli.data.preprocessing import Preprocessing, network_preprocessing
    from landscape_cli.errors import TrainingError

    asked = options.chosen()
    if asked is not None or not starts:
        return asked
    seen = [network_preprocessing(start.preprocessing, start.data) for start in starts]
    standardized = Preprocessing.standardize()  # by the data that they go on with, which is the first's
    kinds = [standardized if each is not None and each.is_recorded_with_data else each for each in seen]
    for start, kind in zip(starts, kinds, strict=True):
        said = [str(each or "not said to be prepared") for each in (kinds[0], kind)]
        if kind != kinds[0]:
            raise TrainingError(
                f"the networks of --init do not see inputs alike ({starts[0].path}: {said[0]}; {start.path}: "
                f"{said[1]}): choose how with --preprocess"
            )
    if seen[0] is None:
        say(f"assumed: {starts[0].path} does not say how inputs are prepared: if not as is usual, use --preprocess")
    return None if seen[0] is None or (renewed and seen[0].is_recorded_with_data) else seen[0]


def with_numbers(
    data: DataSet, asked: Preprocessing | None, model: str | None, starts: Sequence[Checkpoint]
) -> DataSet:
    """Return the data with whole numbers standardised for landscape's own models, which calculate with all inputs."""
    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.models import MODELS

    name = starts[0].model.name if starts else (model or DEFAULT).partition("?")[0]
    numbers_wanted = asked is None and name in MODELS and data.preprocessing == Preprocessing.none()
    return data.under(Preprocessing.standardize()) if numbers_wanted else data


def check_runs(spec: ModelSpec, data: DataSet, device: torch.device) -> None:
    """Check that a model of the user's runs on a table whose columns, maybe categories, are standardised.

    Raises:
        DataError: if not, but on the table as it is.
    """
    from landscape_cli.cli.wrong_inputs import check_categories
    from landscape_cli.models import MODELS, create_model

    if spec.name not in MODELS:
        model = create_model(spec, seed=0)
        check_categories("the model", model, model.state_dict(), data, device)


def _data_of(start: Checkpoint, misplaced: Sequence[str], directory: str | None, objective: Objective) -> DataSpec:
    """Return the data that a checkpoint brings along; `misplaced` are options that would change it."""
    from landscape_cli.data.spec import DataSpec

    if misplaced:
        raise typer.BadParameter(f"--init brings its data along: leave out {flag(misplaced[0])}, or name --data")
    if not start.data:
        raise typer.BadParameter(f"{start.path} does not say which data it was trained on: name them with --data")
    return replace(DataSpec.from_record(start.data, directory), objective=objective)
