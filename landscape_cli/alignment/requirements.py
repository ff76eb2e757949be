"""What each method of aligning needs besides the networks, and what it has no use for."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from landscape_cli.alignment.learning import Learning
from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.choices import Method
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry


def check_inputs(method: str, inputs: Tensor | None, orders: int) -> None:
    """Check that a method of aligning has the samples that it needs, and no others, and orders to descend in.

    Raises:
        GeometryError: if not.
    """
    if method == Method.ACTIVATION and inputs is None:
        raise GeometryError("the method 'activation' needs `inputs=`, samples to correlate units on")
    if method != Method.ACTIVATION and inputs is not None:
        raise GeometryError(f"`inputs=` are for the method 'activation', not {method!r}: leave them out")
    check_whole("orders", orders, GeometryError)
    if orders < 1:
        raise GeometryError(f"`orders=` must be at least 1, not {orders}")


def check_learning(method: str, data: Data | None, learning: Learning | None, symmetry: Symmetry) -> None:
    """Check that what is to be learned can be, and that other methods have nothing to learn.

    Raises:
        GeometryError: if not.
    """
    if method != Method.LEARNED:
        for name, value in (("data", data), ("learning", learning)):
            if value is not None:
                raise GeometryError(f"`{name}=` is for the method 'learned', not {method!r}: leave it out")
        return
    if learning is not None:
        check_kind("learning", learning, Learning, "give a Learning, as in Learning(epochs=20)", GeometryError)
        learning.check()
    if symmetry.latents:
        raise GeometryError(
            "the method 'learned' follows the loss on straight paths, and there are none between binary networks: "
            "choose another"
        )


def drawn_inputs(method: str, inputs: Tensor | None, seed: int, samples: int) -> Tensor | None:
    """Return the samples that "activation" correlates units on, drawn of training inputs; None of other methods."""
    if method != Method.ACTIVATION:
        return None
    assert inputs is not None
    return inputs[torch.randperm(len(inputs), generator=generator(seed))[:samples]]


def drawn_data(data: Data | None, seed: int, samples: int) -> Data | None:
    """Return the samples that "learned" learns on, drawn of the training set; None where there are no data."""
    if data is None:
        return None
    splits = named_splits(data)
    name = training_split(splits)
    x, y = splits[name].x, splits[name].y
    chosen = torch.randperm(len(y), generator=generator(seed))[:samples]
    return {name: replace(splits[name], x=x[chosen], y=y[chosen])}
