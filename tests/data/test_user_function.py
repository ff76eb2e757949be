"""Data that a function of the user's returns, called for what the user names alone; and both sets given in Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from landscape_cli.data import user_function
from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.data.part import Part
from landscape_cli.data.preprocessing import Preprocessing
from landscape_cli.data.user_function import allow_function, same_function
from landscape_cli.errors import DataError, Remark

CODE = """
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

with open("ran", "a") as file:
    file.write("imported\\n")
X, Y = torch.arange(240.0).reshape(60, 4), torch.arange(60) % 3


class Pairs(Dataset):
    def __init__(self, noisy=False):
        self.noisy, self.targets = noisy, Y.tolist()

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return X[index] + (torch.randn(4) if self.noisy else 0), Y[index]


def tensors(count=60):
    print("hello")
    return (X[:count], Y[:count]), (X[40:], Y[40:])


def drawn(noisy=False):
    train, test = random_split(Pairs(noisy), [45, 15])
    return {"train": DataLoader(train, batch_size=4), "test": test}


def shuffled():
    return DataLoader(Pairs(), batch_size=7, shuffle=True), Pairs()


def whatever(kind):
    one = (X, Y)
    if kind == "raise":
        raise RuntimeError("two\\nlines")
    if kind == "exit":
        raise SystemExit("bye")
    return {
        "one": one, "data set": Pairs(), "none": None, "no test": (one, None), "three": (one, one, one),
        "generator": ((pair for pair in zip(X, Y)), one), "text": "mnist", "dictionary": {"train": one},
        "lists": ([1, 2], [3, 4]), "floats": ((X, Y.float()), one), "wide": (one, (X[:, :3], Y)),
    }[kind]


NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(user_function, "_allowed", {})
    yield tmp_path
    for name in ("own", "broken"):
        sys.modules.pop(name, None)


def test_code_runs_only_if_it_is_named(own: Path) -> None:
    with pytest.raises(DataError, match=r"run only if you name it: add `data=` 'own:tensors\?count=9'$"):
        load_data(DataSpec("own:tensors?count=9"))
    assert not (own / "ran").exists()
    allow_function("own:tensors?count=9")
    data = load_data(DataSpec("own:tensors?count=9"), preprocessing="none")
    assert (len(data.train.y), len(data.test.y), data.classes) == (9, 20, 3)
    again = load_data(DataSpec.from_record(data.record), preprocessing="none")
    assert again.record == data.record
    with pytest.raises(DataError, match="run only if you name it"):  # another function of the same module is another
        load_data(DataSpec("own:drawn"))
    assert len(load_data("own:drawn").train.y) == 45


def test_what_functions_draw_is_seeded(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = torch.get_rng_state()
    allow_function("own:drawn")
    load_data("own:tensors")
    assert capsys.readouterr() == ("", "hello\n")  # no result
    same, again, other = (load_data(DataSpec("own:drawn?noisy=true", seed=seed)) for seed in (0, 0, 1))
    assert same.record["sha256"] == again.record["sha256"] != other.record["sha256"]
    allow_function("own:shuffled")
    orders = []
    for seed in (0, 0, 1):  # what is measured on is drawn by another seed
        with pytest.warns(Remark, match="shuffles"):
            data = load_data(DataSpec("own:shuffled", seed=seed), part=Part(seed=4))
        orders.append(data.raw_train.y.tolist())
    assert orders[0] == orders[1] != orders[2]
    assert torch.equal(torch.get_rng_state(), state)
    part = load_data("own:drawn", part=Part(9, 3))
    assert [torch.bincount(split.y).tolist() for split in (part.raw_train, part.raw_test)] == [[3, 3, 3], [1, 1, 1]]


def test_sizes_to_train_on(own: Path) -> None:
    allow_function("own:drawn")
    data = load_data(DataSpec("own:drawn", train_size=12, seed=2))
    assert torch.bincount(data.raw_train.y).tolist() == [4, 4, 4]
    assert load_data(DataSpec.from_record(data.record)).record == data.record
    part = load_data(DataSpec.from_record(data.record), part=Part(train_samples=6, seed=7))
    assert {tuple(row) for row in part.raw_train.x.tolist()} < {tuple(row) for row in data.raw_train.x.tolist()}
    assert part.record == data.record
    assert part.part["sha256"] != data.record["sha256"]
    assert torch.equal(part.train.x, part.preprocessing.apply(part.raw_train.x))
    assert part.preprocessing == data.preprocessing  # of all that is trained on
    asked = load_data(DataSpec.from_record(data.record), part=Part(train_samples=6), preprocessing="none")
    assert asked.under(Preprocessing.standardize()).preprocessing == data.preprocessing


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("raise", r"own:whatever\?kind=raise failed: RuntimeError: two / lines"),
        ("exit", "failed: SystemExit: bye"),
        ("one", r"returned tensors \(x, y\): return a training and a test set, \(train, test\), each of"),
        ("data set", r"returned a Pairs: return a training and a test set"),
        ("none", "returned a NoneType: return a training"),
        ("no test", "returned no test set: .*where there is none, set some samples apart"),
        ("three", "returned 3 things: return a training and a test set"),
        ("generator", r"the training set of own:whatever\?kind=generator is a generator, expected tensors"),
        ("text", "returned a str"),
        ("dictionary", "a dictionary without 'train' or 'test'"),
        ("lists", "the training set of own.* is a list, expected tensors"),
        ("wide", r"x_train has samples of shape \(4,\), x_test of \(3,\)"),
    ],
)
def test_functions_that_do_not_serve(own: Path, kind: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        load_data(f"own:whatever?kind={kind}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own:nothing", "own has no 'nothing'"),
        ("own:tensor", r"did you mean tensors"),
        ("own:NUMBER", "'own:NUMBER' is a int, expected a function or class that returns a training and a test set"),
        ("nowhere:f", "there is no module 'nowhere' for `data=` nowhere:f"),
        ("broken:f", "importing broken failed: ZeroDivisionError"),
        ("own:", "names no function: write package.module:function"),
        ("own:tensors?7", "is no argument"),
        ("own:tensors?size=3", "own:tensors.size=3 failed: TypeError"),
        ("own/tensors:f", "unknown data set 'own/tensors:f': choose .* or package.module:function"),
    ],
)
def test_names_that_are_none(own: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(name)


def test_names_of_the_same_function() -> None:
    assert same_function("a:f?x=1&y=2", "a:f?y=2&x=1")
    assert same_function("a.b:f", "a.b:f")
    for other in ("a:f?x=1", "a:f?x=1&y=3", "a:g?x=1&y=2", "mnist"):
        assert not same_function("a:f?x=1&y=2", other)


def test_sets_given_in_python() -> None:
    x, y = torch.randn(30, 5), torch.arange(30) % 3
    expected = load_data(((x, y), (x[:9], y[:9])))
    done: list[int] = []

    class Bar:
        def __init__(self, total: int) -> None:
            done.append(-total)

        def __enter__(self) -> Any:
            return done.append

        def __exit__(self, *_: object) -> None: ...

    data = load_data({"train": DataLoader(TensorDataset(x, y)), "test": (x[:9].numpy(), y[:9].numpy())}, reading=Bar)
    assert done == [-30] + [1] * 30
    assert torch.equal(data.train.x, expected.train.x)
    assert data.record == expected.record
    with pytest.raises(DataError, match="the data were given in Python, and in no file: name some with `data=`"):
        load_data(DataSpec.from_record(data.record))
    for given, words in (
        ((x, y), r"`spec=` is tensors \(x, y\): give a training and a test set"),
        ({}, "without 'train'"),
    ):
        with pytest.raises(DataError, match=words):
            load_data(given)
