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
