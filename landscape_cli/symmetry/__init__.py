"""The symmetries of a network: what they are, deriving them by tracing, applying them to its tensors."""

from landscape_cli.symmetry.joined import Joined, join, unjoin
from landscape_cli.symmetry.masks import burn_in
from landscape_cli.symmetry.soft import permute_softly
from landscape_cli.symmetry.spec import (
    Axis,
    FixedAxis,
    FixedSign,
    Mask,
    ModuleGroup,
    PermutationGroup,
    Places,
    Role,
    ScaledAxis,
    ScaleGroup,
    SignGroup,
    Sphere,
    Symmetry,
)
from landscape_cli.symmetry.trace import trace_symmetry
from landscape_cli.symmetry.transform import (
    flip,
    permute,
    random_permutations,
    random_signs,
    rescale,
    sources,
    spread,
    take,
    unit_rows,
)

__all__ = [
    "Axis",
    "FixedAxis",
    "FixedSign",
    "Joined",
    "Mask",
    "ModuleGroup",
    "PermutationGroup",
    "Places",
    "Role",
    "ScaleGroup",
    "ScaledAxis",
    "SignGroup",
    "Sphere",
    "Symmetry",
    "burn_in",
    "flip",
    "join",
    "permute",
    "permute_softly",
    "random_permutations",
    "random_signs",
    "rescale",
    "sources",
    "spread",
    "take",
    "trace_symmetry",
    "unit_rows",
    "unjoin",
]
