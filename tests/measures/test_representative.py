"""One network for all that a symmetry makes of each other (docs/method.md: Angular width)."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.errors import ProofError
from landscape_cli.measures import representative as module
from landscape_cli.measures.representative import representative
from landscape_cli.rng import generator
from landscape_cli.symmetry import permute, random_permutations, rescale
from tests.support.cases import make_case, moved, random_factors
from tests.support.normed import NORMED, make_net


@pytest.mark.parametrize("name", ["FunctionalNet", "Conv1dNet", *(name for name in NORMED if name != "residual")])
def test_all_that_are_one_have_one(name: str) -> None:
    case = make_net(name) if name in NORMED else make_case(name)
    first = representative(case.model, case.params, case.symmetry, source=generator(3))
    scaled = rescale(moved(case.params, case.symmetry, 1), case.symmetry, random_factors(case.symmetry, 2, 0.5))
    second = representative(case.model, scaled, case.symmetry, source=generator(3))
    for key, tensor in first.items():
        if tensor.is_floating_point():
            assert tensor.dtype == torch.float64
            assert torch.allclose(tensor, second[key], rtol=1e-9, atol=1e-9), key
    before, after = case.outputs(case.params), case.outputs(first)
    assert torch.allclose(before, after, rtol=1e-9, atol=1e-9 * float(before.abs().max()))


def test_its_own_is_itself_and_others_are_not_alike() -> None:
    case = make_case("lenet")
    first = representative(case.model, case.params, case.symmetry, source=generator(3))
    again = representative(case.model, first, case.symmetry, source=generator(3))
    assert all(torch.allclose(first[key], again[key], rtol=1e-12) for key in first)
    other = representative(case.model, make_case("lenet", seed=1).params, case.symmetry, source=generator(3))
    assert not any(torch.allclose(first[key], other[key]) for key in first if key.endswith("weight"))


def test_what_computes_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("mlp")

    def wrongly(*networks, **options):
        matched = original(*networks, **options)
        matched.params["fc2.bias"] = matched.params["fc2.bias"] + 0.1
        return matched

    original = module.match_networks
    monkeypatch.setattr(module, "match_networks", wrongly)
    with pytest.raises(ProofError, match=r"normalising and permuting a\.st changed the function"):
        representative(case.model, case.params, case.symmetry, source=generator(3), name="a.st")


def test_it_takes_the_units_of_the_random_network_for_their_order() -> None:
    """Another stream of random numbers, another order."""
    case = make_case("mlp")
    one, two = (representative(case.model, case.params, case.symmetry, source=generator(s)) for s in (3, 4))
    assert not torch.allclose(one["fc1.weight"], two["fc1.weight"])
    permutations = random_permutations(case.symmetry, generator=generator(5))
    assert torch.allclose(permute(one, case.symmetry, permutations)["fc1.weight"].sum(0), two["fc1.weight"].sum(0))
