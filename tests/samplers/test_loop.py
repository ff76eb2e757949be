"""The loop: batches, early stops, clipping, and modules that keep statistics or draw at random."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.models import build_model, factories
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import SGD, Recipe
from landscape_cli.samplers.loop import batch_ends
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.training import RESNET, blobs, images, noise, records, train_one, train_sgd


@pytest.mark.parametrize(("samples", "size"), [(10, 4), (9, 4), (8, 4), (5, 4), (4, 4), (3, 4), (2, 4), (1, 4), (3, 2)])
def test_last_batches(samples: int, size: int) -> None:
    """One sample left over joins the batch before where there is batch-norm, and only there."""
    plain = batch_ends(nn.Linear(2, 2), samples, size)
    assert plain == [*range(size, samples, size), samples]
    if samples == 1:
        with pytest.raises(TrainingError, match="`batch_size=`"):
            batch_ends(nn.Sequential(nn.BatchNorm1d(2)), samples, size)
        return
    ends = batch_ends(nn.Sequential(nn.BatchNorm1d(2)), samples, size)
    sizes = [end - size * k for k, end in enumerate(ends)]
    assert sum(sizes) == samples
    assert min(sizes) > 1
    assert (ends == plain) == (samples % size != 1)


def test_batches_of_one() -> None:
    with pytest.raises(TrainingError, match="mini-batches of one sample"):
        train_sgd(RESNET, images(6), Recipe(epochs=1, batch_size=1), seed=0)


def test_stopping_early() -> None:
    seen, observer = records()
    train_sgd(SPECS["mlp"], blobs(), Recipe(epochs=200, until_error=0.0), seed=0, observer=observer)
    assert len(seen) < 200
    assert seen[-1].solution_error == 0.0
    assert all(record.solution_error > 0 for record in seen[:-1])


def test_long_gradients_are_cut() -> None:
    spec = SPECS["mlp"]
    recipe = Recipe(1, 0.1, momentum=0.0, batch_size=57, clip_norm=1e-3, schedule="constant")
    start = initial_params(spec, 3)
    found = train_one(spec, noise(spec), SGD(), recipe, seed=3)
    moved = math.sqrt(sum(float((found[key] - start[key]).square().sum()) for key in start))
    assert moved == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_running_statistics_are_learnt_and_saved() -> None:
    recipe = Recipe(epochs=2, batch_size=4)
    params = train_sgd(RESNET, images(9), recipe, seed=0)
    start = initial_params(RESNET, 0, 0)
    assert params["norm1.num_batches_tracked"] == 4
    assert not torch.equal(params["norm1.running_mean"], start["norm1.running_mean"])
    again = train_sgd(RESNET, images(9), recipe, seed=0)
    assert all(torch.equal(params[key], again[key]) for key in params)


def test_errors_during_training_are_those_of_evaluation() -> None:
    """The evaluator of `until_error` must not see the statistics of its own batches, nor change the saved ones."""
    seen = []

    class Recorder(Evaluator):
        def error(self, networks, split=None):  # type: ignore[no-untyped-def]
            [network] = list(networks)
            found = super().error([network], split)
            expected = Evaluator(build_model(RESNET, network), images(9)).error([network])
            seen.append(bool(torch.equal(found, expected)))
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("landscape_cli.samplers.loop.Evaluator", Recorder)
        stopped = train_sgd(RESNET, images(9), Recipe(epochs=3, batch_size=4, until_error=0.0), seed=0)
    assert seen == [True] * 3
    free = train_sgd(RESNET, images(9), Recipe(epochs=3, batch_size=4), seed=0)
    assert all(torch.equal(stopped[key], free[key]) for key in free)


def test_dropout_draws_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 3))  # noqa: E731
    monkeypatch.setattr(factories, "_allowed", {"own:net": make})
    spec = ModelSpec("own:net", {}, (1, 8, 8), 3)
    found = []
    start = initial_params(spec, 0)
    for seed in (0, 0, 1):
        torch.manual_seed(len(found))
        before = torch.get_rng_state()
        found.append(train_sgd(spec, images(9), Recipe(epochs=1), seed=seed, initial=start)["1.weight"])
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    # One batch holds all samples: beside their order, which changes rounding only, seeds differ in what is dropped.
    assert not torch.allclose(found[0], found[2], rtol=1e-3)


def test_tables_that_are_not_saved_are_evaluated_on_the_data_device() -> None:
    class Table(nn.Linear):
        def __init__(self) -> None:
            super().__init__(64, 3)
            self.register_buffer("table", torch.arange(3.0), persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.flatten(1)) + self.table

    model = Table()
    assert Evaluator(model, images(9))._prepare(model.state_dict()).keys() == {"weight", "bias", "table"}
