"""The normalised form of networks with batch-norm, gains, streams, gates and the like (docs/method.md: Normalize)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import GeometryError, ProofError
from landscape_cli.evaluation.equivalence import cast_like, compare, prove_equivalence
from landscape_cli.normalization.normalize import is_normalized, normalize_params, one_at_a_time
from landscape_cli.symmetry import Role, permute, random_permutations, rescale, trace_symmetry, unit_rows
from tests.support.normed import MAKERS, NORMED, WITH_BATCH_NORM, Net, Residual, make_net, stem
from tests.support.reference import normalize_batch_norm_chain


def random_factors(net: Net, seed: int, sigma: float = 2.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        group.name: torch.exp(sigma * torch.randn(group.size, generator=generator, dtype=torch.float64))
        for group in net.symmetry.scales
    }


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float = 1e-10) -> None:
    """Compare each tensor to a fraction of its largest entry."""
    for key in expected:
        atol = rtol * float(expected[key].abs().max())
        assert torch.allclose(found[key], expected[key], rtol=rtol, atol=atol), key


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NORMED)
def test_function_is_kept(name: str, dtype: torch.dtype) -> None:
    net = make_net(name, dtype=dtype)
    result = normalize_params(net.params, net.symmetry)
    expected = result.output_factor * net.outputs(net.params)
    tolerance = {torch.float64: 1e-11, torch.float32: 1e-4}[dtype] * expected.abs().max()
    assert (net.outputs(result.params) - expected).abs().max() <= tolerance
    assert all(result.params[key].dtype == tensor.dtype for key, tensor in net.params.items())
    kept = normalize_params(net.params, net.symmetry, keep_last_layer=True).params
    assert (net.outputs(kept) - net.outputs(net.params)).abs().max() <= tolerance / result.output_factor
    assert result.output_factor != pytest.approx(1.0, rel=1e-2)


@pytest.mark.parametrize("name", NORMED)
def test_idempotent(name: str) -> None:
    net = make_net(name)
    once = normalize_params(net.params, net.symmetry)
    twice = normalize_params(once.params, net.symmetry)
    assert_same(dict(twice.params), dict(once.params), 1e-12)
    assert twice.output_factor == pytest.approx(1.0, rel=1e-12)
    with pytest.raises(AssertionError):
        assert_same(dict(once.params), net.params, 1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NORMED)
def test_forgets_any_rescaling(name: str, seed: int) -> None:
    net = make_net(name, seed=seed)
    moved = rescale(net.params, net.symmetry, random_factors(net, seed), output=7.0)
    with pytest.raises(AssertionError):
        assert_same(moved, net.params, 1e-3)
    assert_same(normalize_params(moved, net.symmetry).params, normalize_params(net.params, net.symmetry).params)


@pytest.mark.parametrize("name", NORMED)
def test_permutation_is_kept(name: str) -> None:
    net = make_net(name)
    permutations = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(4))
    moved = rescale(permute(net.params, net.symmetry, permutations), net.symmetry, random_factors(net, 1))
    expected = permute(normalize_params(net.params, net.symmetry).params, net.symmetry, permutations)
    assert_same(normalize_params(moved, net.symmetry).params, expected)


@pytest.mark.parametrize("name", NORMED)
def test_what_sets_the_scale_has_norm_one(name: str) -> None:
    net = make_net(name)
    found = normalize_params(net.params, net.symmetry).params
    for group in net.symmetry.scales:
        setter = group.set_by
        norms = unit_rows(found[setter.axis.tensor], setter.axis).norm(dim=1)
        assert torch.allclose(norms, torch.ones_like(norms), rtol=1e-12)
        if setter.axis.role is Role.GAIN:
            assert torch.equal(found[setter.axis.tensor].sign(), net.params[setter.axis.tensor].sign())


def test_chain_equals_the_slow_way() -> None:
    net = make_net("chain")
    layers = [("0", "1", 1e-5), ("4", "5", 1e-3)]
    assert_same(
        normalize_params(net.params, net.symmetry).params, normalize_batch_norm_chain(net.params, layers, "9"), 1e-12
    )


def test_epsilon_is_counted() -> None:
    """With variances as small as ε, a scale absorbed as if there were no ε changes the outputs."""
    net = make_net("chain")
    params = net.params | {"1.running_var": torch.full((4,), 1e-5, dtype=torch.float64)}
    result = normalize_params(params, net.symmetry, keep_last_layer=True)
    assert (net.outputs(dict(result.params)) - net.outputs(params)).abs().max() < 1e-10
    norms = params["0.weight"].flatten(1).norm(dim=1)
    naive = dict(params)
    for key, power in (("0.weight", 1), ("0.bias", 1), ("1.running_mean", 1), ("1.running_var", 2)):
        naive[key] = params[key] / (norms**power).view(-1, *[1] * (params[key].ndim - 1))
    assert (net.outputs(naive) - net.outputs(params)).abs().max() > 1e-3


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_variance_plus_epsilon_stays_positive(name: str) -> None:
    net = make_net(name)
    factors = {group: 1e-3 * factor for group, factor in random_factors(net, 0).items()}
    for params in (net.params, rescale(net.params, net.symmetry, factors)):
        found = normalize_params(params, net.symmetry).params
        for key, module in net.model.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
                assert bool((found[f"{key}.running_var"] + module.eps > 0).all())
                if module.affine:
                    assert bool((found[f"{key}.running_var"] > 0).all())


def test_without_a_gain_the_variance_may_be_negative() -> None:
    """Then the variance plus ε scales as a whole; the function, and the canonical form, do not mind its sign."""
    net = make_net("no-affine")
    params = net.params | {"0.weight": 100 * net.params["0.weight"]}
    found = normalize_params(params, net.symmetry)
    assert float(found.params["1.running_var"].min()) < 0
    expected = found.output_factor * net.outputs(params)
    assert (net.outputs(dict(found.params)) - expected).abs().max() < 1e-11 * expected.abs().max()
    assert_same(normalize_params(found.params, net.symmetry).params, dict(found.params), 1e-12)
    back = rescale(found.params, net.symmetry, random_factors(net, 2))
    assert_same(normalize_params(back, net.symmetry).params, dict(found.params), 1e-8)


def test_first_writer_sets_the_stream() -> None:
    """In the first block the stem's gain, in the second the block's own; the way past follows."""
    net = make_net("residual")
    found = normalize_params(net.params, net.symmetry).params
    ones = {key: found[key].abs() for key in ("1.weight", "3.bn1.weight", "4.bn1.weight", "4.bn2.weight")}
    assert all(torch.allclose(gain, torch.ones_like(gain), rtol=1e-12) for gain in ones.values())
    stream = net.params["1.bias"] / found["1.bias"]
    assert torch.allclose(stream, net.params["1.weight"].abs(), rtol=2e-2)
    for key in ("3.bn2.weight", "4.past.1.weight"):
        assert not torch.allclose(found[key].abs(), torch.ones_like(found[key]), rtol=1e-2)
    assert torch.allclose(found["3.bn2.bias"], net.params["3.bn2.bias"] / stream, rtol=1e-12)


def test_no_scale_where_an_activation_has_none() -> None:
    """ReLU6 and GELU keep the gain before them; what a batch-norm absorbs is normalised all the same."""
    net = make_net("inverted")
    found = normalize_params(net.params, net.symmetry).params
    assert torch.allclose(found["3.body.3.weight"].flatten(1).norm(dim=1), torch.ones(7).double(), rtol=1e-12)
    assert not torch.allclose(found["3.body.4.weight"].abs(), torch.ones(7).double(), rtol=1e-2)
    assert torch.equal(found["3.body.4.bias"], net.params["3.body.4.bias"])


def test_statistics_of_the_batch_leave_no_scale_to_remove() -> None:
    """Without running statistics ε counts, so the first convolution's scale is not free; its gain's is."""
    net = make_net("no-statistics")
    found = normalize_params(net.params, net.symmetry).params
    assert torch.equal(found["0.weight"], net.params["0.weight"])
    assert torch.allclose(found["1.weight"].abs(), torch.ones(4).double(), rtol=1e-12)


def test_several_outputs_share_one_factor() -> None:
    net = make_net("two-heads")
    found = normalize_params(net.params, net.symmetry)
    assert float(found.params["out.weight"].norm()) == pytest.approx(math.sqrt(4), rel=1e-12)
    assert float(found.params["aside.weight"].norm()) != pytest.approx(math.sqrt(4), rel=1e-2)
    assert float(found.params["out.bias"][0]) == pytest.approx(float(net.params["out.bias"][0]) * found.output_factor)


def test_zero_gains_and_filters_are_degenerate() -> None:
    net = make_net("chain")
    net.params["1.weight"][2] = 0
    net.params["4.weight"][[1, 3]] = 0
    net.params["5.running_mean"][3] = 0
    result = normalize_params(net.params, net.symmetry)
    found = result.params
    assert result.degenerate == {"1": (2,), "4": (1, 3)}
    assert float(found["1.weight"][2]) == 0
    assert not found["4.weight"][[1, 3]].any()
    for key, unit in (("1.bias", 2), ("5.running_mean", 1), ("5.running_var", 3)):
        assert abs(float(found[key][unit])) == pytest.approx(1.0)
    expected = result.output_factor * net.outputs(net.params)
    assert (net.outputs(dict(found)) - expected).abs().max() < 1e-11 * expected.abs().max()
    assert_same(normalize_params(found, net.symmetry).params, dict(found), 1e-12)
    moved = rescale(net.params, net.symmetry, random_factors(net, 3))
    assert_same(normalize_params(moved, net.symmetry).params, dict(found))


def test_dying_units_stay_in_range() -> None:
    """Filters that weight decay has shrunk to denormal numbers do not overflow float32."""
    net = make_net("chain", dtype=torch.float32)
    net.params["0.weight"][1] = 1e-40
    net.params["0.bias"][1] = 1e-41
    net.params["1.running_mean"][1] = 1e-41
    net.params["1.running_var"][1] = 0
    net.params["5.weight"][0] = 1e-41
    result = normalize_params(net.params, net.symmetry)
    assert result.degenerate == {"0": (1,), "5": (0,)}
    expected = result.output_factor * net.outputs(net.params)
    assert (net.outputs(dict(result.params)) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_out_of_range_is_an_error() -> None:
    net = make_net("chain", dtype=torch.float16)
    net.params["1.weight"][0] = 1e-6
    with pytest.raises(GeometryError, match=r"'1\.bias', normalised, leaves the range of float16"):
        normalize_params(net.params, net.symmetry)
    with pytest.raises(GeometryError, match=r"'5\.running_var' holds NaN"):
        normalize_params(net.params | {"5.running_var": torch.full((5,), math.nan)}, net.symmetry)


@pytest.mark.parametrize("name", NORMED)
def test_proof_holds(name: str) -> None:
    net = make_net(name)
    result = normalize_params(net.params, net.symmetry)
    stored = cast_like(result.params, {key: t.float() if t.is_floating_point() else t for key, t in net.params.items()})
    found = prove_equivalence(
        net.model, net.params, result.params, stored, net.inputs, factor=result.output_factor, what=name
    )
    assert 1e-9 < found.relative < 1e-4
    assert found.probes == 16


def test_proof_names_the_group_at_fault() -> None:
    net = make_net("residual")
    result = normalize_params(net.params, net.symmetry)
    broken = dict(result.params) | {"3.bn1.running_var": 2 * result.params["3.bn1.running_var"]}

    def suspects():
        for name, params in one_at_a_time(net.params, net.symmetry, result.factors):
            wrong = {"3.bn1.running_var": 2 * params["3.bn1.running_var"]} if name == "3.conv1" else {}
            yield name, {**params, **wrong}

    arguments = {"factor": result.output_factor, "what": "normalising x", "suspects": suspects()}
    with pytest.raises(ProofError, match=r"normalising x changed the function: .* \(at fault: the group '3\.conv1'\)"):
        prove_equivalence(net.model, net.params, broken, broken, net.inputs, **arguments)
    arguments["suspects"] = one_at_a_time(net.params, net.symmetry, result.factors)
    with pytest.raises(ProofError, match=r"at fault: the last layer, or no group alone"):
        prove_equivalence(net.model, net.params, broken, broken, net.inputs, **arguments)
    with pytest.raises(ProofError, match=r"once stored: .* is allowed; nothing was written"):
        prove_equivalence(
            net.model, net.params, result.params, broken, net.inputs, factor=result.output_factor, what="x"
        )


def test_suspects_are_not_asked_for_without_a_crime() -> None:
    net = make_net("chain")

    def suspects():
        raise AssertionError
        yield

    prove_equivalence(net.model, net.params, net.params, net.params, net.inputs, what="x", suspects=suspects())


def test_proof_looks_at_every_output() -> None:
    net = make_net("two-heads")
    moved = net.params | {"aside.bias": net.params["aside.bias"] + 1e-3}
    found = compare(net.model, net.params, moved, net.inputs)
    assert found.largest == pytest.approx(1e-3)
    assert found.decisions == 0
    with pytest.raises(ProofError, match="changed the function"):
        prove_equivalence(net.model, net.params, moved, moved, net.inputs, what="x")
    moved = net.params | {"out.bias": net.params["out.bias"].flip(0)}
    assert compare(net.model, net.params, moved, net.inputs).decisions > 0


def test_no_proof_on_outputs_that_are_not_numbers() -> None:
    net = make_net("chain")
    params = net.params | {"1.running_var": torch.full((4,), -1.0).double()}
    with pytest.raises(GeometryError, match="NaN or Inf as it is"):
        prove_equivalence(net.model, params, params, params, net.inputs, what="x")


def test_deeper_streams() -> None:
    """Four blocks on one stream, and another four after a change of width."""
    model = nn.Sequential(*stem(6), *[Residual(6, 6) for _ in range(4)], Residual(6, 9, 2), *[Residual(9, 9)] * 1)
    model = nn.Sequential(*model, *[Residual(9, 9) for _ in range(2)], *MAKERS["residual"]()[-3:-1], nn.Linear(9, 4))
    net = make_net("deep", model=model)
    moved = rescale(net.params, net.symmetry, random_factors(net, 5), output=0.01)
    assert_same(normalize_params(moved, net.symmetry).params, normalize_params(net.params, net.symmetry).params)


class Typed(nn.Module):
    """A table of which one row is looked up, as BERT's types of tokens are where nobody names them; others are not."""

    def __init__(self) -> None:
        super().__init__()
        self.types, self.first, self.out = nn.Embedding(3, 6), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.zeros(len(x), dtype=torch.int64)
        return self.out((self.first(x) + self.types(rows)).relu())


def test_rows_of_a_table_that_are_never_read() -> None:
    """They have scales of their own; the one that is has none against its columns."""
    torch.manual_seed(0)
    model = Typed().double().eval()
    params = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    symmetry = trace_symmetry(model, torch.zeros(2, 4))
    assert sorted(group.size for group in symmetry.scales) == [2, 6]
    normal = normalize_params(params, symmetry).params
    assert is_normalized(normal, symmetry, last_layer=True)
