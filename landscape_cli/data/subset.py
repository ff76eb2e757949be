"""Smaller training sets, with as many samples of each class where there are classes."""

from __future__ import annotations

from dataclasses import replace

import torch

from landscape_cli.data.source import Split
from landscape_cli.errors import DataError


def balanced_subset(train: Split, classes: int, size: int, seed: int, *, name: str = "train_size") -> Split:
    """Return `size` samples, as many of each class as of any other (one more of some, if it must be), in their order.

    Where samples have not one class each, as by another objective than classification, they are drawn uniformly.

    Args:
        train: what to choose from.
        classes: the number of classes, if samples have one each.
        size: how many samples.
        seed: of the choice.
        name: the parameter that asks for so many.

    Raises:
        DataError: if there are not so many samples, of some class or of all.
    """
    if size == len(train.y):
        return train
    generator = torch.Generator().manual_seed(seed)
    if not train.objective.balances:
        if not 1 <= size <= len(train.y):
            raise DataError(f"`{name}=` {size} must lie between 1 and {len(train.y)}, the whole set")
        keep = torch.randperm(len(train.y), generator=generator)[:size].sort().values
        return replace(train, x=train.x[keep], y=train.y[keep])
    if not classes <= size <= len(train.y):
        raise DataError(
            f"`{name}=` {size} must lie between {classes}, the number of classes, and {len(train.y)}, the whole set"
        )
    quota = torch.full((classes,), size // classes)
    quota[torch.randperm(classes, generator=generator)[: size % classes]] += 1
    order = torch.randperm(len(train.y), generator=generator)
    chosen = []
    for label in range(classes):
        members = order[train.y[order] == label]
        if len(members) < quota[label]:
            raise DataError(
                f"`{name}=` {size} needs {int(quota[label])} samples of class {label}, which has {len(members)}: "
                f"at most {classes * int(torch.bincount(train.y, minlength=classes).min())} can be balanced"
            )
        chosen.append(members[: int(quota[label])])
    keep = torch.cat(chosen).sort().values
    return replace(train, x=train.x[keep], y=train.y[keep])
