"""Flatness of binary networks: signs flipped at random (SPEC 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.evaluator import Evaluator, Scores
from landscape_cli.measures.flatness import flip_energy
from landscape_cli.rng import generator
from tests.support.binaries import Binary, make_binary
from tests.support.reference import flip_signs

FLIP = (0.0, 0.01, 0.1, 0.3, 1.0)


class Spy(Evaluator):
    """Keeps the signs of every network that it is given."""

    seen: list[Tensor]

    def evaluate(self, networks: Iterable[dict[str, Tensor]]) -> dict[str, Scores]:
        kept = list(networks)
        self.seen = [torch.cat([tensor.flatten() for tensor in network.values()]) >= 0 for network in kept]
        return super().evaluate(kept)


def data_of(net: Binary) -> Split:
    labels = torch.randint(2, (len(net.inputs),), generator=torch.Generator().manual_seed(0))
    return Split(net.inputs, labels)


def measured(name: str = "mlp", samples: int = 6, seed: int = 3, network: int = 0, flip: tuple[float, ...] = FLIP):
    net = make_binary(name, network, samples=60)
    spy = Spy(net.model, data_of(net))
    found = flip_energy(net.params, spy, latents=net.symmetry.latents, flip=flip, samples=samples, seed=seed)
    first, *rest = spy.seen
    flips = torch.stack([signs != first for signs in rest]).view(samples, len(flip), -1)
    return net, found, flips


@pytest.mark.parametrize("name", ["perceptron", "committee", "mlp", "conv, 28"])
def test_energy_equals_the_slow_way(name: str) -> None:
    net, found, _ = measured(name, samples=3)
    data = data_of(net)

    def error(params: dict[str, Tensor]) -> float:
        logits = net.outputs(params)
        decided = (logits[:, 0] >= 0).long() if logits.shape[1] == 1 else logits.argmax(1)
        return float((decided != data.y).double().mean())

    before = error(net.params)
    assert found.error == {"data": before}
    for k in range(3):
        source = generator(3, k)
        uniform = {key: torch.rand(tensor.shape, generator=source) for key, tensor in net.params.items()}
        for j, p in enumerate(FLIP):
            assert float(found.draws["data"][j, k]) == pytest.approx(error(flip_signs(net.params, p, uniform)) - before)


def test_flips_are_nested_and_none_at_zero() -> None:
    _, found, flips = measured()
    assert not flips[:, 0].any()
    assert bool((found.draws["data"][0] == 0).all())
    assert flips[:, -1].all()
    for lower, higher in zip(flips.unbind(1)[:-1], flips.unbind(1)[1:], strict=True):
        assert not (lower & ~higher).any()
    for one, other in zip(flips[:-1, 2], flips[1:, 2], strict=True):
        assert not torch.equal(one, other)  # each draw has flips of its own


def test_as_many_are_flipped_as_the_probability_says() -> None:
    _, _, flips = measured("conv, 28", samples=10)
    count = flips.shape[0] * flips.shape[2]
    for k, p in enumerate(FLIP):
        deviation = math.sqrt(count * p * (1 - p))
        assert abs(int(flips[:, k].sum()) - count * p) <= 4 * deviation
    assert abs(int(flips[:, 2].sum()) - count * 0.11) > 4 * math.sqrt(count * 0.1 * 0.9)


def test_a_draw_depends_on_seed_and_number_alone() -> None:
    _, _, flips = measured()
    assert torch.equal(measured(samples=2)[2], flips[:2])
    assert torch.equal(measured(network=1)[2], flips)  # the same for another network of the model
    assert torch.equal(measured(flip=(0.1,))[2][:, 0], flips[:, 2])
    assert not torch.equal(measured(seed=4)[2][:, 2], flips[:, 2])


def test_latent_weights_of_zero_are_flipped_as_others() -> None:
    net = make_binary("mlp", 0)
    params = {key: torch.zeros_like(tensor) for key, tensor in net.params.items()}
    spy = Spy(net.model, data_of(net))
    flip_energy(params, spy, latents=net.symmetry.latents, flip=[1.0], samples=1)
    assert spy.seen[0].all()
    assert not spy.seen[1].any()
