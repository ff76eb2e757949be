"""A distance of one's own, through the library and the command."""

from __future__ import annotations

import json

import pytest
import torch

from landscape_cli import distance, read_checkpoint
from landscape_cli.choices import Metric
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models import build_model
from landscape_cli.symmetry import Symmetry, trace_symmetry
from tests.cli.test_app import TRAIN
from tests.support.registering import registered

LINE = ("LARGEST", "largest", "tests.extending.distance:Largest")


def symmetry_of(network: Checkpoint) -> Symmetry:
    return trace_symmetry(build_model(network.model, network.params), torch.zeros(2, *network.model.input_shape))


def test_a_distance_of_ones_own(landscape) -> None:
    for seed in (1, 2):
        assert landscape(*TRAIN, "--seed", seed, "-o", f"{seed}.st").code == 0
    a, b = (read_checkpoint(f"{seed}.st") for seed in (1, 2))
    with registered(Metric, *LINE):
        expected = max((a.params[name] - b.params[name]).abs().max().item() for name in a.params)
        measured = distance(a.params, b.params, symmetry_of(a))
        assert measured.largest == pytest.approx(expected, rel=1e-6)
        assert list(measured.to_dict()) == ["geodesic", "rms_angle", "euclidean", "largest", "cosine"]
        matrix = json.loads(landscape("distance", "1.st", "2.st", "--no-functions", "--matrix", "largest").out)[
            "matrix"
        ]
        assert matrix["rows"][0] == {"network": "1.st", "1.st": 0.0, "2.st": measured.largest}
        refused = landscape("distance", "1.st", "2.st", "--matrix", "hamming", "--no-functions")
        assert "euclidean, largest, cosine" in refused.err
    assert "largest" not in distance(a.params, b.params, symmetry_of(a)).to_dict()
    assert landscape("distance", "1.st", "2.st", "--matrix", "largest").code == 2
