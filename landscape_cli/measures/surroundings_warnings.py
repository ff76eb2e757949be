"""What the surroundings of a network depend on beside its function (docs/method.md: Surroundings)."""

from __future__ import annotations

import warnings

from torch import Tensor, nn

from landscape_cli.errors import GeometryError, LandscapeWarning, Remark
from landscape_cli.evaluation.batch_norm import tracked_statistics
from landscape_cli.network import Params
from landscape_cli.normalization.normalize import is_normalized
from landscape_cli.symmetry import Symmetry


def say_what_depends(model: nn.Module, params: Params, symmetry: Symmetry, *, name: str, on_torus: bool) -> None:
    """Say that scales of hidden units are not fixed.

    Args:
        model: the architecture.
        params: the network.
        symmetry: of the model.
        name: what to call the network.
        on_torus: whether its units are to stay on their spheres.

    Raises:
        GeometryError: if they are, and do not lie there.

    Warns:
        LandscapeWarning: of what is not known of units.
        Remark: if it is not normalised, and could be.
    """
    for note in symmetry.notes:
        warnings.warn(note, LandscapeWarning, stacklevel=3)
    try:
        normalized = not symmetry.scales or is_normalized(params, symmetry)
    except GeometryError:  # it cannot be, as where a running variance is negative
        normalized = False
    if normalized:
        return
    if on_torus:
        raise GeometryError(f"{name} is not normalised, so its units are on no torus: normalize it first")
    warnings.warn(
        f"{name} is not normalised: its surroundings depend on the scales of hidden units, which its function does not",
        Remark,
        stacklevel=3,
    )


def say_what_stays(model: nn.Module, params: Params, examples: Tensor) -> None:
    """Say that running statistics stay while weights move.

    Args:
        model: the architecture.
        params: the network.
        examples: a few inputs.

    Warns:
        Remark: if the model has such statistics.
    """
    if tracked_statistics(model, params, examples):
        warnings.warn(
            "batch-norm's statistics stay those of the network while its weights move, so that the scales of weights "
            "before it matter, which do not in training: `bn=` recompute gives every point its own",
            Remark,
            stacklevel=3,
        )
