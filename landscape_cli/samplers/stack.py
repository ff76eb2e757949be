"""Several networks of one model as the rows of one matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.models import build_model


class Stack:
    """Networks of one model whose parameters are views of the rows of one matrix.

    So an optimiser step on all of them is one call, and a coupling between them one small matrix product.

    Attributes:
        weights: the parameters, shape (networks, parameters), float32.
        gradients: the same shape; each network's backward pass accumulates into its row.
        networks: the modules, in training mode.
    """

    def __init__(self, spec: ModelSpec, initial: Sequence[Params], device: torch.device) -> None:
        networks = [build_model(spec, {n: t.clone().to(device) for n, t in params.items()}) for params in initial]
        size = sum(parameter.numel() for parameter in networks[0].parameters())
        self.weights = torch.empty(len(networks), size, device=device)
        self.gradients = torch.zeros_like(self.weights)
        self.networks: list[nn.Module] = [network.train() for network in networks]
        for network, row, gradient in zip(networks, self.weights, self.gradients, strict=True):
            start = 0
            for parameter in network.parameters():
                stop = start + parameter.numel()
                view = _shaped(row[start:stop], parameter.shape)
                view.copy_(parameter)
                parameter.data = view
                parameter.requires_grad_(True)
                parameter.grad = _shaped(gradient[start:stop], parameter.shape)
                start = stop

    def params(self, k: int) -> Params:
        """Return a copy of network k."""
        return {
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in self.networks[k].state_dict().items()
        }

    def centre(self) -> Params:
        """Return the mean of the networks, running statistics included; of one network, that network.

        Whole numbers, such as counts of batches, are those of the first network.
        """
        copies = [self.params(k) for k in range(len(self.networks))]
        if len(copies) == 1:
            return copies[0]
        return {
            name: torch.stack([copy[name].double() for copy in copies]).mean(0).to(tensor.dtype)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in copies[0].items()
        }

    def spread(self) -> float:
        """Return the mean squared distance of the networks from their centre."""
        return float((self.weights - self.weights.mean(0)).double().square().sum(1).mean())


def _shaped(flat: Tensor, shape: torch.Size) -> Tensor:
    """View a piece of a row as a parameter; filters with their channels last in memory."""
    if len(shape) != 4:
        return flat.view(shape)
    out, channels, height, width = shape
    return flat.view(out, height, width, channels).permute(0, 3, 1, 2)
