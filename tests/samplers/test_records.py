"""Networks that are taken while training goes on."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from landscape_cli.errors import TrainingError
from landscape_cli.samplers import (
    RSGD,
    SAM,
    SGD,
    Adversarial,
    EpochNetwork,
    Recipe,
    Sampler,
    TrainingObserver,
    TrainingState,
    last_epochs,
)
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.training import FIRST, MODELS, SAMPLERS, SEEDS, SHORT, equal, networks_of, run

pytestmark = pytest.mark.filterwarnings("ignore:the random labels")
CONSTANT = Recipe(3, 0.05, batch_size=16, schedule="constant")


def same(a: list[EpochNetwork], b: list[EpochNetwork]) -> bool:
    """Tell whether networks are the same, in any order."""
    first, second = ({(each.seed, each.epoch): each for each in networks} for networks in (a, b))
    assert (len(first), len(second)) == (len(a), len(b))
    return first.keys() == second.keys() and all(
        equal(first[key].params, second[key].params) and first[key].snapshot == second[key].snapshot for key in first
    )


@pytest.mark.parametrize(
    ("model", "sampler"),
    [
        ("mlp", SGD()),
        ("resnet", SGD()),
        ("binary", SGD()),
        ("mlp", SAM()),
        ("resnet", RSGD(gamma_growth=1.0, replica_batch_size=16)),
        ("mlp", Adversarial(**FIRST)),  # type: ignore[arg-type]
    ],
    ids=["sgd", "batch-norm", "binary", "sam", "rsgd", "adv"],
)
def test_the_network_of_an_epoch_is_the_solution_had_training_ended_there(model: str, sampler: Sampler) -> None:
    _, taken = networks_of(MODELS[model], sampler, CONSTANT, [3, 4], keep_epochs=[1, 3])
    assert sorted((network.epoch, network.seed) for network in taken) == [(1, 3), (1, 4), (3, 3), (3, 4)]
    for network in taken:
        shorter = Recipe(network.epoch, 0.05, batch_size=16, schedule="constant")
        [solution] = run(MODELS[model], sampler, shorter, [network.seed])
        assert solution.params is not None
        assert equal(network.params, solution.params)
        assert network.snapshot is None
    assert not equal(taken[0].params, taken[2].params)


@pytest.mark.parametrize("model", ["mlp", "resnet", "binary"])
def test_epoch_0_is_the_initial_network(model: str) -> None:
    _, taken = networks_of(MODELS[model], SGD(), SHORT, [3, 4], keep_epochs=[0])
    assert [(network.seed, network.epoch) for network in taken] == [(3, 0), (4, 0)]
    for network in taken:
        assert equal(network.params, initial_params(MODELS[model], network.seed))


def test_epoch_0_of_coupled_replicas_is_their_centre() -> None:
    [network] = networks_of(SPECS["mlp"], RSGD(gamma_growth=10.0), SHORT, [3], keep_epochs=[0])[1]
    starts = [initial_params(SPECS["mlp"], 3, replica) for replica in range(3)]
    for key, tensor in network.params.items():
        assert torch.allclose(tensor, torch.stack([start[key] for start in starts]).mean(0), atol=1e-6)


def test_epochs_are_those_of_the_last_phase() -> None:
    """Of ADV, epoch 0 is the network that has learnt random labels."""
    states: list[TrainingState] = []
    _, taken = networks_of(
        SPECS["mlp"],
        Adversarial(**FIRST),  # type: ignore[arg-type]
        SHORT,
        [3],
        keep_epochs=[2, 0],
        pause=lambda ended, state: states.append(state()),
    )
    assert [network.epoch for network in taken] == [0, 2]
    learnt = [state for state in states if state.facts["phase"] == 0][-1].tensors["stack.weights"][0]
    weight = taken[0].params["fc1.weight"]
    assert torch.equal(weight.flatten(), learnt[: weight.numel()])
    assert not equal(taken[0].params, initial_params(SPECS["mlp"], 3))


@pytest.mark.parametrize(("model", "name"), [("resnet", "swa"), ("resnet", "snapshot"), ("lenet", "rsgd")])
def test_taking_networks_changes_nothing(model: str, name: str) -> None:
    sampler, recipe = SAMPLERS[name]
    plain = run(MODELS[model], sampler, recipe)
    taking, taken = networks_of(MODELS[model], sampler, recipe, keep_epochs=[0, 1, 2])
    for a, b in zip(plain, taking, strict=True):
        assert a.params is not None
        assert b.params is not None
        assert equal(a.params, b.params)
        last = [network for network in taken if (network.seed, network.epoch) == (a.seed, 2)]
        assert equal(a.params, last[0].params)


@pytest.mark.parametrize("name", ["snapshot", "fge", "rsgd", "adv", "swa", "esgd"])
def test_networks_of_a_run_in_a_stack_are_those_of_the_run_alone(name: str) -> None:
    sampler, recipe = SAMPLERS[name]
    _, taken = networks_of(MODELS["mlp"], sampler, recipe, keep_epochs=[0, 1])
    alone = [
        each for seed in SEEDS for each in networks_of(MODELS["mlp"], sampler, recipe, [seed], keep_epochs=[0, 1])[1]
    ]
    assert len(taken) >= 6
    assert same(taken, alone)


@pytest.mark.parametrize(("model", "name"), [("mlp", "snapshot"), ("mlp", "fge"), ("mlp", "adv"), ("resnet", "rsgd")])
def test_resumed_training_takes_what_comes_after_its_state(model: str, name: str) -> None:
    sampler, recipe = SAMPLERS[name]
    states: list[TrainingState] = []
    more: dict[str, Any] = {"pause": lambda ended, state: states.append(state())}
    _, taken = networks_of(MODELS[model], sampler, recipe, [3, 4], keep_epochs=[0, 1, 2], **more)
    phases = sampler.phases(recipe, binary=False)
    for state in states if model == "mlp" else [*states[::3], states[-1]]:
        _, later = networks_of(MODELS[model], sampler, recipe, [3, 4], keep_epochs=[0, 1, 2], resume=state)
        passed = last_epochs(state, phases, [3, 4])
        before = [network for network in taken if network.epoch <= passed.get(network.seed, -1)]
        assert same(before + later, taken)
    assert not later


def test_runs_that_stop_early_give_what_they_reach() -> None:
    recipe = Recipe(60, 0.2, batch_size=16, until_error=0.3)
    solutions, taken = networks_of(MODELS["mlp"], SGD(), recipe, keep_epochs=list(range(61)))
    for solution in solutions:
        epochs = [network.epoch for network in taken if network.seed == solution.seed]
        assert epochs == list(range(solution.epochs + 1))
        assert solution.params is not None
        assert equal([network for network in taken if network.seed == solution.seed][-1].params, solution.params)
    assert len({solution.epochs for solution in solutions}) > 1


def test_lost_runs_give_what_they_had() -> None:
    spec = SPECS["mlp"]
    starts = [[initial_params(spec, seed)] for seed in SEEDS]
    starts[1] = [{key: tensor * 1e25 for key, tensor in starts[1][0].items()}]
    states: list[TrainingState] = []
    _, taken = networks_of(
        spec, SGD(), SHORT, keep_epochs=[0, 1], initial=starts, pause=lambda ended, state: states.append(state())
    )
    assert [(network.seed, network.epoch) for network in taken] == [(3, 0), (4, 0), (5, 0), (3, 1), (5, 1)]
    assert last_epochs(states[-1], SGD().phases(SHORT, binary=False), SEEDS) == {3: 2, 4: 0, 5: 2}


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ([3], "names epoch 3, and training ends with epoch 2"),
        ([1, 1], "names epoch 1 twice"),
        ([-1], "whole number of at least 0"),
        ([1.0], "whole number of at least 0"),
        ([True], "whole number of at least 0"),
        ([math.nan], "whole number of at least 0"),
        (5, "give a list of epochs"),
        ("5", "whole number of at least 0"),
        ({5}, "give a list of epochs"),
    ],
)
def test_epochs_that_are_none(epochs: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=f"`keep_epochs=` .*{words}"):
        run(SPECS["mlp"], SGD(), SHORT, observer=TrainingObserver(keep_epochs=epochs))
