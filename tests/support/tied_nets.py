"""Networks with groups that wait for each other, as heads and units that all heads have in common."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry import Symmetry
from tests.support.traced import symmetry_of


class SharedVector(nn.Module):
    """Graph attention by one vector for all heads: nothing tells heads before units, or units before heads."""

    shape = (5, 6)

    def __init__(self, heads: int = 8, units: int = 8) -> None:
        super().__init__()
        self.sizes = heads, units
        self.weight, self.out = nn.Linear(6, heads * units), nn.Linear(heads * units, 3)
        self.vector = nn.Parameter(torch.randn(units))

    def forward(self, x: Tensor) -> Tensor:
        x = self.weight(x).unflatten(2, self.sizes)
        attention = (F.leaky_relu(x, 0.2) * self.vector).sum(3).softmax(1)
        return self.out((attention[..., None] * x).sum(1).flatten(1))


class Capsules(nn.Module):
    """Capsules: axes of three groups on one tensor that no input fixes, and signs of each."""

    shape = (9,)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.votes = nn.Linear(9, 5 * 4), nn.Parameter(torch.randn(5, 3, 6, 4))
        self.out = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        poses = torch.tanh(self.first(x)).unflatten(1, (5, 4))
        votes = torch.einsum("nmed,bnd->bnme", self.votes, poses).sum(1)
        return self.out(votes.square().sum(2))


class SharedGain(nn.Module):
    """Attention whose queries and keys are normalised by one gain for all heads."""

    shape = (4, 6)

    def __init__(self, heads: int = 3, units: int = 5) -> None:
        super().__init__()
        self.sizes, self.weight = (3, heads, units), nn.Linear(6, 3 * heads * units)
        self.queries, self.keys, self.out = nn.LayerNorm(units), nn.LayerNorm(units), nn.Linear(heads * units, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.weight(x).unflatten(2, self.sizes).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(self.queries(q), self.keys(k), v)
        return self.out(x.transpose(1, 2).flatten(2).mean(1))


NETS = {"vector": SharedVector, "capsules": Capsules, "gain": SharedGain}


def make(name: str, seed: int) -> tuple[dict[str, Tensor], Symmetry]:
    """Return a network of standard normal numbers, and its symmetry."""
    torch.manual_seed(seed)
    model = NETS[name]().eval().double()
    for parameter in model.parameters():
        parameter.data.normal_()
    symmetry = symmetry_of(f"tied {name}", model, torch.zeros(2, *model.shape, dtype=torch.float64))
    return {key: tensor.detach() for key, tensor in model.state_dict().items()}, symmetry
