"""Aligning several networks as a set: all to the first, then each to the mean of the others (docs/method.md: Align)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.activations import Correlations
from landscape_cli.alignment.align import Alignment, check_method, match_networks
from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.alignment.requirements import check_inputs, drawn_inputs
from landscape_cli.alignment.similarity import mean_cosine
from landscape_cli.alignment.verified import correlate, differ_in_scale, prove_alignment, warn_of_scale
from landscape_cli.arguments import check_kind, check_whole, device_of
from landscape_cli.choices import Method
from landscape_cli.errors import GeometryError, Remark
from landscape_cli.evaluation.equivalence import check_probe, probe_batch, warn_of_precision
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry

RISE = 1e-9
"""By which share a new match to the mean of the others must be better than the one before."""


class _Matcher:
    """Matches networks to references, and tells which of two matches is the better one."""

    def __init__(self, model: nn.Module, symmetry: Symmetry, *, method: str, inputs: Tensor | None, **setting: Any):
        self._model, self._symmetry, self._method, self._inputs = model, symmetry, method, inputs
        self._orders, self._seed, self._device = setting["orders"], setting["seed"], setting["device"]

    def first(self, reference: Params, network: Params) -> Alignment:
        """Match a network."""
        return self._match(reference, network, self._correlations(reference, network))

    def better(self, reference: Params, network: Params, before: Alignment) -> Alignment:
        """Match a network again; return the match that there was before if the new one is not better."""
        correlations = self._correlations(reference, network)
        after = self._match(reference, network, correlations)
        values = [self._value(reference, alignment, correlations) for alignment in (before, after)]
        return after if values[1] > values[0] + RISE * abs(values[0]) else before

    def _correlations(self, reference: Params, network: Params) -> Correlations | None:
        if self._inputs is None:
            return None
        return correlate(
            self._model, reference, network, self._symmetry, self._inputs, device=self._device, advance=None
        )

    def _match(self, reference: Params, network: Params, correlations: Correlations | None) -> Alignment:
        setting = {"orders": self._orders, "seed": self._seed, "correlations": correlations}
        return match_networks(reference, network, self._symmetry, method=self._method, **setting)

    def _value(self, reference: Params, alignment: Alignment, correlations: Correlations | None) -> float:
        """Return what the method makes large, of a match."""
        if correlations is not None and correlations.units:
            of_group = correlations.units
            chosen = {name: permutation.cpu() for name, permutation in alignment.permutations.items()}
            return sum(float(of_group[name][torch.arange(len(chosen[name])), chosen[name]].sum()) for name in of_group)
        if self._method == Method.WEIGHT:
            names = self._symmetry.parameters
            return sum(float((reference[name].double() * alignment.params[name].double()).sum()) for name in names)
        groups = self._symmetry.permutations
        cosines = mean_cosine(reference, alignment.params, {group.name: group.writers for group in groups})
        return sum(group.units * cosines.get(group.name, 0.0) for group in groups)


@dataclass(frozen=True, eq=False)
class SetAlignment:
    """Networks whose units are permuted, and flipped where signs are free, to resemble each other.

    Attributes:
        alignments: of each network, how it came to be from the one given: similarities are with what it was matched to
            last, the first network or the mean of the others.
        rounds: how many rounds to the mean of the others were made.
        settled: whether the last of them changed nothing; False of no rounds.
    """

    alignments: Sequence[Alignment] = field(repr=False)
    rounds: int
    settled: bool

    @property
    def networks(self) -> list[dict[str, Tensor]]:
        """The networks, in their dtypes."""
        return [alignment.params for alignment in self.alignments]

    def to_dict(self) -> dict[str, Any]:
        """Return all but the tensors of the networks as JSON values."""
        return {
            "rounds": self.rounds,
            "settled": self.settled,
            "networks": [alignment.to_dict() for alignment in self.alignments],
        }


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

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        networks: two or more, of the same dtypes; they stay as they are.
        symmetry: of the model, as `trace_symmetry` returns it.
        method: what two networks' match makes largest, as for `align`.
        rounds: how many rounds to the mean of the others at most; with none, the first network stays as it is.
        orders: of "weight", as for `align`.
        seed: of these orders, and of the probe batch.
        inputs: of "activation", as for `align`.
        prove: whether to compare the outputs before and after.
        probe: inputs to compare them on, as for `align`.
        input_shape: as for `align`.
        device: where activations and outputs are computed.
        names: what to call the networks in messages.
        advance: called with 1 for every match of two networks, of which there are at most (rounds + 1) · networks - 1.

    Returns:
        The networks, in their dtypes and where they are, each with its permutations and signs by group, shape (units,),
        int64, mean cosines in [-1, 1] with what it was matched to last, and the proof; how many rounds there were.

    Raises:
        GeometryError: as `align` does, or if there are fewer than two networks, or rounds of binary ones.
        ModelError: as `align` does.
        ProofError: as `align` does.

    Warns:
        Remark: as `align` does.
    """
    check_method(method)
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
    if rounds and symmetry.latents:
        raise GeometryError("binary networks have no mean to align to: leave out `rounds=`, or make it 0")
    device = device_of(device)
    if prove and probe is None:
        probe = probe_batch(
            model, networks[0], input_shape or symmetry.input_shape, inputs=symmetry.inputs, seed=seed, device=device
        )
    if probe is not None:
        check_probe(probe)

    matcher = _Matcher(model, symmetry, method=method, inputs=inputs, orders=orders, seed=seed, device=device)
    aligned = _descend(networks, symmetry, matcher, rounds, advance or (lambda _: None))
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


def align_checkpoints(
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
) -> list[Checkpoint]:
    """Return checkpoints aligned as a set, as `align_set` does.

    Args:
        model: the architecture.
        networks: two or more.
        symmetry: of all of them.
        method: "cosine", "weight" or "activation".
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
    return [
        replace(network, params=alignment.params)
        for network, alignment in zip(networks, aligned.alignments, strict=True)
    ]


def _descend(
    networks: Sequence[Params], symmetry: Symmetry, matcher: _Matcher, rounds: int, advance: Callable[[int], None]
) -> SetAlignment:
    """Align networks as `align_set` does, each time anew from what was given, so that nothing is to be composed."""
    alignments = [_as_it_is(networks[0], symmetry)]
    with warnings.catch_warnings():
        for network in networks[1:]:
            alignments.append(matcher.first(networks[0], network))
            warnings.simplefilter("ignore", Remark)  # the same of every two networks
            advance(1)
        for done in range(rounds):
            changed = False
            for k, network in enumerate(networks):
                others = [alignment.params for j, alignment in enumerate(alignments) if j != k]
                alignment = matcher.better(_mean(others), network, alignments[k])
                changed |= alignment is not alignments[k]
                alignments[k] = alignment
                advance(1)
            if not changed:
                return SetAlignment(alignments, done + 1, settled=True)
    return SetAlignment(alignments, rounds, settled=False)


def _as_it_is(network: Params, symmetry: Symmetry) -> Alignment:
    groups = [group.name for group in symmetry.permutations]
    return Alignment(
        dict(network),
        {group.name: torch.arange(group.units) for group in symmetry.permutations},
        {group.name: torch.ones(group.size, dtype=torch.int64) for group in symmetry.signs},
        similarity=dict.fromkeys(groups, 1.0),
        similarity_before=dict.fromkeys(groups, 1.0),
    )


def _mean(networks: Sequence[Params]) -> dict[str, Tensor]:
    """Return the mean of networks, in float64, in the first's dtypes.

    It is the straight one also of normalised networks: what it is multiplied by is the mean of what they are.
    """
    result: dict[str, Tensor] = {}
    for name, tensor in networks[0].items():
        if not tensor.is_floating_point() or len(networks) == 1:
            result[name] = tensor
            continue
        total = tensor.double()
        for network in networks[1:]:
            total = total + network[name].double()
        result[name] = (total / len(networks)).to(tensor.dtype)
    return result
