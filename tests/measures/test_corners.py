"""What stands in for networks of a plane: made again in numpy, and refused (docs/method.md: Planes)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from landscape_cli import ModelSpec, build_model, permute, plane, random_permutations, trace_symmetry
from landscape_cli.binary.layers import latent_owners
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError, LandscapeWarning, ModelError
from landscape_cli.geometry.hamming import hamming
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.corners import Corners, find_corners, span_corners
from landscape_cli.models import create_model
from landscape_cli.network import Params
from tests.support.binaries import make_binary
from tests.support.cases import make_case
from tests.support.reference import wrong

CASES = [make_case("mlp", seed=seed) for seed in range(3)]
MODEL, (A, B, C) = CASES[0].model, [case.params for case in CASES]
LABELS = torch.randint(4, (40,), generator=torch.Generator().manual_seed(1))
DATA = Split(torch.randn(40, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64), LABELS)
SPEC = ModelSpec("mlp", {"hidden": [12, 9]}, (7,), 4)


def corners_of(model: nn.Module, networks: list[Any], third: str, shape: tuple[int, ...], seed: int = 0) -> Corners:
    return find_corners(model, networks, third, example=torch.zeros(2, *shape), seed=seed, device=torch.device("cpu"))


def flat(params: Params) -> np.ndarray:
    return np.concatenate([tensor.double().numpy().ravel() for tensor in params.values()])


def check_nodes(measured: Any, model: nn.Module, first: Params, second: np.ndarray, third: np.ndarray) -> None:
    """Check every node's error against Gram-Schmidt in numpy."""
    start = flat(first)
    u = (second - start) / np.linalg.norm(second - start)
    w = third - start
    v = w - (w @ u) * u
    v /= np.linalg.norm(v)
    assert measured.corners[2] == pytest.approx((w @ u, w @ v))
    for point in measured.points:
        where = start + point["x"] * u + point["y"] * v
        params, begin = {}, 0
        for name, tensor in first.items():
            params[name] = torch.tensor(where[begin : begin + tensor.numel()]).view(tensor.shape)
            begin += tensor.numel()
        assert point["data_error"] == wrong(model, params, DATA.x, DATA.y) / len(DATA.y)


def test_the_origin() -> None:
    measured = plane(MODEL, A, B, None, DATA, third="origin", grid=4)
    check_nodes(measured, MODEL, A, flat(B), np.zeros(len(flat(A))))
    assert measured.names == ("a", "b", "origin")
    assert (measured.third, measured.given) == ("origin", 2)
    assert math.dist(measured.corners[2], (0, 0)) == pytest.approx(float(np.linalg.norm(flat(A))))
    # All logits tie there: the error of always saying class 0.
    assert measured.corner_scores[2]["data_error"] == float((LABELS != 0).double().mean())


def test_along_the_radius_the_error_of_a_network_without_biases_stays() -> None:
    spec = ModelSpec("mlp", {"hidden": [6], "bias": False}, (7,), 4)
    a, b = (create_model(spec, seed=seed, dtype=torch.float64).state_dict() for seed in (0, 1))
    model = build_model(spec, a)
    spanned = span_corners(corners_of(model, [a, b], "origin", (7,)))
    x, y = spanned.corners[2]
    networks = [spanned.network((1 - c) * x, (1 - c) * y) for c in (1.0, 0.7, 0.1)]
    errors = [wrong(model, params, DATA.x, DATA.y) for params in networks]
    assert errors == [wrong(model, a, DATA.x, DATA.y)] * 3
    assert errors[0] != wrong(model, spanned.network(0.3 * spanned.corners[1][0], 0.0), DATA.x, DATA.y)


def test_a_random_direction() -> None:
    corners = corners_of(MODEL, [A, B], "random", (7,), seed=3)
    made = corners.networks[2]
    for name, tensor in A.items():
        change = (made[name] - tensor).numpy()
        if tensor.ndim == 1:
            assert not change.any()
        else:
            assert np.linalg.norm(change, axis=1) == pytest.approx(np.linalg.norm(tensor.numpy(), axis=1))
    measured = plane(MODEL, A, B, None, DATA, third="random", seed=3, grid=4)
    check_nodes(measured, MODEL, A, flat(B), flat(made))
    assert measured.to_dict()["third"] == "random"
    again, other = (plane(MODEL, A, B, None, DATA, third="random", seed=seed, grid=4) for seed in (3, 4))
    assert again.to_dict() == measured.to_dict()
    assert other.corners != measured.corners


def test_two_random_directions() -> None:
    corners = corners_of(MODEL, [A], "random", (7,))
    measured = plane(MODEL, A, None, None, DATA, third="random", grid=3)
    check_nodes(measured, MODEL, A, flat(corners.networks[1]), flat(corners.networks[2]))
    cosine = np.corrcoef(flat(corners.networks[1]) - flat(A), flat(corners.networks[2]) - flat(A))[0, 1]
    assert abs(cosine) < 0.4
    with_b = corners_of(MODEL, [A, B], "random", (7,))
    assert all(torch.equal(with_b.networks[2][name], corners.networks[1][name]) for name in A)
    names = [(each["name"], each["network"], each.get("third")) for each in measured.to_dict()["networks"]]
    assert names == [("a", "a", None), *((letter, "random direction", "random") for letter in "bc")]


def test_permuting_units_changes_no_plane_of_the_origin() -> None:
    generator = torch.Generator().manual_seed(5)
    permutations = random_permutations(CASES[0].symmetry, generator=generator)
    moved = [permute(params, CASES[0].symmetry, permutations) for params in (A, B)]
    before, after = (plane(MODEL, *pair, None, DATA, third="origin", grid=4) for pair in ((A, B), moved))
    assert [p["data_error"] for p in before.points] == [p["data_error"] for p in after.points]
    assert np.allclose(before.corners, after.corners)
    lone = plane(MODEL, A, moved[1], None, DATA, third="origin", grid=4)  # only one of them: another plane
    assert not np.allclose(before.corners, lone.corners)


def test_running_statistics_stay_at_the_origin() -> None:
    model = nn.Sequential(nn.Linear(7, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)).double().eval()
    a = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    b = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in a.items()}
    origin = corners_of(model, [a, b], "origin", (7,)).networks[2]
    for name, tensor in a.items():
        assert torch.equal(origin[name], tensor if "running" in name or "num" in name else torch.zeros_like(tensor))
    measured = plane(model, a, b, None, DATA, third="origin", grid=2)
    assert measured.corner_scores[2]["data_error"] == float((LABELS != 0).double().mean())


def test_binary_networks_have_random_signs() -> None:
    nets = [make_binary("mlp", seed) for seed in range(2)]
    model, latents, shape = nets[0].model, latent_owners(nets[0].model), tuple(nets[0].inputs.shape[1:])
    a, b = (net.params for net in nets)
    corners = corners_of(model, [a, b], "random", shape)
    assert hamming(a, corners.networks[2], latents).flips == hamming(a, b, latents).flips
    assert corners.names == ("a", "b", "random signs")
    alone = corners_of(model, [a], "random", shape)
    size = hamming(a, b, latents).weights
    assert [hamming(a, each, latents).flips for each in alone.networks[1:]] == [size // 2] * 2
    assert 0 < hamming(*alone.networks[1:], latents).flips < size
    data = Split(nets[0].inputs, torch.arange(40) % 3)
    body = plane(model, a, b, None, data, third="random", grid=2).to_dict()
    assert (body["binary"], body["third"]) == (True, "random")
    with pytest.raises(GeometryError, match=r"binary networks have no origin, .*: use `third=` random"):
        plane(model, a, b, None, data, third="origin")


@pytest.mark.parametrize(
    ("networks", "options", "words"),
    [
        ((A, B, C), {"third": "origin"}, "^`third=` stands in for the third network: name two$"),
        ((A, B, C), {"third": "random"}, "^`third=` stands in for the third network: name two$"),
        ((A, None, None), {"third": "origin"}, "one network and the origin span a line"),
        ((A, B, None), {}, "here are two: name three, or let `third=` origin or random stand in"),
        ((A, None, None), {}, "here is one: name three"),
        ((A, None, B), {"third": "random"}, "give the second network as `b=`"),
        ((A, B, None), {"third": "zero"}, "unknown `third=` 'zero': choose origin or random"),
        ((A, B, None), {"third": "random", "seed": -1}, "`seed=` must be a whole number of at least 0"),
        ((A, A, None), {"third": "random"}, "a, b, random direction: two of the three networks are equal"),
        (
            (A, {name: 2 * tensor for name, tensor in A.items()}, None),
            {"third": "origin"},
            "a, b, origin: the three networks lie on one line",
        ),
    ],
)
def test_what_spans_no_plane(networks: tuple[Any, Any, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        plane(MODEL, *networks, DATA, **options)
    with pytest.raises(ModelError):
        plane(MODEL, None, B, None, DATA, third="random")  # type: ignore[arg-type]


def test_warnings() -> None:
    normal, raw = Checkpoint(A, SPEC, {}, normalized={}, path="a.st"), Checkpoint(B, SPEC, {}, path="b.st")
    with pytest.warns(LandscapeWarning, match="some of the networks are normalised"):
        assert plane(MODEL, normal, raw, None, DATA, third="origin", grid=2).names == ("a.st", "b.st", "origin")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plane(MODEL, normal, None, None, DATA, third="random", grid=2)

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(7, 5).double(), nn.Linear(5, 4).double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.fc2(torch.special.bessel_j0(self.fc1(x)))
            return out

    model = Odd()
    assert trace_symmetry(model, DATA.x).notes
    with pytest.warns(LandscapeWarning, match="no symmetry rule for the operator"):
        plane(model, model.state_dict(), None, None, DATA, third="random", grid=2)
