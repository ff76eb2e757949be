"""The whole state of training as named tensors and plain facts, to be saved and taken up again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.errors import TrainingError
from landscape_cli.samplers.context import StepContext
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.records import EpochRecord
from landscape_cli.samplers.sampler import Phase

TUPLES = ("replica_errors", "replica_distances")
SAMPLER = "method."
"""What names of the sampler's tensors begin with."""


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Where training stands.

    Attributes:
        tensors: the stack (in a subspace the coordinates), its buffers, the optimiser's and the sampler's, and the sums
            over the epoch so far.
        facts: phase, epoch, step, which runs are active or diverged, and the records so far, as JSON values.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    facts: Mapping[str, Any]


def state_of(loop: Loop, earlier: list[EpochRecord]) -> TrainingState:
    """Return copies of all that the loop needs to go on, and the records of the phases before it."""
    context = loop.context
    tensors = _targets(context) | {f"{SAMPLER}{name}": tensor for name, tensor in context.state.items()}
    for prefix, parameter in _parameters(context):
        for key, value in context.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{key}"] = value
    facts = {
        "phase": context.phase,
        "epoch": context.epoch,
        "step": context.step,
        "active": list(context.active),
        "diverged": list(loop.diverged),
        "records": [asdict(record) for record in (*earlier, *loop.records)],
    }
    if loop.sampler.revision != 1:
        facts["revision"] = loop.sampler.revision
    return TrainingState({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, facts)


def restore(loop: Loop, state: TrainingState) -> None:
    """Put a loop where it stood when `state` was taken; records are left to the caller.

    Raises:
        TrainingError: if the state is not of such a training.
    """
    tensors, facts, context = state.tensors, state.facts, loop.context
    weights, runs = context.stack.weights, context.stack.runs
    if facts.get("revision", 1) != loop.sampler.revision:
        name = type(loop.sampler).__name__
        raise TrainingError(f"the saved state is of another version, whose {name} trains otherwise: remove it")
    for name, target in _targets(context).items():
        saved = tensors.get(name)
        if saved is None or saved.shape != target.shape or saved.dtype != target.dtype:
            raise TrainingError(f"the saved state does not fit this training ({name}): remove it to begin anew")
        target.copy_(saved)
    if context.confined is not None:
        context.confined.place(range(runs))
    context.state = {  # strengths and counts stay on the CPU, where they are read
        name: tensor.clone().to(weights.device if tensor.shape == weights.shape else "cpu")
        for name, tensor in _under(SAMPLER, tensors)
    }
    for prefix, parameter in _parameters(context):
        moments = {key: _as(tensor.to(weights.device), parameter) for key, tensor in _under(prefix, tensors)}
        if moments:
            context.optimizer.state[parameter] = moments
    try:
        context.epoch, context.step = int(facts["epoch"]), int(facts["step"])
        context.active, loop.diverged = list(map(bool, facts["active"])), list(map(bool, facts["diverged"]))
    except (KeyError, TypeError, ValueError) as cause:
        raise TrainingError(f"the saved state is malformed ({cause!r}): remove it to begin anew") from cause
    if len(context.active) != runs or len(loop.diverged) != runs:
        raise TrainingError(f"the saved state is of {len(context.active)} runs, not {runs}: remove it to begin anew")


def records_of(state: TrainingState) -> list[EpochRecord]:
    """Return the records of all epochs before the state.

    Raises:
        TrainingError: if they are malformed.
    """
    try:
        records: list[dict[str, Any]] = state.facts["records"]
        return [EpochRecord(**record | {key: tuple(record[key]) for key in TUPLES}) for record in records]
    except (KeyError, TypeError, AttributeError) as cause:
        raise TrainingError(f"the saved state is malformed ({cause!r}): remove it to begin anew") from cause


def last_epochs(state: TrainingState, phases: Sequence[Phase], seeds: Sequence[int]) -> dict[int, int]:
    """Return the last epoch of the last phase after which each run had a network, by its seed.

    It is 0 for runs that have just begun, -1 for runs that never had one; no run is there before the last phase.

    Raises:
        TrainingError: if the state is malformed.
    """
    if state.facts.get("phase") != len(phases) - 1:
        return {}
    epochs = dict.fromkeys(seeds, 0)
    for record in records_of(state):
        if record.phase == phases[-1].name:
            epochs[record.seed] = record.epoch
    try:
        return {seed: epochs[seed] - bool(lost) for seed, lost in zip(seeds, state.facts["diverged"], strict=True)}
    except (KeyError, TypeError, ValueError) as cause:
        raise TrainingError(f"the saved state is malformed ({cause!r}): remove it to begin anew") from cause


def _targets(context: StepContext) -> dict[str, Tensor]:
    """Return what every training has, by its name in the state."""
    tensors = {"loop.loss_sum": context.loss_sum, "loop.wrong": context.wrong}
    if context.confined is None:
        tensors["stack.weights"] = context.stack.weights
    else:
        tensors |= {f"subspace.{k}": z.detach() for k, z in enumerate(context.confined.coordinates)}
    return tensors | {f"buffer.{name}": buffer for name, buffer in context.stack.buffers.items()}


def _parameters(context: StepContext) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield what names of the optimiser's tensors begin with, and whose they are."""
    for k, parameters in enumerate(context.trained):
        for number, parameter in enumerate(parameters):
            yield f"optimizer.{k}.{number}.", parameter


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors whose names begin with a prefix, and the rest of their names."""
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), tensor


def _as(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """Return a copy of a tensor of the optimiser's that lies in memory as its parameter does."""
    if tensor.shape != parameter.shape:
        return tensor.clone()
    laid_out = torch.empty_strided(parameter.shape, parameter.stride(), dtype=tensor.dtype, device=tensor.device)
    return laid_out.copy_(tensor)
