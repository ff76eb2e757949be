"""What fails at some networks, or has no derivative, is no error of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import ModelError
from landscape_cli.forward.functional import ForwardError
from landscape_cli.symmetry.checking.completeness import Completeness, check_completeness
from landscape_cli.symmetry.checking.failures import is_singular
from landscape_cli.symmetry.checking.probe import Probe
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import Net, make_net

SINGULAR = {
    "solve": lambda m, x: m.o(torch.linalg.solve(m.y, torch.tanh(m.a(x)).mT).mT),
    "inverse": lambda m, x: m.o(torch.tanh(m.a(x)) @ torch.linalg.inv(m.y)),
    "factors": lambda m, x: m.o(torch.tanh(m.a(x)) @ torch.linalg.lu_factor(m.y)[0]),
}


def made(forward: Callable[[Body, Tensor], Tensor]) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {"a": nn.Linear(2, 3), "y": nn.Parameter(torch.randn(3, 3)), "o": nn.Linear(3, 2)}
        return make_net(Body(forward, **parts), (2,))


def checked(net: Net) -> Completeness:
    return check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SINGULAR)
def test_matrices_without_an_inverse(name: str) -> None:
    check = checked(made(SINGULAR[name]))
    assert not any(count.wrong for count in check.counts)
    assert check.blind or not check.undecided


def test_outputs_are_nan_where_a_matrix_has_no_inverse_and_nowhere_else() -> None:
    net = made(SINGULAR["inverse"])
    probe = Probe(net.model, net.params, net.symmetry, seed=torch.Generator().manual_seed(0))
    networks = probe.draw()[None].repeat(3, axis=0)
    networks[1, probe.starts[probe.names.index("y")] + torch.arange(9).numpy()] = 0
    outputs = torch.from_numpy(probe.outputs(networks))
    assert [bool(row.isnan().all()) for row in outputs] == [False, True, False]
    _, gradients = probe.gradients_of(networks, torch.ones(1, probe.outputs_count, dtype=torch.float64))
    assert [bool(row.isfinite().all()) for row in torch.from_numpy(gradients)] == [True, False, True]


def test_what_is_singular_is_told_from_other_failures() -> None:
    error = torch.linalg.LinAlgError("singular")  # type: ignore[attr-defined] # public, but not typed so
    assert is_singular(error)
    assert is_singular(ForwardError("inputs", error))
    assert not is_singular(RuntimeError("singular"))


def test_an_operator_without_a_derivative_is_named() -> None:
    net = made(lambda m, x: m.o(torch.special.gammainc(m.a(x).exp(), torch.ones(3, dtype=x.dtype))))
    with pytest.raises(ModelError, match=r"has no derivative .*igamma"):
        checked(net)
