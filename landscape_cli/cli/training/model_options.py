"""Which model `landscape train` trains: a new one, ours or from elsewhere, or the one that `--init` brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.options import ModelOptions, whole_numbers

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import ModelSpec, Params

DEFAULT = "mlp"
# Which options each model of the registry has; those with an option each are refused elsewhere.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "mlp": ("hidden", "bias"),
    "lenet": ("filters", "hidden", "bias"),
    "vgg16": ("width", "hidden"),
    "resnet20": ("width", "blocks", "norm"),
    "binary-perceptron": (),
    "committee": ("hidden",),
    "binary-mlp": ("hidden",),
    "binary-conv": ("filters", "hidden"),
}
ONE_WIDTH = ("lenet", "committee")
SHAPE = ("hidden", "filters", "width", "blocks", "norm", "bias")


def read_starts(paths: list[Path], model: str | None, input_shape: str | None) -> list[Checkpoint]:
    """Read what `--init` names, with floating-point tensors in float32, in which training computes.

    Raises:
        BadParameter: if options are given that belong to `--init` with foreign files.
    """
    from dataclasses import replace

    from landscape_cli.cli.inputs import read_networks
    from landscape_cli.io.external import is_foreign

    if not paths:
        if input_shape is not None:
            raise typer.BadParameter("--input-shape is for --init with files that are not landscape's: leave it out")
        return []
    foreign = any(is_foreign(path) for path in paths)
    # With a checkpoint of landscape's own, a model's bare name may be repeated.
    named = model if foreign or (model is not None and (":" in model or "?" in model)) else None
    networks = read_networks(paths, ModelOptions(named, input_shape))[0]
    return [
        replace(network, params={n: t.float() if t.is_floating_point() else t for n, t in network.params.items()})
        for network in networks
    ]


def initial_networks(starts: Sequence[Checkpoint], replicas: int, runs: int) -> list[list[Params]] | None:
    """Return the replicas that each run starts from; None to make new ones.

    Raises:
        BadParameter: if there are neither one, nor one a replica, nor one a run.
    """
    if not starts:
        return None
    given = [start.params for start in starts]
    if len(given) == 1:
        return [given * replicas] * runs
    if replicas > 1 and len(given) == replicas:
        return [given] * runs
    if replicas == 1 and len(given) == runs:
        return [[params] for params in given]
    wanted = f"one for each of {replicas} replicas" if replicas > 1 else f"one for each of {runs} runs"
    raise typer.BadParameter(f"--init takes one checkpoint, or {wanted}, not {len(given)}")


def model_spec(options: Mapping[str, Any], starts: list[Checkpoint], data: DataSet) -> ModelSpec:
    """Return the model to train.

    Raises:
        ModelError: if there is none of that name, or it does not fit the data.
        BadParameter: if an option belongs to another model, or is malformed.
    """
    from landscape_cli.errors import ModelError
    from landscape_cli.forward.outputs import outputs_fit

    given = [key for key in (*SHAPE, "outputs") if options[key] is not None]
    if starts:
        spec = starts[0].model
        named = (options["model"] or spec.name).partition("?")[0]
        if given or named != spec.name:
            raise ModelError(f"--init brings its model along ({spec.name}): leave out --{(given or ['model'])[0]}")
        if spec.input_shape != data.input_shape:
            raise ModelError(
                f"{starts[0].path} takes inputs of shape {spec.input_shape}, the data has {data.input_shape}"
            )
    else:
        spec = _new_spec(options, given, data)
    if not outputs_fit(spec.outputs, data.classes):
        raise ModelError(f"{spec.outputs} outputs cannot decide between {data.classes} classes")
    return spec


def _new_spec(options: Mapping[str, Any], given: list[str], data: DataSet) -> ModelSpec:
    from landscape_cli.forward.outputs import default_outputs
    from landscape_cli.models import MODELS, ModelRequest, find_spec, full_arguments, parse_request
    from landscape_cli.network import ModelSpec

    request = parse_request(options["model"] or DEFAULT)
    if request.name not in MODELS:
        if given and ":" in request.name:
            raise typer.BadParameter(
                f"--{given[0]} is for landscape's own models: give {request.name} arguments instead"
            )
        return find_spec(request, data.input_shape)[0]
    arguments = dict(request.arguments)
    if "outputs" in arguments:
        raise typer.BadParameter("give the number of outputs with --outputs, not in --model")
    outputs = options["outputs"] or default_outputs(data.classes)
    for key in given:
        owners = [name for name, keys in OPTIONS.items() if key in keys]
        if key != "outputs" and request.name not in owners:
            raise typer.BadParameter(f"--{key} is for --model {' or '.join(owners)}, not {request.name}")
        if key in request.arguments:
            raise typer.BadParameter(f"--model gives {key} already: leave out --{key}")
        if key != "outputs":
            arguments[key] = READ.get(key, lambda value, name: value)(options[key], request.name)
    if request.name == "vgg16":
        from landscape_cli.models.vgg import default_hidden

        arguments.setdefault("hidden", default_hidden(data.input_shape))
    return ModelSpec(request.name, full_arguments(ModelRequest(request.name, arguments)), data.input_shape, outputs)


def _hidden(text: str, model: str) -> list[int] | int:
    widths = whole_numbers(text, "--hidden")
    if model not in ONE_WIDTH:
        return widths
    if len(widths) != 1:
        raise typer.BadParameter(f"--hidden takes one width for --model {model}")
    return widths[0]


READ: Mapping[str, Callable[[Any, str], Any]] = {
    "hidden": _hidden,
    "filters": lambda text, _: whole_numbers(text, "--filters"),
    "norm": lambda norm, _: norm.value,
}
