"""Slow, obvious implementations to hold the real ones against; they share no code with them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def normalize_mlp(params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Normalise a chain of linear layers fc1, fc2, … one weight at a time (docs/method.md: Normalize, in words)."""
    result = {name: tensor.double().clone() for name, tensor in params.items()}
    depth = sum(name.endswith(".weight") for name in params)
    for k in range(1, depth):
        weight, following = result[f"fc{k}.weight"], result[f"fc{k + 1}.weight"]
        for i in range(weight.shape[0]):
            norm = math.sqrt(sum(float(w) ** 2 for w in weight[i]))
            weight[i] /= norm
            if f"fc{k}.bias" in result:
                result[f"fc{k}.bias"][i] /= norm
            for j in range(following.shape[0]):
                following[j, i] *= norm
    last = result[f"fc{depth}.weight"]
    factor = math.sqrt(last.shape[0]) / math.sqrt(float((last**2).sum()))
    for kind in ("weight", "bias"):
        if f"fc{depth}.{kind}" in result:
            result[f"fc{depth}.{kind}"] *= factor
    return result


def normalize_batch_norm_chain(
    params: dict[str, Tensor], layers: list[tuple[str, str, float]], last: str
) -> dict[str, Tensor]:
    """Normalise a chain of convolutions, each with its batch-norm, filter by filter with plain numbers.

    See docs/method.md: Normalize.

    `layers` are names of convolution and batch-norm, and ε; after the last one each filter becomes one input of the
    layer `last`.
    """
    result = {name: tensor.clone() for name, tensor in params.items()}
    for k, (conv, norm, epsilon) in enumerate(layers):
        weight, reader = result[f"{conv}.weight"], result[f"{[*(c for c, _, _ in layers), last][k + 1]}.weight"]
        mean, variance, gain, shift = (
            result[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        for i in range(len(weight)):
            n = math.sqrt(sum(w**2 for w in weight[i].flatten().tolist()))
            weight[i] /= n
            if f"{conv}.bias" in result:
                result[f"{conv}.bias"][i] /= n
            mean[i] /= n
            v = float(variance[i])
            variance[i] = v / n**2
            gain[i] *= math.sqrt(v / n**2 + epsilon) / (math.sqrt(v + epsilon) / n)
            a = abs(float(gain[i]))
            gain[i] /= a
            shift[i] /= a
            reader[:, i] *= a
    factor = math.sqrt(len(result[f"{last}.weight"])) / math.sqrt(float((result[f"{last}.weight"] ** 2).sum()))
    result[f"{last}.weight"] *= factor
    result[f"{last}.bias"] *= factor
    return result


def best_permutation(similarity: Tensor) -> tuple[int, ...]:
    """Try every permutation."""
    size = len(similarity)
    return max(itertools.permutations(range(size)), key=lambda p: sum(float(similarity[i, p[i]]) for i in range(size)))


def rotate(u: list[float], v: list[float], tau: float) -> list[float]:
    """Rotate u by τ times its angle to v, in the plane of both, by Gram-Schmidt."""
    dot = lambda a, b: math.fsum(x * y for x, y in zip(a, b, strict=True))  # noqa: E731
    radius = math.sqrt(dot(u, u))
    e1 = [x / radius for x in u]
    shadow = dot(v, e1)
    w = [y - shadow * x for x, y in zip(e1, v, strict=True)]
    height = math.sqrt(dot(w, w))
    theta = math.atan2(height, shadow)
    e2 = [x / height for x in w]
    return [radius * (math.cos(tau * theta) * a + math.sin(tau * theta) * b) for a, b in zip(e1, e2, strict=True)]


def angle(u: Tensor, v: Tensor) -> float:
    """The angle between two vectors by atan2 of the two legs."""
    e = u / u.norm()
    along = float(v @ e)
    return math.atan2(float((v - along * e).norm()), along)


def wrong(model: nn.Module, params: dict[str, Tensor], x: Tensor, y: Tensor) -> int:
    """Count errors the way everybody writes it: load the weights, loop over samples."""
    model.load_state_dict(params)
    model.eval()
    count = 0
    with torch.no_grad():
        for sample, label in zip(x, y, strict=True):
            logits = model(sample[None])[0]
            decided = int(logits[0] >= 0) if len(logits) == 1 else max(range(len(logits)), key=lambda k: logits[k])
            count += int(decided != int(label))
    return count


def fixed_point(x: np.ndarray[Any, Any], *, even_first: bool) -> np.ndarray[Any, Any]:
    """Whole numbers near 31 x, shape (n, places): odd ones within ±127, the first of them even if asked.

    See docs/method.md: Binary networks.
    """
    half = x * x.dtype.type(15.5)
    levels = np.clip(2 * np.floor(half).astype(np.int64) + 1, -127, 127)
    if even_first:
        levels[:, 0] = np.clip(2 * np.rint(half[:, 0]).astype(np.int64), -126, 126)
    return levels


def binary_logits(params: dict[str, Tensor], inputs: Tensor, *, committee: bool = False) -> np.ndarray[Any, Any]:
    """Run a binary network in int64, one place and one unit at a time, by the names of its tensors; shape (n, outputs).

    Only the last step, a multiplication by 1/√fan-in, is in the type of the inputs.
    """
    signs = {name: np.where(tensor.numpy() >= 0, 1, -1).astype(np.int64) for name, tensor in params.items()}
    convolutions = sorted(name for name in signs if name.startswith("conv"))
    layers = sorted(name for name in signs if name.startswith("fc"))
    flat = inputs.numpy().reshape(len(inputs), -1)
    x = fixed_point(flat, even_first=not convolutions and flat.shape[1] % 2 == 0)
    if convolutions:
        x = x.reshape(inputs.shape)
    for name in convolutions:
        filters, _, side, _ = signs[name].shape
        height, width = (size - side + 1 for size in x.shape[2:])
        sums = np.zeros((len(x), filters, height, width), dtype=np.int64)
        for i, j, k in itertools.product(range(filters), range(height), range(width)):
            window = x[:, :, j : j + side, k : k + side]
            sums[:, i, j, k] = (window * signs[name][i]).sum(axis=(1, 2, 3))
        pooled = np.zeros((len(x), filters, height // 2, width // 2), dtype=np.int64)
        for j, k in itertools.product(range(height // 2), range(width // 2)):
            pooled[:, :, j, k] = sums[:, :, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2].max(axis=(2, 3))
        x = np.where(pooled >= 0, 1, -1)
    x = x.reshape(len(x), -1)
    for name in layers:
        sums = np.stack([(x * row).sum(axis=1) for row in signs[name]], axis=1)
        fan_in = x.shape[1]
        x = np.where(sums >= 0, 1, -1)
    if committee:
        sums, fan_in = x.sum(axis=1, keepdims=True), x.shape[1]
    level = 31 if len(layers) == 1 and not convolutions and not committee else 1
    number = flat.dtype.type
    return sums.astype(number) * number(fan_in**-0.5 / level)


def flip_signs(params: dict[str, Tensor], probability: float, uniform: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the signs of a network, those flipped whose uniform number is less, weight by weight."""
    result = {}
    for name, tensor in params.items():
        signs = [1.0 if number >= 0 else -1.0 for number in tensor.flatten().tolist()]
        drawn = uniform[name].flatten().tolist()
        signs = [-sign if u < probability else sign for sign, u in zip(signs, drawn, strict=True)]
        result[name] = torch.tensor(signs, dtype=tensor.dtype).view(tensor.shape)
    return result
