"""What `landscape normalize` does with one network: rescale it, prove that it computes what it did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.evaluation.equivalence import Difference
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.normalization.normalize import Normalization
    from landscape_cli.symmetry import Symmetry


def rescaled(
    model: nn.Module,
    network: Checkpoint,
    symmetry: Symmetry,
    *,
    keep_last_layer: bool,
    seed: int,
    device: torch.device,
) -> tuple[Checkpoint, Normalization, Difference]:
    """Return a network normalised, what that took in float64, and how far its outputs are from what they were.

    Raises:
        GeometryError: if it cannot be normalised, or its last layer, of signs, has no scale to be kept.
        ProofError: naming the groups at fault.
    """
    from landscape_cli.errors import GeometryError
    from landscape_cli.evaluation.equivalence import cast_like, probe_batch, prove, to_double
    from landscape_cli.normalization.normalize import normalization, one_at_a_time

    if keep_last_layer and symmetry.is_binary:
        raise GeometryError(f"{network.path} is binary: its last layer has no scale, so leave out `keep_last_layer=`")
    before = to_double(network.params, device)
    exact = normalization(before, symmetry, keep_last_layer=keep_last_layer)
    stored = cast_like(exact.params, network.params)
    probe = probe_batch(model, network.params, network.model.input_shape, seed=seed, device=device)
    difference = prove(
        model,
        before,
        exact.params,
        stored,
        probe,
        factor=exact.output_factor,
        exactly=symmetry.is_binary,
        what=f"normalising {network.path}",
        suspects=one_at_a_time(before, symmetry, exact.factors),
    )
    normalized: dict[str, Any] = {"binary": True} if symmetry.latents else {}
    normalized |= {
        "keep_last_layer": keep_last_layer,
        "output_factor": exact.output_factor,
        "degenerate": {group: list(units) for group, units in exact.degenerate.items()},
    }
    return replace(network, params=stored, normalized=normalized), exact, difference
