"""The end of a run: checks of what came out, and all that was learned put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Any

import numpy as np
import torch

from landscape_cli.errors import ModelError, TraceError, listed
from landscape_cli.forward.outputs import all_outputs
from landscape_cli.symmetry.tracing.graph import Graph
from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.record import BatchNorm, Traced
from landscape_cli.symmetry.tracing.tensors import TensorTable
from landscape_cli.symmetry.tracing.weights import WeightTracker


class Notes:
    """What the user should be told of what was not understood; errors, if asked for."""

    def __init__(self, strict: bool) -> None:
        """Start with none."""
        self.texts: list[str] = []
        self._strict = strict

    def add(self, problem: str, remedy: str) -> None:
        """Note a problem, and what is done about it.

        Raises:
            TraceError: if notes are to be errors.
        """
        if self._strict:
            raise TraceError(f"{problem}, and strict was asked for: without, {remedy}")
        self.texts.append(f"{problem}: {remedy}")


def finish(output: Any, tensors: TensorTable, weights: WeightTracker, notes: Notes, graph: Graph) -> Traced:
    """Check a model's outputs and the use of its tensors, and return all that was learned.

    Raises:
        TraceError: if the output is not tensors made from the input, or the data of parameters were replaced; if notes
            are errors, also if a parameter was not used.
    """
    parameters = tensors.parameters
    parameters.check_data()
    outputs = _outputs(output, tensors)
    unused = tensors.fix_unused()
    if unused:
        names = listed(map(repr, unused), most=1)
        notes.add(f"the forward pass never uses the tensor {names}", "what is not used is fixed")
    statistics = {name for norm in parameters.batch_norms for name in (norm.mean, norm.variance)}
    followers = parameters.made | statistics
    _hold_buffers(tensors, parameters.learned | followers)
    tensors.equations.settle_conditional()
    weights.set_roles()
    graph.finish(all_outputs(output), parameters.runs)
    return Traced(
        labels=tensors.labels,
        equations=tensors.equations,
        parameters=parameters.runs,
        roles=parameters.roles,
        weights=frozenset(weights.names),
        aliases=parameters.aliases,
        shapes=parameters.shapes,
        learned=parameters.learned,
        followers=followers | parameters.zero_one,
        seen=tensors.seen,
        outputs=outputs,
        batch_norms=_exclusive_batch_norms(tensors),
        masks=parameters.exclusive_masks(),
        tables=parameters.exclusive_tables(),
        notes=tuple(dict.fromkeys(notes.texts)),
        graph=graph,
        stacks=parameters.cuts.stacks_seen(weights.names, tensors.labels),
        cuts=parameters.stacks,
        joint=parameters.cuts.joint,
    )


def _outputs(output: Any, tensors: TensorTable) -> list[Value]:
    """Return what is known of the outputs, which are fixed."""
    try:
        outputs = all_outputs(output)
    except ModelError as problem:
        raise TraceError(str(problem)) from problem
    if outputs[0] in tensors.parameters or not tensors.is_known(outputs[0]):
        raise TraceError("the model's output does not depend on its input")
    values = [tensors.value(tensor) for tensor in outputs]
    [tensors.equations.output] = tensors.equations.variables("", (), tensors.labels.slots(1, "output"))
    for value in values:
        for layer in value.labels:
            tensors.labels.fix(layer.numpy(), "output")
        rank = len(value.shape)
        tensors.equations.equate("sign", value.sign, rank=rank)
        common = torch.full([1] * rank, tensors.equations.output)
        tensors.equations.equate("scale", value.scale, ((common, 1),), rank=rank)
    return values


def _hold_buffers(tensors: TensorTable, others: Container[str]) -> None:
    """State that buffers, but for others, have the scale and sign 1 where no unit moves: of inputs, of everything.

    What normalises inputs, or divides outputs, is a constant; those of hidden units go with them.
    """
    labels = tensors.labels
    for block in list(tensors.equations.blocks):
        if not block.tensor or block.tensor in others:
            continue
        columns = labels.resolve(block.owners)
        moving = np.any([(column >= 0) & (labels.why_fixed(column) <= 0) for column in columns], axis=0)
        for kind in ("scale", "sign"):
            tensors.equations.equate(kind, ((torch.from_numpy(block.variables[~moving]), 1),), rank=1)


def _exclusive_batch_norms(tensors: TensorTable) -> list[BatchNorm]:
    """Return the batch-norms whose tensors nothing else uses, which is needed to make up for their epsilon.

    The statistics of the others have the scale 1.
    """
    parameters = tensors.parameters
    exclusive = []
    for norm, times in Counter(parameters.batch_norms).items():
        names = [name for name in (norm.mean, norm.variance, norm.gain) if name]
        alike = len({parameters.shapes.get(name) for name in names}) == 1
        if alike and all(parameters.uses[name] == times for name in names):
            exclusive.append(norm)
            continue
        for name in (norm.mean, norm.variance):
            tensors.equations.equate("scale", tensors.parameter_value(name).scale, rank=1)
    return exclusive
