"""Normalising proves itself: what is wrong is refused, and the group at fault is named."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from landscape_cli import normalize, trace_symmetry
from landscape_cli.errors import GeometryError, ModelError, ProofError
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.normalization.verified import normalize_checkpoint
from tests.support.binaries import SPECS as BINARY
from tests.support.binaries import make_binary
from tests.support.broken import without
from tests.support.cases import SPECS, make_case


@pytest.mark.parametrize("name", ["mlp", "mlp-sign", "lenet", "lenet-no-bias"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("keep", [False, True])
def test_normalised_and_proved(name: str, dtype: torch.dtype, keep: bool) -> None:
    case = make_case(name, dtype=dtype)
    before = {key: tensor.clone() for key, tensor in case.params.items()}
    found = normalize(case.model, case.params, case.symmetry, keep_last_layer=keep)
    expected = normalize_params(case.params, case.symmetry, keep_last_layer=keep)
    assert all(torch.equal(found.params[key], tensor) for key, tensor in expected.params.items())
    assert all(found.params[key].dtype == dtype for key in case.params)
    assert all(torch.equal(case.params[key], tensor) for key, tensor in before.items())  # it stays as it is
    assert found.output_factor == expected.output_factor
    assert (found.output_factor == 1) == keep
    record = {"keep_last_layer": keep, "output_factor": found.output_factor, "degenerate": {}}
    assert json.loads(json.dumps(found.normalized)) == record
    assert expected.proof is None
    assert found.proof is not None
    assert found.proof.in_float64
    assert found.proof.probes >= 2
    assert 0 < found.proof.relative < (1e-11 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize(
    ("group", "tensor"), [("fc1", "fc2.weight"), ("fc2", "fc3.weight"), ("fc2", "fc2.bias"), ("fc1", "fc1.bias")]
)
def test_a_broken_symmetry_is_refused_and_the_group_named(group: str, tensor: str) -> None:
    case = make_case("mlp")
    wrong = without(case.symmetry, "scales", group, tensor)
    with pytest.raises(ProofError, match=rf"^normalising a changed the function.*\(at fault: the group '{group}'\)"):
        normalize(case.model, case.params, wrong, name="a")
    let_through = normalize(case.model, case.params, wrong, prove=False)
    assert let_through.proof is None
    inputs = torch.randn(50, *SPECS["mlp"].input_shape, dtype=torch.float64)

    def apart(params: dict[str, torch.Tensor], factor: float) -> float:
        before, after = (torch.func.functional_call(case.model, p, (inputs,)) for p in (case.params, params))
        return float((after - factor * before).abs().max() / (factor * before).abs().max())

    assert apart(let_through.params, let_through.output_factor) > 1e-2  # the proof was right
    right = normalize(case.model, case.params, case.symmetry, prove=False)
    assert apart(right.params, right.output_factor) < 1e-11


def test_what_is_found_is_frozen_and_json() -> None:
    case = make_case("mlp")
    dead = case.params | {key: case.params[key].index_fill(0, torch.tensor([2]), 0) for key in ("fc1.weight",)}
    for prove in (True, False):
        found = normalize(case.model, dead, case.symmetry, prove=prove)
        values = found.to_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert values["degenerate"] == {"fc1": [2]}
        assert values["factors"]["fc1"] == found.factors["fc1"].tolist()
        assert values["output_factor"] == found.output_factor
        assert (values["proof"] is None) != prove
        with pytest.raises(FrozenInstanceError):
            found.proof = None  # type: ignore[misc]


def test_binary_networks_become_their_signs() -> None:
    net = make_binary("mlp")
    found = normalize(net.model, net.params, net.symmetry)
    assert found.proof is not None
    assert (found.proof.largest, found.output_factor) == (0, 1)
    with pytest.raises(GeometryError, match=r"^a is binary: its last layer has no scale, so leave out `keep_last"):
        normalize(net.model, net.params, net.symmetry, keep_last_layer=True, name="a")


def test_where_the_probe_comes_from() -> None:
    case = make_case("mlp")
    assert case.symmetry.input_shape == SPECS["mlp"].input_shape
    shapeless = replace(case.symmetry, input_shape=None)
    with pytest.raises(ModelError, match="name it with `input_shape=`"):
        normalize(case.model, case.params, shapeless)
    expected = normalize(case.model, case.params, case.symmetry).proof
    assert normalize(case.model, case.params, shapeless, input_shape=SPECS["mlp"].input_shape).proof == expected
    probe = torch.randn(9, *SPECS["mlp"].input_shape)
    few = normalize(case.model, case.params, shapeless, probe=probe).proof
    assert few is not None
    assert few.probes == 9


def test_nonsense_is_refused() -> None:
    case = make_case("mlp")
    less = {name: tensor for name, tensor in case.params.items() if name != "fc2.bias"}
    with pytest.raises(ModelError, match=r"^the network: the tensors do not fit the model \(missing: fc2\.bias\)"):
        normalize(case.model, less, case.symmetry)
    with pytest.raises(ModelError, match=r"^the network: expected tensors by name, not a"):
        normalize(case.model, case.model, case.symmetry)  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match=r"the tensor 'fc2\.bias' holds NaN or Inf"):
        normalize(case.model, case.params | {"fc2.bias": torch.full((9,), torch.nan)}, case.symmetry)


@pytest.mark.parametrize("prove", [False, True])
def test_what_its_dtype_cannot_hold_is_refused(prove: bool) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).half()
    symmetry = trace_symmetry(model, torch.zeros(2, 3))
    params = {**model.state_dict()}
    params["0.weight"], params["0.bias"] = params["0.weight"] * 1e-4, torch.full((4,), 60.0).half()
    message = "their type cannot hold what comes of them" if prove else "of float16"
    with pytest.raises(GeometryError, match=message):
        normalize(model, params, symmetry, prove=prove)


def test_checkpoints_keep_a_record() -> None:
    case, spec = make_case("mlp"), SPECS["mlp"]
    network = Checkpoint(case.params, spec, data={"name": "mine"}, path="a.st")
    device = torch.device("cpu")
    changed, normalization = normalize_checkpoint(
        case.model, network, case.symmetry, keep_last_layer=False, seed=0, device=device
    )
    assert changed.params is normalization.params
    assert (changed.path, changed.data) == (network.path, network.data)
    assert changed.normalized == {
        "keep_last_layer": False,
        "output_factor": normalization.output_factor,
        "degenerate": {},
    }
    net = make_binary("mlp")
    network = Checkpoint(net.params, BINARY["mlp"], data={})
    changed, _ = normalize_checkpoint(net.model, network, net.symmetry, keep_last_layer=False, seed=0, device=device)
    assert changed.normalized is not None
    assert changed.normalized["binary"] is True
