"""Training vertices of simplices, against the plain loop that everybody would write."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.rng import generator
from landscape_cli.samplers import SGD, EpochRecord, Recipe, TrainingObserver, train
from landscape_cli.samplers.simplices import OrthogonalSGD, SimplexSGD
from landscape_cli.samplers.streams import POINTS, epoch_order
from tests.support.paths import split

SPEC = ModelSpec("mlp", {"hidden": [7, 6]}, (5,), 3)
CONV = ModelSpec("lenet", {"filters": [2, 3], "hidden": 5}, (1, 16, 16), 3)
FACETS = ((0, 2, 4), (1, 2, 4), (0, 3, 4), (1, 3, 4))  # two that stay, three that are trained
SPHERES: dict[str, int | None] = {"fc1.weight": 0, "fc2.weight": 0, "fc3.weight": None}
RECIPE = Recipe(epochs=3, learning_rate=0.3, momentum=0.9, batch_size=16)


def networks(count: int, spec: ModelSpec = SPEC) -> list[Params]:
    return [create_model(spec, seed=seed).state_dict() for seed in range(count)]


def units_of(tensor: Tensor, dim: int | None) -> Tensor:
    return tensor.reshape(1, -1) if dim is None else tensor.movedim(dim, 0).flatten(1)


def point(vertices: list[Params], weights: Tensor, spheres: Mapping[str, int | None]) -> dict[str, Tensor]:
    """Return the weighted mean of networks; units on spheres as long as the mean of their lengths."""
    result = {}
    for name in vertices[0]:
        mean = sum(w * vertex[name] for w, vertex in zip(weights, vertices, strict=True))
        assert isinstance(mean, Tensor)
        if name in spheres:
            lengths = sum(
                w * units_of(vertex[name], spheres[name]).norm(dim=1)
                for w, vertex in zip(weights, vertices, strict=True)
            )
            rows = units_of(mean, spheres[name])
            mean = (rows / rows.norm(dim=1, keepdim=True) * lengths[:, None]).view(mean.shape)
        result[name] = mean
    return result


def plain_loop(spec: ModelSpec, recipe: Recipe, spheres: Mapping[str, int | None], seed: int) -> list[Params]:
    """Train by autograd through the mean, one optimiser for all trained vertices."""
    vertices = networks(5, spec)
    trained = [{name: tensor.clone().requires_grad_(True) for name, tensor in v.items()} for v in vertices[2:]]
    every = [*vertices[:2], *trained]
    model = create_model(spec, seed=0).train()
    data = split(spec, 60, 3)
    rate = recipe.initial_rate
    leaves = [tensor for vertex in trained for tensor in vertex.values()]
    optimizer = torch.optim.SGD(leaves, rate, momentum=recipe.momentum or 0, nesterov=True)
    steps = math.ceil(len(data.y) / recipe.batch_size)
    for epoch in range(recipe.epochs):
        order = epoch_order(len(data.y), seed, 0, 0, epoch)
        for step, batch in enumerate(order.split(recipe.batch_size)):
            source = generator(seed, POINTS, 0, 0, epoch, step)
            facet = FACETS[int(torch.randint(len(FACETS), (1,), generator=source))]
            uniform = torch.empty(len(facet), dtype=torch.float64).exponential_(generator=source)
            weights = (uniform / uniform.sum()).float()
            logits = functional_call(model, point([every[k] for k in facet], weights, spheres), (data.x[batch],))
            optimizer.zero_grad(set_to_none=False)
            for leaf in leaves:
                leaf.grad = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            F.cross_entropy(logits, data.y[batch]).backward()
            done = (epoch * steps + step) / (recipe.epochs * steps)
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * done)) / 2
            optimizer.step()
    return [{name: tensor.detach() for name, tensor in vertex.items()} for vertex in trained]


@pytest.mark.parametrize("case", ["linear", "spherical", "convolutions"])
def test_as_autograd_through_the_mean(case: str) -> None:
    spec = CONV if case == "convolutions" else SPEC
    names = {"conv1.weight": 0, "conv2.weight": 0, "fc2.weight": None} if spec is CONV else SPHERES
    spheres = {} if case == "linear" else names
    assert set(spheres) <= set(networks(1, spec)[0])
    start = networks(5, spec)
    records: list[EpochRecord] = []
    [solution] = train(
        spec,
        split(spec, 60, 3),
        SimplexSGD(start[:2], 3, FACETS, spheres),
        recipe=RECIPE,
        seeds=[4],
        initial=[start[2:]],
        observer=TrainingObserver(epoch=records.append),
    )
    assert len(solution.replicas) == 3
    for found, expected, begun in zip(solution.replicas, plain_loop(spec, RECIPE, spheres, 4), start[2:], strict=True):
        for name, tensor in expected.items():
            assert torch.allclose(found[name], tensor, atol=2e-5), name
        assert any(not torch.allclose(found[name], tensor, atol=1e-2) for name, tensor in begun.items())
    assert [record.epoch for record in records] == [1, 2, 3]
    assert all(0 < record.loss < 5 and 0 <= record.error <= 1 for record in records)


def test_it_stops_by_the_mean_error_at_barycentres() -> None:
    start, data = networks(5), split(SPEC, 60, 3)
    seen: list[float | None] = []
    observer = TrainingObserver(epoch=lambda record: seen.append(record.solution_error))
    setting = {"seeds": [4], "initial": [start[2:]], "observer": observer}
    sampler = SimplexSGD(start[:2], 3, FACETS)
    [solution] = train(SPEC, data, sampler, recipe=Recipe(3, 0.3, batch_size=16, until_error=0.0), **setting)  # type: ignore[arg-type]
    assert solution.epochs == 3
    every = [*start[:2], *solution.replicas]
    model = create_model(SPEC, seed=0)
    errors = []
    for facet in FACETS:
        mean = point([every[k] for k in facet], torch.full((3,), 1 / 3), {})
        errors.append(float((functional_call(model, mean, (data.x,)).argmax(1) != data.y).double().mean()))
    assert seen[-1] == pytest.approx(sum(errors) / len(errors), abs=0.02)  # a rounding may turn a decision
    level = seen[0]
    seen.clear()
    [solution] = train(SPEC, data, sampler, recipe=Recipe(3, 0.3, batch_size=16, until_error=level), **setting)  # type: ignore[arg-type]
    assert (solution.epochs, len(seen)) == (1, 1)


def test_steps_orthogonal_to_the_networks() -> None:
    held, [start] = networks(3), networks(4)[3:]
    data = split(SPEC, 60, 3)

    def moved(sampler: SGD | OrthogonalSGD) -> tuple[float, list[float]]:
        [solution] = train(SPEC, data, sampler, recipe=RECIPE, initial=[[start]])
        assert solution.params is not None
        vector = torch.cat([(solution.params[name] - start[name]).flatten().double() for name in start])
        along = []
        for network in held[1:]:
            line = torch.cat([(network[name] - held[0][name]).flatten().double() for name in start])
            along.append(float(vector @ line / (vector.norm() * line.norm())))
        return float(vector.norm()), along

    length, along = moved(OrthogonalSGD(held))
    assert length > 0.1
    assert along == pytest.approx([0, 0], abs=1e-5)
    _, along = moved(SGD())
    assert max(map(abs, along)) > 1e-3
