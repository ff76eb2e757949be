"""Networks by their effective weights: what their modules make of parts, and back into parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import ModelError
from landscape_cli.forward.parts import OTHER, made_of_parts
from landscape_cli.models.effective import Form, effective, plain_model
from landscape_cli.models.template import make_template
from tests.support.pruned import SHAPE, WRAPS, net, pruned, tensors, wrapped

CASES = {
    "pruned": lambda seed=0: pruned("batch norm", "L1", seed),
    "pruned structure": lambda seed=0: pruned("conv", "structured", seed),
    **{name: lambda seed=0, name=name: wrapped(name, seed) for name in WRAPS},  # type: ignore[misc]
}


def outputs(model: nn.Module, network: dict[str, Tensor]) -> Tensor:
    x = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    with torch.no_grad():
        return torch.func.functional_call(model, network, (x,))


@pytest.mark.parametrize("name", CASES)
def test_effective_networks_compute_the_same_and_are_plain(name: str) -> None:
    """Also when the model holds other numbers; and once more is once."""
    model, network = CASES[name](), tensors(CASES[name](1))
    before = tensors(model)
    plain, found = plain_model(model), dict(effective(model, network))
    like = net(bn="num_batches_tracked" in str(list(network)))
    assert sorted(found) == sorted(plain.state_dict()) == sorted(like.state_dict())
    assert [key for key, _ in plain.named_parameters()] == [key for key, _ in like.named_parameters()]
    assert not made_of_parts(plain)
    torch.testing.assert_close(outputs(plain, found), outputs(model, network), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(tensors(model), before, rtol=0, atol=0)
    assert plain_model(plain) is plain
    assert effective(plain, found) is found


@pytest.mark.parametrize("name", CASES)
def test_back_into_parts(name: str) -> None:
    """As the owner's code loads it, where the parts follow from the weight; else plain. A unit has no weights."""
    model = CASES[name]()
    network, made = tensors(model), made_of_parts(model)
    found = dict(effective(model, tensors(CASES[name](1))))
    for key in [made_of.plain for made_of in made]:
        found[key] = found[key].clone()
        found[key][0] = 0
    form = Form(tuple(made), network)
    stored = dict(form.stored(found))
    if any(of.kind == OTHER for of in made):
        assert form.unheld
        assert stored.keys() == found.keys()
        return
    model.load_state_dict(stored, strict=True)
    torch.testing.assert_close(outputs(model, {}), outputs(plain_model(model), found))
    same = form.stored(effective(model, network))
    if "pruned" in name:  # where the network is zero wherever the mask is, the mask stays
        masks = {key: mask for key, mask in network.items() if key.endswith("mask")}
        torch.testing.assert_close({key: same[key] for key in masks}, masks, rtol=0, atol=0)
        assert any(bool((stored[key] == 1).all()) for key in masks)


def test_templates_without_values_become_plain() -> None:
    for wrap in WRAPS.values():
        plain = plain_model(make_template(lambda wrap=wrap: net(wrap)))  # type: ignore[misc]
        assert {key: tensor.shape for key, tensor in plain.state_dict().items()} == {
            key: tensor.shape for key, tensor in net().state_dict().items()
        }


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="missing"):
        effective(CASES["weight norm"](), {})
