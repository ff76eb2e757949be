"""Training in random subspaces: what everybody's loop on z gives, in a stack, stopped and resumed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.data.datasets import Split
from landscape_cli.errors import LandscapeError, ModelError, Remark, TrainingError
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.models import MODELS as REGISTRY
from landscape_cli.models import build_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.samplers import (
    RSGD,
    SGD,
    ModelBasis,
    Recipe,
    Solution,
    Subspace,
    TrainingObserver,
    TrainingState,
    subspace_basis,
    train,
)
from landscape_cli.samplers.streams import initial_params
from tests.support.training import MODELS, SEEDS, assert_close, equal, noise, run, steps_of

pytestmark = pytest.mark.filterwarnings("ignore:`subspace=` is not invariant")
SPEC = MODELS["mlp"]
SHORT = Recipe(2, batch_size=16)
CASES: dict[str, tuple[str, Recipe, Subspace]] = {
    "plain": ("mlp", SHORT, Subspace(20)),
    "gaussian": ("mlp", SHORT, Subspace(20, basis="gaussian")),
    "one for all": ("mlp", SHORT, Subspace(20, seed=9)),
    "sgd": ("mlp", Recipe(2, batch_size=16, optimizer="sgd", weight_decay=0.1, clip_norm=0.1), Subspace(37)),
    "augmented": ("lenet", Recipe(1, batch_size=16, augment="crop+flip", precision="bf16"), Subspace(33)),
    "batch-norm": ("resnet", Recipe(2, batch_size=16), Subspace(33)),
    "until": ("mlp", Recipe(9, batch_size=16, until_error=0.62), Subspace(60)),
}


def params_of(solution: Solution) -> Params:
    assert solution.params is not None
    return solution.params


def difference(a: Params, b: Params, basis: ModelBasis) -> dict[str, Tensor]:
    return {name: a[name] - b[name] for name in basis.shapes}


def dense(basis: ModelBasis) -> Tensor:
    """B, shape (weights, dim)."""
    columns = [basis.combine(unit) for unit in torch.eye(basis.dim)]
    return torch.stack([torch.cat([piece.flatten() for piece in column.values()]) for column in columns], 1)


@pytest.mark.parametrize("kind", ["disjoint", "gaussian"])
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(3, batch_size=16),
        Recipe(3, 0.05, batch_size=16, weight_decay=0.2),
        Recipe(3, 0.1, batch_size=16, optimizer="sgd", weight_decay=0.2),
        Recipe(3, 0.5, 0.0, batch_size=16, optimizer="sgd", clip_norm=0.05, schedule="constant"),
    ],
    ids=["adam", "adam and decay", "sgd and decay", "sgd clipped"],
)
def test_training_equals_the_plain_loop_on_z(kind: str, recipe: Recipe) -> None:
    """Autograd through θ₀ + B z, with λ/2 ‖θ‖² in the loss."""
    data, start = noise(SPEC), initial_params(SPEC, 3)
    b = dense(subspace_basis(SPEC, Subspace(30, basis=kind), seed=3))
    model = build_model(SPEC, start)
    home = torch.cat([tensor.flatten() for tensor in start.values()])
    z = torch.zeros(30, requires_grad=True)
    rate = recipe.learning_rate or 0.1
    optimizer: torch.optim.Optimizer = torch.optim.Adam([z])
    if recipe.optimizer == "sgd":
        momentum = 0.9 if recipe.momentum is None else recipe.momentum
        optimizer = torch.optim.SGD([z], momentum=momentum, nesterov=momentum > 0)
    steps = steps_of(recipe, data, 3)
    for k, (_, chosen) in enumerate(steps):
        falls = (1 + math.cos(math.pi * k / len(steps))) / 2 if recipe.schedule == "cosine" else 1.0
        optimizer.param_groups[0]["lr"] = rate * falls
        theta = home + b @ z
        pieces = theta.split([tensor.numel() for tensor in start.values()])
        tensors = {name: piece.view(start[name].shape) for name, piece in zip(start, pieces, strict=True)}
        loss = F.cross_entropy(torch.func.functional_call(model, tensors, (data.x[chosen],)), data.y[chosen])
        [z.grad] = torch.autograd.grad(loss + recipe.weight_decay / 2 * theta.square().sum(), z)
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_([z], recipe.clip_norm)
        optimizer.step()
    [solution] = run(SPEC, SGD(), recipe, [3], subspace=Subspace(30, basis=kind))
    expected = subspace_basis(SPEC, Subspace(30, basis=kind), seed=3).at(start, z.detach())
    assert_close(params_of(solution), expected)
    assert float((params_of(solution)["fc1.weight"] - start["fc1.weight"]).abs().max()) > 1e-3


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_whole_space_is_the_whole_space(optimizer: str) -> None:
    """With d = D disjoint columns are signed unit vectors, under which SGD and Adam do the same."""
    of = sum(tensor.numel() for tensor in initial_params(SPEC, 0).values())
    recipe = Recipe(3, 0.02, batch_size=16, optimizer=optimizer, weight_decay=0.1)
    [free], [confined] = run(SPEC, SGD(), recipe, [3]), run(SPEC, SGD(), recipe, [3], subspace=Subspace(of))
    assert_close(params_of(confined), params_of(free))
    assert not equal(params_of(free), initial_params(SPEC, 3))


@pytest.mark.parametrize("kind", ["disjoint", "gaussian"])
def test_a_planted_optimum_is_found(kind: str) -> None:
    """Labels of a linear network in the subspace are learnt there, in its direction, and not in another subspace."""
    spec, planted = ModelSpec("mlp", {"hidden": []}, (20,), 4), Subspace(8, 5, kind)
    start, basis = initial_params(spec, 0), subspace_basis(spec, planted)
    source = torch.Generator().manual_seed(1)
    x, z = torch.randn(600, 20, generator=source), 9 * torch.randn(8, generator=source)
    labels = build_model(spec, basis.at(start, z))(x).argmax(1)
    assert labels.bincount(minlength=4).min() > 30
    errors = {}
    for seed in (5, 6):
        subspace = Subspace(8, seed, kind)
        [solution] = train(spec, Split(x, labels), recipe=Recipe(60, batch_size=60), seeds=[0], subspace=subspace)
        params = params_of(solution)
        errors[seed] = float((build_model(spec, params)(x).argmax(1) != labels).float().mean())
        if seed == 5:
            change = torch.cat([tensor.flatten() for tensor in difference(params, start, basis).values()])
            reached = torch.linalg.lstsq(dense(basis), change[:, None]).solution[:, 0]
            assert float(F.cosine_similarity(reached, z, dim=0)) > 0.99
    assert errors[5] < 0.06
    assert errors[6] > 0.3


@pytest.mark.parametrize("name", CASES)
def test_a_run_in_a_stack_is_the_run_alone(name: str) -> None:
    model, recipe, subspace = CASES[name]
    many = run(MODELS[model], SGD(), recipe, subspace=subspace)
    for seed, solution in zip(SEEDS, many, strict=True):
        [alone] = run(MODELS[model], SGD(), recipe, [seed], subspace=subspace)
        assert equal(params_of(solution), params_of(alone))
        assert solution.to_dict() == alone.to_dict()
    assert not equal(params_of(many[0]), params_of(many[1]))


@pytest.mark.parametrize("name", CASES)
def test_resumed_training_gives_the_same_bytes(name: str) -> None:
    model, recipe, subspace = CASES[name]
    spec, states = MODELS[model], list[TrainingState]()
    observer = TrainingObserver(thorough=True)
    pause: Any = lambda ended, state: states.append(state())  # noqa: E731 - named for the line below
    whole = run(spec, SGD(), recipe, [3, 4], subspace=subspace, pause=pause, observer=observer)
    for state in [*states[::3], states[-1]]:
        resumed = run(spec, SGD(), recipe, [3, 4], subspace=subspace, resume=state, observer=observer)
        for a, b in zip(whole, resumed, strict=True):
            assert equal(params_of(a), params_of(b))
            assert a.to_dict() == b.to_dict()
    buffers = sum(t.numel() for name, t in states[-1].tensors.items() if name.startswith("buffer."))
    kept = sum(t.numel() for t in states[-1].tensors.values()) - buffers
    assert kept <= 2 * (3 * subspace.dim + 3)  # z, two moments, the count of steps, the sums over the epoch


@pytest.mark.parametrize(("model", "kind"), [("lenet", "disjoint"), ("resnet", "disjoint"), ("lenet", "gaussian")])
def test_python_rebuilds_the_subspace(model: str, kind: str) -> None:
    """However the stack lays weights out in memory."""
    spec = MODELS[model]
    for subspace in (Subspace(50, basis=kind), Subspace(50, seed=77, basis=kind)):
        [solution] = run(spec, SGD(), Recipe(1, batch_size=16), [4], subspace=subspace)
        start, params = initial_params(spec, 4), params_of(solution)
        basis = subspace_basis(spec, subspace, seed=4)
        change = torch.cat([tensor.flatten() for tensor in difference(params, start, basis).values()])
        b = dense(basis)
        z = torch.linalg.lstsq(b.double(), change.double()[:, None]).solution[:, 0].float()
        assert torch.allclose(b @ z, change, atol=1e-6)
        rebuilt = basis.at(start, z)
        assert all(torch.allclose(rebuilt[name], params[name], atol=1e-6) for name in basis.shapes)
        assert solution.subspace is not None
        assert solution.subspace.moved == pytest.approx(float(change.norm()), rel=1e-5)
        assert all(float((params[name] - start[name]).abs().max()) > 0 for name in basis.shapes)  # biases, norms too
        wrong = dense(subspace_basis(spec, Subspace(50, seed=78, basis=kind)))
        assert float((wrong @ torch.linalg.lstsq(wrong, change[:, None]).solution[:, 0] - change).norm()) > 0.5 * float(
            change.norm()
        )


def test_one_seed_for_all_runs_or_their_own() -> None:
    spec = MODELS["mlp"]
    for seed in (None, 11):
        for k, solution in zip(SEEDS, run(spec, SGD(), SHORT, subspace=Subspace(12, seed)), strict=True):
            assert solution.subspace is not None
            assert solution.subspace.seed == (k if seed is None else 11)
            basis = subspace_basis(spec, Subspace(12, seed), seed=k)
            start = initial_params(spec, k)
            z = basis.project(difference(params_of(solution), start, basis))
            assert_close(params_of(solution), basis.at(start, z))


class Tied(nn.Module):
    """One matrix under two names, a buffer, and a bias that nothing reads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width, bias=False)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(width)
        self.unread = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.second(torch.relu(self.first(x))))


@pytest.fixture
def tied(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setitem(REGISTRY, "tied", lambda shape, outputs: Tied(outputs))  # type: ignore[misc]
    return ModelSpec("tied", {}, (4,), 4)


def test_shared_parameters_move_once_and_unread_ones_too(tied: ModelSpec) -> None:
    [solution] = run(tied, SGD(), SHORT, [3], subspace=Subspace(5, basis="gaussian"))
    start, params = initial_params(tied, 3), params_of(solution)
    basis = subspace_basis(tied, Subspace(5, basis="gaussian"), seed=3)
    assert list(basis.shapes) == ["unread", "first.weight", "first.bias", "norm.weight", "norm.bias"]
    assert basis.weights == 3 + 16 + 4 + 4 + 4
    z = torch.linalg.lstsq(
        dense(basis), torch.cat([t.flatten() for t in difference(params, start, basis).values()])[:, None]
    ).solution[:, 0]
    rebuilt = basis.at(start, z)
    assert torch.equal(rebuilt["first.weight"], rebuilt["second.weight"])
    assert all(torch.allclose(rebuilt[name], params[name], atol=1e-5) for name in ("unread", *basis.shapes))
    assert not torch.equal(params["unread"], start["unread"])


def test_running_statistics_are_recomputed() -> None:
    spec = MODELS["resnet"]
    [solution] = run(spec, SGD(), SHORT, [3], subspace=Subspace(40))
    params = params_of(solution)
    expected = recompute_statistics(build_model(spec, params), params, noise(spec).x)
    assert equal(params, expected)
    [free] = run(spec, SGD(), SHORT, [3])
    assert not equal(params_of(free), recompute_statistics(build_model(spec, params), params_of(free), noise(spec).x))


def test_how_far_it_came() -> None:
    [solution] = run(SPEC, SGD(), SHORT, [3], subspace=Subspace(20), init_scale=2.0)
    basis = subspace_basis(SPEC, Subspace(20), seed=3)
    start = {name: 2 * tensor for name, tensor in initial_params(SPEC, 3).items()}
    moved = sum(float(t.double().square().sum()) for t in difference(params_of(solution), start, basis).values()) ** 0.5
    length = sum(float(t.double().square().sum()) for t in start.values()) ** 0.5
    facts = solution.to_dict()["subspace"]
    assert list(facts) == ["dim", "of", "fraction", "basis", "seed", "moved", "moved_relative"]
    assert (facts["dim"], facts["of"], facts["basis"], facts["seed"]) == (20, basis.weights, "disjoint", 3)
    assert type(facts["basis"]) is str
    assert facts["fraction"] == pytest.approx(20 / basis.weights)
    assert facts["moved"] == pytest.approx(moved)
    assert facts["moved_relative"] == pytest.approx(moved / length)
    zero = [[{name: 0 * tensor for name, tensor in start.items()}]]
    [still] = run(SPEC, SGD(), SHORT, [3], subspace=Subspace(20), initial=zero)
    assert still.to_dict()["subspace"]["moved_relative"] is None


@pytest.mark.parametrize(("model", "sampler"), [("mlp", SGD()), ("resnet", RSGD(gamma_growth=10.0)), ("lenet", SGD())])
def test_initial_weights_are_scaled_but_statistics_are_not(model: str, sampler: Any) -> None:
    spec = MODELS[model]
    names = dict(build_model(spec, initial_params(spec, 0)).named_parameters())
    starts = [initial_params(spec, 3, k) for k in range(sampler.networks)]
    scaled = [{name: 0.3 * t if name in names else t for name, t in start.items()} for start in starts]
    [by_hand] = run(spec, sampler, SHORT, [3], initial=[scaled])
    for more in ({}, {"initial": [starts]}):
        [solution] = run(spec, sampler, SHORT, [3], init_scale=0.3, **more)
        assert equal(params_of(solution), params_of(by_hand))
    [plain], [unscaled] = run(spec, sampler, SHORT, [3]), run(spec, sampler, SHORT, [3], init_scale=1)
    assert equal(params_of(plain), params_of(unscaled))
    assert not equal(params_of(plain), params_of(by_hand))


def test_scaled_latent_weights_stay_within_their_bounds() -> None:
    states: list[TrainingState] = []
    pause: Any = lambda ended, state: states.append(state())  # noqa: E731 - named for the line below
    run(MODELS["binary"], SGD(), Recipe(1), [3], init_scale=5.0, pause=pause)
    assert float(states[0].tensors["stack.weights"].abs().max()) == 1


def test_it_says_that_scales_matter() -> None:
    with pytest.warns(Remark, match="not invariant under scales") as remarks:
        train(SPEC, noise(SPEC), recipe=Recipe(1), subspace=Subspace(3))
    assert [remark.filename for remark in remarks] == [__file__]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"subspace": Subspace(5), "sampler": RSGD(gamma_growth=10.0)}, "`subspace=` goes with `algo=` sgd"),
        ({"subspace": Subspace(5), "spec": MODELS["binary"]}, "not for binary networks"),
        ({"subspace": Subspace(254)}, "254 is too large: the model has 253 weights"),
        ({"subspace": 5}, "give one, as in Subspace"),
        ({"subspace": Subspace(5), "recipe": Recipe(1, momentum=0.5)}, "adam has its own"),
        *(({"init_scale": scale}, "init_scale") for scale in (0, -1.0, math.nan, math.inf, True, "2", None)),
    ],
)
def test_nonsense_is_refused(more: dict[str, Any], words: str) -> None:
    spec = more.pop("spec", SPEC)
    with pytest.raises(TrainingError, match=words):
        train(spec, noise(spec), more.pop("sampler", None), recipe=more.pop("recipe", Recipe(1)), **more)


@pytest.mark.parametrize(
    "settings",
    [*({"dim": dim} for dim in (0, -1, 2.5, "3", None, True, math.nan)), {"seed": -1}, {"seed": 1.5}, {"basis": "x"}],
)
def test_impossible_subspaces_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(LandscapeError):
        Subspace(**{"dim": 3, **settings})


def test_bases_too_large_for_memory_are_refused() -> None:
    large = ModelSpec("mlp", {"hidden": [256, 128]}, (1, 28, 28), 10)
    with pytest.raises(
        TrainingError, match=r"`subspace=` 4096 of 235146 weights needs 3\.6 GiB: say `basis=` disjoint"
    ):
        subspace_basis(large, Subspace(4096, basis="gaussian"))
    with pytest.raises(TrainingError, match=r"needs 2\.6 GiB in 3 runs: say `basis=` disjoint"):
        train(large, noise(large), recipe=Recipe(1), seeds=SEEDS, subspace=Subspace(1000, basis="gaussian"))
    assert subspace_basis(large, Subspace(4096)).dim == 4096


def test_a_basis_wants_what_fits() -> None:
    basis, start = subspace_basis(SPEC, Subspace(3)), initial_params(SPEC, 0)
    for z in (torch.zeros(4), [0, 0, 0], None):
        with pytest.raises(TrainingError, match=r"`z=` must be a tensor of shape \(3,\)"):
            basis.combine(z)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="must be there, of shape"):
        basis.project({name: tensor for name, tensor in start.items() if "2" not in name})
    with pytest.raises(ModelError, match="must be there"):
        basis.at({name: tensor[:1] for name, tensor in start.items()}, torch.zeros(3))
