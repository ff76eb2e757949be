"""Gradients of many networks: one by one or together, in full or half precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from landscape_cli.models import factories
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import SGD, EpochRecord, Recipe, TrainingObserver, gradients
from landscape_cli.samplers.gradients import draws_at_random
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.training import CPU, MODELS, SAMPLERS, SHORT, equal, noise, run


@pytest.mark.parametrize("name", ["sgd", "rsgd", "sam", "until"])
@pytest.mark.parametrize("model", list(MODELS))
def test_networks_together_are_networks_one_by_one(model: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels that a GPU shares between networks give, up to rounding, what each network gives alone."""
    found = []
    for way in (gradients.one_by_one, gradients.together):
        monkeypatch.setattr(gradients, "choose", lambda *args, way=way: (way(*args[3:]), True))
        found.append(run(MODELS[model], *SAMPLERS[name]))
    for a, b in zip(*found, strict=True):
        assert a.params is not None
        assert b.params is not None
        for key, tensor in a.params.items():
            assert torch.allclose(tensor, b.params[key], rtol=1e-3, atol=1e-4), key


def test_random_modules_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for rate, expected in ((0.5, True), (0.0, False)):
        make = lambda rate=rate: torch.nn.Sequential(torch.nn.Linear(7, 4), torch.nn.Dropout(rate))  # noqa: E731
        monkeypatch.setattr(factories, "_allowed", {"own:net": make})
        spec = ModelSpec("own:net", {}, (7,), 4)
        stack = Stack(spec, [initial_params(spec, 0)], CPU)
        assert draws_at_random(stack, noise(spec).x) is expected
    many = run(spec := ModelSpec("own:net", {}, (7,), 4), SGD(), SHORT)
    alone = run(spec, SGD(), SHORT, [4])[0]
    assert many[1].params is not None
    assert alone.params is not None
    assert equal(many[1].params, alone.params)


@pytest.mark.parametrize("way", [gradients.one_by_one, gradients.together])
def test_half_precision_is_of_the_passes_alone(way: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "choose", lambda *args: (way(*args[3:]), True))
    spec = SPECS["lenet"]
    found = {}
    for precision in ("float32", "bf16"):
        seen: list[EpochRecord] = []
        recipe = Recipe(4, 0.05, batch_size=16, precision=precision)
        [solution, _] = run(spec, SGD(), recipe, [0, 1], observer=TrainingObserver(epoch=seen.append))
        assert solution.params is not None
        assert {tensor.dtype for tensor in solution.params.values()} == {torch.float32}
        found[precision] = solution.params["fc1.weight"], seen[-1].loss
    (full, full_loss), (half, half_loss) = found["float32"], found["bf16"]
    assert not torch.equal(full, half)
    assert torch.allclose(full, half, atol=0.02)
    assert half_loss == pytest.approx(full_loss, rel=0.02)
