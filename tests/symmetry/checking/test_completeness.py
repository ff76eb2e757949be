"""What outputs alone say of symmetries agrees with what is traced, and tells what is missing, or made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape_cli.errors import ModelError
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checking.completeness import Completeness, check_completeness
from landscape_cli.symmetry.checking.words import completeness_lines
from landscape_cli.symmetry.spec import Places
from tests.support.layers import NETS
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import Net, make_net

KINDS = [
    "relu",
    "prelu per channel",
    "tanh",
    "gelu",
    "softmax",
    "glu",
    "product",
    "maxout",
    "batch-norm of vectors",
    "batch-norm 2d plain",
    "rms-norm",
    "layer-norm, relu",
    "group-norm of all",
    "depthwise 2d",
]


def made(name: str) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(NETS[name].make(), NETS[name].shape)


def checked(net: Net, symmetry: Symmetry | None = None) -> Completeness:
    generator = torch.Generator().manual_seed(0)
    return check_completeness(net.model, net.params, symmetry or net.symmetry, generator=generator)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_missed(name: str) -> None:
    assert checked(made(name)).is_complete


@pytest.fixture(scope="module")
def mlp() -> Net:
    torch.manual_seed(0)
    parts = {"a": nn.Linear(3, 4), "b": nn.Linear(4, 3), "o": nn.Linear(3, 2)}
    body = Body(lambda m, x: m.o(torch.tanh(m.b(F.relu(m.a(x))))), **parts)
    return make_net(body, (3,))


def test_counts(mlp: Net) -> None:
    """Four scales and that of all outputs, three signs, two groups."""
    check = checked(mlp)
    assert [(count.found, count.there) for count in check.counts] == [(2, 2), (5, 5), (3, 3)]
    assert check.is_complete


@pytest.mark.parametrize("number", [0, 1])
def test_a_group_left_out_is_missed(mlp: Net, number: int) -> None:
    groups = mlp.symmetry.permutations
    found = checked(mlp, replace(mlp.symmetry, permutations=groups[:number] + groups[number + 1 :])).groups
    assert (found.found, found.there, found.wrong) == (1, 2, 0)
    assert all(axis.tensor in found.examples[0] for axis in groups[number].axes)


def test_groups_tied_together_are_missed() -> None:
    """Two groups of units taken for one have all orbits right: to hold a unit of one tells."""
    torch.manual_seed(0)
    body = Body(lambda m, x: m.p(F.gelu(m.a(x))) + m.q(F.silu(m.b(x))), **{n: nn.Linear(3, 3) for n in "abpq"})
    net = make_net(body, (3,))
    first, second = net.symmetry.permutations
    tied = replace(net.symmetry, permutations=(replace(first, axes=first.axes + second.axes),))
    assert checked(net).is_complete
    assert checked(net, tied).groups.missed


def test_units_of_heads_tied_together_are_missed() -> None:
    """Units of each head that are taken for one of all heads have all orbits right: to hold one place of it tells."""
    net = made("units of each head")
    units, heads = net.symmetry.permutations
    axes = tuple(
        replace(axis, places=Places(axis.places.table.reshape(2, 3, -1).swapaxes(0, 1).reshape(3, -1)))
        for axis in units.axes
    )
    tied = replace(units, size=3, blocks=1, axes=axes)
    assert checked(net).is_complete
    assert checked(net, replace(net.symmetry, permutations=(tied, replace(heads, inside=())))).groups.missed


def test_blocks_that_trade_places_are_missed() -> None:
    """The units of every head are held: one of a single head would tell it from the others."""
    net = made("units of each head")
    units, heads = net.symmetry.permutations
    assert units.blocks == heads.size == 2
    assert len(checked(net, replace(net.symmetry, permutations=(units,))).groups.examples) == 1


def test_scales_and_signs_left_out_are_missed(mlp: Net) -> None:
    check = checked(mlp, replace(mlp.symmetry, scales=(), signs=(), output=()))
    assert (check.scales.found, check.scales.missed) == (0, 5)
    assert (check.signs.found, check.signs.missed) == (0, 3)


def test_what_is_made_up_is_wrong(mlp: Net) -> None:
    symmetry = mlp.symmetry
    (scale,) = symmetry.scales
    half = replace(scale, axes=scale.axes[:-1])
    assert checked(mlp, replace(symmetry, scales=(half,))).scales.wrong == 4
    group = symmetry.permutations[0]
    assert checked(mlp, replace(symmetry, permutations=(replace(group, axes=group.axes[:-1]),))).groups.wrong
    (sign,) = symmetry.signs
    assert checked(mlp, replace(symmetry, signs=(replace(sign, axes=sign.axes[:-1]),))).signs.wrong == 3


def test_what_is_off_has_no_scale_and_no_sign() -> None:
    """Units before a ReLU that are seldom on: networks in which nothing depends on them say nothing of them."""
    torch.manual_seed(0)
    body = Body(
        lambda m, x: m.o(F.relu(m.b(F.relu(m.a(x) - 0.7)) - 0.7)),
        a=nn.Linear(3, 4),
        b=nn.Linear(4, 4),
        o=nn.Linear(4, 2),
    )
    check = checked(make_net(body, (3,)))
    assert not check.scales.missed
    assert not check.signs.missed


def test_masks_have_no_scale() -> None:
    torch.manual_seed(0)
    parts = {
        "a": nn.Linear(3, 4),
        "o": nn.Linear(4, 2),
        "mask": torch.tensor([[1.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 1, 1]]),
    }
    body = Body(lambda m, x: m.o(F.relu(F.linear(x, m.a.weight * m.mask, m.a.bias))), **parts)
    net = make_net(body, (3,))
    net.params["mask"] = parts["mask"].double()
    assert checked(net).is_complete


@pytest.mark.parametrize("norm", [nn.RMSNorm(4), nn.LayerNorm(4, eps=1e-12)], ids=["rms", "layer"])
def test_a_scale_that_epsilon_hides_is_none(norm: nn.Module) -> None:
    torch.manual_seed(0)
    check = checked(make_net(nn.Sequential(nn.Linear(3, 4), norm, nn.ReLU(), nn.Linear(4, 2)), (3,)))
    assert check.is_complete
    assert check.scales.there == 5


def test_weights_that_are_nothing_where_they_are_equal() -> None:
    """What reads places that are alike there tells them apart once a weight before them is told from the rest."""

    def forward(m: Body, x: torch.Tensor) -> torch.Tensor:
        kernel = m.a - m.a.mean(2, keepdim=True)
        return m.o(F.conv1d(F.relu(F.conv1d(x, kernel, m.p)), m.b).flatten(1).square())

    torch.manual_seed(0)
    parts = {"a": nn.Parameter(torch.randn(2, 1, 2)), "b": nn.Parameter(torch.randn(1, 2, 2)), "o": nn.Linear(1, 2)}
    assert checked(make_net(Body(forward, p=nn.Parameter(torch.randn(2)), **parts), (1, 3))).is_complete


def test_what_is_undecided_says_why() -> None:
    """Weights over their own spread are 0/0 where they are equal."""
    torch.manual_seed(0)
    body = Body(lambda m, x: F.linear(x, m.w / m.w.std(1, keepdim=True)).square(), w=nn.Parameter(torch.randn(2, 3)))
    check = checked(make_net(body, (3,)))
    assert check.undecided
    assert check.blind
    assert "NaN or Inf where the numbers of units are equal" in completeness_lines(check)[-1]


def test_one_scale_for_every_number() -> None:
    """A gain of every weight has a scale of every number: rows and columns are not all."""
    torch.manual_seed(0)
    body = Body(
        lambda m, x: F.linear(x, m.w * m.g), w=nn.Parameter(torch.randn(2, 3)), g=nn.Parameter(torch.randn(2, 3))
    )
    check = checked(make_net(body, (3,)))
    assert check.scales.there == 7


def test_a_large_network_is_refused() -> None:
    torch.manual_seed(0)
    net = make_net(nn.Sequential(nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 2)), (200,))
    with pytest.raises(ModelError, match=r"20,302 numbers"):
        checked(net)


def test_the_model_is_left_as_it_was(mlp: Net) -> None:
    before = {name: tensor.clone() for name, tensor in mlp.model.state_dict().items()}
    mlp.model.train()
    checked(mlp)
    assert mlp.model.training
    mlp.model.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in mlp.model.state_dict().items())


@pytest.mark.parametrize("cut", [torch.Tensor.detach, torch.no_grad()(lambda y: y), lambda y: y.data])
def test_where_a_model_cuts_gradients_off_is_no_matter(cut: Callable[[torch.Tensor], torch.Tensor]) -> None:
    torch.manual_seed(0)
    body = Body(lambda m, x: cut(m.o(cut(F.relu(m.a(x))))), a=nn.Linear(3, 4), o=nn.Linear(4, 2))
    check = checked(make_net(body, (3,)))
    assert check.is_complete
    assert [count.there for count in check.counts] == [1, 5, 0]


class Rounded(torch.autograd.Function):
    """Made-up gradients, of a straight-through estimator."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def test_gradients_that_are_made_up_are_refused() -> None:
    torch.manual_seed(0)
    body = Body(lambda m, x: m.o(Rounded.apply(m.a(x))), a=nn.Linear(3, 4), o=nn.Linear(4, 2))
    with pytest.raises(ModelError, match="not those of its outputs"):
        checked(make_net(body, (3,)))


def test_what_changes_outputs_in_steps_is_told() -> None:
    """Vectors quantized to the nearest of a codebook, by a straight-through estimator: what was found is checked."""

    def forward(m: Body, x: torch.Tensor) -> torch.Tensor:
        z = m.z(x)
        nearest = ((z[:, None] - m.code) ** 2).sum(2).argmin(1)
        return m.o(z + (m.code[nearest] - z).detach())

    torch.manual_seed(0)
    net = make_net(Body(forward, z=nn.Linear(3, 2), code=nn.Parameter(torch.randn(4, 2)), o=nn.Linear(2, 2)), (3,))
    check = checked(net)
    assert check.unseen == ("z.weight", "z.bias")
    assert (check.signs.found, check.signs.wrong, check.scales.wrong) == (2, 0, 0)
    assert not check.is_complete
    assert completeness_lines(check)[-1].startswith("warning: z.weight, z.bias: what changes outputs in steps")
    [sign] = net.symmetry.signs
    left = replace(sign, axes=tuple(axis for axis in sign.axes if not axis.tensor.startswith("z.")))
    assert checked(net, replace(net.symmetry, signs=(left,))).signs.wrong


def test_what_is_missed_is_said_in_few_tensors() -> None:
    """The scale of all outputs mixed with those of units is still that of the last layer; a unit's is of its rows."""
    torch.manual_seed(0)
    parts = {"a": nn.Parameter(torch.randn(3, 4, 5)), "b": nn.Parameter(torch.randn(3, 5, 2))}
    body = Body(lambda m, x: torch.einsum("beh,eho->bo", F.relu(torch.einsum("bi,eih->beh", x, m.a)), m.b), **parts)
    net = make_net(body, (4,))
    [example] = checked(net, replace(net.symmetry, output=())).scales.examples
    assert example == "x^1: b all | x^1: outputs"
    examples = checked(net, replace(net.symmetry, scales=(), output=())).scales.examples
    units = [f"x^-1: b[{e}, {h}, :] | x^1: a[{e}, :, {h}]" for e in range(3) for h in range(5)]
    assert sorted(examples) == sorted([*units, "x^1: b all | x^1: outputs"])
