"""A data set of one's own, through the library and the command."""

from __future__ import annotations

import json

import pytest
import torch

from landscape_cli import load_data, read_checkpoint
from landscape_cli.choices import DataName
from landscape_cli.data.datasets import DataSpec
from landscape_cli.errors import DataError
from tests.support.registering import registered

LINE = ("RINGS", "rings", "tests.extending.data_set:SOURCE")


def test_a_data_set_of_ones_own(landscape) -> None:
    with pytest.raises(DataError, match="unknown data set 'rings'"):
        load_data(DataSpec("rings"))
    with registered(DataName, *LINE):
        data = load_data(DataSpec("rings", seed=4, train_size=30))
        assert (data.train.x.shape, data.classes) == ((30, 8), 3)
        assert torch.bincount(data.train.y).tolist() == [10, 10, 10]
        assert load_data(DataSpec("rings", task="parity")).classes == 2
        with pytest.raises(DataError, match=r"mnist, rings, a FILE\.safetensors or FILE\.npz, not hmm"):
            load_data(DataSpec("hmm", task="parity"))
        options = ("--hidden", "9", "--epochs", "1", "--data-seed", "4")
        assert landscape("train", "--data", "rings", *options, "-o", "a.st").code == 0
        network = read_checkpoint("a.st")
        assert (network.data["name"], network.model.outputs) == ("rings", 3)
        flat = json.loads(landscape("flatness", "a.st", "--sigma", "0", "--samples", "1").out)
        assert flat["networks"][0]["train_error"] == network.metrics["train_error"]
    assert "rings" in landscape("flatness", "a.st", "--sigma", "0").err
