"""What training scripts pickle beside a network, read without numpy's or argparse's code."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape_cli.errors import CheckpointError
from landscape_cli.io.pickled import load_pickle

STATE = {"w": torch.arange(3.0)}


@pytest.mark.parametrize("zipped", [True, False])
def test_arguments_and_numbers_of_numpy(tmp_path: Path, zipped: bool) -> None:
    args = argparse.Namespace(lr=0.1, inner=argparse.Namespace(best=np.float64(1)), on=np.bool_(True))
    content = {"args": args, "best": np.float32(2), "epoch": np.int64(3), "state_dict": STATE}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    read, _ = load_pickle(tmp_path / "a.pt")
    assert torch.equal(read["state_dict"]["w"], STATE["w"])
    assert not isinstance(read["args"], argparse.Namespace)
    assert not vars(read["args"])


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.array([None, {"x": 1}]), 1j])
def test_arrays_of_numpy(tmp_path: Path, array: object) -> None:
    """Left unread, as numbers are, whatever they hold; the state of its generator is such."""
    content = {"state_dict": STATE, "scores": np.asarray(array), "random": np.random.RandomState(0).get_state()}
    torch.save(content, tmp_path / "a.pt")
    read, _ = load_pickle(tmp_path / "a.pt")
    assert torch.equal(read["state_dict"]["w"], STATE["w"])
    assert type(read["scores"]).__name__ == "ndarray"
    assert not isinstance(read["scores"], np.ndarray)


def test_the_list_is_given_back(tmp_path: Path) -> None:
    """Whoever loads a file afterwards in this process has no more allowed than before."""
    before = set(torch.serialization.get_safe_globals())
    torch.save({"args": argparse.Namespace(lr=1)}, tmp_path / "a.pt")
    load_pickle(tmp_path / "a.pt")
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pt", weights_only=True)


class Calls:
    def __init__(self, what: object, *arguments: object) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.what, self.arguments


@pytest.mark.parametrize("code", [exec, np.load, np.frombuffer, argparse.ArgumentParser, argparse.FileType])
def test_nothing_else_of_these_modules(tmp_path: Path, code: object) -> None:
    torch.save({"a": Calls(code, "print()")}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        load_pickle(tmp_path / "a.pt")


def test_hostile_numbers(tmp_path: Path) -> None:
    """A number, or an array, of 2 GB is not made."""
    number, array = np.float64(1).__reduce__()[0], np.ones(1).__reduce__()[0]
    hostile = [Calls(number, np.dtype("V2000000000")), Calls(array, np.ndarray, (2_000_000_000,), b"b")]
    torch.save({"a": hostile, "b": STATE}, tmp_path / "a.pt")
    read, _ = load_pickle(tmp_path / "a.pt")
    assert not any(isinstance(each, np.generic | np.ndarray) for each in read["a"])
