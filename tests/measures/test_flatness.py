"""Flatness: weights under noise, signs flipped at random, and what is refused (docs/method.md: Flatness)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.errors import DataError, GeometryError, LandscapeWarning, ModelError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import Scores
from landscape_cli.measures.flatness import flip_energy, local_energy, perturbed_names, warn_of_missing_draws
from landscape_cli.measures.local_energy import LocalEnergy
from landscape_cli.measures.perturbation import check_suits, default_perturbation, perturbations
from landscape_cli.rng import generator
from tests.support.binaries import Binary, make_binary
from tests.support.cases import make_case
from tests.support.reference import flip_signs, wrong

FLIP = (0.0, 0.01, 0.1, 0.3, 1.0)


class Spy(Evaluator):
    """Keeps the signs of every network that it is given."""

    seen: Sequence[Tensor] = ()

    def evaluate(self, networks: Iterable[dict[str, Tensor]]) -> dict[str, Scores]:
        kept = list(networks)
        signs = [torch.cat([tensor.flatten() for tensor in network.values()]) >= 0 for network in kept]
        self.seen = [*self.seen, *signs]
        return super().evaluate(kept)


def data_of(net: Binary) -> Split:
    labels = torch.randint(2, (len(net.inputs),), generator=torch.Generator().manual_seed(0))
    return Split(net.inputs, labels)


def measured(
    name: str = "mlp", samples: int = 6, seed: int = 3, network: int = 0, flip: tuple[float, ...] = FLIP, **how
):
    net = make_binary(name, network, samples=60)
    spy = Spy(net.model, data_of(net))
    found = flip_energy(spy, net.params, latents=net.symmetry.latents, flip=flip, samples=samples, seed=seed, **how)
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


@pytest.mark.parametrize("exact", [False, True])
def test_flips_are_nested_and_none_at_zero(exact: bool) -> None:
    _, found, flips = measured(exact=exact)
    assert not flips[:, 0].any()
    assert bool((found.draws["data"][0] == 0).all())
    assert flips[:, -1].all()
    for lower, higher in zip(flips.unbind(1)[:-1], flips.unbind(1)[1:], strict=True):
        assert not (lower & ~higher).any()
    for one, other in zip(flips[:-1, 2], flips[1:, 2], strict=True):
        assert not torch.equal(one, other)  # each draw has flips of its own


def test_exactly_the_fraction_is_flipped() -> None:
    _, _, flips = measured("conv, 28", exact=True)
    for k, p in enumerate(FLIP):
        assert {abs(int(count) - p * flips.shape[2]) <= 0.5 for count in flips[:, k].sum(1)} == {True}


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
    flip_energy(spy, params, latents=net.symmetry.latents, flip=[1.0], samples=1)
    assert spy.seen[0].all()
    assert not spy.seen[1].any()


CASE = make_case("mlp")
DATA = Split(CASE.inputs, torch.arange(16) % 4)


def test_noise_equals_the_slow_way() -> None:
    """The weights, and no biases, by default; from a model and data as from an evaluator."""
    measured = local_energy(CASE.model, CASE.params, DATA, sigma=(0.3, 2.0), samples=3, seed=5)
    names = ("fc1.weight", "fc2.weight", "fc3.weight")
    before = wrong(CASE.model, CASE.params, *DATA)
    assert (measured.kind, measured.error) == ("sigma", {"data": before / 16})
    for k in range(3):
        source = generator(5, k)
        noise = {name: torch.randn(CASE.params[name].shape, generator=source) for name in names}
        for j, sigma in enumerate((0.3, 2.0)):
            moved = CASE.params | {name: CASE.params[name] * (1 + sigma * z.double()) for name, z in noise.items()}
            difference = (wrong(CASE.model, moved, *DATA) - before) / 16
            assert float(measured.draws["data"][j, k]) == pytest.approx(difference)
    evaluator = Evaluator(CASE.model, {"data": DATA})
    options = {"sigma": (0.3, 2.0), "samples": 3, "seed": 5}
    for same in ({"weights": names}, {"symmetry": CASE.symmetry}, {}):
        again = local_energy(evaluator, CASE.params, **same, **options)
        assert torch.equal(again.draws["data"], measured.draws["data"])


def test_result_as_json_values() -> None:
    draws = torch.tensor([[0.0, 0.5, 0.1], [0.25, math.nan, 0.5]], dtype=torch.float64)
    energy = LocalEnergy("sigma", (0.1, 0.2), {"train": 0.125}, {"train": draws})
    [first, second] = energy.to_dict()["local_energy"]
    assert first["sigma"] == 0.1
    assert first["train_energy"] == pytest.approx(0.2)
    assert first["train_standard_error"] == pytest.approx(math.sqrt((0.04 + 0.09 + 0.01) / 2 / 3))
    assert first["train_draws"] == [0.0, 0.5, 0.1]
    assert (second["train_energy"], second["train_draws"]) == (None, [0.25, None, 0.5])
    assert energy.to_dict()["train_error"] == 0.125
    assert energy.missing == 1
    with pytest.warns(LandscapeWarning, match="1 of 6 draws for a.st have no error"):
        warn_of_missing_draws(energy, "a.st")


@pytest.mark.parametrize("sigma", [[-0.1], [math.inf], [math.nan], []])
def test_strengths_that_are_none(sigma: list[float]) -> None:
    with pytest.raises(GeometryError, match="`sigma=` takes numbers that are not negative, not"):
        local_energy(CASE.model, CASE.params, DATA, sigma=sigma)


@pytest.mark.parametrize("flip", [[1.5], [-0.1], [math.nan], []])
def test_probabilities_that_are_none(flip: list[float]) -> None:
    net = make_binary("mlp", 0, samples=60)
    with pytest.raises(GeometryError, match=r"`flip=` takes probabilities from 0 to 1, as in 0.01,0.02,0.05,0.1, not"):
        flip_energy(net.model, net.params, data_of(net), flip=flip)


def test_networks_and_options_that_do_not_fit() -> None:
    net = make_binary("mlp", 0, samples=60)
    with pytest.raises(GeometryError, match="use flip_energy"):
        local_energy(net.model, net.params, data_of(net))
    with pytest.raises(GeometryError, match="use local_energy"):
        flip_energy(CASE.model, CASE.params, DATA)
    with pytest.raises(DataError, match="nothing to measure on"):
        local_energy(CASE.model, CASE.params)
    with pytest.raises(GeometryError, match="`samples=` must be at least 1"):
        local_energy(CASE.model, CASE.params, DATA, samples=0)
    with pytest.raises(GeometryError, match=r"no tensors 'fc9\.weight' to perturb"):
        local_energy(CASE.model, CASE.params, DATA, weights=["fc9.weight"])
    with pytest.raises(ModelError, match="do not fit the model"):
        local_energy(CASE.model, net.params, DATA)


def test_latents_are_the_models_by_default() -> None:
    net, found, _ = measured(samples=2)
    again = flip_energy(net.model, net.params, data_of(net), flip=FLIP, samples=2, seed=3)
    assert torch.equal(again.draws["data"], found.draws["data"])


def test_what_is_perturbed() -> None:
    assert perturbed_names(CASE.model, CASE.symmetry) == ("fc1.weight", "fc2.weight", "fc3.weight")
    assert set(perturbed_names(CASE.model, None, all_parameters=True)) == set(CASE.params)
    net = make_binary("mlp", 0)
    assert perturbed_names(net.model, None) == net.symmetry.latents


def test_what_is_registered() -> None:
    assert [kind.name for kind in perturbations()] == ["sigma", "flip", "flip_exact"]
    assert [default_perturbation(binary=binary).name for binary in (False, True)] == ["sigma", "flip"]
    noise, flips, exact = perturbations()
    with pytest.raises(GeometryError, match=r"a.st is binary, which noise .* for: use `flip=` 0.01,0.02,0.05,0.1"):
        check_suits(noise, "a.st", binary=True)
    with pytest.raises(GeometryError, match=r"`flip=` is for binary networks, and a.st is not: use `sigma=` 0.1,0.2"):
        check_suits(flips, "a.st", binary=False)
    with pytest.raises(GeometryError, match=r"`flip_exact=` is for binary networks, and a.st is not: use `sigma=` 0.1"):
        check_suits(exact, "a.st", binary=False)
    check_suits(noise, "a.st", binary=False)
