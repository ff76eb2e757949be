"""Alignment: the function is kept, planted relabellings and flips are found (SPEC 3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from landscape_cli.alignment import assignment
from landscape_cli.alignment.activations import unit_correlations
from landscape_cli.alignment.align import align
from landscape_cli.errors import GeometryError
from landscape_cli.normalization.normalize import normalize
from landscape_cli.symmetry import (
    Symmetry,
    flip,
    permute,
    random_permutations,
    random_signs,
    rescale,
    trace_symmetry,
)
from tests.support.cases import ALL, make_model, random_factors
from tests.support.reference import best_permutation
from tests.support.traced import symmetry_of

METHODS = ["cosine", "weight", "activation"]


class Residual(nn.Module):
    """Blocks that all write one stream; the sizes of Git Re-Basin's issue 8 unless told otherwise."""

    def __init__(self, width: int = 30, inner: int = 50, blocks: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(10, width)
        self.up = nn.ModuleList(nn.Linear(width, inner) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(inner, width) for _ in range(blocks))
        self.out = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(F.relu(up(x)))
        return self.out(x)


class ConvBlocks(nn.Module):
    """Convolutions with batch-norm on a residual stream, one of them depthwise, then tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.second, self.norm2 = nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.depthwise, self.norm3 = nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.BatchNorm2d(12)
        self.fc, self.out = nn.Linear(12, 9), nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x)))
        x = x + self.norm2(self.second(x))
        x = F.relu(self.norm3(self.depthwise(x)))
        return self.out(torch.tanh(self.fc(x.mean((2, 3)))))


class Grouped(nn.Module):
    """A grouped convolution: its groups may trade places, and the units in each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3)
        self.grouped, self.norm = nn.Conv2d(12, 8, 3, groups=4), nn.BatchNorm2d(8)
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.norm(self.grouped(F.relu(self.first(x))))).mean((2, 3)))


class Attention(nn.Module):
    """Heads may trade places, and units within them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(5, 12), nn.LayerNorm(12)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        return self.out((x + self.attention(y, y, y, need_weights=False)[0]).mean(1))


class Normed(nn.Module):
    """Norms that pass on one sign of all units of a stream, or of a group: gains take it up, or what reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.grouped = nn.Conv2d(3, 12, 3), nn.GroupNorm(3, 12)
        self.embed = nn.Linear(12, 10)
        self.norms = nn.ModuleList(nn.LayerNorm(10) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(10, 16) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(16, 10) for _ in range(2))
        self.norm, self.out = nn.LayerNorm(10, bias=False), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(F.relu(self.grouped(self.first(x))).mean((2, 3)))
        for norm, up, down in zip(self.norms, self.up, self.down, strict=True):
            x = x + down(F.gelu(up(norm(x))))
        return self.out(F.relu(self.norm(x)))


class Tanh(nn.Module):
    """A chain of odd maps."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in ((6, 14), (14, 11), (11, 3)))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(torch.tanh(second(torch.tanh(first(x)))))


class Recurrent(nn.Module):
    """One weight whose rows and columns are the same units."""

    def __init__(self, act: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(6, 14), nn.Linear(14, 14), nn.Linear(14, 3)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        return self.last(self.act(self.again(self.act(self.again(x)))))


class GroupedResidual(nn.Module):
    """A grouped convolution that reads and writes the same units, whose signs are free."""

    def __init__(self, width: int = 24, groups: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, width, 2)
        self.grouped = nn.Conv2d(width, width, 3, padding=1, groups=groups)
        self.out = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.out((x + self.grouped(torch.tanh(x))).mean((2, 3)))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (10,)),
    "conv blocks": (ConvBlocks, (3, 8, 8)),
    "grouped": (Grouped, (3, 8, 8)),
    "attention": (Attention, (7, 5)),
    "normed": (Normed, (3, 6, 6)),
    "tanh": (Tanh, (6,)),
    "recurrent": (Recurrent, (6,)),
    "recurrent, tanh": (lambda: Recurrent(torch.tanh), (6,)),
    "grouped residual": (GroupedResidual, (2, 6, 6)),
    "grouped residual, narrow": (lambda: GroupedResidual(6, 3), (2, 6, 6)),
}


class Net:
    """A network with random parameters, and its symmetry."""

    def __init__(self, name: str, seed: int, dtype: torch.dtype = torch.float64) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if name in NETS:
                make, shape = NETS[name]
                self.model = make()
            else:
                self.model, shape = make_model(name, seed)
            self.model = self.model.eval().to(dtype).requires_grad_(False)
            self.params = {key: self._random(key, tensor) for key, tensor in self.model.state_dict().items()}
            self.inputs = torch.randn(200, *shape, dtype=dtype)
        self.symmetry = symmetry_of(NETS.get(name, name), self.model, self.inputs[:2])

    @staticmethod
    def _random(key: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        noise = torch.randn_like(tensor)
        return noise.abs() + 0.1 if key.endswith("running_var") else tensor + 0.4 * noise

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(self.model, dict(params), (self.inputs,))

    def moved(self, seed: int) -> dict[str, Tensor]:
        """Return the network relabelled and flipped at random."""
        generator = torch.Generator().manual_seed(seed)
        moved = permute(self.params, self.symmetry, random_permutations(self.symmetry, generator=generator))
        return flip(moved, self.symmetry, random_signs(self.symmetry, generator=generator))

    def aligned(self, params: dict[str, Tensor], method: str):  # type: ignore[no-untyped-def]
        correlations = None
        if method == "activation":
            correlations = unit_correlations(self.model, self.params, params, self.symmetry, self.inputs)
        return align(self.params, params, self.symmetry, method=method, correlations=correlations)


@pytest.mark.parametrize("name", NETS)
def test_numbers_of_parameters_have_no_part_in_the_symmetry(name: str) -> None:
    for seed in (3, 4):
        net = Net(name, seed)
        net.model.load_state_dict(net.params)
        assert trace_symmetry(net.model, net.inputs[:2]) == net.symmetry


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", [*ALL, *NETS])
def test_function_is_kept(name: str, dtype: torch.dtype, method: str) -> None:
    net, other = Net(name, 1, dtype), Net(name, 2, dtype)
    found = net.aligned(other.params, method)
    expected = net.outputs(other.params)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert (net.outputs(found.params) - expected).abs().max() <= tolerance * expected.abs().max()
    again = flip(permute(other.params, net.symmetry, found.permutations), net.symmetry, found.signs)
    assert all(torch.equal(again[key], found.params[key]) for key in again)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*ALL, *NETS])
def test_planted_relabelling_is_found_every_time(name: str, method: str) -> None:
    if (name, method) == ("mlp-narrow", "activation"):
        pytest.skip("units that see one unit only all have the same activations, up to their sign")
    for seed in range(100 if method == "cosine" else 10):
        net = Net(name, seed, torch.float32 if seed % 2 else torch.float64)
        planted = net.moved(seed)
        found = net.aligned(planted, method)
        assert all(torch.equal(found.params[key], net.params[key]) for key in net.params), seed
        assert all(value == pytest.approx(1.0) for value in found.similarity.values())
    assert any(value < 0.99 for value in found.similarity_before.values())


def test_planted_relabelling_of_a_deep_residual_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETS, "deep", (lambda: Residual(128, 256, 6), (10,)))
    for seed in range(5):
        net = Net("deep", seed, torch.float32)
        for method in ("cosine", "weight"):
            found = net.aligned(net.moved(seed), method)
            assert all(torch.equal(found.params[key], net.params[key]) for key in net.params)


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_units_whose_weights_point_almost_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Of 600 directions in a plane some differ by less than float32 can tell from a cosine."""
    made = nn.Sequential(nn.Linear(2, 600), nn.ReLU(), nn.Linear(600, 40), nn.ReLU(), nn.Linear(40, 3))
    monkeypatch.setitem(NETS, "plane", (lambda: made, (2,)))
    for seed in range(3):
        net = Net("plane", seed, torch.float32)
        unit = F.normalize(net.params["0.weight"], dim=1)
        assert ((unit @ unit.T).fill_diagonal_(0) >= 1 - 1e-7).any()
        found = net.aligned(net.moved(seed), method)
        assert all(torch.equal(found.params[key], net.params[key]) for key in net.params)


@pytest.mark.parametrize("name", ["mlp", "lenet", "residual", "conv blocks", "ResidualNet"])
def test_planted_relabelling_and_rescaling(name: str) -> None:
    from landscape_cli.normalization.normalize import normalize

    for seed in range(20):
        net = Net(name, seed)
        planted = rescale(net.moved(seed), net.symmetry, random_factors(net.symmetry, seed, 2.0))
        a, b = (normalize(params, net.symmetry) for params in (net.params, planted))
        found = align(a, b, net.symmetry).params
        for key, tensor in a.items():
            torch.testing.assert_close(found[key], tensor, rtol=1e-6, atol=1e-6 * float(tensor.double().abs().max()))


@pytest.mark.parametrize(
    "name", ["residual", "conv blocks", "attention", "normed", "grouped", "tanh", "recurrent, tanh"]
)
def test_a_noisy_copy_is_found(name: str) -> None:
    """Where no match is exact, so that sweeps have something to choose from."""
    net = Net(name, 0)
    generator = torch.Generator().manual_seed(1)
    perms, signs = (draw(net.symmetry, generator=generator) for draw in (random_permutations, random_signs))
    noisy = {
        key: t + 0.01 * torch.randn(t.shape, generator=generator, dtype=t.dtype) if t.is_floating_point() else t
        for key, t in net.params.items()
    }
    planted = flip(permute(noisy, net.symmetry, perms), net.symmetry, signs)
    for method in METHODS:
        found = net.aligned(planted, method).params
        assert all(torch.equal(found[key], noisy[key]) for key in noisy), method


def _far(net: Net, seed: int, noise: float) -> dict[str, Tensor]:
    """Return the network, its weights buried in noise, relabelled."""
    generator = torch.Generator().manual_seed(seed)
    noisy = {
        key: t + noise * t.std() * torch.randn(t.shape, generator=generator, dtype=t.dtype) if t.ndim > 1 else t
        for key, t in net.params.items()
    }
    return permute(noisy, net.symmetry, random_permutations(net.symmetry, generator=generator))


@pytest.mark.parametrize("method", ["cosine", "weight"])
@pytest.mark.parametrize("name", ["attention", "normed", "tanh"])
def test_the_signs_that_a_network_comes_with_do_not_matter(name: str, method: str) -> None:
    """Also where no match is exact: one sign that many units have in common is chosen by how all of them match."""
    for seed in range(5):
        net = Net(name, seed)
        far = _far(net, seed, 2.5)
        signs = random_signs(net.symmetry, generator=torch.Generator().manual_seed(seed))
        assert any(bool((sign < 0).any()) for sign in signs.values())
        one, other = (net.aligned(params, method).params for params in (far, flip(far, net.symmetry, signs)))
        assert all(torch.equal(one[key], other[key]) for key in one), seed


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_a_sign_in_common_costs_no_matches(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Each of several groups has one, which its gains tell: units match as if no sign were free."""
    layers = [nn.Linear(40, 48), nn.GroupNorm(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.GroupNorm(1, 48), nn.ReLU()]
    monkeypatch.setitem(NETS, "groups", (lambda: nn.Sequential(*layers, nn.Linear(48, 4)), (40,)))
    for seed in range(8):
        net = Net("groups", seed)
        for gain in ("1.weight", "4.weight"):
            net.params[gain].abs_()
        far, none = _far(net, seed, 2.5), dataclasses.replace(net.symmetry, signs=())
        assert [group.size for group in net.symmetry.signs] == [4, 1]
        one, other = (align(net.params, far, symmetry, method=method).params for symmetry in (net.symmetry, none))
        assert all(torch.equal(one[key], other[key]) for key in one), seed


def test_the_first_group_is_matched_best() -> None:
    """Against every permutation there is, for a group whose inputs are settled."""
    net, other = Net("FunctionalNet", 3), Net("FunctionalNet", 4)
    rows = [params["kernel"].flatten(1) for params in (net.params, other.params)]
    units = [r / r.norm(dim=1, keepdim=True) for r in rows]
    found = align(net.params, other.params, net.symmetry)
    assert tuple(found.permutations["kernel"].tolist()) == best_permutation(units[0] @ units[1].T)


@pytest.mark.parametrize("name", ["mlp", "lenet", "conv blocks", "attention"])
def test_weights_end_where_no_group_can_do_better(name: str) -> None:
    net, other = Net(name, 1), Net(name, 2)

    def product(params: dict[str, Tensor]) -> float:
        return sum(float((net.params[key].double() * params[key].double()).sum()) for key in net.params)

    found = net.aligned(other.params, "weight")
    reached = product(found.params)
    assert reached >= product(net.aligned(other.params, "cosine").params)
    assert reached > product(other.params)
    if name == "conv blocks":  # a group on both sides of a tensor is matched with one side held still
        return
    generator = torch.Generator().manual_seed(0)
    for group in net.symmetry.permutations:
        for _ in range(20):
            swap = torch.arange(group.units)
            block = int(torch.randint(group.blocks, (), generator=generator)) * group.size
            i, j = (block + torch.randperm(group.size, generator=generator)[:2]).tolist()
            swap[i], swap[j] = j, i
            assert product(permute(found.params, net.symmetry, {group.name: swap})) <= reached + 1e-9


def test_seeds_and_orders_of_descent() -> None:
    net, other = Net("lenet", 1), Net("lenet", 2)
    one, two = (align(net.params, other.params, net.symmetry, method="weight", seed=5) for _ in range(2))
    assert all(torch.equal(one.permutations[name], two.permutations[name]) for name in one.permutations)
    values = []
    for orders in (1, 2, 8):
        found = align(net.params, other.params, net.symmetry, method="weight", orders=orders)
        values.append(sum(float((net.params[key] * found.params[key]).sum()) for key in net.params))
    assert values == sorted(values)


def test_similarity_never_falls_in_the_first_group() -> None:
    net, other = Net("mlp", 1), Net("mlp", 2)
    found = align(net.params, other.params, net.symmetry)
    assert found.similarity["fc1"] > found.similarity_before["fc1"]
    again = align(net.params, found.params, net.symmetry)
    assert again.similarity_before == pytest.approx(found.similarity)
    assert all(torch.equal(p, torch.arange(len(p))) for p in again.permutations.values())


def test_zero_gains_tell_no_sign() -> None:
    net = Net("conv blocks", 0)
    net.params["norm2.weight"].zero_()
    found = align(net.params, net.moved(1), net.symmetry)
    assert all(torch.equal(found.params[key], net.params[key]) for key in net.params)


def test_dead_units_do_not_disturb() -> None:
    net = Net("residual", 0)
    net.params["up.0.weight"][:3] = 0
    net.params["up.0.bias"][:3] = -1
    found = align(net.params, net.moved(1), net.symmetry)
    alive = found.permutations["up.0"][3:]
    assert torch.equal(found.params["up.0.weight"], net.params["up.0.weight"])
    assert len(alive.unique()) == 47


def test_values_that_are_not_numbers() -> None:
    net = Net("mlp", 0)
    net.params["fc1.weight"][0, 0] = float("nan")
    with pytest.raises(GeometryError, match="NaN"):
        align(net.params, net.params, net.symmetry)


def test_unknown_method() -> None:
    net = Net("mlp", 0)
    with pytest.raises(GeometryError, match="unknown alignment method"):
        align(net.params, net.params, net.symmetry, method="magic")
    with pytest.raises(GeometryError, match="correlations"):
        align(net.params, net.params, net.symmetry, method="activation")


def test_correlations_are_those_of_numpy() -> None:
    import numpy as np

    net, other = Net("mlp", 1), Net("mlp", 2)
    other.params["fc1.weight"][2] = 0
    found = unit_correlations(net.model, net.params, other.params, net.symmetry, net.inputs)
    rows = [F.linear(net.inputs, p["fc1.weight"], p["fc1.bias"]) for p in (net.params, other.params)]
    with np.errstate(invalid="ignore"):
        expected = np.corrcoef(rows[0].numpy(), rows[1].numpy(), rowvar=False)[:12, 12:]
    expected[:, 2] = 0
    np.testing.assert_allclose(found.units["fc1"].numpy(), expected, atol=1e-12)
    assert not found.signs


def test_correlations_without_the_sign_where_it_is_free() -> None:
    net = Net("tanh", 0)
    found = unit_correlations(net.model, net.params, net.moved(3), net.symmetry, net.inputs)
    assert all(bool((score >= 0).all()) for score in found.units.values())
    assert all(bool((score < -0.9).any()) for score in found.signs.values())
    assert len(found.units) == len(found.signs) == 2


def test_assignment_with_rank_one_terms() -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(60, 60, generator=generator, dtype=torch.float64)
    plain, value = assignment.assign(score.numpy())
    tilted = score + 100 * torch.randn(60, 1, generator=generator, dtype=torch.float64) + torch.arange(60)
    again, _ = assignment.assign(tilted.numpy())
    assert plain.tolist() == again.tolist()
    assert value == pytest.approx(float(score[torch.arange(60), torch.from_numpy(plain)].sum()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["noise", "matched", "spread", "tilted", "tiny", "huge", "zero", "all alike"])
def test_assignment_is_the_best_there_is(kind: str, dtype: torch.dtype) -> None:
    """Prices of columns change what the solver sees, never what is best."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 200, generator=generator, dtype=torch.float64)
    score = {
        "noise": noise,
        "matched": 1e3 * torch.eye(200)[torch.randperm(200, generator=generator)] + 1e-3 * noise,
        "spread": noise * torch.exp(4 * noise[:, :1]),
        "tilted": noise + 1e3 * noise[:1] + 1e2 * noise[:, 1:2],
        "tiny": 1e-30 * noise,
        "huge": 1e30 * noise,
        "zero": 0 * noise,
        "all alike": 0 * noise + 7,
    }[kind].to(dtype)
    found, value = assignment.assign(score.numpy())
    exact = score.double().numpy()
    rows, columns = linear_sum_assignment(exact, maximize=True)
    size = float(abs(exact[rows, columns]).sum())
    assert sorted(found.tolist()) == list(range(200))
    assert value == pytest.approx(float(exact[rows, columns].sum()), abs=1e-11 * size)
    assert kind in {"zero", "all alike"} or float(exact.trace()) < value - 1e-3 * size


def symmetry_of_heads() -> Symmetry:
    return Net("attention", 0).symmetry


def test_blocks_are_matched_by_what_is_inside() -> None:
    nesting = assignment.Nesting(symmetry_of_heads())
    (outer,) = (name for name, inside in nesting.inside.items() if inside)
    leaf = nesting.leaves(outer)[0]
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    score[0:4, 8:12] += torch.eye(4)[[2, 0, 3, 1]] * 9
    pairs = {name: nesting.solve(outer, {}, _identity(nesting))[name] for name in nesting.groups if name != "embed"}
    found = nesting.solve(outer, {leaf: score}, _identity(nesting) | pairs)
    assert found[outer][0] == 2
    assert found[leaf][:4].tolist() == [10, 8, 11, 9]
    best = max(
        sum(
            float(score[h * 4 : h * 4 + 4, g * 4 : g * 4 + 4][range(4), assigned].sum())
            for h, g in enumerate(order)
            for assigned in [list(best_permutation(score[h * 4 : h * 4 + 4, g * 4 : g * 4 + 4]))]
        )
        for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    )
    assert float(score[range(12), found[leaf].tolist()].sum()) == pytest.approx(best)


def _identity(nesting: assignment.Nesting) -> dict[str, assignment.Array]:
    return {name: torch.arange(group.units).numpy() for name, group in nesting.groups.items()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("apart", [0.0, 1e-9])
@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU, nn.Tanh])
def test_parallel_units_are_told_apart(act: type[nn.Module], apart: float, bias: bool, dtype: torch.dtype) -> None:
    """Units whose incoming weights point the same way differ in their biases and readers, or only in these."""
    torch.manual_seed(0)
    first, second = nn.Linear(2, 30, bias=bias), nn.Linear(30, 40, bias=bias)
    model = nn.Sequential(first, act(), second, act(), nn.Linear(40, 3)).to(dtype).eval()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for one, other in ((3, 17), (17, 25), (4, 5)):
        params["0.weight"][other] = (1.5 if act is nn.ReLU else 1.0) * params["0.weight"][one] * (1 + apart)
    if bias:
        params["0.bias"][5] = params["0.bias"][4]
    params["2.weight"][7] = params["2.weight"][31]
    symmetry = trace_symmetry(model, torch.zeros(2, 2))
    reference = normalize(params, symmetry)
    for seed in range(10):
        source = torch.Generator().manual_seed(seed)
        moved = permute(params, symmetry, random_permutations(symmetry, generator=source))
        moved = normalize(flip(moved, symmetry, random_signs(symmetry, generator=source)), symmetry)
        found = align(reference, moved, symmetry).params
        assert all(torch.allclose(found[name], reference[name], rtol=0, atol=1e-5) for name in reference)


def test_biases_vote_between_parallel_units_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    params["0.weight"][1] = params["0.weight"][0] + 1e-4
    symmetry = trace_symmetry(model, torch.zeros(2, 2))
    swapped = params | {
        "0.bias": params["0.bias"][[1, 0, 2, 3, 4, 5]],
        "2.weight": params["2.weight"][:, [1, 0, 2, 3, 4, 5]],
    }
    assert align(params, swapped, symmetry).permutations["0"].tolist() == [0, 1, 2, 3, 4, 5]
