"""Curvature: against whole Hessians, under every symmetry, as the limit of local energy (docs/method.md: Curvature)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import curvature
from landscape_cli.choices import HessianMetric
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, GeometryError, LandscapeWarning, Remark
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.measures import spectrum
from landscape_cli.measures.curvature import not_above_nodes, training_subset
from landscape_cli.measures.curvature_result import Curvature, SpectralDensity
from landscape_cli.measures.curvature_warnings import warn_of_curvature, warn_of_losses
from landscape_cli.measures.spectrum import Eigenvalues
from landscape_cli.symmetry import Symmetry, flip, permute, random_permutations, random_signs, rescale, trace_symmetry
from tests.support.alignment_nets import Net as AlignmentNet
from tests.support.binaries import make_binary
from tests.support.cases import make_case, random_factors
from tests.support.hessians import dense_hessian
from tests.support.normed import make_net

CASE = make_case("mlp")
WEIGHTS = ["fc1.weight", "fc2.weight", "fc3.weight"]
Y = torch.arange(16) % 4
DATA = Split(CASE.inputs, Y)
MATRIX = dense_hessian(CASE.model, CASE.params, WEIGHTS, *DATA)


def test_equals_the_whole_matrix() -> None:
    values = torch.linalg.eigvalsh(MATRIX)
    result = curvature(CASE.model, CASE.params, DATA, eigenvalues=3, smallest=True, trace_samples=200, tolerance=1e-9)
    assert list(result.eigenvalues) == pytest.approx(values.flip(0)[:3].tolist())
    assert result.smallest == pytest.approx(float(values[0]))
    assert result.converged
    assert max(result.residuals) < 1e-7
    assert result.trace == pytest.approx(float(MATRIX.trace()), abs=4 * result.trace_standard_error)
    # Of random signs, an estimate deviates by the square root of twice the squares beside the diagonal.
    beside = float((MATRIX - MATRIX.diag().diag()).square().sum())
    assert result.trace_standard_error == pytest.approx(math.sqrt(2 * beside / 200), rel=0.25)
    scores = Evaluator(CASE.model, {"data": DATA}).evaluate([CASE.params])["data"]
    assert (result.loss, result.error) == (float(scores.loss[0]), float(scores.error[0]))
    norm = torch.cat([CASE.params[name].flatten() for name in WEIGHTS]).norm()
    assert (result.dimension, result.norm) == (len(MATRIX), pytest.approx(float(norm)))


def test_density_has_the_moments_of_the_spectrum() -> None:
    result = curvature(
        CASE.model, CASE.params, DATA, eigenvalues=0, trace_samples=80, density=True, density_probes=80,
        density_steps=3,
    )  # fmt: skip
    assert result.density is not None
    assert result.products == 1 + 80 * 3  # the trace comes with it
    assert result.density.moment(0) == pytest.approx(1)
    assert result.density.moment(1) == pytest.approx(result.trace / result.dimension)
    for power in (1, 2, 3):
        expected = float(torch.linalg.matrix_power(MATRIX, power).trace()) / len(MATRIX)
        assert result.density.moment(power) == pytest.approx(expected, rel=0.25)
    grid, density = result.density.smooth()
    assert float((density[1:] * (grid[1:] - grid[:-1])).sum()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_density_does_not_change_the_trace(dtype: torch.dtype) -> None:
    case = make_case("mlp", dtype=dtype)
    options: dict[str, Any] = {"eigenvalues": 0, "trace_samples": 4, "symmetry": case.symmetry}
    alone, beside = (
        curvature(case.model, case.params, Split(case.inputs, Y), density=density, density_probes=2, **options)
        for density in (False, True)
    )
    assert alone.trace_draws == beside.trace_draws


def test_trace_is_the_growth_of_the_loss_under_little_noise() -> None:
    """½ σ² tr(DHD) is E[L(θ + σ z ⊙ θ)] - L(θ) as σ → 0, by a plain loop with noise and its negative."""
    source, sigma = torch.Generator().manual_seed(0), 1e-3

    def loss(params: dict[str, Tensor]) -> float:
        return float(nn.functional.cross_entropy(CASE.outputs(params), Y))

    growths = []
    for _ in range(300):
        noise = {name: torch.randn(CASE.params[name].shape, generator=source).double() for name in WEIGHTS}
        pair = [
            loss(CASE.params | {name: CASE.params[name] * (1 + s * sigma * z) for name, z in noise.items()})
            for s in (1, -1)
        ]
        growths.append(sum(pair) / 2 - loss(CASE.params))
    energy = torch.tensor(growths, dtype=torch.float64) / (sigma**2 / 2)
    result = curvature(CASE.model, CASE.params, DATA, eigenvalues=0, trace_samples=150)
    uncertainty = math.hypot(float(energy.std()) / math.sqrt(300), result.trace_standard_error)
    assert uncertainty < 0.3 * abs(result.trace)
    assert float(energy.mean()) == pytest.approx(result.trace, abs=4 * uncertainty)


class Tied(nn.Module):
    """A layer used twice, the units between which are one set."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.out = nn.Linear(6, 9), nn.Linear(9, 9), nn.Linear(9, 3)
        self.more = nn.Linear(9, 9)
        self.more.weight = self.again.weight

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.out(torch.tanh(self.more(torch.tanh(self.again(x)))))


def network_of(name: str) -> tuple[nn.Module, dict[str, Tensor], Symmetry, Tensor]:
    if name == "tied":
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Tied().double().eval()
            x = torch.randn(16, 6, dtype=torch.float64)
        params = {key: tensor.detach().clone() for key, tensor in model.state_dict().items()}
        return model, params, trace_symmetry(model, x[:2]), x
    if name in {"attention", "tanh"}:
        net = AlignmentNet(name, 0)
        return net.model, net.params, net.symmetry, net.inputs[:16]
    made = make_net(name) if name in {"chain", "residual"} else make_case(name)
    return made.model, made.params, made.symmetry, made.inputs


def transformed(params: dict[str, Tensor], symmetry: Symmetry, kinds: str, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if "scales" in kinds:
        params = rescale(params, symmetry, random_factors(symmetry, seed))
    if "signs" in kinds:
        params = flip(params, symmetry, random_signs(symmetry, generator=generator))
    if "permutations" in kinds:
        params = permute(params, symmetry, random_permutations(symmetry, generator=generator))
    return params


@pytest.mark.parametrize("name", ["mlp", "lenet", "chain", "residual", "tanh", "attention", "tied"])
def test_no_symmetry_changes_anything(name: str) -> None:
    """Not even what is random: estimates of the trace, and eigenvalues at a tolerance."""
    model, params, symmetry, x = network_of(name)
    with torch.no_grad():
        outputs = model(x).shape[1]
    data = Split(x, torch.arange(16) % outputs)
    options: dict[str, Any] = {"smallest": name in {"mlp", "tied"}, "trace_samples": 2, "symmetry": symmetry}
    before = curvature(model, params, data, **options)
    moved = transformed(params, symmetry, "scales signs permutations", 1)
    assert any(not torch.equal(moved[key], tensor) for key, tensor in params.items())
    after = curvature(model, moved, data, **options)
    assert after.loss == pytest.approx(before.loss, rel=1e-9)
    assert after.eigenvalues == pytest.approx(before.eigenvalues, rel=1e-6)
    assert after.smallest == (None if before.smallest is None else pytest.approx(before.smallest, rel=1e-5))
    assert after.trace_draws == pytest.approx(before.trace_draws, rel=1e-6, abs=1e-6 * abs(before.eigenvalues[0]))
    assert after.converged


def test_in_float32_to_its_rounding() -> None:
    case = make_case("mlp", dtype=torch.float32)
    options: dict[str, Any] = {"eigenvalues": 2, "symmetry": case.symmetry, "density": True, "density_steps": 4}
    before = curvature(case.model, case.params, Split(case.inputs, Y), **options)
    moved = transformed(case.params, case.symmetry, "scales permutations", 2)
    after = curvature(case.model, moved, Split(case.inputs, Y), **options)
    assert after.eigenvalues == pytest.approx(before.eigenvalues, rel=1e-5)
    assert after.trace_draws == pytest.approx(before.trace_draws, rel=1e-4, abs=1e-4)
    assert after.density is not None
    assert before.density is not None
    assert after.density.moment(2) == pytest.approx(before.density.moment(2), rel=1e-4)


def test_the_euclidean_metric_is_not_invariant() -> None:
    """The control: scales change the Hessian itself, as a remark says; it is of all parameters."""
    moved = transformed(CASE.params, CASE.symmetry, "scales", 1)
    measured = []
    for params in (CASE.params, moved):
        with pytest.warns(Remark, match="`metric=` euclidean depends on the scales"):
            measured.append(curvature(CASE.model, params, DATA, metric="euclidean", trace_samples=0, tolerance=1e-9))
    dense = dense_hessian(CASE.model, CASE.params, list(CASE.params), *DATA, relative=False)
    assert measured[0].eigenvalues[0] == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]))
    assert measured[1].eigenvalues[0] > 1.5 * measured[0].eigenvalues[0]
    assert math.isnan(measured[0].trace)


def test_probes_follow_units_only_with_a_symmetry() -> None:
    """The control: numbered weights have other estimates when units are permuted, of the same trace."""
    moved = transformed(CASE.params, CASE.symmetry, "permutations", 1)
    options: dict[str, Any] = {"weights": WEIGHTS, "trace_samples": 4}
    before, after = (curvature(CASE.model, params, DATA, **options) for params in (CASE.params, moved))
    assert after.trace_draws != pytest.approx(before.trace_draws, rel=1e-3)
    assert after.eigenvalues == pytest.approx(before.eigenvalues, rel=0.01)


def test_seeds() -> None:
    def measure(seed: int) -> Curvature:
        return curvature(CASE.model, CASE.params, DATA, seed=seed, trace_samples=3, symmetry=CASE.symmetry)

    assert measure(1).to_dict() == measure(1).to_dict()
    assert measure(1).trace_draws != measure(2).trace_draws
    more = curvature(CASE.model, CASE.params, DATA, seed=1, trace_samples=5, symmetry=CASE.symmetry)
    assert more.trace_draws[:3] == measure(1).trace_draws


def test_class_balanced_subsets() -> None:
    subset = training_subset(Split(CASE.inputs, Y), 8, 0)
    assert torch.bincount(subset.y).tolist() == [2, 2, 2, 2]
    by_subset = curvature(CASE.model, CASE.params, DATA, curvature_samples=8, symmetry=CASE.symmetry)
    by_hand = curvature(CASE.model, CASE.params, subset, symmetry=CASE.symmetry)
    assert by_subset.to_dict() == by_hand.to_dict()
    assert training_subset(DATA, None, 0) is DATA
    gaps = training_subset(Split(CASE.inputs, 3 * Y), 8, 0)  # labels that nobody has are no classes
    assert torch.bincount(gaps.y)[::3].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("samples", [3, 17, 0, -1, 2.5, True, "8"])
def test_subsets_that_there_are_not(samples: Any) -> None:
    with pytest.raises(DataError, match="`curvature_samples=`"):
        curvature(CASE.model, CASE.params, DATA, curvature_samples=samples, symmetry=CASE.symmetry)


def test_recomputed_statistics_are_those_of_the_whole_training_set() -> None:
    net = make_net("chain")
    data = Split(net.inputs, Y)
    evaluator = Evaluator(net.model, {"train": data}, recompute_on="train")
    options: dict[str, Any] = {"symmetry": net.symmetry, "trace_samples": 2, "curvature_samples": 8}
    recomputed = curvature(evaluator, net.params, **options)
    by_hand = curvature(net.model, recompute_statistics(net.model, net.params, net.inputs), data, **options)
    assert recomputed.to_dict() == by_hand.to_dict()
    assert curvature(net.model, net.params, data, bn="recompute", **options).to_dict() == by_hand.to_dict()
    with pytest.raises(GeometryError, match="`bn=`"):
        curvature(net.model, net.params, data, bn="magic", **options)
    assert recomputed.loss != curvature(net.model, net.params, data, **options).loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_losses_that_are_not_finite(value: float) -> None:
    broken = CASE.params | {"fc1.weight": CASE.params["fc1.weight"] * value}
    with pytest.warns(LandscapeWarning, match="the loss of the network is not finite, so that its curvature is"):
        result = curvature(CASE.model, broken, DATA, smallest=True, symmetry=CASE.symmetry)
    written = result.to_dict()
    assert (written["eigenvalues"], written["smallest"], written["loss"]) == ([None], None, None)
    assert written["trace"] == {"mean": None, "standard_error": None}
    assert not written["converged"]


def test_products_that_overflow() -> None:
    """A finite loss, and derivatives that are not: of a root at zero."""

    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x).square().sqrt()

    model = Root()
    params = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    for asked in ({}, {"eigenvalues": 0}, {"eigenvalues": 0, "trace_samples": 0, "density": True}):
        with pytest.warns(LandscapeWarning, match="the Hessian of the network is not finite"):
            result = curvature(model, params, Split(torch.ones(4, 5), Y[:4] % 2), weights=["out.weight"], **asked)
        assert math.isnan(result.trace)
        assert result.loss == pytest.approx(math.log(2))


def test_no_convergence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "MOST_RESTARTS", 1)
    with pytest.warns(LandscapeWarning, match="not converged of the network: .* 2, eigenvalue 3 and 6 more, whose"):
        result = curvature(CASE.model, CASE.params, DATA, eigenvalues=9, symmetry=CASE.symmetry, tolerance=0.0)
    assert not result.converged
    values = torch.linalg.eigvalsh(MATRIX)
    for value, residual in zip(result.eigenvalues, result.residuals, strict=True):
        assert float((values - value).abs().min()) <= residual + 1e-12


def test_which_have_not_converged_is_said() -> None:
    whole = replace(result_with(0.1), eigenvalues=(2.0, 1.0), residuals=(0.1, 0.2), eigenvalues_converged=(True, True))
    least = replace(whole, smallest=-1e-9, smallest_residual=1e-7, smallest_converged=False)
    with pytest.warns(LandscapeWarning, match=r"not converged of a\.st: the smallest eigenvalue, whose .*too small"):
        warn_of_curvature(least, "a.st")
    second = replace(whole, eigenvalues_converged=(True, False))
    with pytest.warns(LandscapeWarning, match=r"of a\.st: eigenvalue 2, whose .*\(ask for fewer `eigenvalues=`, or"):
        warn_of_curvature(second, "a.st")
    assert [row["converged"] for row in least.rows()] == [True, True, False]
    written = least.to_dict()
    assert (written["eigenvalues_converged"], written["smallest_converged"]) == ([True, True], False)
    assert not written["converged"]
    assert whole.converged


def test_the_least_is_not_above_the_nodes_of_the_density(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Eigenvalues((-0.1,), (0.01,), (True,))
    for node, expected in ((-0.2, False), (-0.105, True), (0.0, True)):
        density = SpectralDensity(((0.5, 1.0), (node, 1.0)), ((0.5, 0.5), (0.5, 0.5)))
        least = not_above_nodes((Eigenvalues((), (), ()), found), density)[1]
        assert least is not None
        assert least.converged == (expected,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_smallest_is_the_same_under_symmetries(dtype: torch.dtype) -> None:
    """Of a network with more weights than Lanczos vectors, at the usual tolerance, far closer than that."""
    case = make_case("mlp", dtype=dtype)
    data = Split(case.inputs, Y)
    options: dict[str, Any] = {"eigenvalues": 0, "smallest": True, "trace_samples": 0, "symmetry": case.symmetry}
    matrix = dense_hessian(CASE.model, {k: t.double() for k, t in case.params.items()}, WEIGHTS, *DATA)
    truth = float(torch.linalg.eigvalsh(matrix)[0])
    for seed in range(3):
        moved = transformed(case.params, case.symmetry, "scales signs permutations", seed)
        result = curvature(case.model, moved, data, **options)
        assert result.smallest == pytest.approx(truth, rel=1e-4)
        assert result.smallest_converged


def result_with(loss: float) -> Curvature:
    return Curvature(
        metric=HessianMetric.RELATIVE,
        dimension=3,
        loss=loss,
        error=0.0,
        norm=1.0,
        eigenvalues=(1.0,),
        residuals=(0.1,),
        eigenvalues_converged=(True,),
        smallest=None,
        smallest_residual=None,
        smallest_converged=None,
        trace_draws=(),
        density=None,
        products=21,
    )


def test_networks_at_different_losses() -> None:
    with pytest.warns(LandscapeWarning, match=r"training losses range from 0\.001 to 0\.002: the curvature"):
        warn_of_losses({"a.st": result_with(0.001), "b.st": result_with(0.002), "c.st": result_with(math.nan)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_losses({"a.st": result_with(0.1), "b.st": result_with(0.12)})
        warn_of_losses({"a.st": result_with(math.nan)})
        warn_of_losses({})
        warn_of_curvature(result_with(0.1), "a.st")


BINARY = make_binary("mlp", 0, samples=60)
REFUSALS: dict[str, tuple[Callable[[], Any], str]] = {
    "binary": (
        lambda: curvature(
            (net := make_binary("mlp", 0, samples=60)).model, net.params, Split(net.inputs, torch.arange(60) % 2)
        ),
        "the network is binary, and its loss is not twice differentiable",
    ),
    "no weights": (lambda: curvature(CASE.model, CASE.params, DATA, weights=[]), "there are no weights"),
    "one name": (lambda: curvature(CASE.model, CASE.params, DATA, weights="fc1.weight"), "are a list of names"),
    "unknown": (lambda: curvature(CASE.model, CASE.params, DATA, weights=["fc9"]), "no parameters 'fc9' to"),
    "many": (
        lambda: curvature(CASE.model, CASE.params, DATA, weights=["fc3.bias"], eigenvalues=5),
        "`eigenvalues=` 5 of 4 weights: there are at most 4",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    measure, message = REFUSALS[name]
    with pytest.raises((GeometryError, DataError), match=message):
        measure()


def test_a_model_without_real_numbers() -> None:
    class Whole(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :2]

    with pytest.raises(GeometryError, match="has no parameters of real numbers, as quantised models have none"):
        curvature(Whole(), {}, Split(torch.randn(4, 3), Y[:4] % 2))
