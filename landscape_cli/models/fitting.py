"""Fitting tensors to a model: names, shapes, types, and which of them are one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, check_tensors
from landscape_cli.errors import ModelError, listed, one_line, shown
from landscape_cli.forward.functional import cast_floats, float_type, unsaved_buffers
from landscape_cli.io.export import Layout
from landscape_cli.network import Params

COUNTER = "num_batches_tracked"


def load_params(model: nn.Module, params: Params) -> nn.Module:
    """Make `params` the model's tensors (not copied), and put it in evaluation mode; parameters that are one stay so.

    Buffers that are not among them follow their type and device, as with `model.to`.

    Raises:
        ModelError: if they do not fit.
    """
    check_tensors(params)
    check_params(model, params)
    state = OrderedDict(params)
    for first, *aliases in tied_names(model):
        shared = nn.Parameter(params[first].detach(), requires_grad=False)
        state[first] = shared
        for name in aliases:
            state[name] = shared
    # Modules whose layout has changed ask for its version, which a plain dict lacks.
    setattr(state, "_metadata", getattr(model.state_dict(), "_metadata", None))  # noqa: B010
    try:
        model.load_state_dict(state, assign=True)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as cause:
        reason = one_line(cause)
        raise ModelError(f"the model does not take the tensors: {reason}") from cause
    device = next((tensor.device for tensor in params.values()), torch.device("cpu"))
    for name, buffer in cast_floats(unsaved_buffers(model), float_type(params), device).items():
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, buffer)
    return model.eval().requires_grad_(False)


def layout_of(model: nn.Module) -> Layout:
    """Return how a model's `state_dict` is laid out."""
    state = model.state_dict()
    versions = getattr(state, "_metadata", {})
    return Layout(tuple(state), {name: dict(version) for name, version in versions.items()})


def tied_names(model: nn.Module) -> list[list[str]]:
    """Return the names that mean one parameter, for each parameter that has several."""
    names: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, nn.Parameter):
            names.setdefault(id(tensor), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def fit_tensors(model: nn.Module, tensors: Params, *, prefix: str = "") -> dict[str, Tensor]:
    """Return a foreign file's tensors as a network of this model: complete, checked, each with memory of its own.

    Batch-norm's counters of batches, which decide nothing and which old files lack, start at zero; parameters that
    are one are taken from whichever name is there.

    Args:
        model: the model.
        tensors: the file's, under the model's names.
        prefix: what the file puts before them, for messages.

    Raises:
        ModelError: if they do not fit.
    """
    complete = _completed(model, tensors)
    check_params(model, complete, prefix=prefix)
    return {name: complete[name].detach().clone(memory_format=torch.contiguous_format) for name in sorted(complete)}


def check_structure(model: nn.Module, tensors: Params, *, foreign: bool = False, prefix: str = "") -> None:
    """Check names, shapes and types of tensors, which may be without values; of foreign files as `fit_tensors` does.

    Raises:
        ModelError: naming the first few tensors of each kind of mismatch.
    """
    _check_structure(model, _completed(model, tensors) if foreign else tensors, prefix)


def _completed(model: nn.Module, tensors: Params) -> dict[str, Tensor]:
    """Return a foreign file's tensors with those of the model that such files lack and that need not be there."""
    complete = dict(tensors)
    for name in model.state_dict():
        if name not in complete and name.rpartition(".")[2] == COUNTER:
            complete[name] = torch.zeros((), dtype=torch.int64)
    for group in tied_names(model):
        present = [name for name in group if name in complete]
        if present:
            complete |= {name: complete[present[0]] for name in group if name not in complete}
    return complete


def check_network(name: str, model: nn.Module, params: Params) -> None:
    """Check that a network is one of a model (`check_params`); what is said begins with the network's name.

    Raises:
        ModelError: if it does not fit.
    """
    check_kind("model", model, nn.Module, "give an nn.Module, such as build_model returns", ModelError)
    try:
        check_tensors(params)
        check_params(model, params)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def check_networks(model: nn.Module, networks: Mapping[str, Params]) -> None:
    """Check that networks, by what errors call them, are of a model (`check_network`).

    Raises:
        ModelError: naming the first that does not fit.
    """
    for name, network in networks.items():
        check_network(name, model, network)


def check_params(model: nn.Module, params: Params, *, prefix: str = "") -> None:
    """Check names, shapes and types of `params` against the model's own, and that what is one tensor there is equal.

    Raises:
        ModelError: naming the first few tensors of each kind of mismatch.
    """
    _check_structure(model, params, prefix)
    for first, *aliases in tied_names(model):
        for name in aliases:
            if not torch.equal(params[first], params[name]):
                raise ModelError(f"{shown(first)} and {shown(name)} are one tensor in the model, but differ here")


def _check_structure(model: nn.Module, params: Params, prefix: str) -> None:
    expected = model.state_dict()
    missing = [shown(name) for name in expected if name not in params]
    unknown = [shown(name) for name in params if name not in expected]
    shapes = [
        f"{shown(name)} is {tuple(params[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in params and params[name].shape != tensor.shape
    ]
    types = [
        f"{shown(name)} is {params[name].dtype}"
        for name, tensor in expected.items()
        if name in params and params[name].is_floating_point() != tensor.is_floating_point()
    ]
    kinds = {"missing": missing, "not in the model": unknown, "wrong shape": shapes, "wrong type": types}
    faults = [f"{kind}: {listed(names)}" for kind, names in kinds.items() if names]
    if not faults:
        return
    what = f"the tensors under the prefix {shown(prefix)!r}" if prefix else "the tensors"
    remedy = "save the file anew"
    if shapes:
        remedy = "is it of another architecture?"
    elif len(missing) == len(expected):
        remedy = "none of its names is the model's: name the model that it is of, or what in the file holds it"
    elif missing or unknown:
        remedy = f"{len(expected) - len(missing)} of {len(expected)} names are there: correct the rest, or the model"
    raise ModelError(f"{what} do not fit the model ({'; '.join(faults)}): {remedy}")
