"""One rule per operator: how it relates the places of its inputs to those of its outputs.

Operators are PyTorch's own (ATen), as they run below `nn.Module`, `torch.nn.functional` and tensor methods alike, so
one rule serves every way of writing a layer.
"""

from landscape_cli.symmetry.tracing.rules import convolutions, elementwise, joins, norms, places, products, reductions
from landscape_cli.symmetry.tracing.rules.call import RULES, Call, NoRule

__all__ = [
    "RULES",
    "Call",
    "NoRule",
    "convolutions",
    "elementwise",
    "joins",
    "norms",
    "places",
    "products",
    "reductions",
]
