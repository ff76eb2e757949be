"""Making a model only for its structure: without the memory of its parameters, and the time to initialise them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

DEEPEST = 4
REGISTERED = {"_parameters", "_buffers", "_modules"}


class _Unfilled(TorchFunctionMode):
    """Puts memory that is yet to be filled on the device `meta`, where filling it costs nothing.

    Layers allocate their parameters so. What is computed with actual numbers stays what it is, other than under
    `torch.device("meta")`: schedules of widths or rates, constant tables.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("out") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def make_template(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the model that `make` returns, with parameters without values if that works, else with random ones.

    Either way every tensor that is not in the `state_dict` has its value, always the same.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            torch.manual_seed(0)
            with _Unfilled():
                model = make()
            if not any(tensor.is_meta for tensor in (*_unsaved_buffers(model), *plain_tensors(model))):
                return model
        except Exception:  # whatever it is: it is raised again below unless the missing values are to blame
            pass
        torch.manual_seed(0)
        return make().cpu()


def plain_tensors(model: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that modules hold as plain attributes, not as parameters or buffers."""
    for module in model.modules():
        yield from _tensors({key: value for key, value in vars(module).items() if key not in REGISTERED}, DEEPEST)


def _unsaved_buffers(model: nn.Module) -> Iterator[Tensor]:
    saved = model.state_dict()
    return (buffer for name, buffer in model.named_buffers() if name not in saved)


def _tensors(value: Any, depth: int) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item, depth - 1)
    elif depth and isinstance(value, list | tuple | set):
        for item in value:
            yield from _tensors(item, depth - 1)
