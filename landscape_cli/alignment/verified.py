"""Aligning networks with proof: what a permuted network computes is compared with what it computed before."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from landscape_cli.alignment.activations import Correlations, unit_correlations
from landscape_cli.alignment.align import ORDERS, Alignment, align, one_at_a_time
from landscape_cli.errors import LandscapeWarning, Remark
from landscape_cli.evaluation.equivalence import Difference, probe_batch, prove, to_double, warn_of_precision
from landscape_cli.io.checkpoint import Checkpoint, placed
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry

ALIGN_SAMPLES = 2000
"""Training inputs on which units are correlated by default."""


def sample_inputs(inputs: Tensor, samples: int, *, seed: int) -> Tensor:
    """Return that many of the inputs, drawn at random, or all if there are fewer; shape (samples, *input_shape)."""
    return inputs[torch.randperm(len(inputs), generator=generator(seed))[:samples]]


def correlate(
    model: nn.Module,
    reference: Checkpoint,
    network: Checkpoint,
    symmetry: Symmetry,
    inputs: Tensor,
    *,
    device: torch.device,
    advance: Callable[[int], None] | None = None,
) -> Correlations:
    """Return the correlations of two networks' units on data.

    Warns:
        Remark: naming the groups that have none.
    """
    correlations = unit_correlations(
        model, placed(reference, device), placed(network, device), symmetry, inputs, device=device, advance=advance
    )
    missing = [
        group.name for group in symmetry.permutations if group.name not in correlations.units and not group.inside
    ]
    if missing:
        warnings.warn(f"matched by their weights, as no module puts them out: {', '.join(missing)}", Remark, 2)
    return correlations


def align_verified(
    model: nn.Module,
    reference: Checkpoint,
    network: Checkpoint,
    symmetry: Symmetry,
    *,
    method: str,
    orders: int | None = None,
    seed: int,
    inputs: Tensor | None,
    probe: Tensor,
    device: torch.device,
    advance: Callable[[int], None] | None = None,
) -> tuple[Alignment, Difference]:
    """Match a network to a reference, and prove on its outputs that it computes what it did.

    Args:
        model: the architecture.
        reference: the network whose units keep their order and signs.
        network: the one to permute.
        symmetry: of both.
        method: "cosine", "weight" or "activation".
        orders: descents of "weight"; by default as many as `align` makes.
        seed: of their orders.
        inputs: what "activation" correlates units on; None for other methods.
        probe: inputs of the proof.
        device: where activations are computed.
        advance: called with the number of inputs correlated.

    Raises:
        GeometryError: as `align` does.
        ProofError: naming the groups at fault.
    """
    correlations = None
    if inputs is not None:
        correlations = correlate(model, reference, network, symmetry, inputs, device=device, advance=advance)
    alignment = align(
        reference.params,
        network.params,
        symmetry,
        method=method,
        orders=ORDERS if orders is None else orders,
        seed=seed,
        correlations=correlations,
    )
    return alignment, prove_alignment(model, network, alignment, symmetry, probe)


def prove_alignment(
    model: nn.Module, network: Checkpoint, alignment: Alignment, symmetry: Symmetry, probe: Tensor
) -> Difference:
    """Check that a permuted network computes what it did.

    Raises:
        ProofError: naming the groups at fault.
    """
    return prove(
        model,
        network.params,
        to_double(alignment.params, probe.device),
        alignment.params,
        probe,
        what=f"aligning {network.path}",
        exactly=symmetry.is_binary,
        suspects=one_at_a_time(network.params, symmetry, alignment.permutations, alignment.signs),
    )


def differ_in_scale(one: Checkpoint, other: Checkpoint, symmetry: Symmetry) -> bool:
    """Tell whether one of two networks alone is normalised, in a way that matters: signs have no scale."""
    return (one.normalized is None) != (other.normalized is None) and not symmetry.is_binary


class PairAligner:
    """Aligns many networks of one model, one pair at a time, each with proof."""

    def __init__(
        self,
        model: nn.Module,
        like: Checkpoint,
        symmetry: Symmetry,
        *,
        method: str,
        inputs: Tensor | None,
        seed: int,
        device: torch.device,
    ) -> None:
        """Draw what is the same for every pair: the inputs of the proof, and those to correlate units on.

        Args:
            model: the architecture.
            like: one of the networks.
            symmetry: of all of them.
            method: "cosine", "weight" or "activation".
            inputs: training inputs, shape (n, *input_shape), of which "activation" samples some.
            seed: of all that is drawn.
            device: where outputs and activations are computed.
        """
        self._model, self._symmetry, self._method = model, symmetry, method
        self._seed, self._device = seed, device
        self._inputs = None
        if method == "activation":
            assert inputs is not None
            self._inputs = sample_inputs(inputs, ALIGN_SAMPLES, seed=seed)
        self._probe = probe_batch(model, like.params, like.model.input_shape, seed=seed, device=device)
        self._warned = self._said = False

    def align(self, reference: Checkpoint, network: Checkpoint) -> Checkpoint:
        """Return the network with its units permuted to match the reference's.

        Raises:
            GeometryError: as `align` does.
            ProofError: naming the groups at fault.

        Warns:
            LandscapeWarning, Remark: once for all pairs.
        """
        if not self._warned and differ_in_scale(reference, network, self._symmetry):
            self._warned = True
            warnings.warn(
                f"only one of {reference.path} and {network.path} is normalised: matches will be poor",
                LandscapeWarning,
                2,
            )
        with warnings.catch_warnings():
            if self._said:
                warnings.simplefilter("ignore", LandscapeWarning)
                warnings.simplefilter("ignore", Remark)
            alignment, difference = align_verified(
                self._model,
                reference,
                network,
                self._symmetry,
                method=self._method,
                seed=self._seed,
                inputs=self._inputs,
                probe=self._probe,
                device=self._device,
            )
            warn_of_precision(network.path, difference)
        self._said = True
        return replace(network, params=alignment.params)
