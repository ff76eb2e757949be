"""Aligning a set of networks: to the first, then to the mean of the others, with proof."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import align, align_set, flip, permute, random_permutations, random_signs, trace_symmetry
from landscape_cli.alignment.sets import align_checkpoints
from landscape_cli.errors import GeometryError, LandscapeWarning, ModelError, ProofError
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.network import ModelSpec
from tests.support.binaries import make_binary
from tests.support.broken import without
from tests.support.cases import make_case

CPU = torch.device("cpu")


class Shuffled:
    """Networks of tanh units near one network, with units permuted and flipped."""

    def __init__(self, count: int = 4, noise: float = 0.02) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 3)).double()
        centre = self.model.state_dict()
        self.symmetry = trace_symmetry(self.model, torch.zeros(2, 5, dtype=torch.float64))
        self.plain = [{k: t + noise * torch.randn_like(t) for k, t in centre.items()} for _ in range(count)]
        self.networks = [self.shuffle(network, seed) for seed, network in enumerate(self.plain)]
        self.inputs = torch.randn(90, 5, dtype=torch.float64)

    def shuffle(self, network: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        source = torch.Generator().manual_seed(seed)
        moved = permute(network, self.symmetry, random_permutations(self.symmetry, generator=source))
        return flip(moved, self.symmetry, random_signs(self.symmetry, generator=source))

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(self.model, params, (self.inputs,)).detach()

    def align(self, **options: Any):
        inputs = self.inputs if options.get("method") == "activation" else None
        return align_set(self.model, self.networks, self.symmetry, **{"inputs": inputs} | options)


def spread(networks: list[dict[str, Tensor]]) -> float:
    """The sum of squared distances of networks to their mean."""
    flat = torch.stack([torch.cat([t.flatten() for t in network.values()]) for network in networks])
    return float((flat - flat.mean(dim=0)).square().sum())


@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
@pytest.mark.parametrize("rounds", [0, 3])
def test_planted_copies_are_found_and_proved(method: str, rounds: int) -> None:
    case = Shuffled()
    before = [{name: tensor.clone() for name, tensor in network.items()} for network in case.networks]
    steps: list[int] = []
    aligned = case.align(method=method, rounds=rounds, advance=steps.append)
    assert spread(aligned.networks) == pytest.approx(spread(case.plain), rel=1e-9)
    assert spread(case.networks) > 5 * spread(case.plain)
    for given, kept, network, alignment in zip(
        case.networks, before, aligned.networks, aligned.alignments, strict=True
    ):
        assert all(torch.equal(given[name], kept[name]) for name in given)  # it stays as it is
        assert torch.allclose(case.outputs(network), case.outputs(given), rtol=0, atol=1e-12)
        assert alignment.proof is not None
        assert alignment.proof.relative < 1e-12
        moved = flip(permute(given, case.symmetry, alignment.permutations), case.symmetry, alignment.signs)
        assert all(torch.equal(moved[name], network[name]) for name in network)
    assert sum(steps) == 3 + (4 if rounds else 0)
    assert (aligned.rounds, aligned.settled) == ((1, True) if rounds else (0, False))
    assert rounds or all(torch.equal(aligned.networks[0][name], t) for name, t in case.networks[0].items())
    values = aligned.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_without_rounds_it_is_align_to_the_first() -> None:
    cases = [make_case("lenet", seed=seed, dtype=torch.float32) for seed in (1, 2, 3)]
    networks = [case.params for case in cases]
    aligned = align_set(cases[0].model, networks, cases[0].symmetry, method="weight", seed=2)
    for network, found in zip(networks[1:], aligned.alignments[1:], strict=True):
        expected = align(cases[0].model, networks[0], network, cases[0].symmetry, method="weight", seed=2)
        assert all(torch.equal(found.params[name], expected.params[name]) for name in network)
        assert found.similarity == expected.similarity


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_rounds_bring_independent_networks_nearer(method: str) -> None:
    cases = [make_case("mlp", seed=seed) for seed in range(5)]
    networks = [case.params for case in cases]
    results = [
        align_set(cases[0].model, networks, cases[0].symmetry, method=method, rounds=rounds, prove=False)
        for rounds in (0, 10)
    ]
    to_first, to_mean = (spread(result.networks) for result in results)
    assert to_mean < to_first < spread(networks)
    assert results[1].settled
    assert 1 < results[1].rounds < 10


def test_what_comes_out_does_not_depend_on_how_units_were_labelled() -> None:
    case = Shuffled(noise=0.6)
    expected = case.align(rounds=5).networks
    case.networks[1:] = [case.shuffle(network, 9 + k) for k, network in enumerate(case.networks[1:])]
    found = case.align(rounds=5).networks
    assert all(torch.allclose(a[name], b[name]) for a, b in zip(expected, found, strict=True) for name in a)


def test_a_broken_symmetry_is_refused_and_the_network_named() -> None:
    case = Shuffled()
    case.symmetry = without(case.symmetry, "permutations", "0", "0.bias")
    with pytest.raises(ProofError, match=r"^aligning network 2 changed the function.*the group '0'"):
        case.align()
    assert case.align(prove=False).alignments[1].proof is None


def test_checkpoints_keep_all_but_their_tensors() -> None:
    case = Shuffled(3)
    spec = ModelSpec("mlp", {}, (5,), 3)
    files = [Checkpoint(network, spec, {}, path=f"{k}.st") for k, network in enumerate(case.networks)]
    setting = {"seed": 0, "device": CPU, "rounds": 2}
    aligned = align_checkpoints(case.model, files, case.symmetry, method="cosine", inputs=None, **setting)
    assert [network.path for network in aligned] == ["0.st", "1.st", "2.st"]
    assert spread([dict(network.params) for network in aligned]) == pytest.approx(spread(case.plain))
    by_data = align_checkpoints(case.model, files, case.symmetry, method="activation", inputs=case.inputs, **setting)
    assert spread([dict(network.params) for network in by_data]) == pytest.approx(spread(case.plain))
    files[1] = replace(files[1], normalized={"version": 1})
    with pytest.warns(LandscapeWarning, match=r"^only one of 0\.st and 1\.st is normalised"):
        align_checkpoints(case.model, files, case.symmetry, method="cosine", inputs=None, **setting)


def test_nonsense_is_refused() -> None:
    case = Shuffled(2)
    for options, message in (
        ({"method": "magic"}, "unknown alignment method 'magic'"),
        ({"method": "activation", "inputs": None}, "'activation' needs `inputs=`"),
        ({"inputs": case.inputs}, "`inputs=` are for the method 'activation', not 'cosine'"),
        ({"orders": 0}, "`orders=` must be at least 1, not 0"),
        ({"rounds": -1}, "`rounds=` must be a whole number of at least 0, and is -1"),
        ({"rounds": True}, "`rounds=` must be a whole number of at least 0, and is True"),
        ({"names": ["a"]}, "`names=` holds 1 for 2 networks"),
    ):
        with pytest.raises(GeometryError, match=message):
            case.align(**options)
    with pytest.raises(GeometryError, match="two networks or more, not 1"):
        align_set(case.model, case.networks[:1], case.symmetry)
    with pytest.raises(GeometryError, match="`networks=` is a dict"):
        align_set(case.model, case.networks[0], case.symmetry)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"^network 2: the tensors do not fit the model"):
        align_set(case.model, [case.networks[0], {}], case.symmetry)
    binary = make_binary("mlp")
    networks = [binary.params, binary.moved(3)]
    assert align_set(binary.model, networks, binary.symmetry).alignments[1].proof is not None
    with pytest.raises(GeometryError, match="binary networks have no mean to align to"):
        align_set(binary.model, networks, binary.symmetry, rounds=1)
