"""Loss landscapes of neural networks from saved checkpoints, with the symmetries removed first.

The names below are loaded on first use, so that `import landscape_cli` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from landscape_cli.alignment.activations import unit_correlations
    from landscape_cli.alignment.align import Alignment, align
    from landscape_cli.data.datasets import Split, load_data
    from landscape_cli.errors import LandscapeError
    from landscape_cli.evaluation.batch_norm import recompute_statistics
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.geometry.distances import Distance
    from landscape_cli.geometry.geodesic import geodesic, linear
    from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
    from landscape_cli.measures.disagreement import disagreement
    from landscape_cli.measures.distance import distance
    from landscape_cli.measures.flatness import LocalEnergy, flip_energy, local_energy
    from landscape_cli.measures.plane import PlaneResult, plane
    from landscape_cli.models import build_model
    from landscape_cli.normalization.normalize import normalize
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
    "Alignment": "alignment.align",
    "Checkpoint": "io.checkpoint",
    "Distance": "geometry.distances",
    "Evaluator": "evaluation.evaluator",
    "LandscapeError": "errors",
    "LocalEnergy": "measures.flatness",
    "PlaneResult": "measures.plane",
    "Split": "data.datasets",
    "Symmetry": "symmetry",
    "align": "alignment.align",
    "build_model": "models",
    "disagreement": "measures.disagreement",
    "distance": "measures.distance",
    "flip": "symmetry",
    "flip_energy": "measures.flatness",
    "geodesic": "geometry.geodesic",
    "linear": "geometry.geodesic",
    "load_data": "data.datasets",
    "local_energy": "measures.flatness",
    "normalize": "normalization.normalize",
    "permute": "symmetry",
    "plane": "measures.plane",
    "random_permutations": "symmetry",
    "random_signs": "symmetry",
    "read_checkpoint": "io.checkpoint",
    "recompute_statistics": "evaluation.batch_norm",
    "rescale": "symmetry",
    "trace_symmetry": "symmetry",
    "unit_correlations": "alignment.activations",
    "write_checkpoint": "io.checkpoint",
}

__all__ = [
    "Alignment",
    "Checkpoint",
    "Distance",
    "Evaluator",
    "LandscapeError",
    "LocalEnergy",
    "PlaneResult",
    "Split",
    "Symmetry",
    "__version__",
    "align",
    "build_model",
    "disagreement",
    "distance",
    "flip",
    "flip_energy",
    "geodesic",
    "linear",
    "load_data",
    "local_energy",
    "normalize",
    "permute",
    "plane",
    "random_permutations",
    "random_signs",
    "read_checkpoint",
    "recompute_statistics",
    "rescale",
    "trace_symmetry",
    "unit_correlations",
    "write_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
