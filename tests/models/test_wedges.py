"""The surrogate landscape: against numpy, its predictions on itself, what it refuses (docs/method.md: Surrogate)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, hessian, jacrev, vmap
from torch.nn.functional import cross_entropy

from landscape_cli import (
    DataSpec,
    Evaluator,
    ModelSpec,
    Recipe,
    Subspace,
    build_model,
    least_loss_on_plane,
    load_data,
    subspace_basis,
    trace_symmetry,
    train,
)
from landscape_cli.errors import ModelError
from landscape_cli.models import construct_template, create_model
from landscape_cli.models.wedges import LARGEST_LENGTH, LEAST_LENGTH, Wedges, wedges
from landscape_cli.samplers.streams import initial_params

DATA = load_data(DataSpec("wedges"))
X, LABELS = DATA.train


def spec_of(**sizes: Any) -> ModelSpec:
    return ModelSpec("wedges", {"dim": 60, "wedges": 4, "short": 12, **sizes}, (1,), 2)


def make(seed: int = 0, dtype: torch.dtype = torch.float64, **sizes: Any) -> Wedges:
    model = create_model(spec_of(**sizes), seed=seed, dtype=dtype)
    assert isinstance(model, Wedges)
    return model


def distance(model: Wedges, position: Tensor) -> float:
    """Return the distance to the nearest wedge, in numpy."""
    where = position.detach().double().numpy()
    return min(math.sqrt(sum(where[axis] ** 2 for axis in axes)) for axes in model.short.tolist())


def loss(model: Wedges, position: Tensor, short: Tensor | None = None) -> Tensor:
    tables = {} if short is None else {"short": short}
    return cross_entropy(functional_call(model, ({"position": position}, tables), (X.to(position),)), LABELS)


def on_wedge(model: Wedges, k: int, seed: int) -> Tensor:
    """Return a random position on a wedge: its nearest point to one of deviation 1."""
    position = torch.randn(len(model.position), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    position[model.short[k]] = 0
    return position


def plane_of(model: Wedges, d: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(model.position), d, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("threshold", [math.log(2), 0.1, 30.0])
@pytest.mark.parametrize("scale", [10.0, 1.0, 1e-3])
def test_cross_entropy_is_the_distance_and_the_error_a_threshold(threshold: float, scale: float) -> None:
    for seed in range(3):
        model = make(seed, threshold=threshold)
        position = model.position.detach() * scale
        far, unit = distance(model, position), threshold / math.log(2)
        for dtype, accuracy in ((torch.float64, 1e-12), (torch.float32, 2e-7)):
            scores = Evaluator(model, DATA.train).evaluate([{"position": position.to(dtype)}])["data"]
            assert float(scores.loss) == pytest.approx(far / unit, rel=accuracy, abs=accuracy / 5)
            assert float(scores.error) == float(far > threshold)


def test_accuracy_in_float32() -> None:
    """Close to seven digits down to 3e-3, 3e-8 below, as it is measured; 1e-7 as training computes it."""
    model = make(dtype=torch.float32)
    direction = model.position.detach() / distance(model, model.position)
    for far in np.geomspace(62, 1e-7, 60):
        position = direction * far
        exact = distance(model, position)
        measured = float(Evaluator(model, DATA.train).evaluate([{"position": position}])["data"].loss)
        assert measured == pytest.approx(exact, **({"rel": 5e-7} if far >= 3e-3 else {"abs": 3e-8}))
        assert float(loss(model, position)) == pytest.approx(exact, rel=2e-7, abs=1e-7)


@pytest.mark.parametrize("threshold", [LEAST_LENGTH, LARGEST_LENGTH])
@pytest.mark.parametrize("radius", [LEAST_LENGTH, LARGEST_LENGTH])
def test_float32_holds_the_extremes(radius: float, threshold: float) -> None:
    model = wedges((1,), 2, dim=40_000, wedges=2, short=20_000, radius=radius, threshold=threshold)
    inputs, labels = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    loss = cross_entropy(model(inputs), labels)
    loss.backward()
    [gradient] = [parameter.grad for parameter in model.parameters()]
    assert gradient is not None
    assert gradient.norm() == pytest.approx(math.log(2) / threshold, rel=1e-3)
    expected = radius * math.sqrt(20_000) * math.log(2) / threshold
    assert float(loss.detach()) == pytest.approx(expected, rel=0.02, abs=1e-6)


def test_no_tie_at_the_threshold() -> None:
    model = make(dtype=torch.float32, wedges=1, short=1)
    axis = int(model.short[0, 0])
    exact = torch.tensor(model.threshold, dtype=torch.float32)
    for steps in range(-40, 41):
        position = torch.zeros(60)
        position[axis] = torch.nextafter(exact, torch.tensor(math.inf)) if steps == 1 else exact * (1 + steps * 6e-8)
        error = float(Evaluator(model, DATA.train).error([{"position": position}]))
        assert error == float(position[axis] > exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_a_unit_vector_across_the_nearest_wedge(dtype: torch.dtype) -> None:
    for scale in (5.0, 1.0, 1e-5):
        model = make(2, dtype)
        position = (model.position.detach() * scale).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(model, position), position)
        far = [float(torch.linalg.vector_norm(position.detach()[axes])) for axes in model.short]
        axes = model.short[int(np.argmin(far))]
        expected = torch.zeros(60, dtype=dtype)
        expected[axes] = position.detach()[axes] / min(far)
        assert torch.allclose(gradient, expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-12)
        assert float(gradient.norm()) == pytest.approx(1, abs=1e-6)


def test_on_a_wedge_loss_and_gradients_are_zero() -> None:
    model = make()
    position = on_wedge(model, 1, 0).requires_grad_()
    value = loss(model, position)
    (gradient,) = torch.autograd.grad(value, position, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), position)
    assert float(value.detach()) == 0
    assert not bool(gradient.any())
    assert not bool(second.any())
    logits = functional_call(model, {"position": position}, (X.double(),))
    assert bool(logits.isfinite().all())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own, of forward derivatives
def test_second_derivatives() -> None:
    """The Hessian of a norm: the projection off the gradient, over the distance, in the short directions."""
    model = make(3)
    position = model.position.detach()
    far = distance(model, position)
    axes = min(model.short, key=lambda each: float(position[each].norm()))
    unit, identity = torch.zeros(60, dtype=torch.float64), torch.zeros(60, 60, dtype=torch.float64)
    unit[axes] = position[axes] / far
    identity[axes, axes] = 1
    expected = (identity - torch.outer(unit, unit)) / far
    for found in (hessian(lambda p: loss(model, p))(position), jacrev(jacrev(lambda p: loss(model, p)))(position)):
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    moved = position.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(model, moved), moved, create_graph=True)
    v = torch.arange(60.0, dtype=torch.float64)
    assert torch.allclose(torch.autograd.grad(gradient @ v, moved)[0], expected @ v, atol=1e-10)


def test_many_at_once_are_each_alone() -> None:
    model = make(dtype=torch.float32)
    positions = torch.randn(3, 60, generator=torch.Generator().manual_seed(4))
    short = torch.stack([model.short, model.short.flip(0), model.short])
    together = vmap(lambda p, s: loss(model, p, s))(positions, short)
    slopes = vmap(torch.func.grad(lambda p: loss(model, p)))(positions)
    for k, position in enumerate(positions):
        assert float(together[k]) == float(loss(model, position))
        alone = position.clone().requires_grad_()
        assert torch.equal(slopes[k], torch.autograd.grad(loss(model, alone), alone)[0])


def test_one_landscape_whatever_the_seed_of_the_position() -> None:
    first, second, template = make(0), make(1), construct_template(spec_of())
    assert torch.equal(first.short, second.short)
    assert torch.equal(first.short, template.get_buffer("short"))
    assert template.get_parameter("position").is_meta
    assert not torch.equal(first.position, second.position)
    assert list(first.state_dict()) == ["position"]
    other = create_model(spec_of(seed=1), seed=0)
    assert not torch.equal(first.short, other.get_buffer("short"))
    for axes in first.short.tolist():
        assert axes == sorted(set(axes))
        assert 0 <= axes[0] <= axes[-1] < 60
    drawn = np.bincount(make(wedges=600).short.flatten().numpy(), minlength=60)
    assert np.abs(drawn / 120 - 1).max() < 0.4  # each axis as likely
    assert float(make(dim=4000, radius=7.0).position.detach().std()) == pytest.approx(7, rel=0.05)


def test_nothing_may_move_and_the_position_is_a_weight() -> None:
    symmetry = trace_symmetry(make(), torch.zeros(2, 1), strict=True)
    assert not (symmetry.permutations)
    assert not (symmetry.scales)
    assert not (symmetry.signs)
    assert not (symmetry.output)
    assert not (symmetry.notes)
    [fixed] = symmetry.fixed
    assert (fixed.tensor, fixed.dim, fixed.places) == ("position", 0, 60)
    assert fixed.reason == "the wedges lie along coordinates, each in directions of its own"
    assert symmetry.weights == ("position",)


def test_training_finds_a_wedge() -> None:
    recipe = Recipe(epochs=150, learning_rate=0.4, momentum=0.0)
    spec = spec_of()
    for solution in train(spec, DATA, recipe=recipe, seeds=[1, 2]):
        assert solution.params is not None
        model = build_model(spec, solution.params)
        assert isinstance(model, Wedges)
        assert distance(model, solution.params["position"]) < 1e-4


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"dim": 0}, "wedges: dim must be a whole number of at least 1, and is 0"),
        ({"dim": 10.0}, "dim must be a whole number"),
        ({"wedges": 0}, "wedges: wedges must be a whole number of at least 1, and is 0"),
        ({"wedges": True}, "wedges must be a whole number"),
        ({"wedges": "x"}, "wedges must be a whole number"),
        ({"short": 0}, "short must be a whole number of at least 1"),
        ({"short": 60}, "wedges: short must be less than dim, 60, and is 60"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seed": 1 << 63}, "seed must be below 2"),
        ({"radius": 0}, "radius must be a number from 1e-15 to 1e\\+15, .*, and is 0"),
        ({"radius": math.nan}, "radius must be a number"),
        ({"radius": 1e300}, "radius must be a number from 1e-15 to 1e\\+15, .*, and is 1e\\+300"),
        ({"radius": True}, "radius must be a number"),
        ({"threshold": math.inf}, "threshold must be a number"),
        ({"threshold": 1e-40}, "threshold must be a number from 1e-15 to 1e\\+15, .*, and is 1e-40"),
        ({"threshold": 1e300}, "threshold must be a number"),
        ({"threshold": None}, "threshold must be a number"),
        ({"dim": 10**6, "wedges": 10**6}, "1000000 wedges of 1000000 dimensions need 931 GiB: at most 1 GiB"),
        ({"dim": 10**5, "short": 99_999, "wedges": 2000}, "2000 wedges of 100000 dimensions need 1.49 GiB"),
        ({"depth": 1}, "cannot be built"),
    ],
)
def test_impossible_sizes(sizes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as refused:
        create_model(spec_of(**sizes), seed=0)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(("shape", "outputs"), [((2,), 2), ((1, 1), 2), ((1,), 1), ((1,), 3)])
def test_data_of_others(shape: tuple[int, ...], outputs: int) -> None:
    with pytest.raises(ModelError, match="name them with `data=` wedges"):
        create_model(ModelSpec("wedges", {}, shape, outputs), seed=0)


def slow_least(model: Wedges, position: Tensor, basis: Tensor) -> float:
    """Return the least distance by pseudo-inverses, in numpy."""
    where, columns, distances = position.double().numpy(), basis.double().numpy(), []
    for axes in model.short.tolist():
        z = -np.linalg.pinv(columns[axes]) @ where[axes]
        distances.append(float(np.linalg.norm(where[axes] + columns[axes] @ z)))
    return min(distances)


@pytest.mark.parametrize("d", [0, 1, 5, 11, 12, 30, 60])
def test_least_loss_on_a_plane_by_other_means(d: int) -> None:
    model = make(5)
    params, basis = {"position": model.position.detach()}, plane_of(model, d, d)
    found = least_loss_on_plane(model, params, basis)
    assert found == pytest.approx(
        slow_least(model, params["position"], basis) if d else distance(model, model.position)
    )
    mixed = torch.cat([basis, basis @ torch.ones(d, 2, dtype=torch.float64)], dim=1)  # dependent: the same plane
    assert least_loss_on_plane(model, params, mixed) == pytest.approx(found, abs=1e-10)
    along = {"position": params["position"] + basis @ torch.ones(d, dtype=torch.float64)}
    assert least_loss_on_plane(model, along, basis) == pytest.approx(found, abs=1e-10)
    if d:
        assert found <= distance(model, along["position"])


def test_axes_of_the_plane_take_away_what_they_are() -> None:
    model = make(6, wedges=1)
    short, position = model.short[0], model.position.detach()
    basis = torch.eye(60, dtype=torch.float64)[:, short[:5]]
    expected = float(position[short[5:]].norm())
    assert least_loss_on_plane(model, {"position": position}, basis) == pytest.approx(expected)


def least(model: Wedges, d: int, planes: int = 10, radius: float = 1.0) -> list[float]:
    """Return the least loss on several random planes through random positions of a radius, in units of it."""
    losses = []
    for seed in range(planes):
        position = torch.randn(len(model.position), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        position *= radius / position.norm()
        losses.append(least_loss_on_plane(model, {"position": position}, plane_of(model, d, 100 + seed)))
    return losses


@pytest.mark.parametrize("wedges", [1, 20])
def test_prediction_subspaces(wedges: int) -> None:
    """Zero from d = s on, whatever the number of wedges; for one R √((s - d)/D) below."""
    model = make(dim=500, short=40, wedges=wedges)
    for d in (40, 41, 80):
        assert max(least(model, d)) < 1e-9
    for d in (0, 10, 20):
        mean, predicted = np.mean(least(model, d)), math.sqrt((40 - d) / 500)
        assert mean == pytest.approx(predicted, rel=0.15) if wedges == 1 else mean < predicted
    assert np.mean(least(model, 39)) > 1e-4
    far, near = least(model, 20, planes=3, radius=3.0), least(model, 20, planes=3)
    assert far == pytest.approx([3 * each for each in near])


def test_prediction_directions() -> None:
    """A step of length r costs r √(s/D) in a random direction, and nothing in a long one."""
    model = make(dim=2000, short=100, wedges=1)
    start = on_wedge(model, 0, 0)
    steps = plane_of(model, 20, 3)
    for r in (1.0, 20.0):
        costs = [distance(model, start + r * step / step.norm()) for step in steps.T]
        assert np.mean(costs) == pytest.approx(r * math.sqrt(100 / 2000), rel=0.05)
    along = steps[:, 0].clone()
    along[model.short[0]] = 0
    assert distance(model, start + along) == 0


def test_prediction_lines_and_centroids() -> None:
    """Half-way L = (R/2) √(s/D); at the centroid of m, R √(m - 1)/m · √(s/D): over many wedges' positions."""
    model = make(dim=4000, short=100, wedges=5)
    radius = math.sqrt(4000)
    for m in (2, 3, 5):
        positions = [on_wedge(model, k, 10 * m + k) for k in range(m)]
        middle = torch.stack(positions).mean(0)
        norms = [float(middle[axes].norm()) for axes in model.short[:m]]
        assert np.mean(norms) == pytest.approx(radius * math.sqrt(m - 1) / m * math.sqrt(100 / 4000), rel=0.15)


@pytest.mark.parametrize("m", [2, 3, 5])
def test_prediction_star_and_cone(m: int) -> None:
    """What all wedges share connects solutions on them by straight lines of loss exactly 0; its radius is R/√m."""
    model = make(dim=2000, short=100, wedges=m)
    solutions = [on_wedge(model, k, k) for k in range(m)]
    centre = torch.stack(solutions).mean(0)
    centre[model.short.flatten()] = 0
    assert float(centre.norm()) == pytest.approx(math.sqrt(2000 / m), rel=0.2)
    line = distance(model, (solutions[0] + solutions[1]) / 2)
    assert line > 1
    for solution in solutions:
        for tau in np.linspace(0, 1, 9):
            assert distance(model, (1 - tau) * solution + tau * centre) == 0
            assert float(loss(model, (1 - tau) * solution + tau * centre)) == 0


def test_prediction_radius() -> None:
    model = make(4)
    position = model.position.detach()
    for factor in (0.0, 0.1, 3.0):
        assert float(loss(model, factor * position)) == pytest.approx(factor * float(loss(model, position)), abs=1e-12)


def descend(model: Wedges, centre: Tensor, points: Any, steps: int = 200) -> Tensor:
    """Return a centre trained by plain descent on what `points` makes of it, the rate falling to zero."""
    centre = centre.clone()
    for step in range(steps):
        moved = centre.clone().requires_grad_()
        value: Tensor = torch.stack([loss(model, point) for point in points(moved)]).mean()
        (slope,) = torch.autograd.grad(value, moved)
        centre -= 0.8 * (1 - step / steps) * slope
    return centre


def test_prediction_trained_centre() -> None:
    """Trained alone the centre lies on one wedge, and the star stays high; trained on points of the star it is low."""
    model = make(dim=400, short=20, wedges=3)
    solutions = [on_wedge(model, k, 30 + k) for k in range(3)]
    source = torch.Generator().manual_seed(1)

    def sampled(centre: Tensor) -> Sequence[Tensor]:
        weights = torch.rand(3, generator=source, dtype=torch.float64)
        return [(1 - tau) * solution + tau * centre for solution, tau in zip(solutions, weights, strict=True)]

    def highest(centre: Tensor) -> float:
        grid = np.linspace(0, 1, 15)
        return max(distance(model, (1 - tau) * each + tau * centre) for each in solutions for tau in grid)

    start = torch.stack(solutions).mean(0)
    alone = descend(model, start, lambda centre: [centre])
    assert distance(model, alone) < 0.01
    assert highest(alone) > 0.3 * distance(model, start)
    assert highest(descend(model, start, sampled)) < 0.05 * distance(model, start)


def test_disjoint_bases_have_no_threshold() -> None:
    """Short directions that share a column of the basis are left what is orthogonal to its signs."""
    model = make(dim=200, short=10, wedges=1)
    position, columns = model.position.detach(), torch.arange(200) % 50
    basis = torch.zeros(200, 50, dtype=torch.float64)
    basis[torch.arange(200), columns] = 1
    groups = [[i for i in model.short[0].tolist() if columns[i] == column] for column in range(50)]
    left = [float((position[group] - position[group].mean()).square().sum()) for group in groups if group]
    assert max(map(len, groups)) > 1
    assert least_loss_on_plane(model, {"position": position}, basis) == pytest.approx(math.sqrt(sum(left)))


@pytest.mark.filterwarnings("ignore:`subspace=` is not invariant")
@pytest.mark.parametrize(("basis", "dim"), [("gaussian", 50), ("disjoint", 50), ("disjoint", 30)])
def test_training_in_a_subspace_reaches_its_exact_optimum(basis: str, dim: int) -> None:
    """Within 5 %, far above s = 12: zero in dense subspaces, not in disjoint ones, where short axes share columns."""
    spec = spec_of(dim=200, wedges=1)
    subspace = Subspace(dim, basis=basis)
    [solution] = train(spec, DATA, recipe=Recipe(600, batch_size=2), subspace=subspace)
    assert solution.params is not None
    model, start, columns = make(dim=200, wedges=1), initial_params(spec, 0), subspace_basis(spec, subspace, seed=0)
    plane = torch.stack([columns.combine(unit)["position"] for unit in torch.eye(dim)], 1)
    optimum, before = least_loss_on_plane(model, start, plane), distance(model, start["position"])
    assert (optimum > 0.01 * before) == (basis == "disjoint")
    assert distance(model, solution.params["position"]) == pytest.approx(optimum, rel=0.05, abs=1e-4 * before)
