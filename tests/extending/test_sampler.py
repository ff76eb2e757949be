"""A sampler costs one file and one line: the library and the command line know all of it from there."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from landscape_cli.choices import Algorithm
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models import create_model
from landscape_cli.samplers import Recipe, TrainingState, train
from landscape_cli.samplers.context import StepContext
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.extending.sampler import Signum
from tests.support.cases import SPECS
from tests.support.registering import registered
from tests.support.training import equal, noise

TRAIN = ["train", "--algo", "signum", "--hidden", "9", "--hmm-latent", "11", "--hmm-dim", "21", "--hmm-test", "50"]
TRAIN += ["--batch-size", "8", "--epochs", "3", "--lr", "0.01", "--device", "cpu"]


@pytest.fixture
def _signum() -> Iterator[None]:
    with registered(Algorithm, "SIGNUM", "signum", "tests.extending.sampler:Signum"):
        yield


def test_it_trains_as_its_paper_says() -> None:
    spec = SPECS["mlp"]
    data = noise(spec)
    recipe = Recipe(2, 0.01, batch_size=16, schedule="constant")
    [solution] = train(spec, data, Signum(memory=0.5), recipe=recipe, seeds=[3])
    names = list(initial_params(spec, 3))
    weights = [initial_params(spec, 3)[name].clone().requires_grad_(True) for name in names]
    means = [torch.zeros_like(weight) for weight in weights]
    model = create_model(spec, seed=0)
    for epoch in range(2):
        for chosen in epoch_order(len(data.y), 3, epoch=epoch).split(16):
            logits = torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (data.x[chosen],))
            loss = torch.nn.functional.cross_entropy(logits, data.y[chosen])
            for weight, mean, slope in zip(weights, means, torch.autograd.grad(loss, weights), strict=True):
                mean.copy_(0.5 * mean + 0.5 * slope)
                weight.data -= 0.01 * mean.sign()
    assert solution.params is not None
    for name, weight in zip(names, weights, strict=True):
        assert torch.allclose(solution.params[name], weight.detach(), atol=1e-5), name


def test_it_is_resumed() -> None:
    spec, recipe = SPECS["mlp"], Recipe(2, 0.01, batch_size=16)
    states: list[TrainingState] = []
    whole = train(
        spec, noise(spec), Signum(), recipe=recipe, seeds=[0, 1], pause=lambda _, state: states.append(state())
    )
    resumed = train(spec, noise(spec), Signum(), recipe=recipe, seeds=[0, 1], resume=states[3])
    for a, b in zip(whole, resumed, strict=True):
        assert a.params is not None
        assert b.params is not None
        assert equal(a.params, b.params)


@pytest.mark.usefixtures("_signum")
def test_the_command_line_knows_it(landscape) -> None:
    shown = landscape("train", "--help")
    assert "Sampler signum: steps of the sign of the mean gradient:" in shown.out
    assert "--signum-memory" in shown.out
    assert "Weight of past gradients in the mean. [default: 0.9]" in " ".join(shown.out.split())
    done = landscape(*TRAIN, "--signum-memory", "0.5")
    assert done.code == 0
    assert "wrote signum-0.st" in done.err
    assert json.loads(done.out)["algo"] == "signum"
    assert read_checkpoint("signum-0.st").history[-1]["arguments"]["signum_memory"] == 0.5
    refused = landscape(*TRAIN, "--signum-memory", "2", "-o", "x.st")
    assert (refused.code, "the memory of Signum must be" in refused.err) == (2, True)
    refused = landscape("train", "--algo", "sam", "--signum-memory", "0.5")
    assert (refused.code, "--signum-memory is for --algo signum, not sam" in refused.err) == (2, True)


@pytest.mark.usefixtures("_signum")
def test_the_command_line_resumes_it(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    assert landscape(*TRAIN, "-o", "whole.st").code == 0
    plain, count = StepContext.update, 0

    def update(self: StepContext, rate: float | None = None) -> None:
        nonlocal count
        count += 1
        if count == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        plain(self, rate)

    with monkeypatch.context() as patch:
        patch.setattr(StepContext, "update", update)
        assert landscape(*TRAIN, "-o", "x.st", "--checkpoint-every", "1").code == 143
    assert landscape(*TRAIN, "-o", "x.st", "--resume").code == 0
    assert Path("x.st").read_bytes() == Path("whole.st").read_bytes()


def test_it_is_gone_afterwards(landscape) -> None:
    assert "signum" not in list(Algorithm)
    refused = landscape(*TRAIN)
    assert (refused.code, "signum" in refused.err) == (2, True)
