"""The data that networks are measured on: what they were trained on, or what the user names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import progress, say
from landscape_cli.cli.data_options import DataOptions, image_size
from landscape_cli.cli.objectives import chosen_objective
from landscape_cli.cli.preprocessing_options import PreprocessingOptions
from landscape_cli.errors import DataError, shown

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.data.spec import DataSpec
    from landscape_cli.io.checkpoint import Checkpoint


def data_of(
    networks: Sequence[Checkpoint],
    model: nn.Module,
    options: DataOptions,
    preprocessing: PreprocessingOptions,
    device: torch.device,
    *,
    seed: int,
    quiet: bool,
) -> tuple[DataSet, list[Checkpoint]]:
    """Load the data that the networks were trained on, or other data; return them, and how each network sees them.

    The task of the first network that says so is that of other data too: foreign files do not say. Where only a part
    is measured on, it is drawn with the seed. Data that code makes are loaded if the user names that code.

    Returns:
        The data as the first network sees them, and the networks, whose `preprocessing` now says how each does:
        `DataSet.seen_by` and `DataSet.by_network` are for the others.

    Raises:
        DataError: if the networks were trained on different data and none is named, the data is missing, is not
            what the network was trained on, or does not fit it; or its inputs are to be seen in a way that there is
            not.

    Warns:
        LandscapeWarning: as `see_data` does.
    """
    from landscape_cli.cli.preprocessing import see_data
    from landscape_cli.data.datasets import load_data
    from landscape_cli.data.user_function import allow_function, is_function, same_function

    first = next((network for network in networks if network.data), networks[0])
    asked = preprocessing.chosen()
    against = chosen_objective(options, networks)
    load = partial(
        load_data,
        objective=against,
        preprocessing="none",
        part=options.part(seed),
        reading=reading_data(quiet=quiet),
    )
    if options.data is not None and is_function(options.data):
        allow_function(options.data)
    if options.data is not None and not same_function(options.data, str(first.data.get("name"))):
        data = _other_data(options.data, first, options, load, quiet=quiet)
    elif options.task is not None:
        raise DataError("--task goes with --data: checkpoints say what is to be told from their own data")
    elif options.image_size is not None:
        raise DataError("--image-size goes with --data: checkpoints say to which size their own images are brought")
    else:
        data = _data_trained_on(networks, first, options.data_dir, load, quiet=quiet)
    _check_data_fits(data, first)
    seeing = see_data(networks, model, data, asked, device)
    return data.seen_by(seeing[0]), seeing


def reading_data(*, quiet: bool) -> Callable[[int], AbstractContextManager[Callable[[int], None] | None]]:
    """Return what makes the progress bar of so many samples that are read."""
    return partial(progress, "reading data", unit="samples", quiet=quiet)


def _data_trained_on(
    networks: Sequence[Checkpoint],
    first: Checkpoint,
    directory: str | None,
    load: Callable[[DataSpec], DataSet],
    *,
    quiet: bool,
) -> DataSet:
    """Load the data that all networks were trained on, `first` among them."""
    from landscape_cli.data.spec import DataSpec
    from landscape_cli.data.user_function import is_function

    for network in networks:
        if not network.data:
            raise DataError(f"{network.path} does not say which data it was trained on: name them with --data")
        if _same_data(network.data) != _same_data(first.data):
            raise DataError(f"{first.path} and {network.path} were trained on different data: name one with --data")
    try:
        data = load(DataSpec.from_record(first.data, directory))
    except DataError as error:
        raise DataError(f"the data of {first.path}: {error}") from error
    if None in (data.record["sha256"], first.data.get("sha256", "")):  # a file may say anything, also a list
        say(f"only a part of the data of {first.path} is read, so that they are the same is not checked", quiet=quiet)
        return replace(data, record={key: first.data.get(key, value) for key, value in data.record.items()})
    # Generated numbers may differ in the last bit from one kind of machine to the next.
    if data.record["name"] != "hmm" and data.record["sha256"] != first.data.get("sha256"):
        if is_function(data.record["name"]):  # which the user has named
            say(
                f"warning: {shown(data.record['name'])} does not return the data that {first.path} was trained on (the "
                "contents differ): measured is what it returns now",
                quiet=quiet,
            )
            return data
        raise DataError(
            f"{data.record['name']} is not the data that {first.path} was trained on (its contents differ): "
            "find the right one with --data-dir, or measure on this one with --data"
        )
    warn_of_generated(data, networks, quiet=quiet)
    return data


def warn_of_generated(data: DataSet, networks: Sequence[Checkpoint], *, quiet: bool) -> None:
    """Say if data that were generated anew are not, bit for bit, those that a network was trained on."""
    for network in networks:
        if network.data.get("name") == "hmm" and network.data.get("sha256") not in (None, data.record["sha256"]):
            say(
                f"warning: the data generated here are not those that {network.path} records (their SHA-256 differ): "
                "on another kind of machine the last bits may differ, else the file has been changed",
                quiet=quiet,
            )
            return


def _other_data(
    name: str, first: Checkpoint, options: DataOptions, load: Callable[[DataSpec], DataSet], *, quiet: bool
) -> DataSet:
    """Load the data that the user names, with the task and the size of images of `first`, and say so."""
    from landscape_cli.data.spec import DataSpec, recorded_size

    task = first.data.get("task") if options.task is None else options.task.value
    try:
        size = image_size(options.image_size) or (recorded_size(first.data) if Path(name).is_dir() else None)
        data = load(DataSpec(name, options.data_dir or "data", task=task, image_size=size))
    except DataError as error:
        if options.task is None and task is not None:
            raise DataError(f"{first.path} was trained on the {task} of labels: {error}") from error
        raise
    say(
        f"data: {name}{f' ({task})' if task else ''}, {len(data.raw_train.y)} training and {len(data.raw_test.y)} test "
        "samples",
        quiet=quiet,
    )
    return data


def _check_data_fits(data: DataSet, network: Checkpoint) -> None:
    """Check that a network takes inputs of the data's shape, and can decide between its classes.

    Raises:
        DataError: if not.
    """
    from landscape_cli.models.request import describe_model

    if data.input_shape != network.model.input_shape or not data.objective.fits(network.model.outputs, data.classes):
        count, decides = data.classes, data.objective.decides
        what = f"in {count} classes" if decides else f"with {count} number{'s' if count != 1 else ''} to predict"
        task = ", or what is to be told with --task" if decides else ""
        raise DataError(
            f"the data has inputs of shape {data.input_shape} {what}, but {network.path} is "
            f"{describe_model(network.model)}: name other data with --data{task}"
        )


def _same_data(record: Mapping[str, Any]) -> dict[str, Any]:
    local = {"directory", "mean", "deviation"} | ({"sha256"} if record.get("name") == "hmm" else set())
    return {key: value for key, value in record.items() if key not in local}
