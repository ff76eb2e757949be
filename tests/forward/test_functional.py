"""Models run on tensors that are not their own, with the buffers that no checkpoint has."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.data.datasets import Split
from landscape_cli.errors import ModelError, ProofError
from landscape_cli.evaluation.batch_norm import recompute_statistics, tracked_statistics
from landscape_cli.evaluation.equivalence import compare, prove_equivalence
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.functional import ForwardError, cast_floats, errors_of_forward, run_with, unsaved_buffers
from landscape_cli.forward.outputs import count_wrong
from landscape_cli.models import load_params
from landscape_cli.symmetry import trace_symmetry

CPU = torch.device("cpu")


class Tables(nn.Module):
    """Matrices, which multiply nothing of another type, and whole numbers; one module by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 6)
        self.norm = nn.BatchNorm1d(6)
        self.again = self.norm
        self.last = nn.Linear(6, 3)
        self.register_buffer("mix", torch.randn(6, 6), persistent=False)
        self.register_buffer("order", torch.tensor([2, 0, 1]), persistent=False)
        self.register_buffer("saved", torch.randn(3))
        self.norm.register_buffer("inner", torch.randn(6, 6), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.norm(self.first(x)) @ self.mix) @ self.norm.inner
        return self.last(x.relu())[:, self.order] + self.saved


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Tables().eval()


@pytest.fixture
def data() -> Split:
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    return Split(x, torch.arange(60) % 3)


def network(model: nn.Module, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    params = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return cast_floats(params, dtype, CPU)


def everything(model: nn.Module) -> list[tuple[int, torch.dtype]]:
    return [(id(tensor), tensor.dtype) for tensor in (*model.parameters(), *model.buffers())]


def test_which_buffers_are_not_saved(model: nn.Module) -> None:
    assert unsaved_buffers(model).keys() == {"mix", "order", "norm.inner"}
    assert unsaved_buffers(nn.BatchNorm1d(3)) == {}


def test_running_leaves_the_model_as_it_is(model: nn.Module) -> None:
    """The module with two names too, and where forward fails."""
    before = everything(model)
    other = {name: tensor + 1 for name, tensor in network(model, torch.float64).items()}
    tensors = cast_floats(unsaved_buffers(model), torch.float64, CPU) | other
    x = torch.randn(4, 5)
    own = model(x)
    found = run_with(model, tensors, x.double())
    with pytest.raises(ModelError):
        run_with(model, tensors, x)
    assert everything(model) == before
    assert torch.equal(model(x), own)
    expected = copy.deepcopy(model).double()
    expected.load_state_dict(other)
    assert torch.equal(found, expected(x.double()))
    assert not torch.allclose(found.float(), own)


def test_proof_is_in_float64(model: nn.Module, data: Split) -> None:
    """With the tables in float64 as well: the same as the whole model in float64, and no worse."""
    before = everything(model)
    probe = data.x.double()
    params = network(model)
    same = compare(model, params, params, probe)
    assert (same.relative, same.probes) == (0.0, 60)
    # A permutation of the units between first and norm is none of this model's symmetries: `mix` tells them apart.
    order = torch.tensor([1, 0, 2, 3, 4, 5])
    moved = params | {name: params[name][order] for name in ("first.weight", "first.bias")}
    found = compare(model, params, moved, probe)
    double = copy.deepcopy(model).double()
    expected = double(probe)
    double.load_state_dict(moved)
    largest = float((double(probe) - expected).detach().abs().max())
    assert found.largest == pytest.approx(largest, rel=1e-12)
    prove_equivalence(model, params, params, params, probe, what="nothing")
    with pytest.raises(ProofError, match="a swap changed the function"):
        prove_equivalence(model, params, moved, moved, probe, what="a swap")
    assert everything(model) == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.parametrize("loaded", [False, True])
def test_measured_in_the_networks_type(model: nn.Module, data: Split, dtype: torch.dtype, loaded: bool) -> None:
    """Tables follow the network's type, whichever the model was made in, and with statistics kept or recomputed."""
    params = network(model, dtype)
    whole = copy.deepcopy(model).to(dtype)
    used = load_params(copy.deepcopy(model), params) if loaded else model
    before = everything(used)
    assert not loaded or torch.equal(used(data.x.to(dtype)), whole(data.x.to(dtype)))
    wrong = int(count_wrong(whole(data.x.to(dtype)), data.y))
    assert Evaluator(used, data).evaluate([params])["data"].wrong.tolist() == [wrong]
    assert tracked_statistics(used, params, data.x) == ("norm.running_mean", "again.running_mean")
    assert everything(used) == before
    anew = recompute_statistics(used, params, data.x)
    assert not torch.equal(anew["norm.running_mean"], params["norm.running_mean"])
    whole.load_state_dict(anew)
    wrong = int(count_wrong(whole(data.x.to(dtype)), data.y))
    found = Evaluator(used, data, recompute_on="data").evaluate([params, params])["data"].wrong.tolist()
    assert found == [wrong, wrong]
    assert everything(used) == before


def test_an_error_names_the_innermost_module_that_raises() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("oops")

    model = nn.Sequential(nn.Linear(5, 5), nn.Sequential(nn.ReLU(), nn.Sequential(Failing())))
    with pytest.raises(ForwardError, match=r"fails in 1\.1\.0 on inputs of shape \(3, 5\): KeyError") as raised:
        run_with(model, dict(model.state_dict()), torch.ones(3, 5))
    with pytest.raises(ForwardError, match=r"fails in 1\.1\.0 on random inputs: KeyError"), errors_of_forward():
        raise raised.value


class Keeping(nn.Module):
    """Keeps what it made of its parameters when it was first called: in a dictionary, or beside a count."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5))
        self.how, self.table, self.made, self.sizes = how, None, {}, 0

    def kept(self) -> Tensor:
        if self.how == "a dictionary":
            return self.made.setdefault("cpu", self.weight.tanh())
        if self.how == "a new attribute":
            self.late = getattr(self, "late", self.weight.tanh())
            return self.late
        if self.sizes < 3:
            self.sizes, self.table = 3, self.weight.tanh()
        return self.table

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.kept().mT


@pytest.mark.parametrize("how", ["a dictionary", "an attribute", "a new attribute"])
def test_what_a_model_keeps_of_one_network_is_not_used_for_another(how: str) -> None:
    model, x = nn.Sequential(Keeping(how)).eval(), torch.randn(2, 5)
    trace_symmetry(model, x)  # on tensors without numbers
    for _ in range(2):
        weight = torch.randn(3, 5)
        assert torch.equal(run_with(model, {"0.weight": weight}, x), x @ weight.tanh().mT)
    model(x)  # the model's own
    assert torch.equal(model(x), x @ model[0].weight.tanh().mT)


def test_a_module_of_two_names_keeps_its_tensors_when_traced() -> None:
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU()), "b": nn.Sequential(shared)})
    model.forward = lambda x: model["b"](model["a"](x))  # type: ignore[method-assign]
    before = copy.deepcopy(model.state_dict())
    trace_symmetry(model, torch.randn(2, 4))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
