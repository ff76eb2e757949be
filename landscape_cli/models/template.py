"""Making a model only for its structure: without the memory of its parameters, and the time to initialise them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape_cli.forward.functional import unsaved_buffers
from landscape_cli.forward.uncompiled import without_compiler
from landscape_cli.models.budget import Budget, ModelTooLargeError
from landscape_cli.network import Params

DEEPEST = 4
REGISTERED = {"_parameters", "_buffers", "_modules"}
LISTED_AGAIN = {"_flat_weights"}
"""Where recurrent layers list their parameters once more: PyTorch keeps that up to date."""
FILLING = {Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.constant_}
"""What initialisations fill memory by; where it is without values there is nothing to do."""


class _Unfilled(TorchFunctionMode):
    """Puts memory that is yet to be filled on the device `meta`, where filling it costs nothing.

    Layers allocate their parameters so. What is computed with actual numbers stays what it is, other than under
    `torch.device("meta")`: schedules of widths or rates, constant tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: list[weakref.ref[Tensor]] = []

    def left(self) -> Iterator[Tensor]:
        """Yield the tensors without values that were made and are still there, wherever they are kept."""
        return (tensor for made in self._made if (tensor := made()) is not None)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in FILLING and (filled := args[0] if args else kwargs["tensor"]).is_meta:
            return filled
        if func is torch.empty and kwargs.get("out") is None:
            kwargs["device"] = "meta"
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.is_meta:
            self._made.append(weakref.ref(result))
        return result


def make_template(make: Callable[[], nn.Module], params: Params | None = None) -> nn.Module:
    """Return the model that `make` returns, with parameters without values if that works, else with random ones.

    Either way every tensor that is not in the `state_dict` has its value, always the same.

    Args:
        make: makes the model.
        params: the tensors that it is made for, if any: then it may not be much larger than they are.

    Raises:
        ModelTooLargeError: if it is.
    """
    within = (lambda: nullcontext()) if params is None else (lambda: Budget(params))
    with torch.random.fork_rng(devices=[]):
        try:
            torch.default_generator.manual_seed(0)
            with within(), without_compiler(), _Unfilled() as unfilled:
                model = make()
            # Others without values are tables that forward will read; objects and closures may hide theirs.
            filled_later = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
            unsaved = (*unsaved_buffers(model).values(), *plain_tensors(model), *unfilled.left())
            if not any(tensor.is_meta and id(tensor) not in filled_later for tensor in unsaved):
                return model
        except ModelTooLargeError:
            raise
        except Exception:  # whatever it is: it is raised again below unless the missing values are to blame
            pass
        torch.default_generator.manual_seed(0)
        with within():
            return make().cpu()


def plain_tensors(model: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that modules hold as plain attributes, not as parameters or buffers."""
    for module in model.modules():
        known = REGISTERED | LISTED_AGAIN if isinstance(module, nn.RNNBase) else REGISTERED
        yield from _tensors({key: value for key, value in vars(module).items() if key not in known}, DEEPEST)


def _tensors(value: Any, depth: int) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item, depth - 1)
    elif depth and isinstance(value, list | tuple | set):
        for item in value:
            yield from _tensors(item, depth - 1)
