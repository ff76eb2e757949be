"""Slow, obvious implementations to hold the real ones against; they share no code with them."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn


def normalize_mlp(params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Normalise a chain of linear layers fc1, fc2, … one weight at a time (SPEC 2, in words)."""
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
    """Normalise a chain of convolutions, each with its batch-norm, filter by filter with plain numbers (SPEC 2).

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
