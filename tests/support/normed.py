"""Small networks with batch-norm and its kin, with statistics and gains far from where they start."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry import Symmetry, trace_symmetry
from tests.support.traced import symmetry_of


class Residual(nn.Module):
    """A residual block; a change of width or stride takes a convolution and batch-norm on the way past it."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.past = nn.Identity()
        if stride > 1 or inputs != width:
            self.past = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        inside = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inside + self.past(x))


class PreActivation(nn.Module):
    """A residual block that normalises the stream before it reads it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width + 1, 3, 1, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(width + 1), nn.Conv2d(width + 1, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))


class Grown(nn.Module):
    """A layer of a densely connected block: what it makes is concatenated to what it reads."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 5, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(5), nn.Conv2d(5, growth, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))], 1)


class Excited(nn.Module):
    """Squeeze-and-excitation: a gate between 0 and 1 for every channel."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class ScaledBlock(nn.Module):
    """As ConvNeXt's: depthwise convolution, layer-norm, GELU, and a layer scale before the residual addition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 9), nn.Linear(9, width)
        self.scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        inside = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.scale * self.down(F.gelu(self.up(inside))).permute(0, 3, 1, 2)


class Inverted(nn.Module):
    """As MobileNetV2's: widen, filter each channel, narrow without an activation."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6()),
            *(nn.Conv2d(inner, inner, 3, 1, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.ReLU6()),
            *(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Transformed(nn.Module):
    """One layer of attention over the places of an image, with a class token and embedded positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(2, 8, 3, 3)
        self.token, self.positions = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.zeros(1, 10, 8))
        self.norm1, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm2, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 11), nn.Linear(11, 8)
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.out(self.norm(x)[:, 0])


class Recurrent(nn.Module):
    """Reads the rows of an image one by one; its units write themselves before anything else does."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.read, self.out = nn.Linear(7, 7, bias=False), nn.Linear(18, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), 7, dtype=x.dtype)
        for row in range(3):
            h = F.relu(self.again(h) + self.read(x[:, :, row].flatten(1)))
        return self.out(h)


class TwoHeads(nn.Module):
    """Logits, and those of an auxiliary head half way, which the forward pass computes first."""

    def __init__(self) -> None:
        super().__init__()
        self.lower, self.upper = nn.Linear(162, 6), nn.Linear(6, 5)
        self.aside, self.out = nn.Linear(6, 4), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = F.relu(self.lower(x.flatten(1)))
        aside = self.aside(x)
        return self.out(F.relu(self.upper(x))), aside


def head(width: int) -> list[nn.Module]:
    """The end of all convolutional networks here."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)]


def conv(inputs: int, width: int, **options: bool) -> list[nn.Module]:
    """A convolution and a batch-norm with options."""
    return [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, **options)]


def stem(width: int) -> list[nn.Module]:
    return [*conv(2, width), nn.ReLU()]


MAKERS = {
    "chain": lambda: nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-3), nn.LeakyReLU(0.1), *head(5)),
    ),
    "residual": lambda: nn.Sequential(*stem(5), Residual(5, 5), Residual(5, 7, 2), *head(7)),
    "pre-activation": lambda: nn.Sequential(*stem(4), PreActivation(4), PreActivation(4), *head(4)),
    "separable": lambda: nn.Sequential(
        *stem(4),
        *(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 8, 3, groups=4), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), *head(6)),
    ),
    "layer-scale": lambda: nn.Sequential(nn.Conv2d(2, 6, 2, 2), ScaledBlock(6), ScaledBlock(6), *head(6)),
    "no-affine": lambda: nn.Sequential(
        *(*conv(2, 4, affine=False), nn.ReLU(), *conv(4, 5, affine=False), nn.ReLU(), *head(5)),
    ),
    "no-statistics": lambda: nn.Sequential(
        *(*conv(2, 4, track_running_stats=False), nn.ReLU(), *conv(4, 5), nn.ReLU(), *head(5)),
    ),
    "inverted": lambda: nn.Sequential(*conv(2, 4), nn.ReLU6(), Inverted(4, 7), Inverted(4, 6), *head(4)),
    "excited": lambda: nn.Sequential(*stem(5), Excited(5, 3), *conv(5, 6), nn.SiLU(), Excited(6, 2), *head(6)),
    "dense": lambda: nn.Sequential(
        *(*stem(4), Grown(4, 3), Grown(7, 3), nn.BatchNorm2d(10), nn.ReLU(), *head(10)),
    ),
    "prelu": lambda: nn.Sequential(*conv(2, 4), nn.PReLU(4), *conv(4, 5), nn.PReLU(), *head(5)),
    "norm-after-flatten": lambda: nn.Sequential(
        *(nn.Conv2d(2, 4, 3, 3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(36), nn.ReLU(), nn.Linear(36, 4)),
    ),
    "norm-last": lambda: nn.Sequential(*stem(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), *head(4)[:2]),
    "attention": Transformed,
    "recurrent": Recurrent,
    "two-heads": TwoHeads,
}
NORMED = list(MAKERS)
WITH_BATCH_NORM = [name for name in NORMED if name not in {"layer-scale", "attention", "recurrent", "two-heads"}]


@dataclass
class Net:
    """A network with everything that the properties need."""

    model: nn.Module
    params: dict[str, Tensor]
    symmetry: Symmetry
    inputs: Tensor

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        """Return all outputs of `params` on the inputs, one after the other."""
        found = torch.func.functional_call(self.model, params, (self.inputs,), tie_weights=False)
        return found if isinstance(found, Tensor) else torch.cat(found, 1)


def make_net(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float64, model: nn.Module | None = None) -> Net:
    """Return a network with random parameters and a batch of inputs; variances from 0.001 to 3, some gains negative."""
    generator = torch.Generator().manual_seed(seed)
    known = model is None
    if model is None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = MAKERS[name]()
    params = {}
    for key, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if not tensor.is_floating_point():
            params[key] = torch.full_like(tensor, seed + 1)
        elif key.endswith("running_var"):
            params[key] = torch.exp(2 * noise).clamp(1e-3, 3.0).to(dtype)
        else:
            params[key] = (tensor + 0.7 * noise).to(dtype)
    model = model.to(dtype).eval().requires_grad_(False)
    inputs = torch.randn(16, 2, 9, 9, generator=generator, dtype=torch.float64).to(dtype)
    symmetry = symmetry_of(("normed", name), model, inputs[:2]) if known else trace_symmetry(model, inputs[:2])
    return Net(model, params, symmetry, inputs)
