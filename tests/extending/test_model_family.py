"""A model of one's own in the registry, through the library and the command."""

from __future__ import annotations

import json

import pytest
import torch

from landscape_cli import read_checkpoint, trace_symmetry
from landscape_cli.errors import ModelError
from landscape_cli.models import MODELS, create_model, default_arguments
from landscape_cli.network import ModelSpec
from tests.cli.test_app import TRAIN

DATA = TRAIN[TRAIN.index("--data") :]


def test_a_model_of_ones_own(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "maxout", "tests.extending.model_family:maxout")
    assert default_arguments("maxout") == {"hidden": 16, "pieces": 2}
    model = create_model(ModelSpec("maxout", {"hidden": 5, "pieces": 3}, (4,), 2), seed=0)
    assert model(torch.zeros(7, 4)).shape == (7, 2)
    units_and_pieces = [group.size for group in trace_symmetry(model, torch.zeros(2, 4)).permutations]
    assert units_and_pieces == [5, 3]
    with pytest.raises(ModelError, match="positive numbers of units"):
        create_model(ModelSpec("maxout", {"pieces": 0}, (4,), 2), seed=0)

    for seed in (1, 2):
        done = landscape("train", "--model", "maxout?hidden=6", *DATA, "--seed", seed, "-o", f"{seed}.st")
        assert done.code == 0, done.err
    assert read_checkpoint("1.st").model.arguments == {"hidden": 6, "pieces": 2}
    assert landscape("train", "--model", "maxout", "--hidden", "6", *DATA, "--seed", "1", "-o", "same.st").code == 0
    assert read_checkpoint("same.st").model.arguments == {"hidden": 6, "pieces": 2}
    done = landscape("train", "--model", "maxout", "--hidden", "6,6", *DATA, "-o", "none.st")
    assert "--hidden takes one width for --model maxout" in " ".join(done.err.split())
    done = landscape("train", "--model", "maxout", "--filters", "6,6", *DATA, "-o", "none.st")
    assert "--filters is for --model lenet or binary-conv, not maxout" in " ".join(done.err.split())
    assert landscape("normalize", "1.st", "2.st", "--out-dir", "n").code == 0
    done = landscape("align", "n/1.st", "n/2.st", "-o", "b.st")
    assert json.loads(done.out)["networks"][0]["decisions_changed"] == 0
