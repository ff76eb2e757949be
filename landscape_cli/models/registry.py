"""Names of models, and building them: new from a seed, or around a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.errors import ModelError
from landscape_cli.models.lenet import lenet
from landscape_cli.models.mlp import mlp

MODELS: Mapping[str, Callable[..., nn.Module]] = {"mlp": mlp, "lenet": lenet}
SHOWN = 3


def create_model(spec: ModelSpec, *, seed: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a new model on the CPU, initialised as PyTorch does from `seed`, global randomness untouched.

    Raises:
        ModelError: if the registry does not have it, or its arguments do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _construct(spec).to(dtype)


def build_model(spec: ModelSpec, params: Params) -> nn.Module:
    """Return the model with `params` as its tensors (not copied), in evaluation mode.

    Raises:
        ModelError: if the registry does not have it, its arguments do not fit, or `params` do not.
    """
    with torch.device("meta"):
        model = _construct(spec)
    check_params(model, params)
    model.load_state_dict(dict(params), assign=True)
    return model.eval().requires_grad_(False)


def check_params(model: nn.Module, params: Params) -> None:
    """Check names, shapes and types of `params` against the model's own.

    Raises:
        ModelError: naming the first few tensors of each kind of mismatch.
    """
    expected = model.state_dict()
    missing = [name for name in expected if name not in params]
    unknown = [name for name in params if name not in expected]
    shapes = [
        f"{name} is {tuple(params[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in params and params[name].shape != tensor.shape
    ]
    types = [
        f"{name} is {params[name].dtype}"
        for name, tensor in expected.items()
        if name in params and params[name].is_floating_point() != tensor.is_floating_point()
    ]
    kinds = {"missing": missing, "not in the model": unknown, "wrong shape": shapes, "wrong type": types}
    faults = [
        f"{kind}: {', '.join(names[:SHOWN])}" + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        for kind, names in kinds.items()
        if names
    ]
    if faults:
        raise ModelError(f"the tensors do not fit the model ({'; '.join(faults)}): is it of another architecture?")


def _construct(spec: ModelSpec) -> nn.Module:
    if spec.name not in MODELS:
        raise ModelError(f"unknown model {spec.name!r}: choose {' or '.join(MODELS)}")
    try:
        return MODELS[spec.name](spec.input_shape, spec.outputs, **spec.arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as cause:
        reason = " ".join(str(cause).split())[:200]
        raise ModelError(f"the model {spec.name!r} cannot be built from {dict(spec.arguments)}: {reason}") from cause
