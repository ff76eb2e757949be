"""Names of models, and building them: new from a seed, or around a checkpoint's tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from landscape_cli.arguments import check_kind, check_tensors
from landscape_cli.choices import check_choice, load
from landscape_cli.errors import ModelError, one_line, quoted, shown
from landscape_cli.forward.parts import as_stored
from landscape_cli.models.factories import allow_code, make_foreign
from landscape_cli.models.fitting import load_params
from landscape_cli.models.inputs import find_inputs
from landscape_cli.models.outputs import count_outputs
from landscape_cli.models.request import HOW, ModelRequest, needs_code
from landscape_cli.models.template import make_template
from landscape_cli.network import ModelSpec, Params, WholeInputs

Factory = Callable[..., nn.Module]
"""Makes a model from the shape of one input and the number of outputs; keyword-only parameters are its sizes.

What the command line knows of a model is in this signature: which options it takes, and whether a width is one number.
"""
MODELS: Mapping[str, str | Factory] = {
    "mlp": "landscape_cli.models.mlp:mlp",
    "lenet": "landscape_cli.models.lenet:lenet",
    "vgg16": "landscape_cli.models.vgg:vgg16",
    "resnet20": "landscape_cli.models.resnet:resnet20",
    "binary-perceptron": "landscape_cli.models.binary:binary_perceptron",
    "committee": "landscape_cli.models.binary:committee",
    "binary-mlp": "landscape_cli.models.binary:binary_mlp",
    "binary-conv": "landscape_cli.models.binary:binary_conv",
    "wedges": "landscape_cli.models.wedges:wedges",
}
"""The registry: where each factory is defined, or the function itself."""
CHECKED = {"wedges"}
"""Models that check themselves how large they are, and hold more than a checkpoint does."""
LATER: Mapping[str, Any] = {"dropout": 0}
"""Arguments that models have got since checkpoints are written, and the values with which they are what they were."""


def create_model(spec: ModelSpec, *, seed: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a new model on the CPU, initialised as PyTorch does from `seed`, global randomness untouched.

    Raises:
        ModelError: if there is no such model, or its arguments do not fit.
    """
    _check_kind(spec)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _construct(spec).to("cpu", dtype)


def build_model(spec: ModelSpec, params: Params) -> nn.Module:
    """Return the model with `params` as its tensors (not copied), in evaluation mode.

    Args:
        spec: which model, such as `Checkpoint.model`.
        params: its tensors by name, of the shapes that the model has, any floating-point dtype.

    Returns:
        The model, on the device of `params`: it takes inputs of shape (n, *spec.input_shape) and returns logits, shape
        (n, spec.outputs).

    Raises:
        ModelError: if there is no such model, its arguments do not fit, or `params` do not.
    """
    check_tensors(params)
    return load_params(construct_template(spec, params), params)


def construct_template(spec: ModelSpec, params: Params | None = None) -> nn.Module:
    """Return the model with parameters that have shapes but, where that works, no values and no memory.

    Args:
        spec: which model.
        params: the tensors that it is built for, if they are there already, as those of a file are: a model that they
            could not fill is not built. What they have plain, and the model makes of parts, is plain in it.

    Raises:
        ModelError: if there is no such model, its arguments do not fit, or it is too large for the tensors.
    """
    _check_kind(spec)
    model = make_template(lambda: _construct(spec), None if spec.name in CHECKED else params)
    return model if params is None else as_stored(model, params)


def find_spec(
    request: ModelRequest,
    input_shape: tuple[int, ...],
    inputs: WholeInputs | None = None,
    output: str | None = None,
) -> tuple[ModelSpec, nn.Module]:
    """Return the full description of a model that a user names, and a template of it (`construct_template`).

    Code of the user's own is imported here. How many outputs a foreign model has is found by running it, and, where
    nothing is said, whether it takes whole numbers.

    Args:
        request: what the user names.
        input_shape: the shape of one input.
        inputs: which whole numbers it takes.
        output: which of its outputs is measured.

    Raises:
        ModelError: if there is no such model, its arguments do not fit, or it does not run on such inputs.
    """
    if needs_code(request.name):
        allow_code(request.name)
    if ":" in request.name:
        spec = ModelSpec(request.name, dict(request.arguments), input_shape, 1, inputs, output)
        model = construct_template(spec)
        inputs = inputs or find_inputs(model, input_shape)
        return replace(spec, outputs=count_outputs(model, input_shape, inputs), inputs=inputs), model
    if inputs is not None or output is not None:
        raise ModelError(
            "landscape's own models take real numbers and have one output: leave out `input_dtype=`, "
            "`input_range=` and `model_output=`"
        )
    spec = ModelSpec(request.name, full_arguments(request), input_shape, _outputs(request))
    return spec, construct_template(spec)


def is_request_for(request: ModelRequest, spec: ModelSpec) -> bool:
    """Tell whether a user's name for a model means the one described by `spec`."""
    if request.name != spec.name:
        return False
    if ":" in spec.name:
        return dict(request.arguments) == dict(spec.arguments)
    recorded = full_arguments(ModelRequest(spec.name, spec.arguments))
    return full_arguments(request) == recorded and request.arguments.get("outputs", spec.outputs) == spec.outputs


def measured(spec: ModelSpec) -> ModelSpec:
    """Return the model as it is measured, without what it does only while it trains: dropout."""
    if spec.name not in MODELS or "dropout" not in spec.arguments:
        return spec
    return replace(spec, arguments={name: value for name, value in spec.arguments.items() if name != "dropout"})


def full_arguments(request: ModelRequest) -> dict[str, Any]:
    """Return a registry model's arguments with its defaults, so that a checkpoint does not lean on those.

    What checkpoints were once written without is left out where it changes nothing (`LATER`).

    Raises:
        ModelError: if the registry does not have it.
    """
    given = {name: value for name, value in request.arguments.items() if name != "outputs"}
    arguments = default_arguments(request.name) | given
    return {name: value for name, value in arguments.items() if not (name in LATER and value == LATER[name])}


def default_arguments(name: str) -> dict[str, Any]:
    """Return the sizes that a registry model takes, and their defaults, as JSON values.

    Raises:
        ModelError: if the registry does not have it.
    """
    parameters = inspect.signature(_registered(name)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return {size: list(value) if isinstance(value, tuple) else value for size, value in defaults.items()}


def _outputs(request: ModelRequest) -> int:
    outputs = request.arguments.get("outputs")
    if not isinstance(outputs, int) or isinstance(outputs, bool) or outputs < 1:
        raise ModelError(f"say how many outputs the model has: `model=` {quoted(f'{request.name}?outputs=10')}")
    return outputs


def _registered(name: str) -> Factory:
    check_choice("model", name, MODELS, ModelError, joined=" or ", more=f"; or {HOW}")
    registered = MODELS[name]
    factory: Factory = load(registered) if isinstance(registered, str) else registered
    return factory


def _check_kind(spec: ModelSpec) -> None:
    check_kind("spec", spec, ModelSpec, "give a ModelSpec, such as `Checkpoint.model`", ModelError)


def _construct(spec: ModelSpec) -> nn.Module:
    if ":" in spec.name:
        return make_foreign(spec.name, spec.arguments, spec.output)
    factory = _registered(spec.name)
    try:
        return factory(spec.input_shape, spec.outputs, **spec.arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as cause:
        reason = one_line(cause)
        raise ModelError(
            f"the model {shown(spec.name)!r} cannot be built from {shown(str(dict(spec.arguments)))}: {reason}"
        ) from cause
