"""Running a model on tensors that are not its own: in another type, on another device, for each of many networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from landscape_cli.errors import LandscapeError, ModelError, one_line, said_by, shown
from landscape_cli.forward.float64 import StandIns, in_float64
from landscape_cli.network import INTEGER_INPUTS, Params

OF_MODULES = frozenset(vars(nn.Module()))
"""What every module keeps: its parameters, buffers, modules and hooks."""
SCRIPTED = torch.jit.ScriptModule


class ForwardError(ModelError):
    """A forward pass, code of others, that fails.

    Attributes:
        reason: what it raised.
        where: in which module, in words; empty if that is not known.
    """

    def __init__(self, inputs: str, reason: Exception, where: str = "") -> None:
        """Say on which inputs it fails, and why."""
        text = f": {one_line(reason)}" if str(reason) else ""
        super().__init__(f"the forward pass fails{where} on {inputs}: {type(reason).__name__}{text}")
        self.reason, self.where = reason, where


def run_with(model: nn.Module, tensors: Params, x: Tensor, stand_ins: StandIns | None = None) -> Any:
    """Return what the model computes from inputs `x` with `tensors` in place of its own, which stay what they are.

    On inputs in float64 all is computed in float64, also where the model's code says float32.

    Args:
        model: the architecture.
        tensors: a network, and the model's unsaved buffers if they must move too (`unsaved_buffers`, `cast_floats`).
        x: inputs, shape (n, *input_shape), in the network's type and on its device.
        stand_ins: those of the tensors that are made when an operator takes them, on inputs in float64.

    Raises:
        ForwardError: if the model's code fails: the message names the module.
        ModelError: if it exits.
    """
    try:
        with in_float64(stand_ins) if x.dtype == torch.float64 else nullcontext():
            return call_with(model, tensors, x)
    except SystemExit as cause:
        raise ModelError("the forward pass ends the program (SystemExit): remove that from the model") from cause
    except (LandscapeError, MemoryError, torch.OutOfMemoryError, torch.jit.Error):
        raise
    except Exception as cause:
        if x.device.type == "meta" or "alloc" in said_by(cause):
            raise
        raise ForwardError(f"inputs of shape {tuple(x.shape)}", cause, _in_module(model, cause)) from cause


def call_with(model: nn.Module, tensors: Params, x: Tensor) -> Any:
    """Return what a model computes with other tensors than its own, which stay what they are; errors are its own.

    What modules make of these tensors and keep for later calls, which may bring others, is forgotten.
    """
    # Given a module's tensors under a second name too, PyTorch would leave the new ones behind.
    modules = dict(model.named_modules())
    once = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[0] in modules}
    states = [module.__dict__ for module in modules.values() if not isinstance(module, SCRIPTED)]
    before = [(state, _kept(state)) for state in states]
    try:
        return functional_call(model, once, (x,), tie_weights=False)
    finally:
        for state, kept in before:
            _restore(state, kept)


def _kept(state: Mapping[str, Any]) -> dict[str, tuple[Any, dict[Any, Any]]]:
    """Return what a module keeps beside its tensors and modules; of dictionaries also what is in them."""
    own = [(name, value) for name, value in state.items() if name not in OF_MODULES]
    return {name: (value, dict(value) if isinstance(value, dict) else {}) for name, value in own}


def _restore(state: dict[str, Any], kept: Mapping[str, tuple[Any, dict[Any, Any]]]) -> None:
    """Put what a module keeps back to what it was, if there are tensors where there was nothing."""
    own = [name for name in state if name not in OF_MODULES]
    if not any(_has_more(state[name], *kept.get(name, (None, {}))) for name in own):
        return
    for name in own:
        del state[name]
    for name, (value, entries) in kept.items():
        state[name] = value
        if isinstance(value, dict):
            value.clear()
            value.update(entries)


def _has_more(value: Any, before: Any, entries: Mapping[Any, Any]) -> bool:
    if isinstance(value, dict):
        return any(isinstance(entry, Tensor) and key not in entries for key, entry in value.items())
    return isinstance(value, Tensor) and before is None


def _in_module(model: nn.Module, error: BaseException) -> str:
    """Return in which module an error was raised, in words; nothing if that is not known."""
    names = {id(module): name for name, module in model.named_modules() if name}
    innermost = ""
    for frame, _ in walk_tb(error.__traceback__):
        innermost = names.get(id(frame.f_locals.get("self")), innermost)
    return f" in {shown(innermost)}" if innermost else ""


@contextmanager
def errors_of_forward(inputs: str = "random inputs") -> Iterator[None]:
    """Run a forward pass, code of others, whose errors become one line.

    Raises:
        ForwardError: if it fails on such inputs.
    """
    try:
        yield
    except ForwardError as error:
        raise ForwardError(inputs, error.reason, error.where) from error.reason
    except (LandscapeError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as cause:
        raise ForwardError(inputs, cause) from cause


def parameter_owners(model: nn.Module) -> dict[str, str]:
    """Return for every name of a parameter the first one it has: modules may share one."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(p), name) for name, p in model.named_parameters(remove_duplicate=False)}


def unsaved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that the `state_dict` leaves out (`persistent=False`), by name: fixed tables, masks, scales.

    They belong to the model, not to a checkpoint.
    """
    saved = model.state_dict().keys()
    return {
        name: buffer
        for prefix, module in model.named_modules()
        for name, buffer in module.named_buffers(prefix, recurse=False, remove_duplicate=False)
        if name not in saved
    }


def cast_floats(tensors: Params, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """Return tensors on `device`, those of floating-point in `dtype`; as they are, not copied, where they are so."""
    return {
        name: tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)
        for name, tensor in tensors.items()
    }


def float_type(params: Params) -> torch.dtype:
    """Return the type that a network computes in: that of its first floating-point tensor; float32 if it has none."""
    return next((tensor.dtype for tensor in params.values() if tensor.is_floating_point()), torch.float32)


def working_type(params: Params) -> torch.dtype:
    """Return the type that gradients and statistics are computed in: float32, or float64 if a tensor is in that."""
    kind = torch.float32
    for tensor in params.values():
        kind = torch.promote_types(kind, tensor.dtype) if tensor.is_floating_point() else kind
    return kind


def as_inputs(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return inputs as a network of such a type takes them: in its type, or, where they are whole numbers, as int64.

    Bytes and bits are numbers to calculate with, and come in the network's type.
    """
    return x.to(torch.int64 if x.dtype in INTEGER_INPUTS else dtype)


def readable(model: nn.Module, x: Tensor) -> Tensor:
    """Return inputs as they are, but for whole numbers that the model cannot read as such: those as float32.

    Args:
        model: in evaluation mode, with values of its own on some device, which do not matter.
        x: inputs, shape (n, *input_shape).
    """
    if x.dtype not in INTEGER_INPUTS:
        return x
    parameter = next((p for p in model.parameters() if p.is_floating_point()), x.new_empty(0).float())
    examples = x[:2].to(parameter.device)
    try:
        with torch.no_grad():
            run_with(model, {}, examples.long())
    except ForwardError:
        with suppress(ForwardError), torch.no_grad():
            run_with(model, {}, examples.to(parameter.dtype))
            return x.float()
    return x
