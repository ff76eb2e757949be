"""Aligning several networks as a set: all to the first, then each to the mean of the others (docs/method.md: Align)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.align import check_method, parts_matched
from landscape_cli.alignment.cycle import MOST_ROUNDS, match_cycle
from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.alignment.pairs import differ_in_scale, warn_of_scale
from landscape_cli.alignment.parts import part_cosines
from landscape_cli.alignment.requirements import check_inputs, drawn_inputs
from landscape_cli.alignment.rounds import SetAlignment, SetMatcher, match_set
from landscape_cli.alignment.verified import prove_alignment
from landscape_cli.arguments import check_kind, check_whole, device_of
from landscape_cli.choices import Method
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.equivalence import warn_of_precision
from landscape_cli.evaluation.probes import check_probe, probe_batch
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry
from landscape_cli.symmetry.transform import PermutedParams


def align_set(
    model: nn.Module,
    networks: Sequence[Params],
    symmetry: Symmetry,
    *,
    method: str = "cosine",
    rounds: int = 0,
    orders: int = ORDERS,
    seed: int = 0,
    inputs: Tensor | None = None,
    prove: bool = True,
    probe: Tensor | None = None,
    input_shape: tuple[int, ...] | None = None,
    device: torch.device | str = "cpu",
    names: Sequence[str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> SetAlignment:
    """Permute the hidden units of several networks, and flip them where their sign is free, to match each other.

    See docs/method.md: Align. All are matched to the first. Then, in each round, every network is matched to the mean
    of the others as they are by then, and the match kept if it is better than the one before, until a round changes
    nothing (Ainsworth et al., 2022, MergeMany). What comes out is compared with what was given once for each network,
    as `align` does.

    "cycle" raises the sum over all pairs of networks of their inner product (C²M³, Crisostomi et al., 2024) by such
    rounds of "weight", as many as it takes, of up to four networks in turn as the one that all are matched to at the
    beginning, and keeps the largest. Then it sees all from the first network, which stays as it is: matches of any
    three networks compose to the identity.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        networks: two or more, of the same dtypes; they stay as they are.
        symmetry: of the model, as `trace_symmetry` returns it.
        method: what two networks' match makes largest, as for `align`; or "cycle".
        rounds: how many rounds to the mean of the others at most; with none, the first network stays as it is. Of
            "cycle" there are up to 100 by default.
        orders: of "weight" and "cycle", as for `align`.
        seed: of these orders, and of the probe batch.
        inputs: of "activation", as for `align`.
        prove: whether to compare the outputs before and after.
        probe: inputs to compare them on, as for `align`.
        input_shape: as for `align`.
        device: where activations and outputs are computed.
        names: what to call the networks in messages.
        advance: called with 1 for every match of two networks, of which there are at most (rounds + 1) · networks - 1;
            of "cycle" so many for each beginning.

    Returns:
        The networks, in their dtypes and where they are, each with its permutations and signs by group, shape (units,),
        int64, mean cosines in [-1, 1] with what it was matched to last, and the proof; how many rounds there were.

    Raises:
        GeometryError: as `align` does, or if there are fewer than two networks, or rounds (or "cycle") of binary ones.
        ModelError: as `align` does.
        ProofError: as `align` does.

    Warns:
        Remark: as `align` does.
    """
    check_method(method, of_sets=True)
    check_inputs(method, inputs, orders)
    check_whole("rounds", rounds, GeometryError, least=0)
    check_kind("networks", networks, Sequence, "give networks, one after another, as a list does", GeometryError)
    if len(networks) < 2:
        raise GeometryError(f"a set to align is two networks or more, not {len(networks)}")
    names = [f"network {k + 1}" for k in range(len(networks))] if names is None else names
    if len(names) != len(networks):
        raise GeometryError(f"`names=` holds {len(names)} for {len(networks)} networks: give one for each")
    for name, network in zip(names, networks, strict=True):
        check_network(name, model, network)
    check_symmetry(symmetry, networks[0])
    cycle = method == Method.CYCLE
    if symmetry.latents and cycle:
        raise GeometryError("binary networks have no mean to align to: choose another `method=`")
    if rounds and symmetry.latents:
        raise GeometryError("binary networks have no mean to align to: leave out `rounds=`, or make it 0")
    device = device_of(device)
    if prove and probe is None:
        probe = probe_batch(
            model, networks[0], input_shape or symmetry.input_shape, inputs=symmetry.inputs, seed=seed, device=device
        )
    if probe is not None:
        check_probe(probe)

    plain, given, parts = symmetry, networks, [dict[str, Tensor]()] * len(networks)
    if symmetry.modules:
        plain = symmetry.without_modules
        parts = [parts_matched(networks[0], network, symmetry) for network in networks]
        given = [PermutedParams(network, symmetry, orders) for network, orders in zip(networks, parts, strict=True)]
    matcher = SetMatcher(
        model,
        plain,
        method=Method.WEIGHT.value if cycle else method,
        inputs=inputs,
        orders=orders,
        seed=seed,
        device=device,
    )
    advance = advance or (lambda _: None)
    if cycle:
        aligned = match_cycle(given, plain, matcher, rounds or MOST_ROUNDS, advance)
    else:
        aligned = match_set(given, plain, matcher, rounds, advance)
    whole = [
        replace(
            alignment,
            permutations={**orders, **alignment.permutations},
            similarity=part_cosines(networks[0], alignment.params, symmetry) | dict(alignment.similarity),
            similarity_before=part_cosines(networks[0], network, symmetry) | dict(alignment.similarity_before),
        )
        for network, orders, alignment in zip(networks, parts, aligned.alignments, strict=True)
    ]
    aligned = replace(aligned, alignments=whole)
    if not prove:
        return aligned
    assert probe is not None
    proved = [
        replace(
            alignment,
            proof=prove_alignment(model, network, alignment, symmetry, probe.to(device), name=name),
        )
        for name, network, alignment in zip(names, networks, aligned.alignments, strict=True)
    ]
    return replace(aligned, alignments=proved)


def match_checkpoints(
    model: nn.Module,
    networks: Sequence[Checkpoint],
    symmetry: Symmetry,
    *,
    method: str,
    inputs: Tensor | None,
    rounds: int = 0,
    seed: int,
    device: torch.device,
    orders: int = ORDERS,
    samples: int = ALIGN_SAMPLES,
    advance: Callable[[int], None] | None = None,
) -> SetAlignment:
    """Align checkpoints as a set, as `align_set` does, and warn of what keeps them from matching.

    Args:
        model: the architecture.
        networks: two or more.
        symmetry: of all of them.
        method: "cosine", "weight", "activation" or "cycle".
        inputs: training inputs, of which "activation" draws some; others do without.
        rounds: to the mean of the others.
        seed: of all that is drawn.
        device: where outputs and activations are computed.
        orders: descents of "weight".
        samples: how many inputs "activation" draws, or all if there are fewer.
        advance: as for `align_set`.

    Raises:
        GeometryError, ModelError, ProofError: as `align_set` does.

    Warns:
        LandscapeWarning: if only some of them are normalised, or a proof could not be made in float64.
        Remark: as `align_set` does.
    """
    apart = next((network for network in networks if differ_in_scale(networks[0], network, symmetry)), None)
    if apart is not None:
        warn_of_scale(networks[0], apart)
    aligned = align_set(
        model,
        [network.params for network in networks],
        symmetry,
        method=method,
        rounds=rounds,
        orders=orders,
        seed=seed,
        inputs=drawn_inputs(method, inputs, seed, samples),
        input_shape=networks[0].model.input_shape,
        device=device,
        names=[network.path for network in networks],
        advance=advance,
    )
    for network, alignment in zip(networks, aligned.alignments, strict=True):
        warn_of_precision(network.path, alignment.proof)
    return aligned


def align_checkpoints(
    model: nn.Module, networks: Sequence[Checkpoint], symmetry: Symmetry, **setting: Any
) -> list[Checkpoint]:
    """Return checkpoints aligned as `match_checkpoints`, which takes the same, aligns them."""
    aligned = match_checkpoints(model, networks, symmetry, **setting)
    return [replace(network, params=params) for network, params in zip(networks, aligned.networks, strict=True)]
