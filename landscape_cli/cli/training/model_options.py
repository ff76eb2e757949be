"""Which model `landscape train` trains: a new one, ours or from elsewhere, or the one that `--init` brings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import DataName, Norm
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import InputShape, Key, ModelOptions
from landscape_cli.cli.parsing import flag, whole_numbers
from landscape_cli.errors import shown

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import ModelSpec, Params

DEFAULT = "mlp"
WEDGES = "wedges"
"""The model that is not of a network, with data of its own."""


@dataclass(frozen=True)
class NetworkOptions(Group):
    """The model, and its sizes."""

    panel = "Model"

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="mlp, lenet, vgg16, resnet20, binary-perceptron, committee, binary-mlp, binary-conv, wedges, "
            "torchvision:NAME?num_classes=10, package.module:factory?arg=1.  "
            "[default: mlp, or --init's]",
        ),
    ] = None
    hidden: Annotated[
        str | None,
        typer.Option(
            "--hidden",
            help="Hidden widths: mlp 512,512,512, lenet 500, vgg16 none (4096,4096 from 224x224 on), committee 9, "
            "binary-mlp 501,501, binary-conv 201,101; '' for none.",
        ),
    ] = None
    filters: Annotated[
        str | None, typer.Option("--filters", help="Filters of lenet, 20,50 by default, or binary-conv, 21,51.")
    ] = None
    width: Annotated[
        int | None,
        typer.Option("--width", min=1, help="Filters of the first stage: vgg16 64, resnet20 16 by default."),
    ] = None
    blocks: Annotated[
        int | None, typer.Option("--blocks", min=1, help="resnet20: blocks a stage, n of 6n + 2 layers: 3 by default.")
    ] = None
    norm: Annotated[Norm | None, typer.Option("--norm", help="resnet20: batch (by default) or layer-norm.")] = None
    bias: Annotated[
        bool | None, typer.Option("--bias/--no-bias", help="mlp, lenet: biases in every layer, or none.")
    ] = None
    dropout: Annotated[
        float | None,
        typer.Option(
            "--dropout",
            help="mlp, lenet: fraction dropped, below 1, of what every layer but the first reads, while training.  "
            "[default: 0]",
        ),
    ] = None
    outputs: Annotated[
        int | None,
        typer.Option("--outputs", min=1, help="Outputs: by default one a class, or one with a sign for two classes."),
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the sizes that were given, by their options' names."""
        sizes = {
            "hidden": self.hidden,
            "filters": self.filters,
            "width": self.width,
            "blocks": self.blocks,
            "norm": self.norm,
            "bias": self.bias,
            "dropout": self.dropout,
            "outputs": self.outputs,
        }
        return {name: size for name, size in sizes.items() if size is not None}


@dataclass(frozen=True)
class StartOptions(Group):
    """The networks that training starts from."""

    panel = "Start"

    init: Annotated[
        list[Path] | None,
        typer.Option(
            "--init",
            help="Checkpoint to start from; repeated, one for each run (rsgd: each replica).",
            show_default=False,
        ),
    ] = None
    init_scale: Annotated[
        float | None,
        typer.Option("--init-scale", help="Factor of the initial weights, biases too.  [default: 1]"),
    ] = None
    input_shape: InputShape = None
    key: Key = None

    def scale(self) -> float:
        """Return the factor of the initial weights.

        Raises:
            BadParameter: if it is none.
        """
        scale = self.init_scale
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise typer.BadParameter(f"--init-scale must be a positive number, and is {scale}")
        return 1.0 if scale is None else scale


def read_starts(options: StartOptions, model: str | None) -> list[Checkpoint]:
    """Read what `--init` names, with floating-point tensors in float32, in which training computes.

    Raises:
        BadParameter: if options are given that belong to `--init` with foreign files.
    """
    from dataclasses import replace

    from landscape_cli.cli.inputs import read_networks
    from landscape_cli.io.external import is_foreign

    paths = options.init or []
    if not paths:
        for name in ("input_shape", "key"):
            if getattr(options, name) is not None:
                raise typer.BadParameter(
                    f"{flag(name)} is for --init with files that are not landscape's: leave it out"
                )
        return []
    foreign = any(is_foreign(path) for path in paths)
    # With a checkpoint of landscape's own, a model's bare name may be repeated.
    named = model if foreign or (model is not None and (":" in model or "?" in model)) else None
    networks = read_networks(paths, ModelOptions(named, options.input_shape, key=options.key), plain=())[0]
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
    networks = [start.params for start in starts]
    if len(networks) == 1:
        return [networks * replicas] * runs
    if replicas > 1 and len(networks) == replicas:
        return [networks] * runs
    if replicas == 1 and len(networks) == runs:
        return [[params] for params in networks]
    wanted = f"one for each of {replicas} replicas" if replicas > 1 else f"one for each of {runs} runs"
    raise typer.BadParameter(f"--init takes one checkpoint, or {wanted}, not {len(networks)}")


def model_spec(options: NetworkOptions, starts: Sequence[Checkpoint], data: DataSet) -> ModelSpec:
    """Return the model to train.

    Raises:
        ModelError: if there is none of that name, or it does not fit the data.
        BadParameter: if an option belongs to another model, or is malformed.
    """
    from landscape_cli.errors import ModelError

    if starts:
        spec = _started_spec(options, starts[0])
        if spec.input_shape != data.input_shape:
            raise ModelError(
                f"{starts[0].path} takes inputs of shape {spec.input_shape}, the data has {data.input_shape}"
            )
    else:
        spec = _new_spec(options, data)
    if not data.objective.fits(spec.outputs, data.classes):
        what = "decide between {} classes" if data.objective.balances else "be held against {} numbers a sample"
        raise ModelError(f"{spec.outputs} outputs cannot {what.format(data.classes)}")
    return spec


def _started_spec(options: NetworkOptions, start: Checkpoint) -> ModelSpec:
    """Return the model of a checkpoint, perhaps with dropout, with which the options have to agree."""
    from landscape_cli.errors import ModelError
    from landscape_cli.models import MODELS, default_arguments

    spec, given = start.model, options.given()
    if (options.model or spec.name).partition("?")[0] != spec.name:
        raise ModelError(f"--init brings its model along ({spec.name}): leave out --model")
    if "dropout" in given and spec.name in MODELS and "dropout" in default_arguments(spec.name):
        spec = replace(spec, arguments={**spec.arguments, "dropout": given.pop("dropout")})  # only while it trains
    there = {**spec.arguments, "outputs": spec.outputs}
    for name, size in given.items():
        if name not in there:
            raise ModelError(f"--init brings its model along ({spec.name}), which has none: leave out --{name}")
        if READ.get(name, lambda size, _: size)(size, spec.name) != there[name]:
            own = shown(",".join(map(str, there[name])) if isinstance(there[name], list) else str(there[name]))
            raise ModelError(f"--init brings its model along ({spec.name}, {name} {own}): leave out --{name}")
    return spec


def _new_spec(options: NetworkOptions, data: DataSet) -> ModelSpec:
    from landscape_cli.models import (
        MODELS,
        ModelRequest,
        default_arguments,
        find_spec,
        full_arguments,
        parse_request,
    )
    from landscape_cli.models.wedges import INPUT_SHAPE, OUTPUTS
    from landscape_cli.network import ModelSpec

    given = options.given()
    request = parse_request(options.model or DEFAULT)
    _check_own_data(request.name, data)
    if request.name not in MODELS:
        if given and ":" in request.name:
            raise typer.BadParameter(
                f"--{next(iter(given))} is for landscape's own models: give {request.name} arguments instead"
            )
        return find_spec(request, data.input_shape)[0]
    if request.name == WEDGES and (data.input_shape, data.classes) != (INPUT_SHAPE, OUTPUTS):
        raise typer.BadParameter(f"--model {WEDGES} is for --data {DataName.WEDGES.value}, not {data.record['name']}")
    if request.name == WEDGES and given.get("outputs", OUTPUTS) != OUTPUTS:
        raise typer.BadParameter(f"--model {WEDGES} has {OUTPUTS} outputs, not {given['outputs']}: leave out --outputs")
    arguments = dict(request.arguments)
    if "outputs" in arguments:
        raise typer.BadParameter("give the number of outputs with --outputs, not in --model")
    usual = OUTPUTS if request.name == WEDGES else data.objective.new_outputs(data.classes)
    outputs = given.pop("outputs", None) or usual
    for name, size in given.items():
        if name not in default_arguments(request.name):
            takers = [model for model in MODELS if name in default_arguments(model)]
            raise typer.BadParameter(f"--{name} is for --model {' or '.join(takers)}, not {request.name}")
        if name in request.arguments:
            raise typer.BadParameter(f"--model gives {name} already: leave out --{name}")
        arguments[name] = READ[name](size, request.name) if name in READ else size
    if request.name == "vgg16":
        from landscape_cli.models.vgg import default_hidden

        arguments.setdefault("hidden", default_hidden(data.input_shape))
    return ModelSpec(request.name, full_arguments(ModelRequest(request.name, arguments)), data.input_shape, outputs)


def _check_own_data(model: str, data: DataSet) -> None:
    """Refuse the data of the surrogate landscape to other models of landscape's own, which would learn two samples.

    Raises:
        BadParameter: if the model is one of them.
    """
    from landscape_cli.models import MODELS

    if data.record["name"] == DataName.WEDGES.value and model in MODELS and model != WEDGES:
        raise typer.BadParameter(
            f"--data {DataName.WEDGES.value} is for --model {WEDGES}, a landscape without a network, not {model}"
        )


def _hidden(text: str, model: str) -> list[int] | int:
    from landscape_cli.models import default_arguments

    widths = whole_numbers(text, "--hidden")
    if not isinstance(default_arguments(model)["hidden"], int):
        return widths
    if len(widths) != 1:
        raise typer.BadParameter(f"--hidden takes one width for --model {model}")
    return widths[0]


READ: Mapping[str, Callable[[Any, str], Any]] = {
    "hidden": _hidden,
    "filters": lambda text, _: whole_numbers(text, "--filters"),
    "norm": lambda norm, _: norm.value,
}
