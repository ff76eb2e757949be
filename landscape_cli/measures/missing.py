"""What becomes of batch-norm statistics when networks are moved, and which networks have no outputs for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from landscape_cli.choices import Statistics, check_choice
from landscape_cli.errors import GeometryError, LandscapeWarning, Remark
from landscape_cli.evaluation.batch_norm import tracked_statistics

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape_cli.data.datasets import Split
    from landscape_cli.network import Params


def statistics_of(bn: Statistics | str) -> Statistics:
    """Return what becomes of batch-norm statistics.

    Raises:
        GeometryError: if there is no such choice.
    """
    check_choice("`bn=`", bn, Statistics, GeometryError, joined=" or ")
    return Statistics(bn)


def samples_recomputed(model: nn.Module, params: Params, train: Split, bn: Statistics) -> int:
    """Return over how many samples each network's batch-norm statistics are recomputed; 0 to keep them.

    A model without such statistics keeps what it has.

    Args:
        model: the architecture.
        params: one of the networks.
        train: the training set.
        bn: what was asked for.

    Warns:
        Remark: if the model has no such statistics.
    """
    if bn is Statistics.KEEP:
        return 0
    if not tracked_statistics(model, params, train.x[:2]):
        warnings.warn("`bn=` recompute changes nothing: the model has no batch-norm with running statistics", Remark, 2)
        return 0
    return len(train.y)


def warn_of_missing(
    undecided: Sequence[Tensor],
    what: str,
    *,
    model: nn.Module,
    params: Params,
    train: Split,
    bn: Statistics,
    quantity: str = "error",
) -> None:
    """Say how many networks have no error, as their outputs are NaN; with batch-norm, what may help.

    Args:
        undecided: for each split, on how many samples each network's outputs are NaN, shape (networks,).
        what: what the networks are, in the plural.
        model: the architecture.
        params: one of the networks.
        train: the training set.
        bn: what became of statistics.
        quantity: what they have none of.

    Warns:
        LandscapeWarning: if there are any.
    """
    total = torch.stack(list(undecided)).sum(dim=0)
    missing = int(torch.count_nonzero(total))
    if not missing:
        return
    moved = bn is Statistics.KEEP and tracked_statistics(model, params, train.x[:2])
    hint = ", as variances of batch-norm fall below zero where they are extrapolated: use `bn=` recompute"
    warnings.warn(
        f"{missing} of {len(total)} {what} have no {quantity} (missing, null): outputs are NaN there"
        f"{hint if moved else ''}",
        LandscapeWarning,
        2,
    )
