"""Replicas divided among processes, which here are threads: every bit is that of one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from landscape_cli.errors import TrainingError
from landscape_cli.network import ModelSpec, Params
from landscape_cli.samplers import gradients
from landscape_cli.samplers.division import Division
from landscape_cli.samplers.streams import initial_params
from tests.support.training import MODELS, SAMPLERS, equal, run

SECONDS = 20


class Threads:
    """Tensors that threads exchange."""

    def __init__(self, rank: int, size: int, barrier: Barrier, slot: list[Tensor]) -> None:
        self.rank, self.size, self._barrier, self._slot = rank, size, barrier, slot

    def spread(self, tensor: Tensor, source: int) -> None:
        if self.rank == source:
            self._slot[:] = [tensor]
        self._barrier.wait(SECONDS)
        assert tensor.is_contiguous()
        if self.rank != source:
            tensor.copy_(self._slot[0])
        self._barrier.wait(SECONDS)


def each(size: int, work: Callable[[Threads], Any]) -> list[Any]:
    """Return what every one of so many processes comes to."""
    barrier, slot = Barrier(size), []  # type: Barrier, list[Tensor]
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: work(Threads(rank, size, barrier, slot)), range(size)))


def starts(spec: ModelSpec, seeds: Sequence[int]) -> list[list[Params]]:
    """Return the networks that runs begin with, which are drawn from what threads share."""
    return [[initial_params(spec, seed, replica) for replica in range(3)] for seed in seeds]


@pytest.mark.parametrize(("model", "size"), [("mlp", 2), ("resnet", 3), ("binary", 4)])
def test_processes_together_come_to_the_bits_of_one(model: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, recipe = SAMPLERS["rsgd"]
    recipe, spec = replace(recipe, clip_norm=0.5), MODELS[model]
    initial = starts(spec, [3, 4])
    whole = run(spec, sampler, recipe, [3, 4])
    counts: list[int] = []
    found = gradients.one_by_one

    def counting(*args: Any) -> gradients.Gradients:
        way = found(*args)

        def counted(stack: Any, indices: Sequence[int], *rest: Any) -> tuple[Tensor, Tensor]:
            counts.append(len(indices))
            return way(stack, indices, *rest)

        return counted

    monkeypatch.setattr(gradients, "one_by_one", counting)
    together = partial(run, spec, sampler, recipe, [3, 4], initial=initial)
    for solutions in each(size, lambda tensors: together(division=Division(tensors))):
        for a, b in zip(solutions, whole, strict=True):
            assert equal(a.params, b.params)
            assert all(equal(*pair) for pair in zip(a.replicas, b.replicas, strict=True))
    assert max(counts) == -(-6 // size)  # of six networks


def test_one_that_is_asked_to_stop_lets_all_know() -> None:
    def work(tensors: Threads) -> list[int]:
        division = Division(tensors, lambda: tensors.rank == 1 and len(steps[1]) == 2)

        def pause(ended: bool, state: object) -> None:
            steps[tensors.rank].append(division.stops)

        run(spec, *SAMPLERS["rsgd"], [3], division=division, pause=pause, initial=initial)
        return steps[tensors.rank]

    spec = MODELS["mlp"]
    initial = starts(spec, [3])
    steps: list[list[int]] = [[], []]
    first, second = each(2, work)
    assert first == second
    assert first[:3] == [False, False, True]  # at the beginning, and after two steps


@pytest.mark.parametrize(("last", "active"), [(1 + 2**-23, True), (1.0, False), (1.0, True)])
def test_what_is_otherwise_elsewhere_is_noticed(last: float, active: bool) -> None:
    def work(tensors: Threads) -> str:
        stack = SimpleNamespace(weights=torch.tensor([[-2.0, last if tensors.rank else 1.0]]))
        try:
            Division(tensors).check_agree(stack, [True, active or not tensors.rank])
        except TrainingError as error:
            return str(error)
        return ""

    first, second = each(2, work)
    assert first == ""
    assert ("process 2 of 2 has come to other weights" in second) is not (active and last == 1)
