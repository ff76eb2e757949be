"""Random directions as long as the network, unit by unit (docs/method.md: Planes)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landscape_cli import trace_symmetry
from landscape_cli.errors import GeometryError
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.geometry.random_direction import moved_along, random_direction
from landscape_cli.network import Params
from tests.support.cases import Case, make_case


def direction_of(case: Case, params: Params | None = None, **which: int) -> dict[str, Tensor]:
    owners = parameter_owners(case.model)
    return random_direction(case.params if params is None else params, case.symmetry, owners, **{"seed": 0, **which})


def row_norms(tensor: Tensor) -> list[float]:
    """Return the norm of each unit's row, in numpy; these models have units along the first axis."""
    return [float(np.linalg.norm(row)) for row in tensor.double().numpy().reshape(len(tensor), -1)]


@pytest.mark.parametrize("name", ["mlp", "FunctionalNet", "Conv1dNet", "ResidualNet"])
def test_rows_have_the_norms_of_the_network(name: str) -> None:
    case = make_case(name)
    direction = direction_of(case)
    weights = {key for key, tensor in case.params.items() if tensor.ndim > 1}
    assert direction.keys() == weights
    for key in weights:
        assert row_norms(direction[key]) == pytest.approx(row_norms(case.params[key]))
    moved = moved_along(case.params, direction)
    for key, tensor in case.params.items():
        assert torch.equal(moved[key], tensor) == (key not in weights)
        assert moved[key].dtype == tensor.dtype


def test_draws_are_normal_and_independent_of_each_other_and_the_network() -> None:
    case, other = make_case("mlp", seed=0), make_case("mlp", seed=1)
    first, again, second = direction_of(case), direction_of(case), direction_of(case, number=1)
    for key, tensor in first.items():
        assert torch.equal(tensor, again[key])
        assert abs(float(torch.nn.functional.cosine_similarity(tensor.flatten(), second[key].flatten(), 0))) < 0.6
        rows, others = first[key].flatten(1), direction_of(other)[key].flatten(1)
        assert torch.allclose(rows / rows.norm(dim=1)[:, None], others / others.norm(dim=1)[:, None])
    assert not torch.equal(first["fc1.weight"], direction_of(case, seed=1)["fc1.weight"])


def test_it_scales_with_every_layer() -> None:
    """Of the network with a layer multiplied by a factor the direction is the same, with that layer multiplied."""
    case = make_case("mlp")
    factors = {key: 2.0 + k for k, key in enumerate(case.params)}
    scaled = {key: factors[key] * tensor for key, tensor in case.params.items()}
    for key, tensor in direction_of(case, scaled).items():
        assert torch.allclose(tensor, factors[key] * direction_of(case)[key])


def test_units_without_weights_stay_and_shared_weights_move_as_one() -> None:
    case = make_case("mlp")
    dead = {key: tensor.clone() for key, tensor in case.params.items()}
    dead["fc1.weight"][2] = 0
    assert not bool(direction_of(case, dead)["fc1.weight"][2].any())

    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[2].weight = model[0].weight
    symmetry = trace_symmetry(model, torch.zeros(2, 4))
    direction = random_direction(model.state_dict(), symmetry, parameter_owners(model), seed=0)
    assert direction.keys() == {"0.weight", "2.weight", "4.weight"}
    assert direction["0.weight"] is direction["2.weight"]


def test_norm_layers_stay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    symmetry = trace_symmetry(model, torch.zeros(2, 1, 4, 4))
    assert random_direction(model.state_dict(), symmetry, {}, seed=0).keys() == {"0.weight", "4.weight"}


def test_transposed_units_are_rows_along_their_own_axis() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(2, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(45, 2))
    params = model.state_dict()
    symmetry = trace_symmetry(model, torch.zeros(2, 2, 2, 2))
    direction = random_direction(params, symmetry, {}, seed=0)["0.weight"]
    assert row_norms(direction.transpose(0, 1)) == pytest.approx(row_norms(params["0.weight"].transpose(0, 1)))
    assert row_norms(direction) != pytest.approx(row_norms(params["0.weight"]))


def test_one_axis_is_one_row() -> None:
    model = nn.Module()
    model.gain = nn.Parameter(torch.tensor([3.0, 4.0]))  # type: ignore[assignment]
    model.forward = lambda x: (x * model.gain).sum(1, keepdim=True)  # type: ignore[method-assign]
    symmetry = trace_symmetry(model, torch.zeros(2, 2))
    assert symmetry.weights == ("gain",)
    assert float(random_direction(model.state_dict(), symmetry, {}, seed=0)["gain"].norm()) == pytest.approx(5)


def test_symmetries_of_another_model() -> None:
    case = make_case("mlp")
    with pytest.raises(GeometryError):
        random_direction(make_case("Conv1dNet").params, case.symmetry, {}, seed=0)
