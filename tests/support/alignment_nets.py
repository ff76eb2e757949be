"""Networks to align: residual streams, blocks, signs that are free or in common."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment.activations import unit_correlations
from landscape_cli.alignment.align import match_networks
from tests.support.cases import make_model, moved
from tests.support.traced import symmetry_of


class Residual(nn.Module):
    """Blocks that all write one stream; the sizes of Git Re-Basin's issue 8 unless told otherwise."""

    def __init__(self, width: int = 30, inner: int = 50, blocks: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(10, width)
        self.up = nn.ModuleList(nn.Linear(width, inner) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(inner, width) for _ in range(blocks))
        self.out = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(F.relu(up(x)))
        return self.out(x)


class ConvBlocks(nn.Module):
    """Convolutions with batch-norm on a residual stream, one of them depthwise, then tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.second, self.norm2 = nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.depthwise, self.norm3 = nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.BatchNorm2d(12)
        self.fc, self.out = nn.Linear(12, 9), nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x)))
        x = x + self.norm2(self.second(x))
        x = F.relu(self.norm3(self.depthwise(x)))
        return self.out(torch.tanh(self.fc(x.mean((2, 3)))))


class Grouped(nn.Module):
    """A grouped convolution: its groups may trade places, and the units in each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3)
        self.grouped, self.norm = nn.Conv2d(12, 8, 3, groups=4), nn.BatchNorm2d(8)
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.norm(self.grouped(F.relu(self.first(x))))).mean((2, 3)))


class Attention(nn.Module):
    """Heads may trade places, and units within them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(5, 12), nn.LayerNorm(12)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        return self.out((x + self.attention(y, y, y, need_weights=False)[0]).mean(1))


class Normed(nn.Module):
    """Norms that pass on one sign of all units of a stream, or of a group: gains take it up, or what reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.grouped = nn.Conv2d(3, 12, 3), nn.GroupNorm(3, 12)
        self.embed = nn.Linear(12, 10)
        self.norms = nn.ModuleList(nn.LayerNorm(10) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(10, 16) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(16, 10) for _ in range(2))
        self.norm, self.out = nn.LayerNorm(10, bias=False), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(F.relu(self.grouped(self.first(x))).mean((2, 3)))
        for norm, up, down in zip(self.norms, self.up, self.down, strict=True):
            x = x + down(F.gelu(up(norm(x))))
        return self.out(F.relu(self.norm(x)))


class Tanh(nn.Module):
    """A chain of odd maps."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in ((6, 14), (14, 11), (11, 3)))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(torch.tanh(second(torch.tanh(first(x)))))


class Recurrent(nn.Module):
    """One weight whose rows and columns are the same units."""

    def __init__(self, act: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(6, 14), nn.Linear(14, 14), nn.Linear(14, 3)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        return self.last(self.act(self.again(self.act(self.again(x)))))


class GroupedResidual(nn.Module):
    """A grouped convolution that reads and writes the same units, whose signs are free."""

    def __init__(self, width: int = 24, groups: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, width, 2)
        self.grouped = nn.Conv2d(width, width, 3, padding=1, groups=groups)
        self.out = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.out((x + self.grouped(torch.tanh(x))).mean((2, 3)))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (10,)),
    "conv blocks": (ConvBlocks, (3, 8, 8)),
    "grouped": (Grouped, (3, 8, 8)),
    "attention": (Attention, (7, 5)),
    "normed": (Normed, (3, 6, 6)),
    "tanh": (Tanh, (6,)),
    "recurrent": (Recurrent, (6,)),
    "recurrent, tanh": (lambda: Recurrent(torch.tanh), (6,)),
    "grouped residual": (GroupedResidual, (2, 6, 6)),
    "grouped residual, narrow": (lambda: GroupedResidual(6, 3), (2, 6, 6)),
}


class Net:
    """A network with random parameters, and its symmetry."""

    def __init__(self, name: str, seed: int, dtype: torch.dtype = torch.float64) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if name in NETS:
                make, shape = NETS[name]
                self.model = make()
            else:
                self.model, shape = make_model(name, seed)
            self.model = self.model.eval().to(dtype).requires_grad_(False)
            self.params = {key: self._random(key, tensor) for key, tensor in self.model.state_dict().items()}
            self.inputs = torch.randn(200, *shape, dtype=dtype)
        self.symmetry = symmetry_of(NETS.get(name, name), self.model, self.inputs[:2])

    @staticmethod
    def _random(key: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        noise = torch.randn_like(tensor)
        return noise.abs() + 0.1 if key.endswith("running_var") else tensor + 0.4 * noise

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(self.model, dict(params), (self.inputs,))

    def moved(self, seed: int) -> dict[str, Tensor]:
        """Return the network permuted and flipped at random."""
        return moved(self.params, self.symmetry, seed)

    def aligned(self, params: dict[str, Tensor], method: str):  # type: ignore[no-untyped-def]
        correlations = None
        if method == "activation":
            correlations = unit_correlations(self.model, self.params, params, self.symmetry, self.inputs)
        return match_networks(self.params, params, self.symmetry, method=method, correlations=correlations)
