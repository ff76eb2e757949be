"""Binary networks to try."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.symmetry import Symmetry
from tests.support.cases import moved
from tests.support.traced import symmetry_of

SPECS = {
    "perceptron": ModelSpec("binary-perceptron", {}, (21,), 1),
    "perceptron, even": ModelSpec("binary-perceptron", {}, (3, 4), 4),
    "committee": ModelSpec("committee", {"hidden": 9}, (41,), 1),
    "committee, even": ModelSpec("committee", {"hidden": 8}, (40,), 1),
    "mlp": ModelSpec("binary-mlp", {"hidden": [15, 11]}, (25,), 3),
    "mlp, one layer": ModelSpec("binary-mlp", {"hidden": [13]}, (1, 5, 6), 1),
    "mlp, three layers": ModelSpec("binary-mlp", {"hidden": [17, 13, 11]}, (20,), 4),
    "mlp, even": ModelSpec("binary-mlp", {"hidden": [14, 10]}, (30,), 3),
    "mlp, even first": ModelSpec("binary-mlp", {"hidden": [16, 11]}, (23,), 2),
    "mlp, even last": ModelSpec("binary-mlp", {"hidden": [15, 12]}, (23,), 2),
    "conv, 28": ModelSpec("binary-conv", {"filters": [5, 7], "hidden": [15, 11]}, (1, 28, 28), 4),
    "conv, 32": ModelSpec("binary-conv", {"filters": [7, 5], "hidden": [13, 9]}, (3, 32, 32), 10),
    "conv, even": ModelSpec("binary-conv", {"filters": [4, 6], "hidden": [12, 9]}, (2, 18, 20), 2),
}
NO_SIGNS = ["perceptron", "perceptron, even", "committee", "committee, even", "conv, even"]


@dataclass
class Binary:
    """A binary network, its symmetry and a batch of inputs."""

    model: nn.Module
    params: dict[str, Tensor]
    symmetry: Symmetry
    inputs: Tensor

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        """Return the outputs of `params` on the inputs."""
        return torch.func.functional_call(self.model, dict(params), (self.inputs,))

    def moved(self, seed: int) -> dict[str, Tensor]:
        """Return the network permuted and flipped at random."""
        return moved(self.params, self.symmetry, seed)


def make_binary(name: str, seed: int = 0, dtype: torch.dtype = torch.float32, samples: int = 40) -> Binary:
    """Return a network with latent weights drawn from a seed."""
    spec = SPECS[name]
    model = create_model(spec, seed=seed, dtype=dtype).eval().requires_grad_(False)
    inputs = torch.randn(samples, *spec.input_shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    symmetry = symmetry_of(str(spec), model, torch.zeros(2, *spec.input_shape, dtype=dtype))
    return Binary(model, {k: t.clone() for k, t in model.state_dict().items()}, symmetry, inputs.to(dtype))


def same_signs(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Tell whether two networks are the same, +1 for zero."""
    return all(torch.equal(a[key] >= 0, b[key] >= 0) for key in a)
