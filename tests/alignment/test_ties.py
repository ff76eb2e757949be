"""Units that their incoming weights do not tell apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import flip, permute, random_permutations, random_signs, trace_symmetry


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("apart", [0.0, 1e-9])
@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU, nn.Tanh])
def test_parallel_units_are_told_apart(act: type[nn.Module], apart: float, bias: bool, dtype: torch.dtype) -> None:
    """Units whose incoming weights point the same way differ in their biases and readers, or only in these."""
    torch.manual_seed(0)
    first, second = nn.Linear(2, 30, bias=bias), nn.Linear(30, 40, bias=bias)
    model = nn.Sequential(first, act(), second, act(), nn.Linear(40, 3)).to(dtype).eval()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for one, other in ((3, 17), (17, 25), (4, 5)):
        params["0.weight"][other] = (1.5 if act is nn.ReLU else 1.0) * params["0.weight"][one] * (1 + apart)
    if bias:
        params["0.bias"][5] = params["0.bias"][4]
    params["2.weight"][7] = params["2.weight"][31]
    symmetry = trace_symmetry(model, torch.zeros(2, 2))
    reference = normalize_params(params, symmetry).params
    for seed in range(10):
        source = torch.Generator().manual_seed(seed)
        moved = permute(params, symmetry, random_permutations(symmetry, generator=source))
        moved = normalize_params(flip(moved, symmetry, random_signs(symmetry, generator=source)), symmetry).params
        found = match_networks(reference, moved, symmetry).params
        assert all(torch.allclose(found[name], reference[name], rtol=0, atol=1e-5) for name in reference)


def test_biases_vote_between_parallel_units_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    params["0.weight"][1] = params["0.weight"][0] + 1e-4
    symmetry = trace_symmetry(model, torch.zeros(2, 2))
    swapped = params | {
        "0.bias": params["0.bias"][[1, 0, 2, 3, 4, 5]],
        "2.weight": params["2.weight"][:, [1, 0, 2, 3, 4, 5]],
    }
    assert match_networks(params, swapped, symmetry).permutations["0"].tolist() == [0, 1, 2, 3, 4, 5]
