"""A measure of flatness of one's own, through the library and the command."""

from __future__ import annotations

import json

import pytest

from landscape_cli import Evaluator, load_data, read_checkpoint
from landscape_cli.choices import Perturbation
from landscape_cli.data.datasets import DataSpec
from landscape_cli.errors import GeometryError
from landscape_cli.measures.flatness import perturbed_energy
from landscape_cli.measures.perturbation import perturbations
from landscape_cli.models import build_model
from landscape_cli.rng import generator
from tests.cli.test_app import TRAIN
from tests.support.registering import registered, run_with_choice

LINE = ("ADD", "add", "tests.extending.flatness_measure:AdditiveNoise")


def test_a_measure_of_ones_own(landscape) -> None:
    assert landscape(*TRAIN, "-o", "1.st").code == 0
    network = read_checkpoint("1.st")
    data = load_data(DataSpec.from_record(network.data), preprocessing=network.data)
    evaluator = Evaluator(build_model(network.model, network.params), {"train": data.train})
    with registered(Perturbation, *LINE):
        noise = perturbations()[-1]
    names = ("fc1.weight", "fc2.weight", "fc3.weight")
    energy = perturbed_energy(network.params, evaluator, noise, (0.5,), names=names, samples=2, seed=3)

    moved, source = dict(network.params), generator(3, 1)
    for name in names:
        tensor = moved[name]
        moved[name] = tensor + 0.5 * tensor.square().mean().sqrt() * noise.draw(tensor, source)
    before, after = evaluator.error([network.params, moved])
    assert energy.draws["train"][0, 1] == pytest.approx(float(after - before))
    with pytest.raises(GeometryError, match="`add=` takes numbers that are not negative, not -1"):
        perturbed_energy(network.params, evaluator, noise, (-1.0,), names=names)

    noisy = ("flatness", "1.st", "--add", "0.5")
    done, refused, helped = run_with_choice(
        ("Perturbation", *LINE),
        (*noisy, "--samples", "2", "--seed", "3", "--plot", "a.png"),
        (*noisy, "--sigma", "0.1"),
        ("flatness", "--help"),
    )
    assert done.code == 0, done.errors
    result = json.loads(done.out)
    assert result["networks"][0] == {"network": "1.st"} | energy.to_dict()
    assert result["provenance"]["arguments"]["add"] == "0.5"
    assert "sigma" not in result["provenance"]["arguments"]
    assert "--sigma and --add are two measures: choose one" in refused.errors
    assert "--add <str>" in helped.out
    assert landscape("flatness", "1.st", "--add", "0.5").code == 2
