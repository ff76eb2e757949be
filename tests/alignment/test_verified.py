"""Aligning proves itself: what is wrong is refused, and the group at fault is named."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import align, trace_symmetry
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.defaults import ALIGN_SAMPLES
from landscape_cli.errors import GeometryError, ModelError, ProofError, Remark
from tests.support.binaries import make_binary
from tests.support.broken import without
from tests.support.cases import make_case
from tests.support.pair import Pair

CPU = torch.device("cpu")
METHODS = ["cosine", "weight", "activation"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_planted_and_proved(method: str, dtype: torch.dtype) -> None:
    pair = Pair(dtype)
    before = {name: tensor.clone() for name, tensor in pair.network.items()}
    found = pair.align(method=method)
    assert all(torch.equal(found.params[name], tensor) for name, tensor in pair.reference.items())
    assert all(torch.equal(pair.network[name], tensor) for name, tensor in before.items())  # it stays as it is
    assert found.proof is not None
    assert found.proof.in_float64
    assert found.proof.probes == 256
    assert found.proof.relative < (1e-12 if dtype == torch.float64 else 1e-6)
    assert min(found.similarity.values()) > 1 - 1e-6
    assert max(found.similarity_before.values()) < 0.9


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_the_match_is_that_of_the_algorithm(method: str) -> None:
    case, other = (make_case("lenet", seed=seed, dtype=torch.float32) for seed in (1, 2))
    found = align(case.model, case.params, other.params, case.symmetry, method=method, orders=3, seed=4)
    expected = match_networks(case.params, other.params, case.symmetry, method=method, orders=3, seed=4)
    assert all(torch.equal(found.params[name], tensor) for name, tensor in expected.params.items())
    assert found.similarity == expected.similarity
    assert (expected.proof, found.proof is None) == (None, False)


@pytest.mark.parametrize(
    ("kind", "group", "tensor", "blamed"),
    [
        ("permutations", "2", "4.weight", "'2'"),
        ("permutations", "0", "0.bias", "'0'"),
        ("signs", "2", "4.weight", "'signs of 2'"),
    ],
)
def test_a_broken_symmetry_is_refused_and_the_group_named(kind: str, group: str, tensor: str, blamed: str) -> None:
    pair = Pair()
    wrong = without(pair.symmetry, kind, group, tensor)
    with pytest.raises(ProofError, match=rf"^aligning b changed the function.*\(at fault: the group {blamed}\)"):
        pair.align(symmetry=wrong, name="b")
    let_through = pair.align(symmetry=wrong, prove=False)
    assert let_through.proof is None
    apart = (pair.outputs(let_through.params) - pair.outputs(pair.network)).abs().max()
    assert apart > 1e-2  # the proof was right
    right = pair.align(prove=False)
    assert (pair.outputs(right.params) - pair.outputs(pair.network)).abs().max() < 1e-12


def test_binary_networks_are_proved_bit_for_bit() -> None:
    net = make_binary("mlp")
    found = align(net.model, net.params, net.moved(3), net.symmetry)
    assert found.proof is not None
    assert (found.proof.largest, found.proof.decisions) == (0, 0)


def test_what_is_found_is_frozen_and_json() -> None:
    pair = Pair()
    for found in (pair.align(), pair.align(prove=False)):
        values = found.to_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert values["permutations"] == {name: order.tolist() for name, order in found.permutations.items()}
        assert {sign for signs in values["signs"].values() for sign in signs} == {-1, 1}
        assert (values["proof"] is None) == (found.proof is None)
        with pytest.raises(FrozenInstanceError):
            found.proof = None  # type: ignore[misc]
    assert pair.align().to_dict()["proof"]["probes"] == 256


def test_where_the_probe_comes_from() -> None:
    pair = Pair()
    assert pair.symmetry.input_shape == (5,)
    shapeless = replace(pair.symmetry, input_shape=None)
    with pytest.raises(ModelError, match="name it with `input_shape=`"):
        pair.align(symmetry=shapeless)
    assert pair.align(symmetry=shapeless, prove=False).proof is None
    expected = pair.align().proof
    assert pair.align(symmetry=shapeless, input_shape=(5,)).proof == expected
    few = pair.align(symmetry=shapeless, probe=pair.inputs[:9]).proof
    assert few is not None
    assert few.probes == 9
    with pytest.raises(ModelError, match="the forward pass fails in 0 on random inputs"):
        pair.align(input_shape=(6,))


def test_nonsense_is_refused() -> None:
    pair = Pair()
    for options, message in (
        ({"method": "magic"}, "unknown alignment method 'magic': choose cosine, weight, activation"),
        ({"method": "activation", "inputs": None}, "'activation' needs `inputs=`"),
        ({"inputs": pair.inputs}, "`inputs=` are for the method 'activation', not 'cosine'"),
        ({"method": "weight", "orders": 0}, "`orders=` must be at least 1, not 0"),
    ):
        with pytest.raises(GeometryError, match=message):
            pair.align(**options)
    less = {name: tensor for name, tensor in pair.network.items() if name != "2.bias"}
    for reference, network, message in (
        (less, pair.network, r"^the reference: the tensors do not fit the model \(missing: 2\.bias\)"),
        (pair.reference, less, r"^the network: the tensors do not fit the model \(missing: 2\.bias\)"),
        (pair.reference, pair.network | {"2.bias": torch.zeros(7)}, r"2\.bias is \(7,\), expected \(6,\)"),
        (pair.reference, pair.model, "^the network: expected tensors by name, not a Sequential"),
    ):
        with pytest.raises(ModelError, match=message):
            align(pair.model, reference, network, pair.symmetry)  # type: ignore[arg-type]


def test_groups_without_correlations_are_remarked_on() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Parameter(torch.randn(6, 5)), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last((x @ self.first.T).relu())

    torch.manual_seed(0)
    model = Bare()
    symmetry, params = trace_symmetry(model, torch.zeros(2, 5)), dict(model.state_dict())
    with pytest.warns(Remark, match="matched by their weights, as no module puts them out: first"):
        align(model, params, params, symmetry, method="activation", inputs=torch.randn(20, 5))


def test_the_default_number_of_samples_is_said_once() -> None:
    from landscape_cli.cli.commands.align import align as command

    assert command.__kwdefaults__["samples"] == ALIGN_SAMPLES
