"""The symmetries of a network: what they are, deriving them by tracing, applying them to its tensors."""

from landscape_cli.symmetry.spec import (
    Axis,
    FixedAxis,
    PermutationGroup,
    Role,
    ScaledAxis,
    ScaleGroup,
    Sphere,
    Symmetry,
)
from landscape_cli.symmetry.trace import trace_symmetry
from landscape_cli.symmetry.transform import expand_units, permute, random_permutations, rescale, unit_rows

__all__ = [
    "Axis",
    "FixedAxis",
    "PermutationGroup",
    "Role",
    "ScaleGroup",
    "ScaledAxis",
    "Sphere",
    "Symmetry",
    "expand_units",
    "permute",
    "random_permutations",
    "rescale",
    "trace_symmetry",
    "unit_rows",
]
