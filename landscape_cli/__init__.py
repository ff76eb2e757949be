"""Loss landscapes of neural networks from saved checkpoints, with the symmetries removed first.

The names in `__all__` are loaded on first use, so that `import landscape_cli` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "alignment.activations": ("unit_correlations",),
    "alignment.align": ("Alignment",),
    "alignment.learned": ("LearnedPath",),
    "alignment.learning": ("Learning",),
    "alignment.rounds": ("SetAlignment",),
    "alignment.sets": ("align_set",),
    "alignment.verified": ("align",),
    "data.datasets": ("DataSet", "Split", "load_data"),
    "data.part": ("Part",),
    "data.hidden_manifold": ("HiddenManifold",),
    "data.preprocessing": ("Preprocessing",),
    "data.spec": ("DataSpec",),
    "errors": ("LandscapeError", "LandscapeWarning", "ProofError", "Remark"),
    "evaluation.batch_norm": ("recompute_statistics",),
    "evaluation.equivalence": ("Difference",),
    "evaluation.evaluator": ("Evaluator",),
    "evaluation.scores": ("Scores",),
    "figures.draw": ("figure_of",),
    "figures.figure": ("Look",),
    "forward.objective": ("Objective",),
    "forward.custom_objective": ("Custom",),
    "forward.objectives": ("Classification", "Dense", "Multilabel", "Regression"),
    "geometry.barrier": ("Barrier",),
    "geometry.barycentre": ("average", "barycentre"),
    "geometry.distances": ("Distance",),
    "geometry.geodesic": ("geodesic",),
    "geometry.linear": ("linear",),
    "io.checkpoint": ("Checkpoint", "read_checkpoint", "write_checkpoint", "write_state_dict"),
    "io.saved": ("read_result",),
    "measures.curvature": ("curvature",),
    "measures.curvature_result": ("Curvature", "SpectralDensity"),
    "measures.connector": ("connector",),
    "measures.connector_result": ("ConnectorResult",),
    "measures.disagreement": ("disagreement",),
    "measures.distance": ("distance",),
    "measures.ensemble": ("ensemble",),
    "measures.ensemble_result": ("Ensemble", "EnsembleScores"),
    "measures.flatness": ("flip_energy", "local_energy"),
    "measures.line_result": ("LineResult",),
    "measures.local_energy": ("LocalEnergy",),
    "measures.midpoint": ("optimize_midpoint",),
    "measures.optimized_path": ("OptimizedPath",),
    "measures.path": ("barrier", "path"),
    "measures.path_result": ("PathResult",),
    "measures.plane": ("plane",),
    "measures.plane_frame": ("PlaneResult",),
    "measures.radial": ("radial_profiles",),
    "measures.radial_profiles": ("AngularWidth", "RadialProfile", "RadialProfiles"),
    "measures.surroundings": ("line_around", "plane_around"),
    "models": ("allow_code", "build_model"),
    "models.effective": ("effective", "plain_model"),
    "models.reader": ("NetworkReader", "read_network"),
    "models.wedges": ("least_loss_on_plane",),
    "network": ("ModelSpec", "Params", "WholeInputs"),
    "normalization.folding": ("fold_preprocessing",),
    "normalization.normalize": ("Normalization",),
    "normalization.verified": ("normalize",),
    "samplers": (
        *("FGE", "RSGD", "SAM", "SGD", "SWA", "Adversarial", "Displacement", "EntropySGD", "EpochNetwork"),
        *("EpochRecord", "ModelBasis", "Recipe", "Sampler", "SnapshotEnsemble", "Solution", "Subspace"),
        *("TrainingObserver", "subspace_basis", "train"),
    ),
    "symmetry": (
        *("Symmetry", "flip", "permute", "random_permutations", "random_signs", "rescale"),
        "trace_symmetry",
    ),
    "symmetry.checking.completeness": ("Completeness", "check_completeness"),
}
"""The public names by the module that defines them; what type checkers read below is the same (a test)."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]

if TYPE_CHECKING:
    from landscape_cli.alignment.activations import unit_correlations as unit_correlations
    from landscape_cli.alignment.align import Alignment as Alignment
    from landscape_cli.alignment.learned import LearnedPath as LearnedPath
    from landscape_cli.alignment.learning import Learning as Learning
    from landscape_cli.alignment.rounds import SetAlignment as SetAlignment
    from landscape_cli.alignment.sets import align_set as align_set
    from landscape_cli.alignment.verified import align as align
    from landscape_cli.data.datasets import DataSet as DataSet
    from landscape_cli.data.datasets import Split as Split
    from landscape_cli.data.datasets import load_data as load_data
    from landscape_cli.data.hidden_manifold import HiddenManifold as HiddenManifold
    from landscape_cli.data.part import Part as Part
    from landscape_cli.data.preprocessing import Preprocessing as Preprocessing
    from landscape_cli.data.spec import DataSpec as DataSpec
    from landscape_cli.errors import LandscapeError as LandscapeError
    from landscape_cli.errors import LandscapeWarning as LandscapeWarning
    from landscape_cli.errors import ProofError as ProofError
    from landscape_cli.errors import Remark as Remark
    from landscape_cli.evaluation.batch_norm import recompute_statistics as recompute_statistics
    from landscape_cli.evaluation.equivalence import Difference as Difference
    from landscape_cli.evaluation.evaluator import Evaluator as Evaluator
    from landscape_cli.evaluation.scores import Scores as Scores
    from landscape_cli.figures.draw import figure_of as figure_of
    from landscape_cli.figures.figure import Look as Look
    from landscape_cli.forward.custom_objective import Custom as Custom
    from landscape_cli.forward.objective import Objective as Objective
    from landscape_cli.forward.objectives import Classification as Classification
    from landscape_cli.forward.objectives import Dense as Dense
    from landscape_cli.forward.objectives import Multilabel as Multilabel
    from landscape_cli.forward.objectives import Regression as Regression
    from landscape_cli.geometry.barrier import Barrier as Barrier
    from landscape_cli.geometry.barycentre import average as average
    from landscape_cli.geometry.barycentre import barycentre as barycentre
    from landscape_cli.geometry.distances import Distance as Distance
    from landscape_cli.geometry.geodesic import geodesic as geodesic
    from landscape_cli.geometry.linear import linear as linear
    from landscape_cli.io.checkpoint import Checkpoint as Checkpoint
    from landscape_cli.io.checkpoint import read_checkpoint as read_checkpoint
    from landscape_cli.io.checkpoint import write_checkpoint as write_checkpoint
    from landscape_cli.io.checkpoint import write_state_dict as write_state_dict
    from landscape_cli.io.saved import read_result as read_result
    from landscape_cli.measures.connector import connector as connector
    from landscape_cli.measures.connector_result import ConnectorResult as ConnectorResult
    from landscape_cli.measures.curvature import curvature as curvature
    from landscape_cli.measures.curvature_result import Curvature as Curvature
    from landscape_cli.measures.curvature_result import SpectralDensity as SpectralDensity
    from landscape_cli.measures.disagreement import disagreement as disagreement
    from landscape_cli.measures.distance import distance as distance
    from landscape_cli.measures.ensemble import ensemble as ensemble
    from landscape_cli.measures.ensemble_result import Ensemble as Ensemble
    from landscape_cli.measures.ensemble_result import EnsembleScores as EnsembleScores
    from landscape_cli.measures.flatness import flip_energy as flip_energy
    from landscape_cli.measures.flatness import local_energy as local_energy
    from landscape_cli.measures.line_result import LineResult as LineResult
    from landscape_cli.measures.local_energy import LocalEnergy as LocalEnergy
    from landscape_cli.measures.midpoint import optimize_midpoint as optimize_midpoint
    from landscape_cli.measures.optimized_path import OptimizedPath as OptimizedPath
    from landscape_cli.measures.path import barrier as barrier
    from landscape_cli.measures.path import path as path
    from landscape_cli.measures.path_result import PathResult as PathResult
    from landscape_cli.measures.plane import plane as plane
    from landscape_cli.measures.plane_frame import PlaneResult as PlaneResult
    from landscape_cli.measures.radial import radial_profiles as radial_profiles
    from landscape_cli.measures.radial_profiles import AngularWidth as AngularWidth
    from landscape_cli.measures.radial_profiles import RadialProfile as RadialProfile
    from landscape_cli.measures.radial_profiles import RadialProfiles as RadialProfiles
    from landscape_cli.measures.surroundings import line_around as line_around
    from landscape_cli.measures.surroundings import plane_around as plane_around
    from landscape_cli.models import allow_code as allow_code
    from landscape_cli.models import build_model as build_model
    from landscape_cli.models.effective import effective as effective
    from landscape_cli.models.effective import plain_model as plain_model
    from landscape_cli.models.reader import NetworkReader as NetworkReader
    from landscape_cli.models.reader import read_network as read_network
    from landscape_cli.models.wedges import least_loss_on_plane as least_loss_on_plane
    from landscape_cli.network import ModelSpec as ModelSpec
    from landscape_cli.network import Params as Params
    from landscape_cli.network import WholeInputs as WholeInputs
    from landscape_cli.normalization.folding import fold_preprocessing as fold_preprocessing
    from landscape_cli.normalization.normalize import Normalization as Normalization
    from landscape_cli.normalization.verified import normalize as normalize
    from landscape_cli.samplers import FGE as FGE
    from landscape_cli.samplers import RSGD as RSGD
    from landscape_cli.samplers import SAM as SAM
    from landscape_cli.samplers import SGD as SGD
    from landscape_cli.samplers import SWA as SWA
    from landscape_cli.samplers import Adversarial as Adversarial
    from landscape_cli.samplers import Displacement as Displacement
    from landscape_cli.samplers import EntropySGD as EntropySGD
    from landscape_cli.samplers import EpochNetwork as EpochNetwork
    from landscape_cli.samplers import EpochRecord as EpochRecord
    from landscape_cli.samplers import ModelBasis as ModelBasis
    from landscape_cli.samplers import Recipe as Recipe
    from landscape_cli.samplers import Sampler as Sampler
    from landscape_cli.samplers import SnapshotEnsemble as SnapshotEnsemble
    from landscape_cli.samplers import Solution as Solution
    from landscape_cli.samplers import Subspace as Subspace
    from landscape_cli.samplers import TrainingObserver as TrainingObserver
    from landscape_cli.samplers import subspace_basis as subspace_basis
    from landscape_cli.samplers import train as train
    from landscape_cli.symmetry import Symmetry as Symmetry
    from landscape_cli.symmetry import flip as flip
    from landscape_cli.symmetry import permute as permute
    from landscape_cli.symmetry import random_permutations as random_permutations
    from landscape_cli.symmetry import random_signs as random_signs
    from landscape_cli.symmetry import rescale as rescale
    from landscape_cli.symmetry import trace_symmetry as trace_symmetry
    from landscape_cli.symmetry.checking.completeness import Completeness as Completeness
    from landscape_cli.symmetry.checking.completeness import check_completeness as check_completeness


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
