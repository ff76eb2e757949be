"""Data sets and loaders of PyTorch's, read into memory: what they give, in their order, and what is wrong with them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from landscape_cli import load_data
from landscape_cli.data import samples as samples_module
from landscape_cli.data.loaders import samples_of
from landscape_cli.data.part import choose
from landscape_cli.data.samples import Samples
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, Remark

COUNT = 50
X = torch.randn(COUNT, 2, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(COUNT).remainder(7).remainder(3)


class Logged(Dataset[Any]):
    """A data set that remembers what was read of it."""

    def __init__(self, *, targets: bool = False, y: torch.Tensor = Y) -> None:
        self.read: list[int] = []
        self.y = y
        if targets:
            self.targets = y.tolist()

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Any]:
        self.read.append(index)
        return X[index], self.y[index].item()


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from zip(X, Y, strict=True)


class Counted(Stream):
    def __init__(self, length: int = COUNT) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


class Rows:
    """No `Dataset`, but it gives samples by number: as Hugging Face's data sets do."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"pixels": X[index].tolist(), "label": int(Y[index])}


def together(rows: list[Any]) -> Iterator[torch.Tensor]:
    for part in zip(*rows, strict=True):
        yield torch.stack([torch.as_tensor(each) for each in part])


def samples(value: object) -> Samples:
    made = samples_of(value, "the set")
    assert isinstance(made, Samples)
    return made


PAIRS = TensorDataset(X, Y)
SHUFFLED = DataLoader(Logged(), batch_size=8, shuffle=True)
KINDS = {
    "data set": Logged(),
    "data set with targets": Logged(targets=True),
    "part of a data set": Subset(Logged(targets=True), range(COUNT)),
    "data sets in a row": ConcatDataset([Subset(Logged(targets=True), range(20)), Subset(PAIRS, range(20, COUNT))]),
    "loader": DataLoader(Logged(), batch_size=8),
    "loader of tensors": DataLoader(PAIRS, batch_size=7),
    "loader with its own batches": DataLoader(Logged(), batch_size=8, collate_fn=lambda rows: [*together(rows)]),
    "loader that does not batch": DataLoader(Logged(), batch_size=None),
    "loader of a stream": DataLoader(Counted(), batch_size=9),
    "stream with a length": Counted(),
    "rows": Rows(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_samples_in_order(kind: str) -> None:
    done: list[int] = []
    split = samples(KINDS[kind]).read(advance=done.append)
    assert torch.equal(split.x, X)
    assert torch.equal(split.y, Y)
    assert sum(done) == COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_the_same_of_every_kind(kind: str) -> None:
    chosen = choose(Y, 10, seed=4)
    split = samples(KINDS[kind]).read(10, seed=4)
    assert torch.equal(split.x, X[chosen])
    assert torch.equal(split.y, Y[chosen])
    assert torch.equal(samples(KINDS[kind]).read(COUNT).y, Y)


def test_only_the_part_is_read_where_labels_are_known() -> None:
    known, unknown, floats = Logged(targets=True), Logged(), Logged(y=Y.float())
    for dataset in (known, unknown, floats):
        read = samples(dataset)
        assert read.work(5) == (COUNT if dataset is unknown else 5)
        read.read(5)
    assert known.read == choose(Y, 5, 0).tolist()
    assert set(unknown.read) == set(range(COUNT))
    assert floats.read == [0, *choose(torch.zeros(COUNT), 5, 0).tolist()]  # the first says that there are no classes
    through = Logged(targets=True)
    samples(DataLoader(through, batch_size=8)).read(5)
    assert through.read == known.read


def test_tensors_stay_what_they_are() -> None:
    for value in (PAIRS, (X, Y), [X.numpy(), Y.numpy()], Split(X, Y)):
        split = samples_of(value, "the set")
        assert isinstance(split, Split)
        assert torch.equal(split.x, X)
        assert split.x.data_ptr() == X.data_ptr() or isinstance(value, list)


def test_shuffled_loaders_say_so_and_are_seeded() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].sum()
    with pytest.warns(Remark, match="the set shuffles: its samples are in the order that it gives once"):
        first = samples(SHUFFLED).read()
    with pytest.warns(Remark):
        again, other = samples(SHUFFLED).read(), samples_of(SHUFFLED, "the set").read(global_seed=1)  # type: ignore[union-attr]
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)
    assert sorted(first.x.sum((1, 2)).tolist()) == sorted(X.sum((1, 2)).tolist())
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].sum()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_dropped_and_unknown_samples_are_told() -> None:
    with pytest.warns(Remark, match=r"drops its last 2 samples \(drop_last\)"):
        dropping = samples(DataLoader(PAIRS, batch_size=8, drop_last=True))
    assert torch.equal(dropping.read().x, X[:48])
    with pytest.raises(DataError, match="`train_samples=` 49 is more than the 48 samples that there are"):
        dropping.read(49)
    for stream in (Stream(), DataLoader(Stream(), batch_size=4)):
        assert torch.equal(samples(stream).read().x, X)
        with pytest.warns(Remark, match="does not say how many samples it has: the first 6 are taken"):
            assert torch.equal(samples(stream).read(6).x, X[:6])


class Faulty(Dataset[Any]):
    """A data set that gives something else at one place."""

    def __init__(self, item: Any, at: int = 3) -> None:
        self.item, self.at = item, at

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        if index != self.at:
            return X[index], int(Y[index])
        if isinstance(self.item, BaseException):
            raise self.item
        return self.item


class Empty(Faulty):
    def __len__(self) -> int:
        return 0


class Unsized(Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return X[index], Y[index]


class Endless:
    """A sampler of batches that gives more than it says."""

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            yield [0, 1]

    def __len__(self) -> int:
        return 3


def pad(rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return batches of the length of their longest text."""
    longest = max(rows)
    return torch.zeros(len(rows), longest), torch.zeros(len(rows), dtype=torch.int64)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            Faulty((torch.ones(2, 4), 0)),
            r"the set: sample 3: its input has shape \(2, 4\), and the first's \(2, 3\): resize",
        ),
        (Faulty((X[3].double(), 0)), r"sample 3: its input holds torch\.float64, and the first's torch\.float32"),
        (Faulty((X[3], 0.5)), "sample 3: its label holds"),
        (Faulty((X[3], [1, 2])), r"sample 3: its label has shape \(2,\)"),
        (Faulty(ValueError("no such\nfile")), "reading the set: sample 3 failed: ValueError: no such / file"),
        (Faulty(SystemExit(3)), "reading the set: sample 3 failed: SystemExit: 3"),
        (DataLoader(Faulty(KeyError("a")), batch_size=2), "failed: KeyError: 'a'"),
        (Empty(None), "the set is empty"),
        (Unsized(), "the set is a Unsized without a length"),
        (Counted(COUNT - 1), "gives more samples than the 49 that it says it has"),
        (DataLoader(PAIRS, batch_sampler=Endless()), "gives more batches than the 3 that it says it has"),
        (DataLoader([3, 3, 5, 5], batch_size=2, collate_fn=pad), r"sample 2: its input has shape \(5,\)"),
        (
            DataLoader(PAIRS, collate_fn=lambda rows: (X[:2], Y[:3])),
            r"batch 0 has inputs of shape \(2, 2, 3\) and labels of",
        ),
        ([(X[0], 1)], "the set is a list, expected tensors"),
        (zip(X, Y, strict=True), "the set is a zip, expected tensors"),
        ({"x": X}, "the set is a dict"),
        (X, "the set is a Tensor"),
        ((X, "y"), "the set is a tuple"),
    ],
)
def test_what_is_wrong_is_one_line(value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        samples(value).read()
    assert "\n" not in str(refused.value)


def test_what_is_too_large_says_how_many_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample takes six numbers of four bytes, twice, and a label of eight: 56 bytes."""
    monkeypatch.setattr(samples_module, "available_memory", lambda: 56 * 20)
    words = (
        "50 samples take .* GB are free: about 20 fit; take fewer, with `train_size=` to train on or `train_samples=`"
    )
    for value in (Logged(), DataLoader(Logged(), batch_size=8), DataLoader(Stream(), batch_size=8)):
        with pytest.raises(DataError, match=words.removeprefix("50") if isinstance(value, DataLoader) else words):
            samples(value).read()
    for value in (Logged(), Counted()):
        assert len(samples(value).read(20).y) == 20
        with pytest.raises(DataError, match="21 samples take"):
            samples(value).read(21)
    with pytest.raises(DataError, match="about 20 fit; take fewer to measure on, with `test_samples=`"):
        samples_of(Logged(), "the set", "test").read()  # type: ignore[union-attr]


def test_a_length_that_cannot_be_had_ends_in_one_line() -> None:
    class Negative(Logged):
        def __len__(self) -> int:
            return -1

    data = Negative()
    with pytest.raises(DataError, match=r"whose length cannot be had .*should return >= 0"):
        load_data((data, data))
