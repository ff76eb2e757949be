"""Networks to measure paths between, and the slow way to measure them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_cli.data.datasets import Split
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Symmetry, trace_symmetry

MLP = ModelSpec("mlp", {"hidden": [7, 6]}, (5,), 3)
RESNET = ModelSpec("resnet20", {"width": 2, "blocks": 1}, (3, 8, 8), 3)
BINARY = ModelSpec("binary-mlp", {"hidden": [7, 5]}, (9,), 3)


@dataclass
class Ends:
    """Two networks of one model, and data."""

    spec: ModelSpec
    model: nn.Module
    symmetry: Symmetry
    start: Params
    end: Params
    data: dict[str, Split]


def make_ends(spec: ModelSpec, *, normalized: bool = False) -> Ends:
    """Return two random networks, of float64 unless they are binary, and data with some order in it."""
    dtype = torch.float32 if spec is BINARY else torch.float64
    model = create_model(spec, seed=0, dtype=dtype).eval().requires_grad_(False)
    symmetry = trace_symmetry(model, torch.zeros(2, *spec.input_shape, dtype=dtype))
    ends: list[Params] = []
    for seed in (1, 2):
        state = create_model(spec, seed=seed, dtype=dtype).state_dict()
        params = {
            name: tensor + noise_like(name, tensor, seed) if tensor.is_floating_point() else tensor
            for name, tensor in state.items()
        }
        ends.append(normalize_params(params, symmetry).params if normalized else params)
    return Ends(spec, model, symmetry, *ends, {"train": split(spec, 60, 3), "test": split(spec, 25, 4)})


def noise_like(name: str, tensor: Tensor, seed: int) -> Tensor:
    """Return noise that is as large as weights are; of variances, which stay positive."""
    noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed), dtype=tensor.dtype)
    return noise.abs() if name.endswith("running_var") else 0.7 * noise


def split(spec: ModelSpec, samples: int, seed: int) -> Split:
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, *spec.input_shape, generator=source)
    return Split(x, torch.randint(spec.outputs, (samples,), generator=source))


def slow_scores(model: nn.Module, network: Params, data: Split) -> tuple[float, float]:
    """Return error and loss of a network, one sample at a time."""
    dtype = next(tensor.dtype for tensor in network.values() if tensor.is_floating_point())
    wrong, loss = 0, 0.0
    for x, y in zip(data.x, data.y.tolist(), strict=True):
        logits: Tensor = torch.func.functional_call(model, dict(network), (x[None].to(dtype),))[0].double()
        wrong += int(logits.argmax()) != y
        loss -= float(logits.log_softmax(0)[y])
    return wrong / len(data.y), loss / len(data.y)


def slow_barrier(taus: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """Return the figures of a barrier by their definition."""
    line = [(1 - tau) * values[0] + tau * values[-1] for tau in taus]
    return {
        "max": max(values),
        "tau": min(tau for tau, value in zip(taus, values, strict=True) if value == max(values)),
        "above_ends": max(values) - max(values[0], values[-1]),
        "above_line": max(value - level for value, level in zip(values, line, strict=True)),
    }
