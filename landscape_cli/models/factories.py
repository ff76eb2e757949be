"""Where models that are not ours come from: torchvision's own list, or code that the user names (`user_code/`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from landscape_cli.errors import ModelError, quoted, shown
from landscape_cli.forward.outputs import output_named
from landscape_cli.models.request import TORCHVISION, format_request, needs_code, refuse_downloads
from landscape_cli.models.template import plain_tensors
from landscape_cli.network import TYPES
from landscape_cli.torchvision_compat import import_torchvision
from landscape_cli.user_code.callables import import_callable, running, similar

_allowed: dict[str, Callable[..., object]] = {}


def allow_code(name: str) -> None:
    """Import `package.module:factory`, from the current folder too, and allow models to be made by it.

    It must be called for names that the user gives only: never for what a file says.

    Args:
        name: `package.module:factory`; arguments are given where the model is made, not here.

    Raises:
        ModelError: if the name is malformed, the module or the factory is not there, or importing raises.
    """
    _allowed[name] = import_callable(name, what="model", noun="factory", returns="a model", error=ModelError)


def check_torchvision(name: str) -> None:
    """Check that torchvision has this classification model.

    Raises:
        ModelError: naming similar ones.
    """
    models = import_torchvision("models")
    names = models.list_models(module=models)
    short = name.removeprefix(TORCHVISION)
    if short not in names:
        raise ModelError(f"torchvision has no classification model {shown(short)!r}{similar(short.lower(), names)}")


def make_foreign(name: str, arguments: Mapping[str, Any], output: str | None = None) -> nn.Module:
    """Return a new model of torchvision's, or of a factory that the user has named.

    Args:
        name: of the model.
        arguments: of what makes it.
        output: which of its outputs it is to return, by name or number; None for the first of a tuple or list, beside
            which there may be states of recurrent layers, and for all that have names.

    Raises:
        ModelError: if there is no such model, its code was not named by the user, or it cannot be made.
    """
    refuse_downloads(name, arguments)
    request = format_request(name, arguments)
    what = shown(request)
    if needs_code(name):
        if name not in _allowed:
            raise ModelError(
                f"the model is made by code, which is run only if you name it: add `model=` {quoted(request)}"
                " (in Python: landscape_cli.models.allow_code)"
            )
        with running(what, ModelError):
            model = _allowed[name](**arguments)
    else:
        check_torchvision(name)
        models = import_torchvision("models")
        with running(what, ModelError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of initialisations, which are not kept
            model = models.get_model(name.removeprefix(TORCHVISION), **({"weights": None} | dict(arguments)))
    if not isinstance(model, nn.Module):
        raise ModelError(f"{what} returned a {type(model).__name__}, expected a torch.nn.Module")
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module  # they compute the same, on more devices
    _check_tensors(what, model)
    model.register_forward_hook(
        _first_tensor if output is None else lambda module, inputs, returned: output_named(returned, output)
    )
    return model


def _check_tensors(what: str, model: nn.Module) -> None:
    """Refuse models that a checkpoint's tensors could not fully describe."""
    registered = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    fault = None
    lazy = UninitializedParameter | UninitializedBuffer
    if any(isinstance(tensor, lazy) for tensor in (*model.parameters(), *model.buffers())):
        fault = "has lazy modules, whose sizes are not known: give the sizes"
    elif not all(isinstance(value, Tensor) for value in model.state_dict().values()):
        fault = "keeps extra state in its state_dict, which is no tensor: remove it"
    elif not all(tensor.dtype in TYPES for tensor in model.state_dict().values()):
        fault = "has complex or other unusual parameters: only real ones can be measured"
    elif any(id(tensor) in registered for tensor in plain_tensors(model)):
        fault = (
            "keeps a parameter in a plain attribute too, where other values do not reach it: use nn.ParameterList or "
            "the parameter's own name"
        )
    if fault is not None:
        raise ModelError(f"{what} {fault}")


def _first_tensor(module: nn.Module, inputs: Any, output: Any) -> Any:
    """Return the first of several outputs: the others are auxiliary."""
    if isinstance(output, tuple | list):
        return next((value for value in output if isinstance(value, Tensor)), output)
    return output
