"""The Hessian of a small network's loss as a matrix: the slow way, by derivatives of derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev


def dense_hessian(
    model: nn.Module,
    params: Mapping[str, Tensor],
    names: Sequence[str],
    x: Tensor,
    y: Tensor,
    *,
    relative: bool = True,
    tied: Mapping[str, str] | None = None,
) -> Tensor:
    """Return H, or D H D, of the mean cross-entropy by some tensors, each row by row.

    Args:
        model: the architecture.
        params: the network.
        names: of the tensors, each once.
        x: inputs.
        y: labels.
        relative: whether coordinates are multiples of the weights.
        tied: by name of a tensor, the one in `names` that it is one with.
    """
    flat = torch.cat([params[name].flatten() for name in names])

    def loss(vector: Tensor) -> Tensor:
        pieces = vector.split([params[name].numel() for name in names])
        network = dict(params) | {n: piece.view(params[n].shape) for n, piece in zip(names, pieces, strict=True)}
        network |= {alias: network[owner] for alias, owner in (tied or {}).items()}
        logits = functional_call(model, network, (x,), tie_weights=False)
        if logits.shape[1] == 1:
            return nn.functional.softplus(logits[:, 0] * (1 - 2 * y)).mean()
        return -logits.log_softmax(1)[range(len(y)), y].mean()

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        matrix = jacrev(jacrev(loss))(flat)
    return flat[:, None] * matrix * flat if relative else matrix
