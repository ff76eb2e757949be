"""Parts of data sets: balanced as far as classes allow, seeded, and the same whether chosen at once or on the way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.data.part import Part, Reservoir, choose, classes_of
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError


def labels(*counts: int, seed: int = 0) -> Tensor:
    """Return labels in random order, so many of each class."""
    values = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))]


def streamed(classes: Tensor, size: int, seed: int) -> list[int]:
    reservoir, slots = Reservoir(size, seed), {}
    for index, label in enumerate(classes.tolist()):
        slot = reservoir.offer(label)
        if slot is not None:
            slots[slot] = index
    return sorted(slots.values())


@pytest.mark.parametrize("counts", [(40, 40, 40), (3, 50, 7, 100), (1, 1, 90), (30,), (5, 0, 60, 2)])
def test_quotas_are_as_equal_as_classes_allow(counts: tuple[int, ...]) -> None:
    """No class may have two fewer than another of which it holds more samples."""
    classes = labels(*counts)
    for size in (1, 2, 7, 13, sum(counts) - 1, sum(counts)):
        chosen = choose(classes, size, seed=3)
        assert len(set(chosen.tolist())) == size
        assert bool((chosen[1:] > chosen[:-1]).all())
        numbers = torch.bincount(classes[chosen], minlength=len(counts)).tolist()
        starved = [number for number, count in zip(numbers, counts, strict=True) if number < count]
        assert not starved or max(numbers) - min(starved) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_streams_are_chosen_from_alike(seed: int) -> None:
    for counts in ((40, 40, 40), (3, 50, 7, 100), (1, 1, 90), (60,)):
        classes = labels(*counts, seed=seed)
        for size in (1, 2, 10, 31, len(classes) - 1):
            assert streamed(classes, size, seed) == choose(classes, size, seed).tolist()


def test_choice_depends_on_the_seed_and_is_fair() -> None:
    classes = labels(50, 50)
    choices = [set(choose(classes, 10, seed).tolist()) for seed in range(200)]
    assert len({tuple(sorted(choice)) for choice in choices}) == 200
    often = torch.tensor([sum(index in choice for choice in choices) for index in range(100)])
    assert int(often.min()) >= 5  # of 200 draws of a tenth: 20 expected, deviation 4
    assert int(often.max()) <= 40
    more = [int((classes[choose(classes, 1, seed)] == 0).sum()) for seed in range(200)]
    assert 70 <= sum(more) <= 130  # a single sample may be of either class


def test_parts_of_splits() -> None:
    split = Split(torch.arange(60.0)[:, None], labels(20, 20, 20))
    part = Part(train_samples=9, seed=1)
    train, test = part.of(split, "train"), part.of(split, "test")
    assert test is split
    assert torch.bincount(train.y).tolist() == [3, 3, 3]
    assert torch.equal(split.y[train.x[:, 0].long()], train.y)
    with pytest.raises(DataError, match="`train_samples=` 61 is more than the 60 samples that there are"):
        Part(train_samples=61).of(split, "train")
    for fault in ({"train_samples": 0}, {"test_samples": 1.5}, {"seed": -1}):
        with pytest.raises(DataError, match="must be a whole number"):
            Part(**fault)  # type: ignore[arg-type]


def test_what_has_no_classes_is_all_alike() -> None:
    for targets in (torch.randn(6), torch.zeros(6, 2, dtype=torch.int64)):
        assert classes_of(targets).tolist() == [0] * 6
    assert classes_of(torch.tensor([3, 1], dtype=torch.uint8)).tolist() == [3, 1]
