"""Stacks train as their networks would alone, stop and go on without a trace."""

from __future__ import annotations

import pytest

from landscape_cli.samplers import SGD, EpochRecord, Recipe, TrainingObserver, TrainingState
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.training import MODELS, SAMPLERS, SEEDS, SHORT, equal, run


def cases() -> list[tuple[str, str]]:
    found = [("mlp", name) for name in SAMPLERS if name != "augmented"]
    found += [("lenet", "augmented"), ("lenet", "rsgd"), ("resnet", "sam"), ("resnet", "swa"), ("sign", "sgd")]
    return [*found, ("binary", "rsgd"), ("binary", "adv"), ("binary", "adam"), ("binary-conv", "sgd")]


@pytest.mark.filterwarnings("ignore:the random labels")
@pytest.mark.parametrize(("model", "name"), cases())
def test_a_run_in_a_stack_is_the_run_alone(model: str, name: str) -> None:
    spec = MODELS[model]
    many = run(spec, *SAMPLERS[name])
    for seed, found in zip(SEEDS, many, strict=True):
        [alone] = run(spec, *SAMPLERS[name], [seed])
        assert found.params is not None
        assert alone.params is not None
        assert equal(found.params, alone.params)
        assert (found.seed, found.epochs) == (seed, alone.epochs)
    first, second = many[0].params, many[1].params
    assert first is not None
    assert second is not None
    assert not equal(first, second)


def test_runs_that_have_learnt_enough_stop_alone() -> None:
    epochs = [found.epochs for found in run(MODELS["mlp"], SGD(), Recipe(60, 0.2, batch_size=16, until_error=0.3))]
    assert len(set(epochs)) > 1


@pytest.mark.filterwarnings("ignore:the random labels")
@pytest.mark.parametrize(("model", "name"), cases())
def test_resumed_training_gives_the_same_bytes(model: str, name: str) -> None:
    spec, (sampler, recipe) = MODELS[model], SAMPLERS[name]
    states: list[TrainingState] = []
    seen: list[EpochRecord] = []
    whole = run(
        spec,
        sampler,
        recipe,
        [3, 4],
        pause=lambda ended, state: states.append(state()),
        observer=TrainingObserver(epoch=seen.append, thorough=True),
    )
    assert len(states) > 4
    for state in [*states[::3], states[-1]]:
        again: list[EpochRecord] = []
        observer = TrainingObserver(epoch=again.append, thorough=True)
        resumed = run(spec, sampler, recipe, [3, 4], resume=state, observer=observer)
        assert again == seen
        for a, b in zip(whole, resumed, strict=True):
            assert a.params is not None
            assert b.params is not None
            assert equal(a.params, b.params)
            assert len(a.replicas) == len(b.replicas) == (3 if name == "rsgd" else 0)
            assert all(equal(x, y) for x, y in zip(a.replicas, b.replicas, strict=True))


def test_one_run_diverges_and_the_others_go_on() -> None:
    spec = SPECS["mlp"]
    starts = [[initial_params(spec, seed)] for seed in SEEDS]
    starts[1] = [{key: tensor * 1e25 for key, tensor in starts[1][0].items()}]
    told: list[tuple[int, str]] = []
    found = run(
        spec,
        SGD(),
        SHORT,
        initial=starts,
        observer=TrainingObserver(diverged=lambda seed, line: told.append((seed, line))),
    )
    assert [solution.params is None for solution in found] == [False, True, False]
    [(seed, line)] = told
    assert seed == 4
    assert "diverged in epoch 1" in line
    assert "`learning_rate=`" in line
    for k in (0, 2):
        alone = run(spec, SGD(), SHORT, [SEEDS[k]])[0]
        assert alone.params is not None
        assert found[k].params is not None
        assert equal(alone.params, found[k].params)
