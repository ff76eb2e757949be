"""The whole state of training as named tensors and plain facts, to be saved and taken up again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.errors import TrainingError
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.records import EpochRecord

TUPLES = ("replica_errors", "replica_distances")


@dataclass(frozen=True)
class State:
    """Where training stands.

    Attributes:
        tensors: the stack, its buffers, the optimiser's and the method's, and the sums over the epoch so far.
        facts: phase, epoch, step, which runs are active or diverged, and the records so far, as JSON values.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def state_of(loop: Loop, earlier: list[EpochRecord]) -> State:
    """Return copies of all that the loop needs to go on, and the records of the phases before it."""
    stack = loop.stack
    tensors = {"stack.weights": stack.weights, "loop.loss_sum": loop.loss_sum, "loop.wrong": loop.wrong}
    tensors |= {f"buffer.{name}": buffer for name, buffer in stack.buffers.items()}
    tensors |= {f"method.{name}": tensor for name, tensor in loop.method.state.items()}
    for place, parameter in _places(loop):
        for key, value in loop.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{place}{key}"] = value
    facts = {
        "phase": loop.phase,
        "epoch": loop.epoch,
        "step": loop.step,
        "active": list(loop.active),
        "diverged": list(loop.diverged),
        "records": [asdict(record) for record in (*earlier, *loop.records)],
    }
    return State({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, facts)


def restore(loop: Loop, state: State) -> None:
    """Put a loop where it stood when `state` was taken; records are left to the caller.

    Raises:
        TrainingError: if the state is not of such a training.
    """
    tensors, facts = state.tensors, state.facts
    stack, device = loop.stack, loop.stack.weights.device
    targets = {"stack.weights": stack.weights, "loop.loss_sum": loop.loss_sum, "loop.wrong": loop.wrong}
    targets |= {f"buffer.{name}": buffer for name, buffer in stack.buffers.items()}
    for name, target in targets.items():
        found = tensors.get(name)
        if found is None or found.shape != target.shape or found.dtype != target.dtype:
            raise TrainingError(f"the saved state does not fit this training ({name}): remove it to begin anew")
        target.copy_(found)
    loop.method.state = {
        name.removeprefix("method."): tensor.clone().to(_home(name, device))
        for name, tensor in tensors.items()
        if name.startswith("method.")
    }
    for place, parameter in _places(loop):
        own = {
            name.removeprefix(place): _as(tensor.to(device), parameter)
            for name, tensor in tensors.items()
            if name.startswith(place)
        }
        if own:
            loop.optimizer.state[parameter] = own
    try:
        loop.epoch, loop.step = int(facts["epoch"]), int(facts["step"])
        loop.active, loop.diverged = list(map(bool, facts["active"])), list(map(bool, facts["diverged"]))
    except (KeyError, TypeError, ValueError) as cause:
        raise TrainingError(f"the saved state is malformed ({cause!r}): remove it to begin anew") from cause
    if len(loop.active) != stack.runs or len(loop.diverged) != stack.runs:
        raise TrainingError(f"the saved state is of {len(loop.active)} runs, not {stack.runs}: remove it to begin anew")


def records_of(state: State) -> list[EpochRecord]:
    """Return the records of all epochs before the state.

    Raises:
        TrainingError: if they are malformed.
    """
    try:
        found: list[dict[str, Any]] = state.facts["records"]
        return [EpochRecord(**record | {key: tuple(record[key]) for key in TUPLES}) for record in found]
    except (KeyError, TypeError, AttributeError) as cause:
        raise TrainingError(f"the saved state is malformed ({cause!r}): remove it to begin anew") from cause


def _home(name: str, device: torch.device) -> torch.device:
    """Strengths and counts stay on the CPU, where they are read."""
    return torch.device("cpu") if name in {"method.gamma", "method.epochs"} else device


def _places(loop: Loop) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield what names of the optimiser's tensors begin with, and whose they are."""
    for k, parameters in enumerate(loop.stack.parameters):
        for number, parameter in enumerate(parameters):
            yield f"optimizer.{k}.{number}.", parameter


def _as(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """Return a copy of a tensor of the optimiser's that lies in memory as its parameter does."""
    if tensor.shape != parameter.shape:
        return tensor.clone()
    laid_out = torch.empty_strided(parameter.shape, parameter.stride(), dtype=tensor.dtype, device=tensor.device)
    return laid_out.copy_(tensor)
