"""What a network's outputs mean: its decision and its loss, for many outputs or for one with a sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.errors import ModelError, listed, shown

LOGITS = "logits"
"""Of outputs with names, the one that is meant where nothing is said."""
UNDECIDED = -1
"""The class decided for by logits of which one is NaN."""


def all_outputs(returned: Any) -> tuple[Tensor, ...]:
    """Return every output of a model in order, whatever tuples, lists, dictionaries or dataclasses they come in.

    Of parts with names, one called `logits` is the only output.

    Raises:
        ModelError: if there is anything but tensors, or nothing.
    """
    if isinstance(returned, Tensor):
        return (returned,)
    named = named_parts(returned)
    if LOGITS in named:
        return all_outputs(named[LOGITS])
    parts = returned if isinstance(returned, tuple | list) else named.values()
    tensors = tuple(tensor for part in parts if part is not None for tensor in all_outputs(part))
    if not tensors:
        raise ModelError(
            f"the model returns a {type(returned).__name__}, expected a tensor of outputs, or several in a tuple, "
            "list, dict or dataclass, the logits first: name one with `model_output=`, or wrap the model"
        )
    return tensors


def output_named(returned: Any, name: str) -> Any:
    """Return one of a model's outputs, by its name or number.

    Raises:
        ModelError: if there is none such, naming those that there are.
    """
    parts = named_parts(returned)
    if isinstance(returned, tuple | list):
        parts = {str(number): part for number, part in enumerate(returned)} | parts
    if name not in parts:
        there = f"those of {listed(parts)}" if parts else f"a {type(returned).__name__}, which has no parts"
        raise ModelError(f"the model has no output {shown(name)!r} by `model_output=`: it returns {there}")
    return parts[name]


def named_parts(returned: Any) -> dict[str, Any]:
    """Return what a model returns by name: the items of a dictionary, the fields of a dataclass; else nothing."""
    if isinstance(returned, Mapping):
        return dict(returned)
    if is_dataclass(returned) and not isinstance(returned, type):
        return {each.name: getattr(returned, each.name) for each in fields(returned)}
    return {}


def logits_of(returned: Any) -> Tensor:
    """Return a model's logits, shape (n, outputs): its first output, as others are of auxiliary heads.

    Raises:
        ModelError: as `all_outputs`, or if they have no axis of outputs.
    """
    logits = all_outputs(returned)[0]
    if logits.ndim < 2:
        raise ModelError(f"the model returns logits of shape {tuple(logits.shape)}: expected (samples, outputs)")
    return logits


def decide(logits: Tensor) -> Tensor:
    """Return the class decided for, shape (n, ...), int64, from logits of shape (n, outputs, ...).

    Many outputs: the largest, the first of equals, of which binary networks have many. One output: class 1 where it is
    not negative. NaN among them: UNDECIDED.
    """
    outputs = logits.shape[1]
    if outputs == 1:
        return (logits[:, 0] >= 0).long().masked_fill_(logits[:, 0].isnan(), UNDECIDED)
    largest = logits.amax(dim=1, keepdim=True)  # NaN if one is
    # The first of equals by a largest number, which is the same in any order, on any device and in any layout.
    places_left = torch.arange(outputs, 0, -1, dtype=torch.int32, device=logits.device)
    places_left = places_left.view(-1, *[1] * (logits.ndim - 2))
    first = torch.where(logits == largest, places_left, 0).amax(dim=1)
    return torch.where(first == 0, UNDECIDED, outputs - first).long()


def cross_entropy(logits: Tensor, labels: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return the cross-entropy in nats: softmax over many outputs, logistic for one; labels int64, shape (n,)."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction=reduction)
    return F.cross_entropy(logits, labels, reduction=reduction)


def default_outputs(classes: int) -> int:
    """Return how many outputs a new network has: one, with a sign, for two classes; else one a class."""
    return 1 if classes == 2 else classes


def outputs_fit(outputs: int, classes: int) -> bool:
    """Tell whether a network with so many outputs can decide between so many classes."""
    return outputs >= classes or (outputs == 1 and classes == 2)


def count_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Return how many decisions are wrong, as an int64 tensor without dimensions: no host sync."""
    return torch.count_nonzero(decide(logits) != labels)
