"""States of training that are refused."""

from __future__ import annotations

import pytest

from landscape_cli.errors import TrainingError
from landscape_cli.samplers import SGD, TrainingState
from tests.support.cases import SPECS
from tests.support.training import SHORT, run


def test_a_state_of_another_training_is_refused() -> None:
    states: list[TrainingState] = []
    run(SPECS["mlp"], SGD(), SHORT, pause=lambda ended, state: states.append(state()))
    with pytest.raises(TrainingError, match="does not fit"):
        run(SPECS["mlp"], SGD(), SHORT, [1], resume=states[0])
    for facts in ({}, {"phase": 7}, {"phase": 0, "records": [1]}, {"phase": 0, "records": [], "epoch": "x"}):
        with pytest.raises(TrainingError, match="malformed"):
            run(SPECS["mlp"], SGD(), SHORT, resume=TrainingState(states[0].tensors, facts))
