"""Results that hold tensors are equal to themselves alone, can be kept in sets, and are short to look at."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from landscape_cli import (
    Alignment,
    Checkpoint,
    DataSet,
    LocalEnergy,
    ModelSpec,
    OptimizedPath,
    PathResult,
    Scores,
    Solution,
    Split,
)
from landscape_cli.alignment.activations import Correlations
from landscape_cli.data.preprocessing import Preprocessing
from landscape_cli.normalization.normalize import Normalization
from landscape_cli.samplers.state import TrainingState

TENSOR = torch.full((3, 4), 0.5)
PARAMS = {"weight": TENSOR}
SPLIT = Split(TENSOR, torch.zeros(3, dtype=torch.int64))
PATH = PathResult("linear", {"train": TENSOR}, {"train": TENSOR})
RESULTS = [
    Alignment(PARAMS, PARAMS, PARAMS, {"weight": 0.25}, {"weight": 0.125}),
    Checkpoint(PARAMS, ModelSpec("mlp", {}, (4,), 3), {}),
    Correlations(PARAMS, PARAMS),
    DataSet(SPLIT, SPLIT, 3, Preprocessing.none(), {}),
    LocalEnergy("sigma", (0.1, 0.2, 0.3), {"train": 0.0}, {"train": TENSOR}),
    Normalization(PARAMS, 1.5, {}, PARAMS),
    OptimizedPath(PARAMS, PATH, 1, {}, {}, None, ("a", "b")),
    PATH,
    Scores(TENSOR, 3, TENSOR, TENSOR),
    Solution(0, PARAMS, (PARAMS,)),
    TrainingState(PARAMS, {}),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_results_with_tensors_can_be_compared_kept_and_shown(result: Any) -> None:
    copy = replace(result)
    assert result == result  # comparing no tensors
    assert result != copy
    assert len({result, copy, result}) == 2
    shown = repr(result)
    assert "tensor(" not in shown
    assert shown.startswith(f"{type(result).__name__}(")
    hidden = {field.name for field in fields(result) if not field.repr}
    assert hidden
    assert not any(f"{name}=" in shown.replace("PathResult(", "") for name in hidden)
