"""Many pairs are aligned as each would be, and what they share is found once."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from landscape_cli.alignment.pairs import PairAligner
from landscape_cli.errors import LandscapeWarning, ProofError
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.network import ModelSpec
from tests.support.broken import without
from tests.support.pair import Pair

CPU = torch.device("cpu")


def checkpoint(params: dict[str, Tensor], path: str, normalized: bool = False) -> Checkpoint:
    spec = ModelSpec("mine", {}, (5,), 3)
    return Checkpoint(params, spec, data={}, path=path, normalized={} if normalized else None)


@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_pairs_are_aligned_as_one_is(method: str) -> None:
    pair = Pair()
    reference, network = checkpoint(pair.reference, "a"), checkpoint(pair.network, "b")
    aligner = PairAligner(
        pair.model,
        reference,
        pair.symmetry,
        method=method,
        inputs=lambda _: pair.inputs,
        seed=3,
        device=CPU,
        samples=40,
    )
    assert aligner.samples == (40 if method == "activation" else 0)
    done: list[int] = []
    match = aligner.match(reference, network, advance=done.append)
    assert sum(done) == aligner.samples
    assert match.proof is not None
    found = aligner.align(reference, network)
    assert (found.path, found.model) == ("b", network.model)
    assert all(torch.equal(found.params[name], tensor) for name, tensor in match.params.items())
    assert all(torch.equal(found.params[name], tensor) for name, tensor in pair.reference.items())


def test_pairs_are_proved() -> None:
    pair = Pair()
    wrong = without(pair.symmetry, "permutations", "2", "4.weight")
    reference, network = checkpoint(pair.reference, "a"), checkpoint(pair.network, "b")
    aligner = PairAligner(pair.model, reference, wrong, method="cosine", inputs=None, seed=0, device=CPU)
    with pytest.raises(ProofError, match=r"aligning b changed .* the group '2'"):
        aligner.align(reference, network)


def test_pairs_are_warned_of_once() -> None:
    pair = Pair()
    reference, network = checkpoint(pair.reference, "a", normalized=True), checkpoint(pair.network, "b")
    aligner = PairAligner(pair.model, reference, pair.symmetry, method="cosine", inputs=None, seed=0, device=CPU)
    with pytest.warns(LandscapeWarning, match="only one of a and b is normalised"):
        aligner.match(reference, network)
    with pytest.warns(LandscapeWarning, match="only one of a and b is normalised"):
        aligner.align(reference, network)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aligner.align(reference, network)
        aligner.align(reference, reference)


def test_what_a_network_puts_out_is_kept_for_its_other_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, passes = Pair(), [0]
    networks = checkpoint(pair.reference, "a"), checkpoint(pair.network, "b")
    aligner = PairAligner(pair.model, networks[0], pair.symmetry, method="cosine", inputs=None, seed=0, device=CPU)
    pair.model.register_forward_hook(lambda *_: passes.append(passes.pop() + 1))
    counts = []
    for _ in range(2):
        counts.append(passes[0])
        assert aligner.match(*networks).proof is not None
    assert passes[0] - counts[1] == 1  # the network that comes out alone
    assert counts[1] - counts[0] >= 2
    kept = aligner.match(*networks).proof
    monkeypatch.setattr("landscape_cli.alignment.pairs.KEPT", 0)
    assert aligner.match(networks[0], replace(networks[1])).proof == kept
    assert list(aligner._outputs) == [networks[1]]
