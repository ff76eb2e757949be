"""What `--bn` means to the commands that measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape_cli.cli.console import say
from landscape_cli.cli.options import Statistics

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.checkpoint import Params
    from landscape_cli.data import Split


def samples_recomputed(model: nn.Module, params: Params, train: Split, bn: Statistics, *, quiet: bool) -> int:
    """Return over how many samples each network's batch-norm statistics are recomputed; 0 to keep them.

    A model without such statistics keeps what it has, and a remark says so.

    Args:
        model: the architecture.
        params: one of the networks.
        train: the training set.
        bn: what was asked for.
        quiet: whether to leave the remark out.
    """
    from landscape_cli.batch_norm import tracked_statistics

    if bn is Statistics.KEEP:
        return 0
    if not tracked_statistics(model, params, train.x[:2]):
        say("--bn recompute changes nothing: the model has no batch-norm with running statistics", quiet=quiet)
        return 0
    return len(train.y)
