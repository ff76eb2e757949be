"""Two networks that are one, its units in another order and of other signs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli import Alignment, align, flip, permute, random_permutations, random_signs, trace_symmetry
from landscape_cli.symmetry import Symmetry


class Pair:
    """Two networks of tanh units, whose signs are free, and what the second one was before it was shuffled."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)
        self.reference = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.symmetry: Symmetry = trace_symmetry(self.model, torch.zeros(2, 5, dtype=dtype))
        source = torch.Generator().manual_seed(1)
        moved = permute(self.reference, self.symmetry, random_permutations(self.symmetry, generator=source))
        self.network = flip(moved, self.symmetry, random_signs(self.symmetry, generator=source))
        self.inputs = torch.randn(90, 5, generator=source, dtype=dtype)

    def outputs(self, params: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(self.model, params, (self.inputs,)).detach()

    def align(self, **options: Any) -> Alignment:
        symmetry = options.pop("symmetry", self.symmetry)
        inputs = self.inputs if options.get("method") == "activation" else None
        return align(self.model, self.reference, self.network, symmetry, **{"inputs": inputs} | options)
