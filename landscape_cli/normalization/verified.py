"""Normalising a network with proof: what it computes is compared with what it computed before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.arguments import device_of
from landscape_cli.binary.layers import to_signs
from landscape_cli.errors import GeometryError, quoted
from landscape_cli.evaluation.equivalence import Difference, prove_equivalence
from landscape_cli.evaluation.probes import check_probe, probe_batch
from landscape_cli.forward.memory import return_freed_memory
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.io.file_tensors import release
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.normalization.normalize import (
    Normalization,
    check_range,
    is_normalized,
    normalized_exactly,
    one_at_a_time,
)
from landscape_cli.normalization.rescaled import StoredParams
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry, tell_of_buffers


def normalize(
    model: nn.Module,
    params: Params,
    symmetry: Symmetry,
    *,
    keep_last_layer: bool = False,
    prove: bool = True,
    probe: Tensor | None = None,
    input_shape: tuple[int, ...] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    name: str = "the network",
) -> Normalization:
    """Put a network's hidden units on unit spheres, and its last layer on one of radius √outputs, and prove it.

    The one representative of all networks that differ by scales alone (Pittorino et al., 2022, algorithm 1;
    docs/method.md: Normalize;
    `normalize_params` says how). All is computed in float64. The proof compares all outputs on the probe batch with
    those before, times the factor by which the last layer was multiplied: in float64, where rounding alone may
    differ, and as stored in the network's dtypes.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        params: the network, any floating-point dtype; it stays as it is.
        symmetry: of the model, as `trace_symmetry` returns it.
        keep_last_layer: leave the last layer as it is: then the outputs, and so the loss, are unchanged.
        prove: whether to compare the outputs before and after.
        probe: inputs to compare them on, shape (n, *input_shape); by default standard normal ones, at most 256.
        input_shape: the shape of one input, for these; by default that which the symmetry was traced with.
        seed: of these.
        device: where to compute.
        name: what to call the network in messages.

    Returns:
        The network, in the dtypes of `params` and on their device, and what it took.

    Raises:
        GeometryError: if a tensor is not finite or would not be in its dtype, a running variance is negative, the
            last layer is zero, or it has no scale to be kept, as that of binary networks.
        ModelError: if the network does not fit the model, or the model does not run.
        ProofError: if the function changed, naming the groups at fault.

    Warns:
        Remark: naming buffers that went with the units.
    """
    check_symmetry(symmetry)
    if keep_last_layer and symmetry.is_binary:
        raise GeometryError(f"{name} is binary: its last layer has no scale, so leave out `keep_last_layer=`")
    check_network(name, model, params)
    check_symmetry(symmetry, params)
    device = device_of(device)
    release(params)
    normalization, exact = normalized_exactly(params, symmetry, keep_last_layer=keep_last_layer, device=device)
    stored = StoredParams(exact, params)
    return_freed_memory()
    proof: Difference | None = None
    if prove:
        if probe is None:
            probe = probe_batch(
                model, params, input_shape or symmetry.input_shape, inputs=symmetry.inputs, seed=seed, device=device
            )
        check_probe(probe)
        proof = prove_equivalence(
            model,
            params,
            exact,
            stored,
            probe.to(device),
            factor=normalization.output_factor,
            exactly=symmetry.is_binary,
            what=f"normalising {name}",
            suspects=one_at_a_time(params, symmetry, normalization.factors, device),
        )
        return_freed_memory()
    made = dict(stored)
    check_range(exact, made)
    tell_of_buffers(params, made, symmetry, stacklevel=2)
    record = _record(normalization, symmetry, keep_last_layer=keep_last_layer)
    return replace(normalization, params=made, proof=proof, normalized=record)


def normalize_checkpoint(
    model: nn.Module,
    network: Checkpoint,
    symmetry: Symmetry,
    *,
    keep_last_layer: bool,
    seed: int,
    device: torch.device,
) -> tuple[Checkpoint, Normalization]:
    """Return a checkpoint with its network normalised and proved, and a record of it; and what that took.

    Raises:
        GeometryError: if it cannot be normalised, or its last layer, of signs, has no scale to be kept.
        ProofError: naming the groups at fault.
    """
    normalization = normalize(
        model,
        network.params,
        symmetry,
        keep_last_layer=keep_last_layer,
        input_shape=network.model.input_shape,
        seed=seed,
        device=device,
        name=network.path,
    )
    return replace(network, params=normalization.params, normalized=normalization.normalized), normalization


def check_claims(networks: Sequence[Checkpoint], symmetry: Symmetry) -> None:
    """Check that networks whose checkpoints say that they are normalised are so: their norms, not their outputs.

    Args:
        networks: checkpoints of one model; those that say nothing may be what they like.
        symmetry: of the model.

    Raises:
        GeometryError: naming one that is not.
    """
    for network in networks:
        if network.normalized is None:
            continue
        keep = bool(network.normalized.get("keep_last_layer"))
        if not _is_as_claimed(network.params, symmetry, keep_last_layer=keep):
            raise GeometryError(
                f"{network.path} says that it is normalised, and is not: run this first: landscape normalize "
                f"{quoted(Path(network.path))} -o FILE"
            )


def claim_of(params: Params, symmetry: Symmetry, *, keep_last_layer: bool) -> Mapping[str, Any] | None:
    """Return what a checkpoint keeps of a network that is normalised without more ado; None if it is not.

    Args:
        params: the network.
        symmetry: of its model.
        keep_last_layer: whether its last layer may have any scale.
    """
    if not _is_as_claimed(params, symmetry, keep_last_layer=keep_last_layer):
        return None
    normalization = replace(normalized_exactly(params, symmetry, keep_last_layer=True)[0], output_factor=1.0)
    return _record(normalization, symmetry, keep_last_layer=keep_last_layer)


def _is_as_claimed(params: Params, symmetry: Symmetry, *, keep_last_layer: bool) -> bool:
    """Tell whether units, and the last layer, have their scale, and latent weights are signs, as normalising makes."""
    signs = to_signs(params, symmetry.latents)
    if not all(torch.equal(params[name], signs[name]) for name in symmetry.latents):
        return False
    try:
        return is_normalized(params, symmetry, last_layer=not (symmetry.is_binary or keep_last_layer))
    except GeometryError:
        return False


def _record(normalization: Normalization, symmetry: Symmetry, *, keep_last_layer: bool) -> Mapping[str, Any]:
    """Return what a checkpoint keeps of how it was normalised."""
    record: dict[str, Any] = {"binary": True} if symmetry.latents else {}
    return record | {
        "keep_last_layer": keep_last_layer,
        "output_factor": normalization.output_factor,
        "degenerate": {group: list(units) for group, units in normalization.degenerate.items()},
    }
