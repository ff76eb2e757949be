"""Networks to try: the registry's, and what users write themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.symmetry import Symmetry, flip, permute, random_permutations, random_signs
from tests.support.traced import symmetry_of

IMAGE = (1, 28, 28)

SPECS = {
    "mlp": ModelSpec("mlp", {"hidden": [12, 9]}, (7,), 4),
    "mlp-one-layer": ModelSpec("mlp", {"hidden": [16]}, (2, 3), 3),
    "mlp-no-bias": ModelSpec("mlp", {"hidden": [8, 8, 8], "bias": False}, (5,), 3),
    "mlp-sign": ModelSpec("mlp", {"hidden": [10, 6]}, (5,), 1),
    "mlp-narrow": ModelSpec("mlp", {"hidden": [1, 3]}, (5,), 2),
    "lenet": ModelSpec("lenet", {"filters": [4, 6], "hidden": 15}, IMAGE, 10),
    "lenet-no-bias": ModelSpec("lenet", {"filters": [3, 8], "hidden": 11, "bias": False}, (3, 20, 24), 5),
    "lenet-thin": ModelSpec("lenet", {"filters": [1, 2], "hidden": 7}, IMAGE, 1),
}


class FunctionalNet(nn.Module):
    """Only functions and tensor methods, parameters held by hand, a bias added by hand."""

    input_shape = (2, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(5, 2, 3, 3))
        self.first = nn.Parameter(torch.randn(6, 5 * 4 * 4))
        self.shift = nn.Parameter(torch.randn(6))
        self.last = nn.Parameter(torch.randn(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.kernel, padding=1)
        x = F.adaptive_avg_pool2d(F.leaky_relu(x, 0.2), (4, 4))
        x = x.reshape(x.shape[0], -1) @ self.first.t() + self.shift
        return x.clamp(min=0) @ self.last


class SequentialNet(nn.Module):
    """Modules of every supported kind in an nn.Sequential, with an in-place ReLU and channels last before the end."""

    input_shape = (1, 12, 12)

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Dropout(0.5),
            nn.Identity(),
            nn.Conv2d(4, 6, 2, bias=False),
            nn.LeakyReLU(0.1),
        )
        self.head = nn.Sequential(nn.Linear(6 * 4 * 4, 7), nn.ReLU(), nn.Linear(7, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).permute(0, 2, 3, 1).flatten(1))


class Conv1dNet(nn.Module):
    """One-dimensional convolutions and a mean over time."""

    input_shape = (3, 20)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(3, 5, 3)
        self.conv2 = nn.Conv1d(5, 6, 3)
        self.out = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(self.conv1(x).relu(), 2)
        return self.out(F.avg_pool1d(self.conv2(x).relu(), 2).mean(-1))


class Conv3dNet(nn.Module):
    """Three-dimensional convolutions, pooled to one place."""

    input_shape = (1, 6, 7, 8)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 4, 2)
        self.conv2 = nn.Conv3d(4, 5, 2)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool3d(F.relu(self.conv1(x)), 2)
        return self.out(F.adaptive_avg_pool3d(F.relu(self.conv2(x)), 1).view(x.shape[0], 5))


class ResidualNet(nn.Module):
    """Residual blocks: every block's last layer writes the same stream as the first layer does."""

    input_shape = (6,)

    def __init__(self, width: int = 10, inner: int = 12, blocks: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(6, width)
        self.up = nn.ModuleList(nn.Linear(width, inner) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(inner, width) for _ in range(blocks))
        self.out = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.embed(x))
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(F.relu(up(x)))
        return self.out(F.relu(x))


CLASSES = {net.__name__: net for net in (FunctionalNet, SequentialNet, Conv1dNet, Conv3dNet, ResidualNet)}
CHAINS = [*SPECS, "FunctionalNet", "SequentialNet", "Conv1dNet", "Conv3dNet"]
ALL = [*CHAINS, "ResidualNet"]
# A unit with one input has a direction of +1 or -1 only: matching such units by cosine is a draw.
WIDE = [name for name in CHAINS if name != "mlp-narrow"]


@dataclass
class Case:
    """A network with everything that the properties need."""

    model: nn.Module
    params: dict[str, Tensor]
    symmetry: Symmetry
    inputs: Tensor

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        """Return the outputs of `params` on the inputs."""
        return torch.func.functional_call(self.model, params, (self.inputs,), tie_weights=False)


def make_case(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Case:
    """Return a network with random parameters (biases far from zero) and a batch of inputs."""
    generator = torch.Generator().manual_seed(seed)
    model, shape = make_model(name, seed)
    params = {
        key: (tensor + 0.4 * torch.randn(tensor.shape, generator=generator)).to(dtype)
        for key, tensor in model.state_dict().items()
    }
    model = model.to(dtype).eval().requires_grad_(False)
    inputs = torch.randn(16, *shape, generator=generator).to(dtype)
    return Case(model, params, symmetry_of(("case", name), model, inputs[:2]), inputs)


def make_model(name: str, seed: int = 0) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a model by its name here, and the shape of its inputs."""
    if name in SPECS:
        return create_model(SPECS[name], seed=seed), SPECS[name].input_shape
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CLASSES[name](), CLASSES[name].input_shape


def random_factors(symmetry: Symmetry, seed: int, spread: float = 1.0) -> dict[str, Tensor]:
    """Return log-normal factors for every unit of every scale group."""
    generator = torch.Generator().manual_seed(seed)
    return {
        group.name: torch.exp(spread * torch.randn(group.size, generator=generator, dtype=torch.float64))
        for group in symmetry.scales
    }


def moved(params: Mapping[str, Tensor], symmetry: Symmetry, seed: int) -> dict[str, Tensor]:
    """Return a network permuted and flipped at random."""
    generator = torch.Generator().manual_seed(seed)
    permuted = permute(params, symmetry, random_permutations(symmetry, generator=generator))
    return flip(permuted, symmetry, random_signs(symmetry, generator=generator))
