"""Units that trade places across layers: what is planted is undone, and proved."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.verified import align
from landscape_cli.evaluation.splits import Split
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry.apart import apart
from tests.support.symmetry_checks import make_net, random_element
from tests.support.traded_nets import FACTORS, SIDE_BY_SIDE, SUMMED, Traded

PLANTED = {
    **{f"sum: {name}": SUMMED[name] for name in ("layers", "tanh", "three", "channels alone", "pieces of a stack")},
    **{f"cat: {name}": SIDE_BY_SIDE[name] for name in ("normed together", "convolutions")},
    **{f"pairs: {name}": FACTORS[name] for name in ("hidden", "products of numbers", "three factors", "distances")},
    **{f"pairs: {name}": FACTORS[name] for name in ("the larger of chunks", "normed branches")},
}


@pytest.mark.filterwarnings("ignore::landscape_cli.errors.Remark")  # of units that no module puts out
@pytest.mark.parametrize("name", PLANTED)
def test_planted_elements_are_undone(name: str) -> None:
    case: Traded = PLANTED[name]
    torch.manual_seed(0)
    net = make_net(case.make(), case.shape)
    reference = normalize_params(net.params, net.symmetry).params
    inputs = torch.randn(200, *case.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for seed, method in ((0, "cosine"), (1, "cosine"), (2, "weight"), (3, "activation")):
        planted = normalize_params(random_element(net, seed)[0], net.symmetry).params
        activations = {"inputs": inputs} if method == "activation" else {}
        found = align(net.model, reference, planted, net.symmetry, method=method, **activations).params
        gap = max(float((found[key] - reference[key]).abs().max()) for key in reference)
        assert gap < 1e-7, method


@pytest.mark.parametrize("case", [SUMMED["layers"], FACTORS["the larger"]])
def test_units_that_may_trade_places_match_better_than_those_that_may_not(case: Traded) -> None:
    """By weights, what reads pairs counts with what writes them: over several networks, the inner product is larger."""
    gained = []
    for seed in range(3):
        torch.manual_seed(seed)
        one, other = (make_net(case.make(), case.shape, seed=k) for k in (seed, seed + 100))
        reference, params = (normalize_params(net.params, one.symmetry).params for net in (one, other))
        joint, alone = (
            match_networks(reference, params, symmetry, method="weight").params
            for symmetry in (one.symmetry, apart(one.symmetry))
        )
        inner = [sum(float((reference[key] * found[key]).sum()) for key in reference) for found in (joint, alone)]
        gained.append(inner[0] - inner[1])
    assert sum(gained) > 0.1


@pytest.mark.parametrize("relaxation", ["sinkhorn", "straight-through"])
def test_permutations_across_layers_are_learned(relaxation: str) -> None:
    torch.manual_seed(0)
    nets = [make_net(FACTORS["the larger"].make(), (3,), seed=seed) for seed in (0, 5)]
    symmetry = nets[0].symmetry
    reference, params = (normalize_params(net.params, symmetry).params for net in nets)
    data = Split(torch.randn(48, 3, dtype=torch.float64), torch.randint(2, (48,)))
    learning = Learning(epochs=1, relaxation=relaxation)
    found = align(nets[0].model, reference, params, symmetry, method="learned", data=data, learning=learning)
    assert found.proof is not None
    assert found.learned is not None
    assert found.learned.loss <= found.learned.loss_before
