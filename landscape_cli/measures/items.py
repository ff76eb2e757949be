"""Networks measured as items: what is measured of each as JSON values, and scores made of these again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import Scores, SplitFacts
from landscape_cli.io.records import LARGEST, RecordError, from_record, to_record
from landscape_cli.network import Params
from landscape_cli.sharing.share import Values

COMPARED = " compared"
"""What is added to the key of a network for what another precision than float32 changes of it and its neighbors."""
Numbers = tuple[int | float, int, float]
"""Of a network, on a split: wrong decisions, undecided ones, the loss."""


def measure_items(
    evaluator: Evaluator, keys: Sequence[str], networks: Callable[[Sequence[str]], Iterator[Params]], like: Params
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of networks, by their keys, for as many of them at a time as are taken together.

    Args:
        evaluator: measures them, on all its splits.
        keys: of the networks, whole blocks of them (`Evaluator.block`).
        networks: makes some of them, by their keys.
        like: one such network.
    """
    size = evaluator.together(like)
    for first in range(0, len(keys), size):
        some = keys[first : first + size]
        scores = evaluator.evaluate(networks(some))
        yield dict(zip(some, rows_of(scores), strict=True)) | compared(some[0], evaluator.arithmetic)


def rows_of(scores: Mapping[str, Scores]) -> list[Any]:
    """Return the values of networks, as JSON, of their scores by split."""
    columns = [[_plain(of.wrong), _plain(of.undecided), _plain(of.loss)] for of in scores.values()]
    return [[[numbers[k] for numbers in split] for split in columns] for k in range(len(columns[0][0]))]


def _plain(tensor: Tensor) -> Any:
    numbers = tensor.tolist()
    return numbers if all(map(math.isfinite, numbers)) else to_record(numbers)


def compared(key: str, arithmetic: Arithmetic) -> dict[str, Any]:
    """Return what another precision has changed of networks evaluated just now, by the key of the first and a mark."""
    counted = arithmetic.drain()
    return {} if counted is None else {f"{key}{COMPARED}": list(counted)}


def scores_from(values: Values, keys: Sequence[str], splits: Mapping[str, SplitFacts]) -> dict[str, Scores]:
    """Return the scores of networks, by split.

    Args:
        values: of these networks at least.
        keys: of the networks.
        splits: what scores are of.

    Raises:
        RecordError: if a value is none of a network's; it is the one that was taken last.
    """
    rows = [_row(values[key], f"what was measured of {key}", splits) for key in keys]
    scores = {}
    for k, (name, facts) in enumerate(splits.items()):
        wrong, undecided, loss = ([row[k][column] for row in rows] for column in range(3))
        scores[name] = Scores(
            torch.tensor(wrong, dtype=torch.float64 if facts.fractions else torch.int64),
            facts.samples,
            torch.tensor(loss, dtype=torch.float64),
            torch.tensor(undecided, dtype=torch.int64),
            facts.has_error,
            facts.variance,
        )
    return scores


def _row(value: Any, where: str, splits: Mapping[str, SplitFacts]) -> tuple[Numbers, ...]:
    row = value if _is_plain(value) else from_record(tuple[Numbers, ...], value, where)
    if len(row) != len(splits):
        raise RecordError(f"{where} is not of {len(splits)} splits")
    for (_, undecided, _), facts in zip(row, splits.values(), strict=True):
        if not 0 <= undecided <= facts.samples or facts.samples < 1:
            raise RecordError(f"{where}: {undecided} of {facts.samples} samples cannot be undecided")
    return row


def _is_plain(value: Any) -> bool:
    """Tell at a glance what `from_record` would say of most rows, which takes it long."""
    return isinstance(value, list) and all(
        isinstance(split, list)
        and len(split) == 3
        and type(split[0]) is int
        and type(split[1]) is int
        and type(split[2]) is float
        and 0 <= split[0] < LARGEST
        for split in value
    )


def count_compared(arithmetic: Arithmetic, values: Values) -> None:
    """Let what another precision changes be counted of all networks."""
    for key in values:
        if key.endswith(COMPARED):
            arithmetic.add(from_record(tuple[int | float, int | float], values[key], key))
