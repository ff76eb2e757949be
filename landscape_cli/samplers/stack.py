"""Several networks of one model as the rows of one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from landscape_cli.binary.layers import latent_names
from landscape_cli.models import build_model
from landscape_cli.network import ModelSpec, Params

ALIGNMENT = 16
"""Parameters begin at multiples of so many numbers, 64 bytes: kernels then treat each row as they would alone."""


class Stack:
    """Networks of one model, so many runs of so many replicas, whose parameters are views of the rows of one matrix.

    So an optimiser step is one call, and a coupling between replicas one small matrix product. The replicas of a run
    are neighbours.

    Attributes:
        replicas: how many networks a run has.
        weights: the parameters, shape (networks, entries), of one dtype; entries of no parameter are zero.
        gradients: the same shape; after `collect`, each network's backward pass accumulates into its row.
        networks: the modules, in training mode.
        parameters: of each network, views of its row, in their order there.
        buffers: what the modules keep besides parameters, by name, shape (networks, *shape).
    """

    def __init__(
        self,
        spec: ModelSpec,
        initial: Sequence[Params],
        device: torch.device,
        *,
        replicas: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.replicas = replicas
        self.networks: list[nn.Module] = [
            build_model(spec, {name: tensor.clone().to(device) for name, tensor in params.items()}).train()
            for params in initial
        ]
        self._layout: list[tuple[str, int, torch.Size]] = []
        size = 0
        for name, parameter in self.networks[0].named_parameters():
            self._layout.append((name, size, parameter.shape))
            size += -(-parameter.numel() // ALIGNMENT) * ALIGNMENT
        self.weights = torch.zeros(len(self.networks), size, device=device, dtype=dtype)
        self.gradients = torch.zeros_like(self.weights)
        latent = set(latent_names(self.networks[0]))
        latent_views = {name: view for name, view in self.views(self.weights).items() if name in latent}
        self._latents = [self.weights] if len(latent_views) == len(self._layout) else list(latent_views.values())
        self.parameters: list[list[nn.Parameter]] = []
        for row, network in zip(self.weights, self.networks, strict=True):
            named = dict(network.named_parameters())
            for name, start, shape in self._layout:
                view = _shaped(row, start, shape)
                view.copy_(named[name].detach())
                named[name].data = view
                named[name].requires_grad_(True)
            self.parameters.append([named[name] for name, _, _ in self._layout])
        self.buffers = {
            name: torch.stack([network.get_buffer(name) for network in self.networks])
            for name, _ in self.networks[0].named_buffers()
        }
        for name, stacked in self.buffers.items():
            path, _, last = name.rpartition(".")
            for network, buffer in zip(self.networks, stacked, strict=True):
                module = network.get_submodule(path)
                module.register_buffer(last, buffer, last not in module._non_persistent_buffers_set)

    @property
    def runs(self) -> int:
        """How many independent runs there are."""
        return len(self.networks) // self.replicas

    def members(self, run: int) -> slice:
        """Return which rows are the replicas of a run."""
        return slice(run * self.replicas, (run + 1) * self.replicas)

    def collect(self, k: int) -> None:
        """Let the gradients of network k be its row of `gradients`."""
        for parameter, (_, start, shape) in zip(self.parameters[k], self._layout, strict=True):
            parameter.grad = _shaped(self.gradients[k], start, shape)

    def drop(self, k: int) -> None:
        """Let network k have no gradients: a backward pass makes new ones, and an optimiser leaves it alone."""
        for parameter in self.parameters[k]:
            parameter.grad = None

    def keep_layout(self, k: int) -> None:
        """Lay gradients of network k out in memory as its parameters are, where a backward pass made others.

        A fused optimiser goes through both as they lie.
        """
        for parameter, (_, start, shape) in zip(self.parameters[k], self._layout, strict=True):
            gradient = parameter.grad
            if gradient is not None and gradient.stride() != parameter.stride():
                parameter.grad = _shaped(self.gradients[k], start, shape)
                parameter.grad.copy_(gradient)

    def clip(self) -> None:
        """Bring latent weights of binary layers back into [-1, 1], where their gradients pass."""
        for latents in self._latents:
            latents.clamp_(-1, 1)

    def views(self, matrix: Tensor) -> dict[str, Tensor]:
        """View a matrix shaped as `weights` as parameters by name, shape (networks, *shape)."""
        return {name: _shaped(matrix, start, shape) for name, start, shape in self._layout}

    @property
    def size(self) -> int:
        """How many numbers the parameters of a network are, shared ones counted once."""
        return sum(shape.numel() for _, _, shape in self._layout)

    def lay_out(self, vector: Tensor, gap: float) -> Tensor:
        """Return one number a weight, in the order of the `state_dict`, as a row; `gap` where there is no weight."""
        row = vector.new_full(self.weights.shape[1:], gap)
        pieces = vector.split([shape.numel() for _, _, shape in self._layout])
        for piece, (_, start, shape) in zip(pieces, self._layout, strict=True):
            _shaped(row, start, shape).copy_(piece.view(shape))
        return row

    @cached_property
    def occupied(self) -> Tensor:
        """1 where a row has a parameter, 0 between them, shape (entries,)."""
        return self.lay_out(self.weights.new_ones(self.size), 0.0)

    def scale(self, factor: float) -> None:
        """Multiply all parameters."""
        if factor != 1:
            self.weights.mul_(factor)
            self.clip()

    def params(self, k: int, row: Tensor | None = None) -> Params:
        """Return a copy of network k; with `row`, of a network with these parameters and k's buffers."""
        tensors = dict(self.networks[k].state_dict())
        if row is not None:
            # A parameter that goes by several names is a view of the same entries under each.
            spans = {self.weights[k, start:].data_ptr(): (start, shape) for _, start, shape in self._layout}
            for name, tensor in self.networks[k].state_dict(keep_vars=True).items():
                if isinstance(tensor, nn.Parameter):
                    tensors[name] = _shaped(row, *spans[tensor.data_ptr()])
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
        rows = self.weights[self.members(run)]
        return (rows - rows.mean(0)).square_().sum(1, dtype=torch.float64)

    def spread(self, run: int = 0) -> float:
        """Return the mean squared distance of a run's replicas from their centre."""
        return float(self.distances(run).mean())


def _shaped(matrix: Tensor, start: int, shape: torch.Size) -> Tensor:
    """View a piece of the last axis as a parameter; filters with their channels last in memory."""
    flat = matrix[..., start : start + shape.numel()]
    ahead = matrix.shape[:-1]
    if len(shape) != 4:
        return flat.view(*ahead, *shape)
    out, channels, height, width = shape
    return flat.view(*ahead, out, height, width, channels).movedim(-1, -3)
