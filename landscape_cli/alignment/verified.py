"""Aligning networks with proof: what a permuted network computes is compared with what it computed before."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.activations import Correlations, unit_correlations
from landscape_cli.alignment.align import Alignment, check_method, match_networks, one_at_a_time, with_parts_matched
from landscape_cli.alignment.defaults import ORDERS
from landscape_cli.alignment.learned import PathLearner
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.requirements import check_inputs, check_learning
from landscape_cli.arguments import device_of
from landscape_cli.errors import Remark
from landscape_cli.evaluation.equivalence import Difference, Outputs, prove_equivalence
from landscape_cli.evaluation.probes import check_probe, probe_batch
from landscape_cli.evaluation.splits import Data
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry, tell_of_buffers


def align(
    model: nn.Module,
    reference: Params,
    network: Params,
    symmetry: Symmetry,
    *,
    method: str = "cosine",
    orders: int = ORDERS,
    seed: int = 0,
    inputs: Tensor | None = None,
    network_inputs: Tensor | None = None,
    data: Data | None = None,
    learning: Learning | None = None,
    prove: bool = True,
    probe: Tensor | None = None,
    input_shape: tuple[int, ...] | None = None,
    device: torch.device | str = "cpu",
    name: str = "the network",
    advance: Callable[[int], None] | None = None,
) -> Alignment:
    """Permute a network's hidden units, and flip them where their sign is free, to match a reference's, and prove it.

    See docs/method.md: Align.

    The proof compares all outputs on the probe batch with those before: in float64, where rounding alone may differ,
    and as stored in the network's dtypes; of binary networks they must be equal bit for bit.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        reference: the network whose units keep their order and signs, any floating-point dtype.
        network: the one to permute, of the same dtype; it stays as it is.
        symmetry: of the model, as `trace_symmetry` returns it.
        method: what is made largest: "cosine", the sum of the cosines of matched units' incoming weights (Pittorino
            et al., 2022, algorithm 2); "weight", the inner product of the networks (Git Re-Basin, Ainsworth et al.,
            2022); "activation", the correlations of units on data (Li et al., 2015). "learned" makes the loss on the
            straight path small, from "weight" on (Peña et al., 2023). `match_networks` says how.
        orders: of "weight" and "learned": in how many random orders of the groups to descend; the best is kept.
        seed: of these orders, of what is learned, and of the probe batch.
        inputs: of "activation": samples to correlate units on, shape (n, *input_shape).
        network_inputs: the same samples as the network sees them, where the reference sees them otherwise.
        data: of "learned": samples with labels to learn on, such as a `Split`; of several the training set.
        learning: of "learned": how, if not as `Learning()` says.
        prove: whether to compare the outputs before and after.
        probe: inputs to compare them on, shape (n, *input_shape); by default standard normal ones, at most 256.
        input_shape: the shape of one input, for these; by default that which the symmetry was traced with.
        device: where activations and outputs are computed.
        name: what to call the network in messages.
        advance: called with the number of inputs correlated, or of samples learned on.

    Returns:
        The network, in its dtypes and on its device; its permutations and signs by group, shape (units,), int64; mean
        cosines with the reference, in [-1, 1], before and after; the proof; and of "learned" the loss on the path, in
        nats, before and after.

    Raises:
        GeometryError: if the method is unknown, lacks its inputs or data, has no use for them, or finds numbers that
            are not finite; if binary networks are to be learned.
        DataError: if the data is something else than samples with labels.
        ModelError: if a network does not fit the model, or the model does not run.
        ProofError: if the function changed, naming the groups at fault.

    Warns:
        Remark: of "activation": naming the groups without correlations; naming buffers that went with the units.
    """
    alignment = match(
        model,
        reference,
        network,
        symmetry,
        method=method,
        orders=orders,
        seed=seed,
        inputs=inputs,
        network_inputs=network_inputs,
        data=data,
        learning=learning,
        device=device_of(device),
        name=name,
        advance=advance,
    )
    if prove:
        if probe is None:
            shape = input_shape or symmetry.input_shape
            probe = probe_batch(model, network, shape, inputs=symmetry.inputs, seed=seed, device=device_of(device))
        check_probe(probe)
        proof = prove_alignment(model, network, alignment, symmetry, probe.to(device_of(device)), name=name)
        alignment = replace(alignment, proof=proof)
    alignment = replace(alignment, params=dict(alignment.params))
    tell_of_buffers(network, alignment.params, symmetry, stacklevel=2)
    return alignment


def match(
    model: nn.Module,
    reference: Params,
    network: Params,
    symmetry: Symmetry,
    *,
    method: str,
    orders: int,
    seed: int,
    inputs: Tensor | None,
    network_inputs: Tensor | None,
    data: Data | None,
    learning: Learning | None,
    device: torch.device,
    name: str,
    advance: Callable[[int], None] | None,
) -> Alignment:
    """Return how a network matches a reference, as `align` does, not proved, and its tensors yet to be made."""
    check_method(method, learns=data is not None)
    check_inputs(method, inputs, orders)
    check_learning(method, data, learning, symmetry)
    check_network("the reference", model, reference)
    check_network(name, model, network)
    check_symmetry(symmetry, reference)
    learner = None
    if data is not None:
        learner = PathLearner(model, data, learning or Learning(), seed=seed, device=device, advance=advance)

    def match_one(network: Params, symmetry: Symmetry) -> Alignment:
        correlations = None
        if inputs is not None:
            seen: dict[str, Any] = {"network_inputs": network_inputs, "device": device, "advance": advance}
            correlations = correlate(model, reference, network, symmetry, inputs, **seen)
        setting: dict[str, Any] = {"orders": orders, "seed": seed, "correlations": correlations}
        return match_networks(reference, network, symmetry, method=method, **setting, learner=learner, made=False)

    return with_parts_matched(reference, network, symmetry, match_one)


def correlate(
    model: nn.Module,
    reference: Params,
    network: Params,
    symmetry: Symmetry,
    inputs: Tensor,
    *,
    network_inputs: Tensor | None = None,
    device: torch.device,
    advance: Callable[[int], None] | None,
) -> Correlations:
    """Return the correlations of two networks' units on data, and remark on the groups that have none."""
    correlations = unit_correlations(
        model, reference, network, symmetry, inputs, network_inputs=network_inputs, device=device, advance=advance
    )
    missing = [
        group.name for group in symmetry.permutations if group.name not in correlations.units and not group.inside
    ]
    if missing:
        warnings.warn(f"matched by their weights, as no module puts them out: {', '.join(missing)}", Remark, 3)
    return correlations


def prove_alignment(
    model: nn.Module,
    network: Params,
    alignment: Alignment,
    symmetry: Symmetry,
    probe: Tensor,
    *,
    expected: Outputs | None = None,
    name: str,
) -> Difference:
    """Return how far a permuted network's outputs are from what they were, checking that it is no more than allowed.

    What they were is `expected`, if that is known.
    """
    return prove_equivalence(
        model,
        network,
        alignment.params,
        alignment.params,
        probe,
        expected=expected,
        what=f"aligning {name}",
        exactly=symmetry.is_binary,
        suspects=one_at_a_time(network, symmetry, alignment.permutations, alignment.signs),
    )
