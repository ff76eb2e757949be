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
    from landscape_cli.geometry.barrier import Barrier
    from landscape_cli.geometry.geodesic import Distance, distance, geodesic
    from landscape_cli.geometry.linear import linear
    from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
    from landscape_cli.measures.flatness import flip_energy, local_energy
    from landscape_cli.measures.midpoint import optimize_midpoint
    from landscape_cli.measures.optimized_path import OptimizedPath
    from landscape_cli.measures.path import barrier, path
    from landscape_cli.measures.path_result import PathResult
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
    "Barrier": "geometry.barrier",
    "Checkpoint": "io.checkpoint",
    "Distance": "geometry.geodesic",
    "Evaluator": "evaluation.evaluator",
    "LandscapeError": "errors",
    "OptimizedPath": "measures.optimized_path",
    "PathResult": "measures.path_result",
    "Split": "data.datasets",
    "Symmetry": "symmetry",
    "align": "alignment.align",
    "barrier": "measures.path",
    "build_model": "models",
    "distance": "geometry.geodesic",
    "flip": "symmetry",
    "flip_energy": "measures.flatness",
    "geodesic": "geometry.geodesic",
    "linear": "geometry.linear",
    "load_data": "data.datasets",
    "local_energy": "measures.flatness",
    "normalize": "normalization.normalize",
    "optimize_midpoint": "measures.midpoint",
    "path": "measures.path",
    "permute": "symmetry",
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
    "Barrier",
    "Checkpoint",
    "Distance",
    "Evaluator",
    "LandscapeError",
    "OptimizedPath",
    "PathResult",
    "Split",
    "Symmetry",
    "__version__",
    "align",
    "barrier",
    "build_model",
    "distance",
    "flip",
    "flip_energy",
    "geodesic",
    "linear",
    "load_data",
    "local_energy",
    "normalize",
    "optimize_midpoint",
    "path",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
