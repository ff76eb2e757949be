"""Networks put together at random out of everything that has a rule: traps that nobody thought of."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]
Step = tuple[str, Callable[..., Tensor], list[int]]

ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "abs": torch.abs,
    "neg": torch.neg,
    "half": lambda x: x * 0.5,
    "shift": lambda x: x + 0.7,
    "square": lambda x: 0.3 * x * x,
    "cube": lambda x: torch.tanh(x) ** 3,
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp_min": lambda x: x.clamp(min=0),
    "softplus": F.softplus,
    "cos": torch.cos,
    "sin": torch.sin,
    "hardswish": F.hardswish,
    "positive part": lambda x: x * (x > 0),
    "one minus": lambda x: 1 - x,
    "reciprocal": lambda x: 1 / (1.5 + x.abs()),
    "rsqrt": lambda x: (x * x + 0.3).rsqrt(),
    "in place relu of a copy": lambda x: x.clone().relu_(),
    "in place relu of a view": lambda x: _relu_view(x),
    "sqrt": lambda x: (x.abs() + 0.1).sqrt(),
}


def _relu_view(x: Tensor) -> Tensor:
    copy = x.clone()
    copy.flatten(1).relu_()
    return copy


def _part_scaled(x: Tensor) -> Tensor:
    copy = x.clone()
    copy[:, : max(1, x.shape[1] // 2)] *= 2.0
    return copy


def _part_set(x: Tensor, y: Tensor) -> Tensor:
    copy = x.clone()
    copy[:, : max(1, x.shape[1] // 2)] = y[:, : max(1, x.shape[1] // 2)]
    return copy


def _filled(x: Tensor) -> Tensor:
    made = torch.zeros(x.shape, dtype=x.dtype)
    made[:, : max(1, x.shape[1] // 2)] = x[:, : max(1, x.shape[1] // 2)]
    return made


class RandomNet(nn.Module):
    """A random program of a few steps on a random input; every value that nothing reads goes to the output."""

    def __init__(self, seed: int, steps: int = 8) -> None:
        super().__init__()
        self.random = Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.parts = nn.ModuleList()
        self.tensors = nn.ParameterList()
        self.program: list[Step] = []
        self.described: list[str] = []
        rank = self.random.choice([1, 1, 2, 3])
        self.input_shape: Shape = tuple(self.random.choice([3, 4, 5]) for _ in range(rank))
        self._values = [torch.randn(2, *self.input_shape, generator=self.generator)]
        self._readers = [0]
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            tries = 0
            while len(self.program) < steps and tries < 20 * steps:
                tries += 1
                self._try(self.random.choice(OPERATIONS))
            self._heads()
        self._values = []

    def forward(self, x: Tensor) -> Any:
        values = [x]
        for _, function, sources in self.program:
            values.append(function(*[values[source] for source in sources]))
        outputs = [values[k] for k in self.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _try(self, operation: Callable[[RandomNet], Step | None]) -> None:
        made = operation(self)
        if made is not None:
            self.add(*made)

    def add(self, name: str, function: Callable[..., Tensor], sources: list[int]) -> bool:
        """Run a step; keep it if it works and its result is small."""
        try:
            value = function(*[self._values[source] for source in sources])
        except (RuntimeError, IndexError, ValueError, TypeError, AssertionError):
            return False
        if value.numel() > 1500 or value.numel() < 4 or value.shape[0] != 2 or not bool(value.isfinite().all()):
            return False
        if float(value.abs().max()) > 50 or value.ndim > 5:
            return False
        self.program.append((name, function, sources))
        self.described.append(
            f"v{len(self._values)} = {name}({', '.join(f'v{s}' for s in sources)}) {tuple(value.shape)}"
        )
        self._values.append(value)
        self._readers.append(0)
        for source in sources:
            self._readers[source] += 1
        return True

    def _heads(self) -> None:
        loose = [k for k, count in enumerate(self._readers) if count == 0]
        self.outputs = []
        for k in loose:
            size = self._values[k][0].numel()
            head = self.part(nn.Linear(size, 3, bias=self.random.random() < 0.5))
            self.add("flatten, head", lambda x, head=head: head(x.flatten(1)), [k])
            self.outputs.append(len(self._values) - 1)

    def part(self, module: nn.Module) -> nn.Module:
        for child in module.modules():
            if isinstance(child, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
                child.eps = 0.3  # large enough that forgetting it shows
        self.parts.append(module.eval())
        return module

    def tensor(self, shape: Shape) -> nn.Parameter:
        self.tensors.append(nn.Parameter(torch.randn(shape, generator=self.generator)))
        return self.tensors[-1]

    def pick(self) -> int:
        """Return a value to read, a late one most often."""
        last = len(self._values) - 1
        return last if self.random.random() < 0.6 else self.random.randint(0, last)

    def shape(self, k: int) -> Shape:
        return tuple(self._values[k].shape)

    def partner(self, k: int) -> int | None:
        """Return another value of the same shape."""
        found = [j for j in range(1, len(self._values)) if j != k and self.shape(j) == self.shape(k)]
        return self.random.choice(found) if found else None


def elementwise(net: RandomNet) -> Step | None:
    name = net.random.choice([*ELEMENTWISE, "relu", "relu", "relu", "tanh"])
    return name, ELEMENTWISE[name], [net.pick()]


def linear(net: RandomNet) -> Step | None:
    k = net.pick()
    if len(net.shape(k)) < 2:
        return None
    layer = net.part(
        nn.Linear(net.shape(k)[-1], net.random.choice([1, 2, 3, 4, 4, 6, 6]), bias=net.random.random() < 0.7)
    )
    return f"linear{layer.weight.shape[0]}", layer, [k]


def linear_functional(net: RandomNet) -> Step | None:
    """A matrix by hand, in one of many ways, perhaps computed from others."""
    k = net.pick()
    size, out = net.shape(k)[-1], net.random.choice([2, 3, 4, 6])
    weight, kind = (
        net.tensor((size, out)),
        net.random.choice(["matmul", "einsum", "gained", "low rank", "tied", "normed"]),
    )
    if kind == "matmul":
        return kind, lambda x: x @ weight, [k]
    if kind == "einsum":
        return kind, lambda x: torch.einsum("...i,io->...o", x, weight), [k]
    if kind == "gained":
        gain = net.tensor((out,))
        return kind, lambda x: x @ (weight * gain), [k]
    if kind == "low rank":
        other = net.tensor((out, net.random.choice([2, 3])))
        return kind, lambda x: x @ weight @ other, [k]
    if kind == "tied":
        return kind, lambda x: F.relu(x @ weight) @ weight.t(), [k]
    return kind, lambda x: x @ (weight / weight.norm(dim=0, keepdim=True)), [k]


def shared(net: RandomNet) -> Step | None:
    k = net.pick()
    layers = list(net.parts)
    if not layers:
        return None
    layer = net.random.choice(layers)
    return f"again {type(layer).__name__}#{layers.index(layer)}", layer, [k]


def convolution(net: RandomNet) -> Step | None:
    k = net.pick()
    shape = net.shape(k)
    if len(shape) not in {3, 4}:
        return None
    channels, count = shape[1], len(shape) - 2
    groups = net.random.choice([g for g in (1, 1, 2, 3, channels) if channels % g == 0])
    out = groups * net.random.choice([1, 2, 3]) if groups > 1 else net.random.choice([2, 3, 4, 6])
    size, transposed = net.random.choice([1, 2, 3]), net.random.random() < 0.2
    kinds = ((nn.Conv1d, nn.ConvTranspose1d), (nn.Conv2d, nn.ConvTranspose2d))
    mode = "zeros" if transposed else net.random.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    layer = net.part(
        kinds[count - 1][transposed](
            channels, out, size, padding=size // 2, groups=groups, bias=net.random.random() < 0.6, padding_mode=mode
        )
    )
    return f"conv{channels}-{out}k{size}g{groups}t{int(transposed)}{mode}", layer, [k]


def norm(net: RandomNet) -> Step | None:
    k = net.pick()
    shape = net.shape(k)
    affine = net.random.random() < 0.7
    kind = net.random.choice(["batch", "batch", "layer", "group", "instance", "rms", "l2", "layer2", "hand"])
    channels = shape[1]
    if kind == "batch" and 2 <= len(shape) <= 4:
        tracks = net.random.random() < 0.8
        maker = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
        return (
            f"batch_norm{int(affine)}{int(tracks)}",
            net.part(maker(channels, affine=affine, track_running_stats=tracks)),
            [k],
        )
    if kind == "layer":
        return "layer_norm", net.part(nn.LayerNorm(shape[-1], elementwise_affine=affine)), [k]
    if kind == "layer2" and len(shape) > 2:
        return "layer_norm2", net.part(nn.LayerNorm(shape[-2:], elementwise_affine=affine)), [k]
    if kind == "group" and len(shape) > 2:
        groups = net.random.choice([g for g in (1, 2, 3, channels) if channels % g == 0])
        return f"group_norm{groups}", net.part(nn.GroupNorm(groups, channels, affine=affine)), [k]
    if kind == "instance" and len(shape) == 4:
        return "instance_norm", net.part(nn.InstanceNorm2d(channels, affine=affine)), [k]
    if kind == "rms":
        return "rms_norm", net.part(nn.RMSNorm(shape[-1], eps=0.3)), [k]
    if kind == "l2":
        return "normalize", lambda x: F.normalize(x, dim=-1), [k]
    if kind == "hand":
        return "norm by hand", lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 0.3).sqrt(), [k]
    return None


def with_parameter(net: RandomNet) -> Step | None:
    k = net.pick()
    shape = [size if net.random.random() < 0.5 else 1 for size in net.shape(k)[1:]]
    tensor = net.tensor(tuple(shape))
    kind = net.random.choice(["mul", "add", "prelu", "sub", "gate", "div", "maximum"])
    if kind == "mul":
        return f"mul{shape}", lambda x: x * tensor, [k]
    if kind == "add":
        return f"add{shape}", lambda x: x + tensor, [k]
    if kind == "sub":
        return f"rsub{shape}", lambda x: tensor - x, [k]
    if kind == "div":
        return f"div{shape}", lambda x: x / (tensor.abs() + 0.5), [k]
    if kind == "gate":
        return f"gate{shape}", lambda x: x * torch.sigmoid(tensor), [k]
    if kind == "maximum":
        return f"maximum{shape}", lambda x: torch.maximum(x, tensor), [k]
    slope = net.tensor((net.random.choice([1, net.shape(k)[1]]),))
    return f"prelu{tuple(slope.shape)}", lambda x: F.prelu(x, slope), [k]


def binary(net: RandomNet) -> Step | None:
    k = net.pick()
    j = net.partner(k)
    if j is None:
        return None
    kinds = {
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "maximum": torch.maximum,
        "gate": lambda x, y: x * torch.sigmoid(y),
        "div": lambda x, y: x / (y * y + 0.5),
        "norm ratio": lambda x, y: x / (y.abs() + x.abs() + 1e-12),
        "where": lambda x, y: torch.where(x > y, x, y),
        "where0": lambda x, y: torch.where(x > 0, x, y),
        "lerp": lambda x, y: torch.lerp(x, y, 0.3),
        "highway": lambda x, y: torch.sigmoid(x) * x + (1 - torch.sigmoid(x)) * y,
        "atan2": torch.atan2,
        "part set": _part_set,
        "stack": lambda x, y: torch.stack([x, y], dim=1 + (x.ndim > 2)),
        "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.5),
        "add in place": lambda x, y: x.clone().add_(y),
    }
    name = net.random.choice(["add", "add", "mul", *kinds])
    return name, kinds[name], [k, j]


def broadcast(net: RandomNet) -> Step | None:
    """A product or sum with a mean or maximum of another value, as in squeeze-and-excitation."""
    k = net.pick()
    j = net.partner(k) if net.random.random() < 0.7 else k
    if j is None or len(net.shape(k)) < 2:
        return None
    axis = net.random.randint(1, len(net.shape(k)) - 1)
    name = net.random.choice(["mean", "amax", "sum", "norm"])
    reduce = {
        "mean": lambda y: y.mean(axis, keepdim=True),
        "amax": lambda y: y.amax(axis, keepdim=True),
        "sum": lambda y: y.sum(axis, keepdim=True),
        "norm": lambda y: torch.linalg.vector_norm(y, dim=axis, keepdim=True),
    }[name]
    join = net.random.choice(["mul", "add", "sub", "div"])
    return (
        f"{join} {name}@{axis}",
        {
            "mul": lambda x, y: x * reduce(y),
            "add": lambda x, y: x + reduce(y),
            "sub": lambda x, y: x - reduce(y),
            "div": lambda x, y: x / (reduce(y).abs() + 0.5),
        }[join],
        [k, j],
    )


def join(net: RandomNet) -> Step | None:
    k = net.pick()
    axis = net.random.randint(1, max(1, len(net.shape(k)) - 1))
    others = [
        j
        for j in range(len(net._values))
        if len(net.shape(j)) == len(net.shape(k))
        and all(a == b for d, (a, b) in enumerate(zip(net.shape(j), net.shape(k), strict=True)) if d != axis)
    ]
    j = net.random.choice(others)
    return f"cat@{axis}", lambda x, y: torch.cat([x, y], axis), [k, j]


Operators = dict[str, Callable[[Tensor], Tensor]]


def _moving(axis: int, size: int, cut: int, order: list[int]) -> Operators:
    """What moves, leaves out, copies or joins the places of one axis."""
    return {
        "slice": lambda x: x.narrow(axis, 0, cut),
        "slice2": lambda x: x.narrow(axis, size - cut, cut),
        "stride": lambda x: x[(slice(None),) * axis + (slice(None, None, 2),)],
        "select": lambda x: x.select(axis, size - 1),
        "roll": lambda x: x.roll(cut, axis),
        "flip": lambda x: x.flip(axis),
        "index": lambda x: x.index_select(axis, torch.tensor(order)),
        "index2": lambda x: x[(slice(None),) * axis + (order,)],
        "pad": lambda x: F.pad(x, [0, 0] * (x.ndim - 1 - axis) + [1, 2]),
        "pad1": lambda x: F.pad(x, [0, 0] * (x.ndim - 1 - axis) + [1, 0], value=0.5),
        "crop": lambda x: F.pad(x, [0, 0] * (x.ndim - 1 - axis) + [-1, 1]),
        "repeat": lambda x: torch.cat([x, x], axis),
        "repeat_interleave": lambda x: x.repeat_interleave(2, axis),
        "tile": lambda x: x.repeat([2 if d == axis else 1 for d in range(x.ndim)]),
        "halves added": lambda x: sum(x.chunk(2, axis)),
        "halves gated": lambda x: (lambda a, b: a * torch.sigmoid(b))(*x.chunk(2, axis)),
        "halves swapped": lambda x: torch.cat(x.chunk(2, axis)[::-1], axis),
    }


def _reshaping(axis: int, partner: int) -> Operators:
    """What takes an axis apart, joins it to another, or reduces it."""
    return {
        "glu": lambda x: F.glu(x, axis),
        "pieces": lambda x: torch.cat([p.relu() if i % 2 else p for i, p in enumerate(x.split(2, axis))], axis),
        "part scaled": _part_scaled,
        "filled": _filled,
        "unfold": lambda x: x.unfold(axis, 2, 1),
        "transpose": lambda x: x.transpose(axis, partner),
        "maxout": lambda x: x.unflatten(axis, (2, -1)).amax(axis),
        "maxout2": lambda x: x.unflatten(axis, (-1, 2)).amax(axis + 1),
        "channel shuffle": lambda x: x.unflatten(axis, (2, -1)).transpose(axis, axis + 1).flatten(axis, axis + 1),
        "unflatten": lambda x: x.unflatten(axis, (2, -1)),
        "unflatten2": lambda x: x.unflatten(axis, (-1, 3)),
        "flatten": lambda x: x.flatten(axis - 1, axis) if axis > 1 else x.flatten(1),
        "flatten all": lambda x: x.flatten(1),
        "unsqueeze": lambda x: x.unsqueeze(axis),
        "expand": lambda x: x.unsqueeze(axis).expand(*x.shape[:axis], 3, *x.shape[axis:]),
        "mean": lambda x: x.mean(axis),
        "sum": lambda x: x.sum(axis, keepdim=True),
        "amax": lambda x: x.amax(axis),
        "max": lambda x: x.max(axis).values,
        "var": lambda x: x.var(axis),
        "logsumexp": lambda x: x.logsumexp(axis),
        "softmax": lambda x: x.softmax(axis),
        "norm": lambda x: x.norm(dim=axis),
        "maxpool": lambda x: F.max_pool2d(x, 2, 1),
        "avgpool": lambda x: F.avg_pool2d(x, 2, 1),
        "maxpool1d": lambda x: F.max_pool1d(x, 2),
        "adaptive": lambda x: F.adaptive_avg_pool2d(x, (2, 1)),
        "adaptive max": lambda x: F.adaptive_max_pool2d(x, 2),
        "upsample": lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
        "bilinear": lambda x: F.interpolate(x, size=(3, 4), mode="bilinear"),
        "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
        "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
        "reshape": lambda x: x.reshape(x.shape[0], x.shape[-1], -1),
        "cumsum": lambda x: x.cumsum(axis),
        "sort": lambda x: x.sort(axis).values,
        "triangle": torch.tril,
        "local response norm": lambda x: F.local_response_norm(x, 2, k=0.3),
        "diagonal": lambda x: x.diagonal(dim1=1, dim2=2),
    }


def places(net: RandomNet) -> Step | None:
    """Places moved, left out or copied."""
    k = net.pick()
    shape = net.shape(k)
    if len(shape) < 2:
        return None
    axis = net.random.randint(1, len(shape) - 1)
    size = shape[axis]
    cut = net.random.randint(1, max(1, size - 1))
    order = net.random.sample(range(size), net.random.choice([size, max(1, size - 1)]))
    partner = net.random.randint(1, len(shape) - 1)
    kinds = _moving(axis, size, cut, order) | _reshaping(axis, partner)
    name = net.random.choice(list(kinds))
    return f"{name}@{axis}", kinds[name], [k]


def product(net: RandomNet) -> Step | None:
    """Products between values: attention and its like."""
    k = net.pick()
    shape = net.shape(k)
    if len(shape) != 3:
        return None
    j = net.partner(k) if net.random.random() < 0.6 else k
    if j is None:
        return None
    kinds = {
        "gram": lambda x, y: x @ y.transpose(1, 2),
        "gram2": lambda x, y: x.transpose(1, 2) @ y,
        "attention": lambda x, y: F.scaled_dot_product_attention(x, y, y),
        "attention2": lambda x, y: (x @ y.transpose(1, 2)).softmax(-1) @ y,
        "linear attention": lambda x, y: x @ (y.transpose(1, 2) @ x),
        "outer": lambda x, y: torch.einsum("bi,bj->bij", x[:, 0], y[:, -1]),
        "einsum": lambda x, y: torch.einsum("btc,bsc->bts", x, y),
    }
    name = net.random.choice(list(kinds))
    return name, kinds[name], [k, j]


def heads(net: RandomNet) -> Step | None:
    """Attention with heads, written out or built in."""
    k = net.pick()
    shape = net.shape(k)
    if len(shape) != 3:
        return None
    if net.random.random() < 0.5:
        if shape[-1] % 2:
            return None
        layer = net.part(nn.MultiheadAttention(shape[-1], 2, batch_first=True, bias=net.random.random() < 0.5))
        return "multihead", lambda x: layer(x, x, x, need_weights=False)[0], [k]
    size = net.random.choice([4, 6])
    packed = net.part(nn.Linear(shape[-1], 3 * size))
    permuted = net.random.random() < 0.5

    def attend(x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        if permuted:
            q, key, v = packed(x).reshape(batch, tokens, 3, 2, size // 2).permute(2, 0, 3, 1, 4)
        else:
            q, key, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in packed(x).chunk(3, -1))
        weights = (q @ key.transpose(-2, -1) * 0.4).softmax(-1)
        return (weights @ v).transpose(1, 2).reshape(batch, tokens, size)

    return f"heads{size}p{int(permuted)}", attend, [k]


def folded(net: RandomNet) -> Step | None:
    """A layer on the batch and the first axis folded into one, and back."""
    k = net.pick()
    shape = net.shape(k)
    if len(shape) < 3:
        return None
    layer = net.part(nn.Linear(shape[-1], net.random.choice([2, 4, 6])))
    return "folded", lambda x: F.relu(layer(x.flatten(0, 1))).unflatten(0, (-1, shape[1])), [k]


OPERATIONS = [elementwise] * 4 + [linear] * 3 + [places] * 5 + [convolution] * 3 + [norm] * 2 + [binary] * 2
OPERATIONS += [linear_functional, shared, with_parameter, broadcast, join, product, heads, folded]
