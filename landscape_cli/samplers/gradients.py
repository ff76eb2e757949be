"""The losses of a stack on mini-batches, and their gradients: a network at a time, or all in one set of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from landscape_cli.forward.functional import errors_of_forward
from landscape_cli.forward.memory import as_channels_last, largest_activation
from landscape_cli.forward.objective import Objective
from landscape_cli.samplers.stack import Stack

# On a GPU a small network is bound by the launches of its kernels, which a stack shares; a large one is not, and its
# convolutions are slower in groups. On CPUs a network at a time measured faster for every model.
LARGEST_SHARED = 16 << 20
"""Bytes of the largest activation of a mini-batch up to which networks share kernels on a GPU."""

Batch = tuple[Tensor, Tensor]
"""Inputs, shape (samples, *input_shape), and targets, shape (samples, ...)."""
Gradients = Callable[[Stack, Sequence[int], Sequence[Batch], float, Callable[[int], None]], tuple[Tensor, Tensor]]
"""Adds the gradients of `share` times each network's mean loss on its batch; returns losses and counts of wrong
decisions. Called with the stack, the indices of networks, their batches, the share, and what to call with a network's
index before its forward pass."""


def one_by_one(precision: torch.dtype, objective: Objective) -> Gradients:
    """Return the way that takes the networks one after another."""

    def gradients(
        stack: Stack, indices: Sequence[int], batches: Sequence[Batch], share: float, before: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        losses, wrong = [], []
        for k, (x, y) in zip(indices, batches, strict=True):
            before(k)
            with _cast(x.device, precision):
                outputs = objective.outputs(_forward(stack.networks[k], x)).to(stack.weights.dtype)
            loss = objective.loss(outputs, y)
            (loss if share == 1 else loss * share).backward()
            stack.keep_layout(k)
            losses.append(loss.detach())
            wrong.append(objective.wrong(outputs.detach(), y))
        return torch.stack(losses), torch.stack(wrong)

    return gradients


def together(precision: torch.dtype, objective: Objective) -> Gradients:
    """Return the way that takes all networks in one set of kernels (`torch.func.vmap`)."""

    def gradients(
        stack: Stack, indices: Sequence[int], batches: Sequence[Batch], share: float, before: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        every = len(indices) == len(stack.networks)
        rows = list(indices)
        parameters = {
            name: (view if every else view[rows]).detach().requires_grad_(True)
            for name, view in stack.views(stack.weights).items()
        }
        buffers = {name: kept if every else kept[rows] for name, kept in stack.buffers.items()}
        x = torch.stack([batch[0] for batch in batches])
        y = torch.stack([batch[1] for batch in batches])
        with _cast(x.device, precision):
            outputs = _forward_all(stack.networks[0], parameters, buffers, x, objective).to(stack.weights.dtype)
        losses = objective.losses(outputs, y)
        slopes = torch.autograd.grad(losses.sum() * share, list(parameters.values()), allow_unused=True)
        for slope, target in zip(slopes, stack.views(stack.gradients).values(), strict=True):
            if slope is not None and every:
                target.add_(slope)
            elif slope is not None:
                target.index_add_(0, torch.tensor(rows, device=target.device), slope)
        if not every:  # what was picked by numbers is a copy
            for name, kept in stack.buffers.items():
                kept[rows] = buffers[name]
        return losses.detach(), objective.wrongs(outputs.detach(), y)

    return gradients


def _forward_all(
    skeleton: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, objective: Objective
) -> Tensor:
    """Return the outputs of many networks, shape (networks, samples, ...), each on its own samples."""

    def forward(weights: dict[str, Tensor], statistics: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return objective.outputs(functional_call(skeleton, (weights, statistics), (inputs,)))

    outputs: Tensor = vmap(forward)(parameters, buffers, x)
    return outputs


def choose(
    stack: Stack, x: Tensor, batch_size: int, precision: torch.dtype, objective: Objective
) -> tuple[Gradients, bool]:
    """Return the way that suits a stack and its device, and whether it is `together`, which fills `stack.gradients`.

    It is the same for the same stack each time.

    Args:
        stack: the networks.
        x: some training inputs, at least two.
        batch_size: samples in a mini-batch.
        precision: of the forward pass.
        objective: what outputs are held against.
    """
    if x.device.type == "cpu" or len(stack.networks) == 1 or draws_at_random(stack, x):
        return one_by_one(precision, objective), False
    network = stack.networks[0]
    floats = largest_activation(network.eval(), x[:2])
    network.train()
    if 4 * batch_size * floats > LARGEST_SHARED:
        return one_by_one(precision, objective), False
    try:
        buffers = {name: kept.clone() for name, kept in stack.buffers.items()}
        with torch.no_grad():
            inputs = torch.stack([x[:2]] * len(stack.networks))
            _forward_all(stack.networks[0], stack.views(stack.weights), buffers, inputs, objective)
    except (RuntimeError, NotImplementedError, ValueError):  # what vmap cannot do: numbers read from tensors, ...
        return one_by_one(precision, objective), False
    return together(precision, objective), True


def draws_at_random(stack: Stack, x: Tensor) -> bool:
    """Tell whether the model's modules draw at random while training, as dropout does.

    Args:
        stack: the networks, which stay as they are.
        x: some training inputs, at least two.
    """
    cuda = x.device.type == "cuda"
    kept = {name: buffer[0].clone() for name, buffer in stack.buffers.items()}
    with torch.random.fork_rng(devices=[x.device] if cuda else []), torch.no_grad():
        before = torch.cuda.get_rng_state(x.device) if cuda else torch.get_rng_state()
        _forward(stack.networks[0], x[:2])
        after = torch.cuda.get_rng_state(x.device) if cuda else torch.get_rng_state()
        for name, buffer in kept.items():
            stack.buffers[name][0] = buffer
    return not torch.equal(before, after)


def _forward(network: nn.Module, x: Tensor) -> Any:
    """Return what a network, code of others, makes of inputs."""
    with errors_of_forward(f"training inputs of shape {tuple(x.shape[1:])}"):
        return network(as_channels_last(x))


def _cast(device: torch.device, precision: torch.dtype) -> torch.autocast | nullcontext[None]:
    return nullcontext() if precision is torch.float32 else torch.autocast(device.type, dtype=precision)
