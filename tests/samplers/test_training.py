"""Stacks train as their networks would alone, stop and go on without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.data import DataLoader, TensorDataset

from landscape_cli.choices import Algorithm
from landscape_cli.data.datasets import DataSpec, Split, load_data
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.errors import DataError, TrainingError
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import (
    RSGD,
    SGD,
    SWA,
    Adversarial,
    EpochRecord,
    Recipe,
    TrainingObserver,
    TrainingState,
    train,
)
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.training import MODELS, SAMPLERS, SEEDS, SHORT, equal, noise, run


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
    diverged: list[tuple[int, str]] = []
    found = run(
        spec,
        SGD(),
        SHORT,
        initial=starts,
        observer=TrainingObserver(diverged=lambda seed, line: diverged.append((seed, line))),
    )
    assert [solution.params is None for solution in found] == [False, True, False]
    [(seed, line)] = diverged
    assert seed == 4
    assert "diverged in epoch 1" in line
    assert "`learning_rate=`" in line
    for k in (0, 2):
        alone = run(spec, SGD(), SHORT, [SEEDS[k]])[0]
        assert alone.params is not None
        assert found[k].params is not None
        assert equal(alone.params, found[k].params)


@pytest.mark.filterwarnings("ignore:the random labels", "ignore:of 5 snapshots")
def test_python_trains_as_the_command_line_does(landscape) -> None:
    """What is left open is filled in alike, for every sampler and for binary networks."""
    data = load_data(DataSpec("hmm", hmm=HiddenManifold(11, 21, 33, 50)))
    command = ["train", "--hmm-latent", 11, "--hmm-dim", 21, "--hmm-test", 50, "--epochs", 10, "--device", "cpu"]
    for model in ("mlp", "binary-mlp"):
        spec = ModelSpec(model, {"hidden": [9], "bias": True} if model == "mlp" else {"hidden": [9]}, (21,), 1)
        for algo in Algorithm:
            [solution] = train(spec, data, algo.load()(), recipe=Recipe(10), seeds=[2])
            done = landscape(*command, "--model", model, "--hidden", 9, "--algo", algo.value, "--seed", 2, "-o", "x.st")
            assert done.code == 0
            assert solution.params is not None
            assert equal(solution.params, read_checkpoint("x.st").params), algo
            Path("x.st").unlink()


def test_a_data_set_says_what_a_split_does_not() -> None:
    data = load_data(DataSpec("hmm", hmm=HiddenManifold(11, 21, 33, 50)))
    spec = ModelSpec("mlp", {"hidden": [9]}, (21,), 1)
    recipe, sampler = Recipe(1), Adversarial(adv_epochs=1, adv_until_error=1.0)
    black = -data.mean / data.deviation
    [whole] = train(spec, data, sampler, recipe=recipe)
    [split] = train(spec, data.train, sampler, recipe=recipe, black=black)
    assert whole.params is not None
    assert split.params is not None
    assert equal(whole.params, split.params)
    assert whole.to_dict() == {"seed": 0, "epochs": 1, "diverged": False}
    with pytest.raises(TrainingError, match="pass `black=`, or a DataSet"):
        train(spec, data.train, sampler, recipe=recipe)


def test_replicas_come_along_where_they_are_kept() -> None:
    spec = SPECS["mlp"]
    for keep, count in ((False, 0), (True, 3)):
        [solution] = run(spec, RSGD(gamma_growth=10.0, keep_replicas=keep), SHORT, [3])
        assert len(solution.replicas) == count


def test_nonsense_is_refused() -> None:
    spec = SPECS["mlp"]
    data = noise(spec)
    loader = DataLoader(TensorDataset(*data))
    for wrong, words in (
        (loader, "the training set is a DataLoader"),
        (Split(data.x, data.y.float()), "y holds torch.float32"),
        (Split(data.x, data.y + 1), "labels out of range.* between 0 and 3; they go from 1 to 4"),
        (Split(data.x[:, :5], data.y), r"inputs have shape \(5,\), and the model takes \(7,\)"),
    ):
        with pytest.raises(DataError, match=words):
            train(spec, wrong)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="SWA has a schedule of its own"):
        train(spec, data, SWA(), recipe=Recipe(1, schedule="step"))
    with pytest.raises(TrainingError, match="without a seed"):
        train(spec, data, seeds=[])
    with pytest.raises(TrainingError, match="3 networks for each of 1 runs"):
        train(spec, data, RSGD(gamma_growth=10.0), initial=[[initial_params(spec, 0)]])
