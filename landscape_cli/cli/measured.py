"""The data that networks are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import say
from landscape_cli.errors import DataError
from landscape_cli.models.request import describe_model

if TYPE_CHECKING:
    from landscape_cli.cli.options import Task
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.io.checkpoint import Checkpoint


def data_of(
    networks: Sequence[Checkpoint], *, name: str | None, task: Task | None, directory: str | None, quiet: bool
) -> DataSet:
    """Load the data that the networks were trained on, or other data.

    Inputs are standardised as the first network knows it that says so, and its task is that of other data too: foreign
    files say neither; where none does, with the statistics of the training set itself.

    Raises:
        DataError: if the networks were trained on different data and none is named, the data is missing, is not
            what the network was trained on, or does not fit it.
    """
    from landscape_cli.data.datasets import DataSpec, load_data
    from landscape_cli.forward.outputs import outputs_fit

    first = next((network for network in networks if network.data), networks[0])
    if name is None and task is not None:
        raise DataError("--task goes with --data: checkpoints say what is to be told from their own data")
    if name is None:
        for network in networks:
            if not network.data:
                raise DataError(f"{network.path} does not say which data it was trained on: name them with --data")
            if _same_data(network.data) != _same_data(first.data):
                raise DataError(f"{first.path} and {network.path} were trained on different data: name one with --data")
        try:
            data = load_data(DataSpec.from_record(first.data, directory), preprocessing=first.data)
        except DataError as error:
            raise DataError(f"the data of {first.path}: {error}") from error
        # Generated numbers may differ in the last bit from one kind of machine to the next.
        if data.record["name"] != "hmm" and data.record["sha256"] != first.data.get("sha256"):
            raise DataError(
                f"{data.record['name']} is not the data that {first.path} was trained on (its contents differ): "
                "find the right one with --data-dir, or measure on this one with --data"
            )
    else:
        wanted = first.data.get("task") if task is None else task.value
        try:
            data = load_data(DataSpec(name, directory or "data", task=wanted), preprocessing=first.data or None)
        except DataError as error:
            if task is None and wanted is not None:
                raise DataError(f"{first.path} was trained on the {wanted} of labels: {error}") from error
            raise
        say(
            f"data: {name}{f' ({wanted})' if wanted else ''}, {len(data.train.y)} training and {len(data.test.y)} test "
            "samples, "
            f"standardised {f'as for {first.path}' if first.data else 'with the statistics of its training set'}",
            quiet=quiet,
        )
    if data.input_shape != first.model.input_shape or not outputs_fit(first.model.outputs, data.classes):
        raise DataError(
            f"the data has inputs of shape {data.input_shape} in {data.classes} classes, but {first.path} is "
            f"{describe_model(first.model)}: name other data with --data, or what is to be told with --task"
        )
    return data


def _same_data(record: Mapping[str, Any]) -> dict[str, Any]:
    local = {"directory"} | ({"sha256", "mean", "deviation"} if record.get("name") == "hmm" else set())
    return {key: value for key, value in record.items() if key not in local}
