"""Small networks, one for every kind of layer, with the symmetries that they are known to have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VECTOR, SEQUENCE, SIGNAL, IMAGE, VOLUME = (4,), (5, 4), (2, 7), (2, 6, 6), (2, 4, 4, 4)
CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
SHAPES = {1: SIGNAL, 2: IMAGE, 3: VOLUME}
EPS = 0.3  # of norm layers: large enough that forgetting it shows


class Net(nn.Module):
    """Parts by name, and a forward pass given from outside; tensors that are no parameters become buffers."""

    def __init__(self, body: Callable[[Any, Tensor], Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.body = body

    def forward(self, x: Tensor) -> Any:
        return self.body(self, x)


@dataclass(frozen=True)
class Case:
    """A network, and the numbers of units of each group that it is known to have, in any order.

    Attributes:
        make: returns the network.
        shape: of one input.
        permutations: units of each group; those of blocks, such as attention heads, are a group too.
        scales: units of each group of free scales.
        signs: units of each group of free signs.
        output: whether one factor of all outputs is free.
        idle: tensors whose axes do nothing to the outputs, so that leaving them out cannot show.
        missing: why less is found; empty if all is.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    permutations: tuple[int, ...] = ()
    scales: tuple[int, ...] = ()
    signs: tuple[int, ...] = ()
    output: bool = True
    idle: tuple[str, ...] = ()
    missing: str = ""


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


def activated(act: Callable[[Tensor], Tensor]) -> Callable[[], Net]:
    """A linear layer of 6 units, a function of each, a linear layer."""
    return lambda: Net(lambda m, x: m.o(act(m.a(x))), a=nn.Linear(4, 6), o=nn.Linear(6, 3))


def between(part: Callable[[], nn.Module], outputs: int = 6) -> Callable[[], Net]:
    """The same with a module in between."""
    return lambda: Net(lambda m, x: m.o(m.between(m.a(x))), a=nn.Linear(4, 6), between=part(), o=nn.Linear(outputs, 3))


def pooled(part: Callable[[], nn.Module], count: int = 2, outputs: int = 6, act: Any = F.relu) -> Callable[[], Net]:
    """A convolution of 6 channels, a module, a function, the mean over places, a linear layer."""
    return lambda: Net(
        lambda m, x: m.o(act(m.part(m.c(x))).flatten(2).mean(2)),
        c=CONVS[count](2, 6, 2),
        part=part(),
        o=nn.Linear(outputs, 3),
    )


def chained(part: Callable[[], nn.Module], count: int = 2, outputs: int = 5) -> Callable[[], Net]:
    """The same with a ReLU before the module too."""
    return lambda: Net(
        lambda m, x: m.o(F.relu(m.part(F.relu(m.c(x)))).flatten(2).mean(2)),
        c=CONVS[count](2, 6, 2),
        part=part(),
        o=nn.Linear(outputs, 3),
    )


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


HOMOGENEOUS: dict[str, Callable[[], Net]] = {
    "relu": activated(F.relu),
    "relu in place": activated(F.relu_),
    "leaky_relu": activated(lambda x: F.leaky_relu(x, 0.2)),
    "rrelu": between(nn.RReLU),
    "prelu": between(nn.PReLU),
    "prelu per channel": between(lambda: nn.PReLU(6)),
    "clamp_min": activated(lambda x: x.clamp(min=0)),
    "positive part": activated(lambda x: x * (x > 0)),
    "leaky by where": activated(lambda x: torch.where(x > 0, x, 0.1 * x)),
    "maximum": activated(lambda x: torch.maximum(x, 0.1 * x)),
    "dropout": between(lambda: nn.Sequential(nn.Dropout(), nn.ReLU())),
}
ODD = {
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "erf": torch.erf,
    "sin": torch.sin,
    "tanh cubed": lambda x: torch.tanh(x) ** 3,
}
EVEN = {"cos": torch.cos, "square of tanh": lambda x: torch.tanh(x).square()}
NEITHER = {
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "mish": F.mish,
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "shifted": lambda x: F.relu(x + 1.0),
    "one minus": lambda x: 1 - F.relu(x),
    "swish by hand": lambda x: x * torch.sigmoid(1.7 * x),
    "gelu by hand": lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.04 * x**3))),
}

NETS: dict[str, Case] = {}
NETS |= {name: Case(make, VECTOR, (6,), (6,)) for name, make in HOMOGENEOUS.items()}
NETS |= {name: Case(activated(act), VECTOR, (6,), (), (6,)) for name, act in (ODD | EVEN).items()}
NETS |= {name: Case(activated(act), VECTOR, (6,)) for name, act in NEITHER.items()}
NETS |= {
    "identity": Case(activated(lambda x: 2 * x), VECTOR, (6,), (6,), (6,)),
    "abs": Case(activated(torch.abs), VECTOR, (6,), (6,), (6,)),
    "square": Case(activated(torch.square), VECTOR, (6,), (6,), (6,)),
    "relu by where": Case(activated(lambda x: torch.where(x > 0, x, 0.0)), VECTOR, (6,), (6,)),
    "relu by zeros": Case(activated(lambda x: torch.maximum(x, torch.zeros_like(x))), VECTOR, (6,), (6,)),
    # Value and gate go together; the value's scale and sign are free.
    "glu": Case(
        lambda: Net(lambda m, x: m.o(F.glu(m.a(x))), a=nn.Linear(4, 12), o=nn.Linear(6, 3)), VECTOR, (6,), (6,), (6,)
    ),
    "glu by hand": Case(
        lambda: Net(
            lambda m, x: m.o((lambda u, v: u * torch.sigmoid(v))(*m.a(x).chunk(2, -1))),
            a=nn.Linear(4, 12),
            o=nn.Linear(6, 3),
        ),
        VECTOR,
        (6,),
        (6,),
        (6,),
    ),
    # Both factors of a product have scales and signs of their own.
    "product": Case(
        lambda: Net(lambda m, x: m.o(m.a(x) * m.b(x)), a=nn.Linear(4, 6), b=nn.Linear(4, 6), o=nn.Linear(6, 3)),
        VECTOR,
        (6, 12),
        (6, 6),
        (12,),
    ),
    # Pieces within a unit, and units.
    "maxout": Case(
        lambda: Net(lambda m, x: m.o(m.a(x).unflatten(1, (6, 2)).amax(2)), a=nn.Linear(4, 12), o=nn.Linear(6, 3)),
        VECTOR,
        (12, 6),
        (6,),
    ),
}


def norms(count: int) -> dict[str, Case]:
    """Batch-norms in a number of dimensions: gains give a second scale, and let the sign before them be free."""
    made = {}
    for affine in (True, False):
        for tracks in (True, False):
            part = lambda a=affine, t=tracks: BATCH_NORMS[count](6, eps=EPS, affine=a, track_running_stats=t)  # noqa: E731
            name = f"batch-norm {count}d" + "" * affine + " plain" * (not affine) + " of the batch" * (not tracks)
            made[name] = Case(
                pooled(part, count),
                SHAPES[count],
                (6,),
                (6,) * (affine + tracks),
                (6,) * affine,
                idle=() if tracks else ("c.bias",),  # the batch's mean takes it away again
            )
    return made


NETS |= norms(1) | norms(2) | norms(3)


def by_hand(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    return m.o((h - h.mean(-1, keepdim=True)) / (h.var(-1, keepdim=True) + EPS).sqrt() * m.gain)


def batch_norm_by_hand(m: Net, x: Tensor) -> Tensor:
    return m.o(F.relu((m.a(x) - m.mean) / torch.sqrt(m.variance + EPS) * m.gain))


def channels_first(norm: nn.Module) -> Function:
    made = Function(lambda x: norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
    made.norm = norm
    return made


NETS |= {
    "batch-norm of vectors": Case(
        between(lambda: nn.Sequential(nn.BatchNorm1d(6, eps=EPS), nn.ReLU())), VECTOR, (6,), (6, 6), (6,)
    ),
    # What is added to the variance stays; the gain makes up for a scale of units and mean, and has one of its own.
    "batch-norm by hand": Case(
        lambda: Net(
            batch_norm_by_hand,
            a=nn.Linear(4, 6),
            mean=torch.zeros(6),
            variance=torch.ones(6),
            gain=parameter(6),
            o=nn.Linear(6, 3),
        ),
        VECTOR,
        (6,),
        (6, 6),
        (6,),
    ),
    # A norm passes on one sign of all that it sets against each other; gains can take it up.
    "group-norm": Case(pooled(lambda: nn.GroupNorm(2, 6, eps=EPS)), IMAGE, (6, 2), (6,), (2,)),
    "group-norm, tanh": Case(pooled(lambda: nn.GroupNorm(2, 6, eps=EPS), act=torch.tanh), IMAGE, (6, 2), (), (6, 2)),
    "group-norm plain": Case(pooled(lambda: nn.GroupNorm(3, 6, eps=EPS, affine=False)), IMAGE, (6, 3)),
    "group-norm of all": Case(pooled(lambda: nn.GroupNorm(1, 6, eps=EPS)), IMAGE, (6,), (6,), (1,)),
    "group-norm of each": Case(pooled(lambda: nn.GroupNorm(6, 6, eps=EPS)), IMAGE, (6,), (6,), (6,), idle=("c.bias",)),
    "instance-norm": Case(
        pooled(lambda: nn.InstanceNorm2d(6, eps=EPS, affine=True)), IMAGE, (6,), (6,), (6,), idle=("c.bias",)
    ),
    "layer-norm": Case(between(lambda: nn.LayerNorm(6, eps=EPS)), VECTOR, (6,), (6,), (6, 1)),
    "layer-norm, relu": Case(
        between(lambda: nn.Sequential(nn.LayerNorm(6, eps=EPS), nn.ReLU())), VECTOR, (6,), (6,), (1,)
    ),
    "layer-norm plain": Case(activated(lambda x: F.layer_norm(x, (6,), eps=EPS)), VECTOR, (6,), (), (1,)),
    "layer-norm plain, relu": Case(activated(lambda x: F.relu(F.layer_norm(x, (6,), eps=EPS))), VECTOR, (6,)),
    "layer-norm channels first": Case(
        pooled(lambda: channels_first(nn.LayerNorm(6, eps=EPS))), IMAGE, (6,), (6,), (1,)
    ),
    "layer-norm of images": Case(pooled(lambda: nn.LayerNorm((6, 5, 5), eps=EPS)), IMAGE, (6,), (6,), (1,)),
    "layer-norm by hand": Case(
        lambda: Net(by_hand, a=nn.Linear(4, 6), gain=parameter(6), o=nn.Linear(6, 3)), VECTOR, (6,), (6,), (6, 1)
    ),
    # A root mean square is blind to the signs before it, and the gain's are free as well.
    "rms-norm": Case(between(lambda: nn.RMSNorm(6, eps=EPS)), VECTOR, (6,), (6,), (6, 6)),
    # Each channel is set against its neighbours, whose signs do not matter.
    "local response norm": Case(
        pooled(lambda: nn.LocalResponseNorm(3, alpha=1.0), act=lambda x: x), IMAGE, (), (), (6,)
    ),
    "local response norm, relu": Case(chained(lambda: nn.LocalResponseNorm(3, alpha=1.0), outputs=6), IMAGE),
}


# Convolutions and what moves images about


def convolutions(count: int) -> dict[str, Case]:
    conv, back, shape = CONVS[count], TRANSPOSED[count], SHAPES[count]
    return {
        f"convolution {count}d": Case(chained(lambda: conv(6, 5, 2), count), shape, (6, 5), (6, 5)),
        f"transposed {count}d": Case(chained(lambda: back(6, 5, 2, stride=2), count), shape, (6, 5), (6, 5)),
        f"depthwise {count}d": Case(chained(lambda: conv(6, 6, 2, groups=6), count, 6), shape, (6,), (6, 6)),
        f"depthwise twofold {count}d": Case(
            chained(lambda: conv(6, 12, 2, groups=6), count, 12), shape, (6, 12), (6, 12)
        ),
        f"grouped {count}d": Case(chained(lambda: conv(6, 4, 2, groups=2), count, 4), shape, (6, 2, 4), (6, 4)),
        f"grouped transposed {count}d": Case(
            chained(lambda: back(6, 4, 2, groups=2), count, 4), shape, (6, 2, 4), (6, 4)
        ),
        f"depthwise transposed {count}d": Case(chained(lambda: back(6, 6, 2, groups=6), count, 6), shape, (6,), (6, 6)),
    }


NETS |= convolutions(1) | convolutions(2) | convolutions(3)


def grouped_residual(act: Callable[[Tensor], Tensor], groups: int = 3) -> Callable[[], Net]:
    def body(m: Net, x: Tensor) -> Tensor:
        h = m.c(x)
        return m.o((h + m.part(act(h))).mean((2, 3)))

    return lambda: Net(body, c=nn.Conv2d(2, 6, 2), part=nn.Conv2d(6, 6, 3, padding=1, groups=groups), o=nn.Linear(6, 3))


# Units keep to their group, which is the same for those read and those written; groups trade places as wholes.
NETS |= {
    "grouped in a residual": Case(grouped_residual(F.relu), IMAGE, (6, 3), (6,)),
    "grouped in a residual, two groups": Case(grouped_residual(F.gelu, 2), IMAGE, (6, 2)),
    "grouped in a residual, tanh": Case(grouped_residual(torch.tanh), IMAGE, (6, 3), (), (6,)),
}


def padded(mode: str, value: float = 0.0) -> Callable[[], Net]:
    return chained(lambda: nn.Sequential(Function(lambda x: F.pad(x, (1, 2, 0, 1), mode, value)), nn.Conv2d(6, 5, 3)))


def before_convolution(change: Callable[[Tensor], Tensor]) -> Callable[[], Net]:
    return chained(lambda: nn.Sequential(Function(change), nn.Conv2d(6, 5, 2)))


def squeeze_and_excitation(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.c(x))
    gate = torch.sigmoid(m.up(F.relu(m.down(h.mean((2, 3), keepdim=True)))))
    return m.o((h * gate).mean((2, 3)))


def shuffled(x: Tensor) -> Tensor:
    return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


def shuffle_unit(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.second(shuffled(F.relu(m.first(F.relu(m.c(x)))))))
    return m.o(h.mean((2, 3)))


def unfolded(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(F.unfold(x, 2, padding=1).transpose(1, 2))).transpose(1, 2).unflatten(2, (7, 7))
    return m.o(F.relu(m.b(F.unfold(h, 2, stride=2, padding=1).transpose(1, 2))).mean(1))


def windowed(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.c(x)).unfold(2, 3, 2)
    return m.o(F.relu(m.b(h.transpose(1, 2).flatten(2))).mean(1))


def unet(m: Net, x: Tensor) -> Tensor:
    fine = F.relu(m.down(x))
    coarse = F.relu(m.low(F.max_pool2d(fine, 2)))
    return m.o(F.relu(m.up(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], 1))).mean((2, 3)))


def hypercolumn(m: Net, x: Tensor) -> Tensor:
    fine = F.relu(m.down(x))
    coarse = F.relu(m.low(F.avg_pool2d(fine, 2)))
    raised = F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
    return m.o(torch.cat([fine, raised], 1).mean((2, 3)))


def dense_net(m: Net, x: Tensor) -> Tensor:
    h = m.c(x)
    for norm, conv in ((m.norm1, m.conv1), (m.norm2, m.conv2)):
        h = torch.cat([h, conv(F.relu(norm(h)))], 1)
    return m.o(F.relu(m.norm3(h)).mean((2, 3)))


def inverted_residual(m: Net, x: Tensor) -> Tensor:
    h = m.c(x)
    k = F.relu6(m.norm2(m.depthwise(F.relu6(m.norm1(m.expand(h))))))
    return m.o((h + m.norm3(m.project(k))).mean((2, 3)))


def convnext(m: Net, x: Tensor) -> Tensor:
    h = m.c(x)
    k = m.norm(m.depthwise(h).permute(0, 2, 3, 1))
    k = m.scale * m.project(F.gelu(m.expand(k)))
    return m.o(m.last((h + k.permute(0, 3, 1, 2)).mean((2, 3))))


NETS |= {
    "padding zero": Case(padded("constant"), IMAGE, (6, 5), (6, 5)),
    "padding one half": Case(padded("constant", 0.5), IMAGE, (6, 5), (5,)),
    "padding reflect": Case(padded("reflect"), IMAGE, (6, 5), (6, 5)),
    "padding replicate": Case(padded("replicate"), IMAGE, (6, 5), (6, 5)),
    "padding circular": Case(padded("circular"), IMAGE, (6, 5), (6, 5)),
    "convolution padded by reflection": Case(
        chained(lambda: nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect")), IMAGE, (6, 5), (6, 5)
    ),
    "nearest": Case(before_convolution(lambda x: F.interpolate(x, scale_factor=2)), IMAGE, (6, 5), (6, 5)),
    "bilinear": Case(
        before_convolution(lambda x: F.interpolate(x, size=(7, 4), mode="bilinear")), IMAGE, (6, 5), (6, 5)
    ),
    "bicubic": Case(before_convolution(lambda x: F.interpolate(x, size=(7, 4), mode="bicubic")), IMAGE, (6, 5), (6, 5)),
    "max-pool": Case(before_convolution(lambda x: F.max_pool2d(x, 3, 1, 1)), IMAGE, (6, 5), (6, 5)),
    "mean-pool": Case(before_convolution(lambda x: F.avg_pool2d(x, 2, 1)), IMAGE, (6, 5), (6, 5)),
    "adaptive mean-pool": Case(before_convolution(lambda x: F.adaptive_avg_pool2d(x, (2, 3))), IMAGE, (6, 5), (6, 5)),
    "adaptive max-pool": Case(before_convolution(lambda x: F.adaptive_max_pool2d(x, (3, 2))), IMAGE, (6, 5), (6, 5)),
    "flip of an image": Case(before_convolution(lambda x: x.flip(3)), IMAGE, (6, 5), (6, 5)),
    "roll of an image": Case(before_convolution(lambda x: x.roll((1, 2), (2, 3))), IMAGE, (6, 5), (6, 5)),
    "crop of an image": Case(before_convolution(lambda x: x[:, :, 1:-1, ::2]), IMAGE, (6, 5), (6, 5)),
    "pixel shuffle": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.d(F.relu(F.pixel_shuffle(m.c(x), 2)))).mean((2, 3))),
            c=nn.Conv2d(2, 8, 2),
            d=nn.Conv2d(2, 5, 2),
            o=nn.Linear(5, 3),
        ),
        IMAGE,
        (2, 5),
        (2, 5),
    ),
    "pixel unshuffle": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.d(F.pixel_unshuffle(F.relu(m.c(x)), 2))).mean((2, 3))),
            c=nn.Conv2d(2, 4, 3),
            d=nn.Conv2d(16, 5, 1),
            o=nn.Linear(5, 3),
        ),
        IMAGE,
        (4, 5),
        (4, 5),
    ),
    "unfold": Case(
        lambda: Net(unfolded, a=nn.Linear(8, 6), b=nn.Linear(24, 5), o=nn.Linear(5, 3)), IMAGE, (6, 5), (6, 5)
    ),
    "unfold by windows": Case(
        lambda: Net(windowed, c=nn.Conv1d(2, 6, 1), b=nn.Linear(18, 5), o=nn.Linear(5, 3)), SIGNAL, (6, 5), (6, 5)
    ),
    "squeeze and excitation": Case(
        lambda: Net(
            squeeze_and_excitation,
            c=nn.Conv2d(2, 6, 2),
            down=nn.Conv2d(6, 3, 1),
            up=nn.Conv2d(3, 6, 1),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (6, 3),
        (6, 3),
    ),
    # First and second have two groups each. The shuffle sends two of each group of the first to each of the second:
    # pairs may be swapped, and either two groups as wholes, with the units that they read or write.
    "channel shuffle": Case(
        lambda: Net(
            shuffle_unit,
            c=nn.Conv2d(2, 8, 2),
            first=nn.Conv2d(8, 8, 1, groups=2),
            second=nn.Conv2d(8, 8, 1, groups=2),
            o=nn.Linear(8, 3),
        ),
        IMAGE,
        (8, 2, 8, 2, 8),
        (8, 8, 8),
        missing="groups of channels on both sides of a shuffle are fixed",
    ),
    "u-net": Case(
        lambda: Net(unet, down=nn.Conv2d(2, 4, 3), low=nn.Conv2d(4, 6, 1), up=nn.Conv2d(10, 5, 2), o=nn.Linear(5, 3)),
        IMAGE,
        (4, 6, 5),
        (4, 6, 5),
    ),
    "hypercolumn": Case(
        lambda: Net(hypercolumn, down=nn.Conv2d(2, 4, 3), low=nn.Conv2d(4, 6, 2), o=nn.Linear(10, 3)),
        IMAGE,
        (4, 6),
        (4, 6),
    ),
    # Features of 4, 3 and 3 channels, each with a sign and a scale; and gains for each, wherever they are normalised.
    "dense net": Case(
        lambda: Net(
            dense_net,
            c=nn.Conv2d(2, 4, 2),
            norm1=nn.BatchNorm2d(4, eps=EPS),
            conv1=nn.Conv2d(4, 3, 3, padding=1),
            norm2=nn.BatchNorm2d(7, eps=EPS),
            conv2=nn.Conv2d(7, 3, 3, padding=1),
            norm3=nn.BatchNorm2d(10, eps=EPS),
            o=nn.Linear(10, 3),
        ),
        IMAGE,
        (4, 3, 3),
        (4, 3, 3, 4, 4, 3, 4, 3, 3),
        (4, 3, 3),
    ),
    # The stream; each convolution before its batch-norm; ReLU6 lets no gain's scale through.
    "inverted residual": Case(
        lambda: Net(
            inverted_residual,
            c=nn.Conv2d(2, 4, 2),
            expand=nn.Conv2d(4, 6, 1, bias=False),
            norm1=nn.BatchNorm2d(6, eps=EPS),
            depthwise=nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
            norm2=nn.BatchNorm2d(6, eps=EPS),
            project=nn.Conv2d(6, 4, 1, bias=False),
            norm3=nn.BatchNorm2d(4, eps=EPS),
            o=nn.Linear(4, 3),
        ),
        IMAGE,
        (4, 6),
        (4, 6, 6, 4),
        (4, 6, 6, 4),
    ),
    # Free besides the permutations: each norm's gain, and the layer scale against the rows before it; the sign of the
    # stream, and of what the first norm reads.
    "convnext block": Case(
        lambda: Net(
            convnext,
            c=nn.Conv2d(2, 6, 2, stride=2),
            depthwise=nn.Conv2d(6, 6, 3, padding=1, groups=6),
            norm=nn.LayerNorm(6, eps=EPS),
            expand=nn.Linear(6, 8),
            project=nn.Linear(8, 6),
            scale=parameter(6),
            last=nn.LayerNorm(6, eps=EPS),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (6, 8),
        (6, 6, 6),
        (6, 6, 6, 1, 1),
    ),
    "network in network": Case(
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3),
            nn.ReLU(),
            nn.Conv2d(6, 5, 1),
            nn.ReLU(),
            nn.Conv2d(5, 3, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ),
        IMAGE,
        (6, 5),
        (6, 5),
    ),
    "flatten before": Case(
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 5), nn.Flatten(), nn.ReLU(), nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3)
        ),
        IMAGE,
        (6, 5),
        (6, 5),
    ),
    "flatten after": Case(
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3)
        ),
        IMAGE,
        (6, 5),
        (6, 5),
    ),
    "batch-norm after flatten": Case(
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 5), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(24, eps=EPS), nn.Tanh(), nn.Linear(24, 3)
        ),
        IMAGE,
        (6,),
        (6,),
        (6, 6, 6, 6),  # each gain's own, against the columns that read it: one group a place
    ),
    "generator": Case(
        lambda: nn.Sequential(
            nn.Linear(4, 24),
            nn.Unflatten(1, (6, 2, 2)),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 5, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 3),
        ),
        VECTOR,
        (6, 5),
        (6, 5),
    ),
}


# Streams, gates, shared weights


def residual(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(x))
    h = h + m.down(F.relu(m.up(h)))
    return m.o(h)


def rezero(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(x))
    return m.o(h + m.alpha * m.down(F.relu(m.up(h))))


def fixup(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(x))
    k = F.relu(m.up(h + m.b1) + m.b2)
    return m.o(F.relu(h + m.alpha * m.down(k + m.b3) + m.b4))


def highway(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(x))
    gate = torch.sigmoid(m.gate(h))
    return m.o(gate * F.relu(m.d(h)) + (1 - gate) * h)


def unrolled(act: Callable[[Tensor], Tensor]) -> Callable[[Net, Tensor], Tensor]:
    def run(m: Net, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), 6, dtype=x.dtype)
        for t in range(x.shape[1]):
            h = act(m.w(x[:, t]) + m.u(h))
        return m.o(h)

    return run


def lstm(m: Net, x: Tensor) -> Tensor:
    h, c = torch.zeros(len(x), 6, dtype=x.dtype), torch.zeros(len(x), 6, dtype=x.dtype)
    for t in range(x.shape[1]):
        i, f, g, o = (m.w(x[:, t]) + m.u(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return m.o(h)


def autoencoder(act: Callable[[Tensor], Tensor]) -> Callable[[Net, Tensor], Tensor]:
    return lambda m, x: F.linear(act(m.a(x)), m.a.weight.t(), m.bias)


def linears(**sizes: tuple[int, int]) -> dict[str, nn.Linear]:
    return {name: nn.Linear(*size) for name, size in sizes.items()}


def weight_normed() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 3))


def spectral_normed() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 3))


NETS |= {
    "residual": Case(
        lambda: Net(residual, **linears(a=(4, 6), up=(6, 7), down=(7, 6), o=(6, 3))), VECTOR, (6, 7), (6, 7)
    ),
    # The factor may be traded against all rows before it, with its sign.
    "rezero": Case(
        lambda: Net(rezero, **linears(a=(4, 6), up=(6, 7), down=(7, 6), o=(6, 3)), alpha=parameter(1)),
        VECTOR,
        (6, 7),
        (6, 7, 1),
        (1,),
    ),
    "rezero, no axis": Case(
        lambda: Net(rezero, **linears(a=(4, 6), up=(6, 7), down=(7, 6), o=(6, 3)), alpha=parameter()),
        VECTOR,
        (6, 7),
        (6, 7, 1),
        (1,),
    ),
    # One bias for all units leaves them one scale together: the stream's, the inner layer's, and the factor's.
    "fixup": Case(
        lambda: Net(
            fixup,
            **linears(a=(4, 6), up=(6, 7), down=(7, 6), o=(6, 3)),
            **{name: parameter(1) for name in ("b1", "b2", "b3", "b4", "alpha")},
        ),
        VECTOR,
        (6, 7),
        (1, 1, 1),
        (1,),
    ),
    "highway": Case(lambda: Net(highway, **linears(a=(4, 6), gate=(6, 6), d=(6, 6), o=(6, 3))), VECTOR, (6,), (6,)),
    "gate": Case(
        lambda: Net(lambda m, x: m.o(m.a(x) * torch.sigmoid(m.g(x))), **linears(a=(4, 6), g=(4, 6), o=(6, 3))),
        VECTOR,
        (6,),
        (6,),
        (6,),
    ),
    "concatenation": Case(
        lambda: Net(
            lambda m, x: m.o(torch.cat([F.relu(m.a(x)), x, F.relu(m.b(x))], 1)),
            **linears(a=(4, 6), b=(4, 5), o=(15, 3)),
        ),
        VECTOR,
        (11,),
        (6, 5),
    ),
    "chunks": Case(
        lambda: Net(
            lambda m, x: (lambda u, v: m.o(F.relu(u)) + m.p(F.relu(v)))(*m.a(x).split([5, 7], 1)),
            **linears(a=(4, 12), o=(5, 3), p=(7, 3)),
        ),
        VECTOR,
        (12,),
        (5, 7),
    ),
    "two outputs": Case(
        lambda: Net(lambda m, x: (lambda h: (m.o(h), m.p(h)))(F.relu(m.a(x))), **linears(a=(4, 6), o=(6, 3), p=(6, 2))),
        VECTOR,
        (6,),
        (6,),
    ),
    # A hidden layer that is an output as well may not move.
    "hidden output": Case(
        lambda: Net(lambda m, x: (lambda h: (m.o(h), h))(F.relu(m.a(x))), **linears(a=(4, 6), o=(6, 3))), VECTOR, (), ()
    ),
    "tied autoencoder, relu": Case(
        lambda: Net(autoencoder(F.relu), a=nn.Linear(4, 6), bias=parameter(4)), VECTOR, (6,)
    ),
    "tied autoencoder, tanh": Case(
        lambda: Net(autoencoder(torch.tanh), a=nn.Linear(4, 6), bias=parameter(4)), VECTOR, (6,), (), (6,), output=False
    ),
    "same layer twice": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.d(F.relu(m.d(F.relu(m.a(x))))))), **linears(a=(4, 6), d=(6, 6), o=(6, 3))
        ),
        VECTOR,
        (6,),
        (6,),
    ),
    "recurrent, relu": Case(
        lambda: Net(unrolled(F.relu), **linears(w=(4, 6), u=(6, 6), o=(6, 3))), SEQUENCE, (6,), (6,)
    ),
    "recurrent, tanh": Case(
        lambda: Net(unrolled(torch.tanh), **linears(w=(4, 6), u=(6, 6), o=(6, 3))), SEQUENCE, (6,), (), (6,)
    ),
    "lstm by hand": Case(lambda: Net(lstm, **linears(w=(4, 24), u=(6, 24), o=(6, 3))), SEQUENCE, (6,), (), (6,)),
    "gru cell": Case(
        lambda: Net(lambda m, x: m.o(m.cell(x, m.a(x))), cell=nn.GRUCell(4, 6), **linears(a=(4, 6), o=(6, 3))),
        VECTOR,
        (6,),
        (),
        (6,),
    ),
    "einsum": Case(
        lambda: Net(
            lambda m, x: torch.einsum("bh,oh->bo", F.relu(torch.einsum("bi,hi->bh", x, m.first)), m.second),
            first=nn.Parameter(torch.randn(6, 4)),
            second=nn.Parameter(torch.randn(3, 6)),
        ),
        VECTOR,
        (6,),
        (6,),
    ),
    "low rank": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(F.linear(x, m.left @ m.right))),
            left=nn.Parameter(torch.randn(6, 2)),
            right=nn.Parameter(torch.randn(2, 4)),
            o=nn.Linear(6, 3),
        ),
        VECTOR,
        (2, 6),
        (2, 6),
        (2,),
    ),
    "weight norm": Case(weight_normed, VECTOR, (6,), (6, 6), (6,)),
    # The two vectors have length one, which leaves a scale to the whole matrix alone.
    "spectral norm": Case(spectral_normed, VECTOR, (6,), (1,), (1, 1)),
    "bilinear layer": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.both(F.relu(m.a(x)), F.relu(m.b(x))))),
            both=nn.Bilinear(5, 6, 7),
            **linears(a=(4, 5), b=(4, 6), o=(7, 3)),
        ),
        VECTOR,
        (5, 6, 7),
        (5, 6, 7),
    ),
    "a buffer for each unit": Case(
        lambda: Net(lambda m, x: m.o(F.relu(m.a(x) + m.shift)), shift=torch.ones(6), **linears(a=(4, 6), o=(6, 3))),
        VECTOR,
        (6,),
        (6,),
    ),
    "a constant for each unit": Case(
        lambda: Net(lambda m, x: m.o(F.relu(m.a(x) * torch.arange(1, 7))), **linears(a=(4, 6), o=(6, 3))),
        VECTOR,
        (),
        (6,),
    ),
    "norm as a factor": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.a(x)) * torch.linalg.vector_norm(torch.tanh(m.b(x)), dim=1, keepdim=True)),
            **linears(a=(4, 6), b=(4, 5), o=(6, 3)),
        ),
        VECTOR,
        (6, 5),
        (6,),
        (5,),
    ),
}


# Sequences


def attention(m: Net, x: Tensor) -> Tensor:
    return m.o(F.scaled_dot_product_attention(m.q(x), m.k(x), m.v(x)).mean(1))


def window_attention(m: Net, x: Tensor) -> Tensor:
    batch, tokens, _ = x.shape
    q, k, v = m.qkv(x).reshape(batch, tokens, 3, 2, 3).permute(2, 0, 3, 1, 4)
    bias = m.table[m.where.view(-1)].view(tokens, tokens, 2).permute(2, 0, 1)
    weights = (q @ k.transpose(-2, -1) * 0.5 + bias.unsqueeze(0)).softmax(-1)
    return m.o(m.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, 6)).mean(1))


def vision_transformer(m: Net, x: Tensor) -> Tensor:
    h = m.c(x).flatten(2).transpose(1, 2)
    h = torch.cat([m.token.expand(len(x), -1, -1), h], 1) + m.places
    return m.o(m.norm(m.layer(h))[:, 0])


def mixer(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    h = h + m.token2(F.gelu(m.token1(m.norm1(h).transpose(1, 2)))).transpose(1, 2)
    h = h + m.channel2(F.gelu(m.channel1(m.norm2(h))))
    return m.o(m.norm3(h).mean(1))


def convolved_mixer(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    h = h + m.token2(F.gelu(m.token1(m.norm1(h))))
    h = h + m.channel2(F.gelu(m.channel1(m.norm2(h))))
    return m.o(m.norm3(h).mean(1))


def convolved_gated_mlp(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    u, v = F.gelu(m.up(m.norm1(h))).chunk(2, -1)
    return m.o(m.norm3(h + m.down(u * m.token(m.norm2(v)))).mean(1))


def gated_mlp(m: Net, x: Tensor) -> Tensor:
    h = m.a(x)
    u, v = F.gelu(m.up(m.norm1(h))).chunk(2, -1)
    v = m.token(m.norm2(v).transpose(1, 2)).transpose(1, 2)
    return m.o(m.norm3(h + m.down(u * v)).mean(1))


def layer_norm(size: int) -> nn.LayerNorm:
    return nn.LayerNorm(size, eps=EPS)


def encoder(norm_first: bool, **options: Any) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(6, 2, 7, batch_first=True, norm_first=norm_first, layer_norm_eps=EPS, **options)


def encoded(norm_first: bool, **options: Any) -> Callable[[], Net]:
    return lambda: Net(
        lambda m, x: m.o(m.layer(m.a(x)).mean(1)), layer=encoder(norm_first, **options), **linears(a=(4, 6), o=(6, 3))
    )


PACKED = "in_proj_bias"  # of the keys: the same for all of them, so that the softmax takes it away again
NETS |= {
    "tokens": Case(
        lambda: Net(lambda m, x: m.o(F.relu(m.a(x)).mean(1)), **linears(a=(4, 6), o=(6, 3))), SEQUENCE, (6,), (6,)
    ),
    "tokens flattened": Case(
        lambda: Net(lambda m, x: m.o(F.relu(m.a(x)).flatten(1)), **linears(a=(4, 6), o=(30, 3))), SEQUENCE, (6,), (6,)
    ),
    "mixed tokens": Case(
        lambda: Net(lambda m, x: m.o(F.relu(m.a(x.transpose(1, 2))).mean(1)), **linears(a=(5, 6), o=(6, 3))),
        SEQUENCE,
        (6,),
        (6,),
    ),
    # Queries with keys; values with what reads them.
    "attention": Case(
        lambda: Net(attention, **linears(q=(4, 6), k=(4, 6), v=(4, 5), o=(5, 3))),
        SEQUENCE,
        (6, 5),
        (6, 5),
        (6, 5),
        idle=("k.bias",),
    ),
    # Units within heads of 3, for queries with keys and for values; the 2 heads; what they write.
    "multi-head attention": Case(
        lambda: Net(
            lambda m, x: m.o(m.both(x, x, x, need_weights=False)[0].mean(1)),
            both=nn.MultiheadAttention(4, 2, batch_first=True),
            o=nn.Linear(4, 3),
        ),
        SEQUENCE,
        (4, 4, 2, 4),
        (4, 4, 4),
        (4, 4, 4),
        idle=(PACKED,),
    ),
    "multi-head attention, sequence first": Case(
        lambda: Net(
            lambda m, x: m.o(m.both(*[m.a(x).transpose(0, 1)] * 3)[0].mean(0)),
            both=nn.MultiheadAttention(6, 3),
            **linears(a=(4, 6), o=(6, 3)),
        ),
        SEQUENCE,
        (6, 6, 6, 3, 6),
        (6, 6, 6, 6),
        (6, 6, 6, 6),
        idle=(PACKED,),
    ),
    # The stream; queries with keys, values, heads; the inner layer. Gains are free where a layer reads them.
    "encoder layer": Case(encoded(False), SEQUENCE, (6, 6, 6, 2, 7), (6, 6, 7, 6), (6, 6, 6, 1, 1), idle=(PACKED,)),
    "encoder layer, norm first": Case(
        encoded(True), SEQUENCE, (6, 6, 6, 2, 7), (6, 6, 6, 6, 7), (6, 6, 6, 6, 1), idle=(PACKED,)
    ),
    "encoder layer, gelu, no bias": Case(
        encoded(True, activation="gelu", bias=False), SEQUENCE, (6, 6, 6, 2, 7), (6, 6, 6, 6), (6, 6, 6, 6, 1)
    ),
    "vision transformer": Case(
        lambda: Net(
            vision_transformer,
            c=nn.Conv2d(2, 6, 3, stride=3),
            token=parameter(1, 1, 6),
            places=parameter(1, 5, 6),
            layer=encoder(True),
            norm=layer_norm(6),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (6, 6, 6, 2, 7),
        (6, 6, 6, 6, 7, 6),
        (6, 6, 6, 6, 6, 1),
        idle=(PACKED,),
    ),
    "window attention": Case(
        lambda: Net(
            window_attention,
            qkv=nn.Linear(4, 18),
            proj=nn.Linear(6, 6),
            table=parameter(9, 2),
            where=torch.arange(25) % 9,
            o=nn.Linear(6, 3),
        ),
        SEQUENCE,
        (6, 6, 2, 6),
        (6, 6, 6),
        (6, 6, 6),
        idle=("qkv.bias",),
    ),
    # Tokens stay where they are; a gain is free only where no token's layer comes between, else all together. The same
    # bias on all channels of a token, the next norm takes away again.
    "mixer": Case(
        lambda: Net(
            mixer,
            norm1=layer_norm(6),
            norm2=layer_norm(6),
            norm3=layer_norm(6),
            **linears(a=(4, 6), token1=(5, 7), token2=(7, 5), channel1=(6, 8), channel2=(8, 6), o=(6, 3)),
        ),
        SEQUENCE,
        (6, 7, 8),
        (6, 6, 1),
        (6, 6, 1, 1),
        idle=("token2.bias",),
    ),
    "gated mlp": Case(
        lambda: Net(
            gated_mlp,
            norm1=layer_norm(6),
            norm2=layer_norm(8),
            norm3=layer_norm(6),
            **linears(a=(4, 6), up=(6, 16), token=(5, 5), down=(8, 6), o=(6, 3)),
        ),
        SEQUENCE,
        (6, 8),
        (6, 6, 1, 1),
        (6, 6, 1, 1, 1),
    ),
    # Kernels of one place over tokens: the same two, and the same symmetries.
    "mixer by convolutions": Case(
        lambda: Net(
            convolved_mixer,
            norm1=layer_norm(6),
            norm2=layer_norm(6),
            norm3=layer_norm(6),
            token1=nn.Conv1d(5, 7, 1),
            token2=nn.Conv1d(7, 5, 1),
            **linears(a=(4, 6), channel1=(6, 8), channel2=(8, 6), o=(6, 3)),
        ),
        SEQUENCE,
        (6, 7, 8),
        (6, 6, 1),
        (6, 6, 1, 1),
        idle=("token2.bias",),
    ),
    "gated mlp by convolutions": Case(
        lambda: Net(
            convolved_gated_mlp,
            norm1=layer_norm(6),
            norm2=layer_norm(8),
            norm3=layer_norm(6),
            token=nn.Conv1d(5, 5, 1),
            **linears(a=(4, 6), up=(6, 16), down=(8, 6), o=(6, 3)),
        ),
        SEQUENCE,
        (6, 8),
        (6, 6, 1, 1),
        (6, 6, 1, 1, 1),
    ),
    # Made tokens are averaged, which leaves them one scale together.
    "transposed convolution over tokens": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.t(F.relu(m.a(x)))).mean(1)),
            t=nn.ConvTranspose1d(5, 7, 1, bias=False),
            **linears(a=(4, 6), o=(6, 3)),
        ),
        SEQUENCE,
        (6, 7),
        (6, 1),
    ),
}


# Factors of no unit's own, and of pairs, rows and inputs that no unit stands for


def star(m: Net, x: Tensor) -> Tensor:
    return m.o(m.s * F.relu(m.a(x)).square() + m.shift)


def cross_covariance(m: Net, x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    q, k, v = m.qkv(x).view(len(x), x.shape[1], 3, 2, 3).permute(2, 0, 3, 4, 1)
    weights = (change(q) @ change(k).transpose(-1, -2)).softmax(-1)
    return m.o((weights @ v).permute(0, 3, 1, 2).flatten(2)).mean(1)


def standardized(m: Net, x: Tensor) -> Tensor:
    w = m.w - m.w.mean((1, 2, 3), keepdim=True)
    w = w / m.w.var((1, 2, 3), keepdim=True).sqrt() * m.gain
    return m.o(F.relu(F.conv2d(x, w, m.shift)).mean((2, 3)))


def padded_shortcut(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(x))
    return m.o(F.relu(F.pad(h, (1, 2)) + m.b(h)))


def rotary(m: Net, x: Tensor) -> Tensor:
    angle = torch.outer(torch.arange(x.shape[1], dtype=x.dtype), 1 / 100 ** (torch.arange(0, 4, 2) / 4))
    cos, sin = (torch.cat([f, f], -1) for f in (angle.cos(), angle.sin()))
    q, k, v = (layer(x).unflatten(-1, (2, 4)).transpose(1, 2) for layer in (m.q, m.k, m.v))
    q, k = (t * cos + torch.cat([-t[..., 2:], t[..., :2]], -1) * sin for t in (q, k))
    return m.o(((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2).flatten(2)).mean(1)


def normed_kernel() -> nn.Module:
    return nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3, groups=2), dim=2)


def graph_attention(m: Any, x: Tensor) -> Tensor:
    """Nodes that all look at all, with a weight of its own for each unit of each head."""
    h = m.w(x).view(*x.shape[:2], 2, 3)
    scores = F.leaky_relu((h * m.a).sum(-1)[:, :, None] + (h * m.b).sum(-1)[:, None], 0.2)
    return m.o(F.elu(torch.einsum("nijh,njhd->nihd", scores.softmax(2), h).flatten(2)).mean(1))


def state_space(m: Any, x: Tensor) -> Tensor:
    """A state for each input and hidden unit, which is the number 0 at first."""
    state: Any = 0
    for t in range(x.shape[1]):
        state = torch.sigmoid(m.a) * state + x[:, t, :, None] * m.b(x[:, t])[:, None]
    return m.o((state * m.c(x[:, -1])[:, None]).sum(-1))


def averages(m: Any, x: Tensor) -> Tensor:
    """Two states for each channel, of its own, of which each forgets at a pace of its own."""
    x, state = m.a(x), torch.zeros(1)
    for t in range(x.shape[1]):
        state = torch.sigmoid(m.pace) * state + m.write * x[:, t, :, None]
    return m.o(torch.tanh((state * m.read).sum(-1)))


def both_ways(m: Any, x: Tensor) -> Tensor:
    """Two cells that begin with one and the same state of zeros."""
    forth = back = x.new_zeros(len(x), 3)
    for t in range(2):
        forth, back = m.forth(x[:, t], forth), m.back(x[:, 1 - t], back)
    return m.o(torch.cat([forth, back], 1))


def latent_layers(m: Any, x: Tensor) -> Tensor:
    """Layers whose weights are made of a latent each, of which units are rows and columns."""
    hidden = F.gelu(m.i(x))
    for k in range(2):
        hidden = F.gelu(hidden @ m.g(m.z[k]).view(4, 4))
    return m.o(hidden)


def fed_back(m: Any, x: Tensor) -> Tensor:
    """A cell that reads, beside three inputs, what it returned before."""
    hidden = cell = m.a(x)
    for _ in range(2):
        hidden, cell = m.cell(torch.cat([x[:, :3], hidden], 1), (hidden, cell))
    return m.o(hidden)


def weighted_windows(m: Any, x: Tensor) -> Tensor:
    """Windows of each channel, summed with weights that the channels of a block have in common."""
    h = F.relu(m.c(x))
    weights = m.s(h).view(-1, 2, 1, 3, 4).transpose(3, 4)
    y: Tensor = m.o((weights * h.unfold(2, 3, 1).reshape(-1, 2, 2, 4, 3)).sum(4).flatten(1, 2).mean(2))
    return y


WHOLE: dict[str, Case] = {
    "numbers around relu": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.a(x) * m.s + m.t) * m.u),
            **linears(a=(4, 6), o=(6, 3)),
            **{name: parameter() for name in "stu"},
        ),
        VECTOR,
        (6,),
        (1, 1, 1),
        (1, 1),
    ),
    "star relu": Case(
        lambda: Net(star, s=parameter(1), shift=parameter(), **linears(a=(4, 6), o=(6, 3))), VECTOR, (6,), (1, 1), (1,)
    ),
    "shares of a sum": Case(
        lambda: Net(
            lambda m, x: m.o((lambda z: z / z.sum(1, keepdim=True))(m.a(x).abs())), **linears(a=(4, 6), o=(6, 3))
        ),
        VECTOR,
        (6,),
        (1,),
        (6,),
    ),
    "gains on inputs": Case(
        lambda: Net(
            lambda m, x: m.o(torch.tanh(F.linear(x * m.r, m.w) * m.s)),
            r=parameter(4),
            w=nn.Parameter(torch.randn(6, 4)),
            s=parameter(6),
            o=nn.Linear(6, 3),
        ),
        VECTOR,
        (6,),
        (4, 6),
        (4, 6, 6),
    ),
    # Rows of queries and keys, which are divided by their norms; their signs, a head at a time; the values' of a head.
    "normalised cross-covariance": Case(
        lambda: Net(
            lambda m, x: cross_covariance(m, x, lambda t: F.normalize(t, dim=-1)),
            qkv=nn.Linear(4, 18),
            o=nn.Linear(6, 2),
        ),
        (3, 4),
        (2, 6, 6),
        (6, 6, 2),
        (2, 2),
    ),
    "cross-covariance": Case(
        lambda: Net(lambda m, x: cross_covariance(m, x, lambda t: t), qkv=nn.Linear(4, 18), o=nn.Linear(6, 2)),
        (3, 4),
        (2, 6, 6),
        (2, 2),
        (2, 2),
    ),
    "standardised weights": Case(
        lambda: Net(
            standardized,
            w=nn.Parameter(torch.randn(6, 2, 3, 3)),
            gain=parameter(6, 1, 1, 1),
            shift=parameter(6),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (6,),
        (6, 6),
        (6,),
    ),
    "padded shortcut": Case(
        lambda: Net(padded_shortcut, **linears(a=(4, 5), b=(5, 8), o=(8, 3))), VECTOR, (5, 3), (5, 3)
    ),
    "rotary pairs": Case(
        lambda: Net(rotary, **linears(q=(4, 8), k=(4, 8), v=(4, 8), o=(8, 3))), (3, 4), (2, 8), (2, 2, 8), (2, 2, 8)
    ),
    # Rows of kernels; what is read, what is written; the length's sign, against the direction's.
    "normed along kernels": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.d(F.relu(m.c(x)))).mean((2, 3))),
            c=nn.Conv2d(2, 4, 1),
            d=normed_kernel(),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (2, 4, 6),
        (1, 2, 3),
        (3,),
        idle=("d.parametrizations.weight.original1",),
    ),
    "units of each head": Case(
        lambda: Net(
            graph_attention, w=nn.Linear(3, 6, bias=False), a=parameter(2, 3), b=parameter(1, 2, 3), o=nn.Linear(6, 2)
        ),
        (3, 3),
        (6, 2),
    ),
    # Two streams, each read by some rows of the weights that are one tensor.
    "cross-attention": Case(
        lambda: Net(
            lambda m, x: m.o(m.heads(q := m.q(x[:, :2]), k := m.k(x), k)[0] + q),
            **linears(q=(4, 6), k=(4, 6), o=(6, 3)),
            heads=nn.MultiheadAttention(6, 2, batch_first=True),
        ),
        (3, 4),
        (2, 6, 6, 6, 6),
        (6, 6, 6, 6),
        (6, 6, 6, 6),
        idle=("heads.in_proj_bias",),
    ),
    "one latent a layer": Case(
        lambda: Net(latent_layers, z=parameter(2, 3), g=nn.Linear(3, 16), **linears(i=(4, 4), o=(4, 3))),
        VECTOR,
        (3, 4),
        (3,),
        (3,),
    ),
    "state of zero": Case(
        lambda: Net(state_space, b=nn.Linear(3, 4), c=nn.Linear(3, 4), a=parameter(4), o=nn.Linear(3, 2)),
        (3, 3),
        (4,),
        (4, 1),
        (4, 1),
    ),
    "one state of zeros": Case(
        lambda: Net(both_ways, forth=nn.RNNCell(4, 3), back=nn.RNNCell(4, 3), o=nn.Linear(6, 2)),
        (2, 4),
        (3, 3),
        (),
        (3, 3),
    ),
    "states of each channel": Case(
        lambda: Net(averages, **{n: parameter(3, 2) for n in ("pace", "write", "read")}, **linears(a=(4, 3), o=(3, 2))),
        (3, 4),
        (3, 6),
        (3, 6),
        (3, 3, 6),
    ),
    "cosine similarity": Case(
        lambda: Net(
            lambda m, x: m.o(F.cosine_similarity(m.a(x[:, 0]), m.a(x[:, 1]), dim=-1)[:, None]),
            **linears(a=(4, 5), o=(1, 3)),
        ),
        (2, 4),
        (5,),
        (1,),
        (5,),
    ),
    "time beside": Case(
        lambda: Net(
            lambda m, x: m.o(m.b(torch.cat([m.a(x), torch.full_like(m.a(x)[:, :1], 0.3)], 1).sigmoid())),
            **linears(a=(4, 5), b=(6, 1), o=(1, 3)),
        ),
        VECTOR,
        (5,),
        (1,),
        (1,),
    ),
    "fed back beside": Case(
        lambda: Net(fed_back, **linears(a=(4, 5)), cell=nn.LSTMCell(8, 5), o=nn.Linear(5, 3)), VECTOR, (5,), (), (5,)
    ),
    "windows weighted by blocks": Case(
        lambda: Net(weighted_windows, c=nn.Conv1d(2, 4, 2), s=nn.Conv1d(4, 6, 3), o=nn.Linear(4, 3)),
        SIGNAL,
        (2, 4),
        (2, 4),
        (2,),
    ),
    "a root of the outputs": Case(
        lambda: Net(lambda m, x: F.relu(F.relu(x @ m.w) @ m.w.T), w=nn.Parameter(torch.randn(4, 6))), VECTOR, (6,)
    ),
}
"""Networks with scales that no single unit has."""
NETS |= WHOLE
