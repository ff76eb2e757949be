"""The gradient of the loss over a whole split, in evaluation mode."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.functional import (
    as_inputs,
    cast_floats,
    errors_of_forward,
    parameter_owners,
    run_with,
    unsaved_buffers,
    working_type,
)
from landscape_cli.network import Params

BATCHES_OF_EVALUATOR = 2
"""A graph that is differentiated holds about twice what an evaluation needs of a sample."""


def loss_gradient(evaluator: Evaluator, params: Params, names: Sequence[str], split: str) -> dict[str, Tensor]:
    """Return the gradient of the mean loss by some tensors, summed over batches in float64.

    Args:
        evaluator: of the model; it has the data, the size of batches and the progress.
        params: the network, which the model fits; its batch-norm statistics are constants.
        names: the tensors to differentiate by; one that goes by several names has the gradient under each.
        split: the name of the split of the evaluator's that the loss is of.

    Returns:
        By name, of the tensors' shapes, in float64 on the evaluator's device.
    """
    model, data, objective = evaluator.model.eval(), evaluator.splits[split], evaluator.objective
    owners = parameter_owners(model)
    network, leaves, kind = differentiable(evaluator, params, names)
    total = {owner: torch.zeros(leaf.shape, dtype=torch.float64, device=leaf.device) for owner, leaf in leaves.items()}
    size = max(1, evaluator.batch_size // BATCHES_OF_EVALUATOR)
    for x, y in zip(data.x.split(size), data.y.split(size), strict=True):
        with torch.enable_grad(), errors_of_forward("the samples, with gradients"):
            loss = objective.loss_sum(objective.outputs(run_with(model, network, as_inputs(x, kind))), y)
            if loss.requires_grad:
                slopes = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
                for owner, slope in zip(leaves, slopes, strict=True):
                    if slope is not None:
                        total[owner] += slope
        if evaluator.advance is not None:
            evaluator.advance(len(y))
    return {name: total[owners.get(name, name)] / objective.count(data.y) for name in names}


def differentiable(
    evaluator: Evaluator, params: Params, names: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor], torch.dtype]:
    """Return a network whose loss can be differentiated by some tensors, on the evaluator's device.

    Args:
        evaluator: of the model.
        params: the network, which stays what it is.
        names: the tensors to differentiate by.

    Returns:
        The network, with the model's unsaved buffers, a tensor of several names being one; the tensors to differentiate
        by, by the first name of each; and the type that both are in: float32, or float64 if any tensor is.
    """
    owners, kind = parameter_owners(evaluator.model), working_type(params)
    network = cast_floats(unsaved_buffers(evaluator.model) | dict(params), kind, evaluator.device)
    network = {name: tensor.detach().contiguous() for name, tensor in network.items()}
    first = dict.fromkeys(owners.get(name, name) for name in names)
    leaves = {name: network[name].clone().requires_grad_(True) for name in first}
    network |= leaves
    return network | {name: network[owner] for name, owner in owners.items()}, leaves, kind
