"""Several networks of one model as the rows of one matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.models import build_model

ALIGNMENT = 16
"""Parameters begin at multiples of so many numbers, 64 bytes: kernels then treat each row as they would alone."""


class Stack:
    """Networks of one model, so many runs of so many replicas, whose parameters are views of the rows of one matrix.

    So an optimiser step is one call, and a coupling between replicas one small matrix product. The replicas of a run
    are neighbours.

    Attributes:
        replicas: how many networks a run has.
        weights: the parameters, shape (networks, places), float32; places that are no parameter are zero.
        gradients: the same shape; each network's backward pass accumulates into its row.
        rows: the rows of `weights`, each a leaf whose `grad` is its row of `gradients`.
        networks: the modules, in training mode.
        buffers: what the modules keep besides parameters, by name, shape (networks, *shape).
    """

    def __init__(self, spec: ModelSpec, initial: Sequence[Params], device: torch.device, *, replicas: int = 1) -> None:
        self.replicas = replicas
        self.networks: list[nn.Module] = [
            build_model(spec, {name: tensor.clone().to(device) for name, tensor in params.items()}).train()
            for params in initial
        ]
        self._places: list[tuple[str, int, torch.Size]] = []
        size = 0
        for name, parameter in self.networks[0].named_parameters():
            self._places.append((name, size, parameter.shape))
            size += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        self.weights = torch.zeros(len(self.networks), size, device=device)
        self.gradients = torch.zeros_like(self.weights)
        self.rows = list(self.weights.unbind())
        for row, gradient, network in zip(self.rows, self.gradients.unbind(), self.networks, strict=True):
            parameters = dict(network.named_parameters())
            for name, start, shape in self._places:
                parameter = parameters[name]
                view = _shaped(row, start, shape)
                view.copy_(parameter.detach())
                parameter.data = view
                parameter.requires_grad_(True)
                parameter.grad = _shaped(gradient, start, shape)
        self.buffers = {
            name: torch.stack([network.get_buffer(name) for network in self.networks])
            for name, _ in self.networks[0].named_buffers()
        }
        for name, stacked in self.buffers.items():
            path, _, own = name.rpartition(".")
            for network, buffer in zip(self.networks, stacked, strict=True):
                network.get_submodule(path).register_buffer(own, buffer, own not in _unsaved(network, path))

    @property
    def runs(self) -> int:
        """How many independent runs there are."""
        return len(self.networks) // self.replicas

    def members(self, run: int) -> slice:
        """Return which rows are the replicas of a run."""
        return slice(run * self.replicas, (run + 1) * self.replicas)

    def activate(self, active: Sequence[bool]) -> None:
        """Let the optimiser move the runs that are `active`, and no other."""
        for k, row in enumerate(self.rows):
            row.grad = self.gradients[k] if active[k // self.replicas] else None

    def views(self, matrix: Tensor) -> dict[str, Tensor]:
        """View a matrix shaped as `weights` as parameters by name, shape (networks, *shape)."""
        return {name: _shaped(matrix, start, shape) for name, start, shape in self._places}

    def params(self, k: int, row: Tensor | None = None) -> Params:
        """Return a copy of network k; with `row`, of a network with these parameters and k's buffers."""
        tensors = dict(self.networks[k].state_dict())
        if row is not None:
            # A parameter that goes by several names is a view of the same places under each.
            places = {self.weights[k, start:].data_ptr(): (start, shape) for _, start, shape in self._places}
            for name, tensor in self.networks[k].state_dict(keep_vars=True).items():
                if isinstance(tensor, nn.Parameter):
                    tensors[name] = _shaped(row, *places[tensor.data_ptr()])
        return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}

    def centre(self, run: int = 0) -> Params:
        """Return the mean of a run's replicas, running statistics included; of one network, that network.

        Whole numbers, such as counts of batches, are those of the first network.
        """
        members = range(*self.members(run).indices(len(self.networks)))
        copies = [self.params(k) for k in members]
        if len(copies) == 1:
            return copies[0]
        return {
            name: torch.stack([copy[name].double() for copy in copies]).mean(0).to(tensor.dtype)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in copies[0].items()
        }

    def distances(self, run: int = 0) -> Tensor:
        """Return the squared distance of each of a run's replicas from their centre, shape (replicas,), float64."""
        own = self.weights[self.members(run)]
        return (own - own.mean(0)).square_().sum(1, dtype=torch.float64)

    def spread(self, run: int = 0) -> float:
        """Return the mean squared distance of a run's replicas from their centre."""
        return float(self.distances(run).mean())


def _unsaved(network: nn.Module, path: str) -> set[str]:
    return network.get_submodule(path)._non_persistent_buffers_set


def _shaped(matrix: Tensor, start: int, shape: torch.Size) -> Tensor:
    """View a piece of the last axis as a parameter; filters with their channels last in memory."""
    flat = matrix[..., start : start + shape.numel()]
    ahead = matrix.shape[:-1]
    if len(shape) != 4:
        return flat.view(*ahead, *shape)
    out, channels, height, width = shape
    return flat.view(*ahead, out, height, width, channels).movedim(-1, -3)
