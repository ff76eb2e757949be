"""Where lines and planes lead: gradients, eigenvectors and principal directions against slow ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from landscape_cli import normalize
from landscape_cli.choices import LineDirection
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry.surface import Chart, Surface
from landscape_cli.measures.line_directions import Center, Way
from landscape_cli.network import Params
from landscape_cli.normalization.normalize import is_normalized
from tests.support.cases import make_case
from tests.support.hessians import dense_hessian

CASE = make_case("mlp")
BASE = normalize(CASE.model, CASE.params, CASE.symmetry).params
LABELS = torch.randint(4, (16,), generator=torch.Generator().manual_seed(1))
WEIGHTS, ALL = list(CASE.symmetry.weights), list(CASE.symmetry.parameters)
OTHERS = [make_case("mlp", seed=seed).params for seed in range(4)]


def loss(params: Params) -> Tensor:
    return torch.nn.functional.cross_entropy(CASE.outputs(dict(params)), LABELS)


def center(*, torus: bool = False, trajectory: list[Params] | None = None, base: Params = BASE) -> Center:
    surface = Surface(base, CASE.symmetry.spheres if torus else ())
    evaluator = Evaluator(CASE.model, {"train": Split(CASE.inputs, LABELS)})
    return Center(surface, WEIGHTS, ALL, evaluator, "train", 0, trajectory or ())


def ways(name: str, count: int, **setting: Any) -> list[Way]:
    found: list[Way] = LineDirection(name).load()().ways(center(**setting), count)
    return found


def flat(vector: Params, names: list[str] = WEIGHTS) -> Tensor:
    return torch.cat([vector[name].flatten() for name in names])


def test_the_gradient_is_that_of_autograd() -> None:
    leaves = {name: BASE[name].clone().requires_grad_() for name in WEIGHTS}
    slopes = torch.autograd.grad(loss(BASE | leaves), list(leaves.values()))
    [way] = ways("gradient", 1)
    torch.testing.assert_close(flat(way.vector), torch.cat([slope.flatten() for slope in slopes]))
    assert way.facts["gradient_norm"] == pytest.approx(float(flat(way.vector).norm()))


def test_hessian_directions_are_eigenvectors() -> None:
    matrix = dense_hessian(CASE.model, BASE, WEIGHTS, CASE.inputs, LABELS, relative=False)
    values = torch.linalg.eigvalsh(matrix).flip(0)
    for way, value in zip(ways("hessian", 2), values, strict=False):
        vector = flat(way.vector)
        assert way.facts["eigenvalue"] == pytest.approx(float(value), rel=1e-4)
        residual = float((matrix @ vector - way.facts["eigenvalue"] * vector).norm())
        assert residual <= 1e-3 * float(value)
        assert way.facts["residual"] == pytest.approx(residual, abs=1e-8)
        assert float(vector.norm()) == pytest.approx(1)
        assert float(vector.sum()) >= 0


def test_on_the_torus_eigenvalues_are_second_derivatives_along_great_circles() -> None:
    first, second = ways("hessian", 2, torus=True)
    surface, step = Surface(BASE, CASE.symmetry.spheres), 1e-3
    chart = Chart(surface, [first.vector, second.vector], WEIGHTS)
    for k, way in enumerate((first, second)):
        losses = [float(loss(chart.network(*(sign * step * (k == axis) for axis in range(2))))) for sign in (-1, 0, 1)]
        assert (losses[0] - 2 * losses[1] + losses[2]) / step**2 == pytest.approx(way.facts["eigenvalue"], rel=1e-4)
        tangent = surface.tangent(way.vector)
        torch.testing.assert_close(flat(tangent), flat(way.vector))
    bent = [float(loss(BASE | {n: BASE[n] + s * step * first.vector[n] for n in WEIGHTS})) for s in (-1, 0, 1)]
    assert (bent[0] - 2 * bent[1] + bent[2]) / step**2 != pytest.approx(first.facts["eigenvalue"], rel=1e-2)


@pytest.mark.parametrize("name", ["random", "gradient", "hessian"])
def test_directions_of_the_torus_stay_on_it(name: str) -> None:
    [way] = ways(name, 1, torus=True)
    chart = Chart(Surface(BASE, CASE.symmetry.spheres), [way.vector], WEIGHTS)
    assert all(is_normalized(chart.network(x), CASE.symmetry, last_layer=True) for x in (-1.0, 0.3, 5.0))
    assert not is_normalized(Chart(Surface(BASE), [way.vector], WEIGHTS).network(0.3), CASE.symmetry, last_layer=True)


def test_principal_directions_are_those_of_a_singular_value_decomposition() -> None:
    stacked = np.stack([flat(network, ALL).numpy() for network in OTHERS])
    centered = stacked - stacked.mean(axis=0)
    _, sizes, rows = np.linalg.svd(centered, full_matrices=False)
    for way, size, row in zip(ways("pca", 2, trajectory=OTHERS, base=OTHERS[-1]), sizes, rows, strict=False):
        vector = flat(way.vector, ALL).numpy()
        assert abs(vector @ row) == pytest.approx(1)
        assert way.facts["explained_variance"] == pytest.approx(size**2 / (sizes**2).sum())
        assert (stacked[0] - stacked[-1]) @ vector <= 0


def test_principal_directions_on_the_torus_are_of_the_ways_there() -> None:
    networks = [normalize(CASE.model, network, CASE.symmetry).params for network in OTHERS]
    surface = Surface(networks[-1], CASE.symmetry.spheres)
    stacked = np.stack([np.concatenate([surface.log(n, key).flatten().numpy() for key in ALL]) for n in networks])
    rows = np.linalg.svd(stacked - stacked.mean(axis=0), full_matrices=False)[2]
    [way] = ways("pca", 1, trajectory=networks, base=networks[-1], torus=True)
    assert abs(flat(way.vector, ALL).numpy() @ rows[0]) == pytest.approx(1)


def test_random_directions_are_drawn_one_by_one() -> None:
    [alone], [first, second] = ways("random", 1), ways("random", 2)
    assert torch.equal(flat(alone.vector), flat(first.vector))
    assert not torch.equal(flat(first.vector), flat(second.vector))
    assert first.vector.keys() == set(WEIGHTS)


def test_what_has_no_direction() -> None:
    line = [OTHERS[0], {name: 2 * tensor for name, tensor in OTHERS[0].items()}] * 2
    flat_network = {name: torch.zeros_like(tensor) for name, tensor in BASE.items()}
    for name, setting, words in (
        ("pca", {"trajectory": OTHERS[:2]}, "for 2 axes take at least 3 networks, and 2 are named"),
        ("pca", {"trajectory": line}, "or lie on one line"),
        ("pca", {"trajectory": OTHERS[:1] * 3}, "all equal"),
        ("gradient", {"base": flat_network}, "the gradient of the loss is 0"),
        ("hessian", {"base": flat_network}, "the Hessian of the loss is zero"),
    ):
        with pytest.raises(GeometryError, match=words):
            ways(name, 1 if name == "gradient" else 2, **setting)
