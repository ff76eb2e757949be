"""Loss landscapes of neural networks from saved checkpoints, with the symmetries removed first.

The names below are loaded on first use, so that `import landscape_cli` does not import torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from landscape_cli.activations import unit_correlations
    from landscape_cli.align import Alignment, align
    from landscape_cli.batch_norm import recompute_statistics
    from landscape_cli.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
    from landscape_cli.data import Split, load_data
    from landscape_cli.errors import LandscapeError
    from landscape_cli.evaluate import Evaluator
    from landscape_cli.flatness import flip_energy, local_energy
    from landscape_cli.geometry import Distance, distance, geodesic, linear
    from landscape_cli.models import build_model
    from landscape_cli.normalize import normalize
    from landscape_cli.symmetry import (
        Symmetry,
        flip,
        permute,
        random_permutations,
        random_signs,
        rescale,
        trace_symmetry,
    )

_HOMES = {
    "Alignment": "align",
    "Checkpoint": "checkpoint",
    "Distance": "geometry",
    "Evaluator": "evaluate",
    "LandscapeError": "errors",
    "Split": "data",
    "Symmetry": "symmetry",
    "align": "align",
    "build_model": "models",
    "distance": "geometry",
    "flip": "symmetry",
    "flip_energy": "flatness",
    "geodesic": "geometry",
    "linear": "geometry",
    "load_data": "data",
    "local_energy": "flatness",
    "normalize": "normalize",
    "permute": "symmetry",
    "random_permutations": "symmetry",
    "random_signs": "symmetry",
    "read_checkpoint": "checkpoint",
    "recompute_statistics": "batch_norm",
    "rescale": "symmetry",
    "trace_symmetry": "symmetry",
    "unit_correlations": "activations",
    "write_checkpoint": "checkpoint",
}

__all__ = [
    "Alignment",
    "Checkpoint",
    "Distance",
    "Evaluator",
    "LandscapeError",
    "Split",
    "Symmetry",
    "__version__",
    "align",
    "build_model",
    "distance",
    "flip",
    "flip_energy",
    "geodesic",
    "linear",
    "load_data",
    "local_energy",
    "normalize",
    "permute",
    "random_permutations",
    "random_signs",
    "read_checkpoint",
    "recompute_statistics",
    "rescale",
    "trace_symmetry",
    "unit_correlations",
    "write_checkpoint",
]


class _Package(ModuleType):
    """Keeps `align` and `normalize` the functions: importing the submodules of those names must not hide them."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
