"""Networks measured as items: what is measured of each as JSON values, and scores made of these again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from landscape_cli.errors import ResultError
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import Scores, SplitFacts
from landscape_cli.io.records import from_record, to_record
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
        columns = [[of.wrong.tolist(), of.undecided.tolist(), of.loss.tolist()] for of in scores.values()]
        values = {key: [[numbers[k] for numbers in split] for split in columns] for k, key in enumerate(some)}
        yield to_record(values) | compared(some[0], evaluator.arithmetic)


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
        ResultError: if a value is none of a network's.
    """
    rows = [from_record(tuple[Numbers, ...], values[key], f"what was measured of {key}") for key in keys]
    wrong_row = next((key for key, row in zip(keys, rows, strict=True) if len(row) != len(splits)), None)
    if wrong_row is not None:
        raise ResultError(f"what was measured of {wrong_row} is not of {len(splits)} splits")
    scores = {}
    for k, (name, facts) in enumerate(splits.items()):
        wrong, undecided, loss = ([row[k][column] for row in rows] for column in range(3))
        if facts.samples < 1 or min([*undecided, 0]) < 0 or max([*undecided, 0]) > facts.samples:
            raise ResultError(f"not so many samples can be undecided of {facts.samples}")
        scores[name] = Scores(
            torch.tensor(wrong, dtype=torch.float64 if facts.fractions else torch.int64),
            facts.samples,
            torch.tensor(loss, dtype=torch.float64),
            torch.tensor(undecided, dtype=torch.int64),
            facts.has_error,
            facts.variance,
        )
    return scores


def count_compared(arithmetic: Arithmetic, values: Values) -> None:
    """Let what another precision changes be counted of all networks."""
    for key in values:
        if key.endswith(COMPARED):
            arithmetic.add(from_record(tuple[int | float, int | float], values[key], key))
