"""Models that do what they should not: a right answer, or one line that says what is wrong and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import trace_symmetry
from landscape_cli.symmetry.tracing import branches
from tests.support.layers import Net, parameter
from tests.support.symmetry_checks import check_true, make_net

Body = Callable[[Any, Tensor], Any]


def hidden(m: Any, x: Tensor) -> Tensor:
    return F.relu(m.a(x))


def ramp(x: Tensor, size: int) -> Tensor:
    """Return ones, or by what the inputs sum to numbers that differ."""
    return torch.ones(size) if x.sum() > 0 else torch.arange(1.0, size + 1)


def halved(m: Any, x: Tensor) -> Tensor:
    while (x.abs() > 1).any():
        x = x / 2
    return m.o(hidden(m, x))


def model(body: Body, **parts: Any) -> Net:
    """Return a network of 6 hidden units with a forward pass of its own."""
    torch.manual_seed(0)
    return Net(body, a=nn.Linear(4, 6), o=nn.Linear(6, 3), **parts)


def doing(act: Callable[[Any, Tensor], object]) -> Body:
    """Do something to the model, then what is usual."""

    def body(m: Any, x: Tensor) -> Tensor:
        act(m, x)
        return m.o(hidden(m, x))

    return body


def set_parameter(m: Any, x: Tensor) -> None:
    m.a.weight = nn.Parameter(m.a.weight * 2)


def fail(m: Any, x: Tensor) -> None:
    raise ValueError("the moon\nis full")


def fail_without_words(m: Any, x: Tensor) -> None:
    raise AssertionError


REFUSED: dict[str, tuple[Body, str]] = {
    "dict": (lambda m, x: {"logits": 3.0}, "returns a float"),
    "nothing": (lambda m, x: None, "returns a NoneType"),
    "a number": (lambda m, x: 3.0, "returns a float"),
    "a number among outputs": (lambda m, x: (m.o(hidden(m, x)), 3.0), "returns a float"),
    "no outputs": (lambda m, x: (), "returns a tuple"),
    "a parameter": (lambda m, x: m.a.weight, "does not depend on its input"),
    "branch on the input": (lambda m, x: m.o(hidden(m, x) * ramp(x, 6)), "has other symmetries one way"),
    "another branch": (lambda m, x: m.o(m.a(x)) if x.sum() > 0 else m.o(hidden(m, x)), "has other symmetries one way"),
    "branch either refused": (lambda m, x: m.o(m.a(x)) * (x.max().item() if x.sum() > 0 else 1), "looks at the values"),
    "item": (lambda m, x: m.o(hidden(m, x)) * x.max().item(), "looks at the values"),
    "float of a weight": (lambda m, x: m.o(hidden(m, x)) * float(m.a.weight.norm()), "looks at the values"),
    "unique": (lambda m, x: m.o(hidden(m, x))[: len(x.sum(1).unique())], r"looks at the values of a tensor \(_unique"),
    "numpy": (lambda m, x: m.o(torch.from_numpy(hidden(m, x).numpy())), "needs the values of a tensor"),
    "random numbers": (lambda m, x: m.o(hidden(m, x) + torch.randn(len(x), 6)), "draws random numbers"),
    "random numbers alike": (lambda m, x: m.o(hidden(m, x) + torch.randn_like(hidden(m, x))), "draws random numbers"),
    "dropout always": (lambda m, x: m.o(F.dropout(hidden(m, x), training=True)), "draws random numbers"),
    "weight in place": (doing(lambda m, x: m.a.weight.mul_(0.9)), "changes the parameter 'a.weight' in place"),
    "data in place": (doing(lambda m, x: m.a.weight.data.add_(1)), "changes the parameter 'a.weight' in place"),
    "count in place": (doing(lambda m, x: m.count.add_(1)), "changes the buffer 'count' in place"),
    "weight replaced": (doing(set_parameter), "replaces the parameter 'a.weight'"),
    "raises": (doing(fail), "ValueError: the moon / is full"),
    "asserts": (doing(fail_without_words), "the forward pass failed .*AssertionError"),
    "outside a list": (lambda m, x: [hidden(m, x)][1], "the forward pass failed .*IndexError"),
    "wrong shape": (lambda m, x: m.o(x), "the forward pass failed in the module 'o' on an input of shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str) -> None:
    body, words = REFUSED[name]
    net = model(body, count=torch.zeros(1))
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    net.train()
    with pytest.raises(TraceError, match=words) as caught:
        trace_symmetry(net, torch.randn(2, 4))
    assert "\n" not in str(caught.value)
    assert net.training
    assert all(torch.equal(before[key], tensor) for key, tensor in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def told(m: Any, x: Tensor) -> Tensor:
    if x.isnan().any():
        raise ValueError("not a number")
    return m.o(hidden(m, x) if x.sum() > 0 else 2 * hidden(m, x))


LOOKING: dict[str, Body] = {
    "branch on the input": lambda m, x: m.o(hidden(m, x)) if x.sum() > 0 else m.o(m.a(x)),
    "a check that raises": told,
    "places": lambda m, x: m.o(hidden(m, x))[(x.sum(1) != 0).nonzero()[:, 0]],
    "a mask": lambda m, x: m.o(hidden(m, x)) * x[x > 0].sum(),
}


@pytest.mark.parametrize("name", LOOKING)
def test_what_holds_whichever_way_values_lead_is_found(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(model(LOOKING[name]), (4,))
    check_true(net)
    assert [group.size for group in net.symmetry.permutations] == [6]
    assert [group.size for group in net.symmetry.scales] == [6]
    assert not net.symmetry.signs


def test_a_loop_that_values_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MOST_ASKED", 9)
    with pytest.raises(TraceError, match="looks at values more than 9 times"):
        trace_symmetry(model(halved), torch.randn(2, 4))


def skipping(m: Any, x: Tensor) -> Tensor:
    return m.o(hidden(m, x) + m.skip(hidden(m, x)) if x.sum() > 0 else hidden(m, x))


def test_of_layers_that_values_switch_off_there_is_a_note() -> None:
    skipped = model(skipping, skip=nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 6)))
    net = make_net(skipped, (4,))
    check_true(net)
    assert [group.size for group in net.symmetry.permutations] == [6, 5]
    assert "goes this way or that" in net.symmetry.notes[0]
    with pytest.raises(TraceError, match="strict was asked for"):
        trace_symmetry(skipped, net.inputs, strict=True)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


def without_gradients(m: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        return m.o(hidden(m, x))


def with_gradients(m: Any, x: Tensor) -> Tensor:
    with torch.enable_grad():
        return m.o(hidden(m, x))


# what is found: permutable units, scales
FINE: dict[str, tuple[Body, int, int]] = {
    "list": (lambda m, x: [m.o(hidden(m, x)), m.o(hidden(m, x)) * 2], 6, 6),
    "nested": (lambda m, x: (m.o(hidden(m, x)), (2 * m.o(hidden(m, x)),)), 6, 6),
    "None among outputs": (lambda m, x: (m.o(hidden(m, x)), None), 6, 6),
    "input among outputs": (lambda m, x: (m.o(hidden(m, x)), x), 6, 6),
    "constant among outputs": (lambda m, x: (m.o(hidden(m, x)), torch.ones(3)), 6, 6),
    "parameter among outputs": (lambda m, x: (m.o(hidden(m, x)), m.a.weight), 0, 0),
    "best class": (lambda m, x: m.o(hidden(m, x)).argmax(-1), 6, 6),
    "sizes": (lambda m, x: m.o(hidden(m, x)) * len(x) if x.shape[1] == 4 else x, 6, 6),
    "kept for later": (doing(lambda m, x: setattr(m, "kept", hidden(m, x))), 6, 6),
    "no gradients": (without_gradients, 6, 6),
    "gradients": (with_gradients, 6, 6),
    "checkpoint": (lambda m, x: m.o(checkpoint(hidden, m, x, use_reentrant=False)), 6, 6),
    "own function": (lambda m, x: m.o(Squared.apply(m.a(x))), 6, 6),
    "same device": (lambda m, x: m.o(hidden(m, x).to(x.device, x.dtype)), 6, 6),
    "device of a weight": (lambda m, x: m.o(F.relu(m.a(x.to(m.a.weight)))), 6, 6),
    "a constant's device": (lambda m, x: m.o(hidden(m, x) * torch.full((6,), 2.0).to(x)), 6, 6),
    "constants for units": (lambda m, x: m.o(hidden(m, x) * torch.arange(6, device=x.device)), 0, 6),
    "used twice": (lambda m, x: m.o(hidden(m, x) + F.relu(F.linear(x, m.a.weight, m.a.bias))), 6, 6),
    "data used": (lambda m, x: m.o(hidden(m, x)) + m.o(F.relu(F.linear(x, m.a.weight.data))), 6, 6),
    "dropout": (lambda m, x: m.o(F.dropout(hidden(m, x), training=m.training)), 6, 6),
    "as_strided": (lambda m, x: m.o(hidden(m, x).as_strided((len(x), 6), (6, 1))), 6, 6),
    "fourier": (lambda m, x: m.o(torch.fft.fft(hidden(m, x)).real), 0, 1),
    "times nothing": (lambda m, x: m.o(hidden(m, x)) * 0 + m.o(m.a(x)), 6, 6),
}


@pytest.mark.parametrize("name", FINE)
def test_right_answer(name: str) -> None:
    body, units, scales = FINE[name]
    net = make_net(model(body), (4,))
    check_true(net)
    assert sum(group.units for group in net.symmetry.permutations) == units
    assert sum(group.size for group in net.symmetry.scales) == scales


def test_parameters_nobody_uses() -> None:
    net = model(lambda m, x: m.o(hidden(m, x)), spare=nn.Linear(2, 5))
    symmetry = trace_symmetry(net, torch.randn(2, 4))
    assert [group.size for group in symmetry.permutations] == [6]
    assert any("never uses" in note and "'spare.weight'" in note for note in symmetry.notes)
    spare = {(axis.tensor, axis.dim): axis.reason for axis in symmetry.fixed if axis.tensor.startswith("spare")}
    assert spare == dict.fromkeys([("spare.weight", 0), ("spare.weight", 1), ("spare.bias", 0)], "never used")
    with pytest.raises(TraceError, match=r"never uses .*'spare.weight'"):
        trace_symmetry(net, torch.randn(2, 4), strict=True)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int32])
def test_parameters_of_other_types(dtype: torch.dtype) -> None:
    net = model(lambda m, x: m.o(hidden(m, x)), odd=nn.Parameter(torch.zeros(3, dtype=dtype), requires_grad=False))
    with pytest.raises(TraceError, match=r"'odd'.*no rule" + (".*view_as_real" if dtype.is_complex else "")):
        trace_symmetry(net, torch.randn(2, 4))


def test_whole_numbers_in_buffers_are_left_alone() -> None:
    net = model(doing(lambda m, x: m.count.add_(1)), count=torch.zeros(1, dtype=torch.int64))
    assert [group.size for group in trace_symmetry(net, torch.randn(2, 4)).permutations] == [6]
    assert int(net.count) == 0


def test_parameters_without_a_shape_yet() -> None:
    net = model(lambda m, x: m.o(m.late(x).relu()), late=nn.LazyLinear(6))
    with pytest.raises(TraceError):
        trace_symmetry(net, torch.randn(2, 4))


def test_no_parameters_at_all() -> None:
    for net in (nn.ReLU(), nn.Identity()):
        symmetry = trace_symmetry(net, torch.randn(2, 4))
        assert not symmetry.permutations
        assert not symmetry.scales
        assert not symmetry.output


def test_empty_parameter() -> None:
    net = make_net(
        model(lambda m, x: m.o(torch.cat([hidden(m, x), m.none.expand(len(x), 0)], 1)), none=parameter(0)), (4,)
    )
    check_true(net)


@pytest.mark.parametrize("kind", ["scripted", "traced"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_parts(kind: str) -> None:
    part = nn.Sequential(nn.Linear(6, 6), nn.ReLU()).double()
    example = torch.randn(2, 6).double()
    compiled = torch.jit.script(part) if kind == "scripted" else torch.jit.trace(part, example)
    net = make_net(model(lambda m, x: m.o(m.part(hidden(m, x))), part=compiled), (4,))
    check_true(net)
    assert [group.size for group in net.symmetry.permutations] == [6, 6]


def test_deep_chain() -> None:
    layers = [part for _ in range(100) for part in (nn.Linear(3, 3), nn.ReLU())]
    symmetry = trace_symmetry(nn.Sequential(*layers, nn.Linear(3, 2)), torch.randn(1, 3))
    assert [group.size for group in symmetry.permutations] == [3] * 100
    assert [group.size for group in symmetry.scales] == [3] * 100


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (4,), (2, 3, 5, 4)])
def test_batches_of_any_kind(shape: tuple[int, ...]) -> None:
    """As many examples as there are, also none or a single one without a batch."""
    symmetry = trace_symmetry(model(lambda m, x: m.o(hidden(m, x))), torch.randn(shape))
    assert [group.size for group in symmetry.permutations] == [6]
    assert [group.size for group in symmetry.scales] == [6]


def test_values_of_the_example_do_not_matter() -> None:
    for value in (float("nan"), 0.0, 1e30):
        symmetry = trace_symmetry(model(lambda m, x: m.o(hidden(m, x))), torch.full((2, 4), value))
        assert [group.size for group in symmetry.permutations] == [6]


def test_no_random_numbers_are_drawn() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 6), nn.Dropout(), nn.RReLU(), nn.Linear(6, 3))
    state = torch.get_rng_state()
    trace_symmetry(net, torch.zeros(2, 4))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), expected)


def test_an_inconsistency_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landscape_cli.symmetry.solving.groups._fixed", lambda *_: ())
    with pytest.raises(TraceError, match="please report this") as caught:
        trace_symmetry(model(lambda m, x: m.o(hidden(m, x))), torch.zeros(2, 4))
    assert caught.value.exit_code == 1
