"""Choosing the permutation and signs of hidden units so that one network resembles another (docs/method.md: Align)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from landscape_cli.alignment.activations import Correlations
from landscape_cli.alignment.cosines import mean_cosine
from landscape_cli.alignment.defaults import ORDERS
from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.learned import LearnedPath, PathLearner
from landscape_cli.alignment.objective import Objective
from landscape_cli.alignment.parts import match_parts, part_cosines
from landscape_cli.alignment.signs import signs_of_gains
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind
from landscape_cli.alignment.unsigned import match_unsigned
from landscape_cli.binary.layers import to_signs, without_zeros
from landscape_cli.choices import Method, check_choice
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.equivalence import Difference
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import Axis, Role, Symmetry, burn_in, flip, join, permute, unit_rows
from landscape_cli.symmetry.transform import PermutedParams


@dataclass(frozen=True, eq=False)
class Alignment:
    """A network whose units are permuted, and flipped where signs are free, to resemble a reference.

    Attributes:
        params: the network, in its dtypes; its numbers are untouched but for their signs, and for latent weights of
            zero, which are tiny.
        permutations: by permutation group: unit i is what unit `permutations[group][i]` was; shape (units,), int64. So
            it is of groups of parts of the model, which are permuted first.
        signs: by sign group: ±1, by which units are multiplied once permuted; shape (units,), int64.
        similarity: by permutation group: the mean over units and writers of the cosine with the reference, after.
        similarity_before: the same before.
        proof: how far its outputs are from the original's on a probe batch; None if that was not compared.
        learned: of the method "learned": the loss on the path, before and after; None of others.
    """

    params: Params = field(repr=False)
    permutations: Mapping[str, Tensor] = field(repr=False)
    signs: Mapping[str, Tensor] = field(repr=False)
    similarity: Mapping[str, float]
    similarity_before: Mapping[str, float]
    proof: Difference | None = None
    learned: LearnedPath | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all but the tensors of the network as JSON values."""
        return {
            "permutations": {name: permutation.tolist() for name, permutation in self.permutations.items()},
            "signs": {name: signs.tolist() for name, signs in self.signs.items()},
            "similarity": dict(self.similarity),
            "similarity_before": dict(self.similarity_before),
            "proof": None if self.proof is None else self.proof.to_dict(),
        } | ({} if self.learned is None else {"learned": self.learned.to_dict()})


def match_networks(
    reference: Params,
    params: Params,
    symmetry: Symmetry,
    *,
    method: str = "cosine",
    orders: int = ORDERS,
    seed: int = 0,
    correlations: Correlations | None = None,
    learner: PathLearner | None = None,
    no_less: bool = True,
    made: bool = True,
) -> Alignment:
    """Permute the hidden units of `params`, and flip them where their sign is free, to match those of `reference`.

    Of latent weights of binary layers the signs alone are matched; permuted and flipped are the latent weights. Of
    weights that masks multiply the effective ones are matched; masks move along, and do not vote.
    Of what a method makes large, no match has less than the network as it is. Nothing is proved here:
    `alignment.verified.align` does.

    Args:
        reference: the network whose units keep their order and signs.
        params: the network to permute, of the same model.
        symmetry: the symmetry of both.
        method: what the match of two networks makes largest.
            "cosine": the sum of the cosines between matched units' incoming weights (Pittorino et al., 2022,
            algorithm 2). Groups are matched in an order in which the next one has writers that are settled; then all
            are matched on all writers until none changes. Norms and biases do not vote, but between units whose
            incoming weights point the same way to rounding: these are distinguished by all else that they have.
            "weight": the inner product of the two networks, over all tensors (Git Re-Basin, Ainsworth et al., 2022),
            by coordinate descent from what the first pass of "cosine" finds.
            "activation": the correlations of units on data (Li et al., 2015); groups that have none are matched by
            "cosine".
            "learned": from what "weight" finds, less loss on the straight path between them, by gradients through
            relaxed permutations (Peña et al., 2023; Ainsworth et al., 2022, algorithm 3).
        orders: of "weight" and "learned": in how many random orders of the groups to descend; the best is kept.
        seed: of these orders.
        correlations: of "activation": the reference's units with the network's, as `unit_correlations` returns them.
        learner: of "learned": how, and on what.
        no_less: whether the network as it is may be the match, where none is found that is better. Without that, what
            is found does not depend on the order that units come in.
        made: whether to make the network; else its tensors are made when they are asked for, each time anew.

    Raises:
        GeometryError: if the method is unknown, lacks its correlations or learner, or finds numbers that are not
            finite.
    """
    check_method(method, learns=learner is not None)
    if symmetry.modules:
        setting: dict[str, Any] = {
            "method": method,
            "orders": orders,
            "seed": seed,
            "correlations": correlations,
            "learner": learner,
        }

        def match(network: Params, plain: Symmetry) -> Alignment:
            return match_networks(reference, network, plain, **setting, no_less=no_less, made=made)

        return with_parts_matched(reference, params, symmetry, match, no_less=no_less)
    if method == "activation" and correlations is None:
        raise GeometryError("the method 'activation' needs the correlations of units: see unit_correlations")
    learned = None
    with torch.no_grad():
        tables, joined = _tables(symmetry), symmetry.joined
        units = symmetry.without_masks
        where = AxisTable(replace(units, signs=tuple(group for group in units.signs if group.name not in tables)))
        params = without_zeros(params, symmetry.latents)
        target, mover = (
            join(
                to_signs(burn_in(_with_positive(network, symmetry, tables), symmetry), symmetry.latents),
                symmetry.joined,
            )
            for network in (reference, params)
        )
        gains = signs_of_gains(target, mover, where)
        similarity = Similarity(target, mover, where, gains, Kind.COSINE)
        labelling = UnitMatching(where)
        descent = Descent(similarity, labelling, *((correlations.units, correlations.signs) if correlations else ()))
        descent.settle()
        if method == Method.ACTIVATION:
            assert correlations is not None
            if len(correlations.units) < len(symmetry.permutations):
                descent.sweep()
        elif method == Method.COSINE or symmetry.latents:
            descent.sweep()
        if symmetry.latents:
            descent.finish()
        guessed = descent.guessed and bool(where.symmetry.signs) and not symmetry.latents and correlations is None
        del descent
        if method in {Method.WEIGHT, Method.LEARNED}:
            similarity = Similarity(target, mover, where, gains, Kind.WEIGHT)
            labelling = _by_weights(similarity, labelling, orders, seed)
        objective = Objective(similarity, correlations)
        if guessed:
            labelling = objective.better(labelling, match_unsigned(similarity))
        if no_less:
            labelling = objective.no_less(labelling)
        if learner is not None:
            labelling, learned = learner.improve(target, mover, labelling, gains, joined)
        signs = labelling.final_signs()
    for name, gain in tables.items():
        permuted = PermutedParams(params, symmetry, labelling.permutations)
        signs[name] = (_signs_of(reference, gain) * _signs_of(permuted, gain)).long()
    matched = PermutedParams(params, symmetry, labelling.permutations, signs)
    writers = {group.name: group.writers for group in symmetry.permutations}
    if tables:
        target, mover, after = (dict(burn_in(network, symmetry)) for network in (reference, params, matched))
        cosines, cosines_before = (mean_cosine(target, each, writers, symmetry.joined) for each in (after, mover))
    else:
        cosines, cosines_before = (
            similarity.cosines.means(matching, writers) for matching in (labelling, UnitMatching(where))
        )
    return Alignment(
        dict(matched) if made else matched,
        labelling.permutations,
        signs,
        similarity=cosines,
        similarity_before=cosines_before,
        learned=learned,
    )


def with_parts_matched(
    reference: Params,
    params: Params,
    symmetry: Symmetry,
    match: Callable[[Params, Symmetry], Alignment],
    *,
    no_less: bool = True,
) -> Alignment:
    """Match the parts of a model that may trade places, and then units, as `match` does of what it is given."""
    if not symmetry.modules:
        return match(params, symmetry)
    plain, orders = symmetry.without_modules, parts_matched(reference, params, symmetry, no_less=no_less)
    alignment = match(PermutedParams(params, symmetry, orders), plain)
    writers = {group.name: group.writers for group in symmetry.permutations}
    target, mover, after = (
        to_signs(burn_in(network, plain), plain.latents) for network in (reference, params, alignment.params)
    )
    return replace(
        alignment,
        permutations={**orders, **alignment.permutations},
        similarity=part_cosines(target, after, symmetry) | dict(alignment.similarity),
        similarity_before=part_cosines(target, mover, symmetry) | mean_cosine(target, mover, writers, symmetry.joined),
    )


def parts_matched(reference: Params, params: Params, symmetry: Symmetry, *, no_less: bool = True) -> dict[str, Tensor]:
    """Return which part of a network is to take each place, by group, units matched by "cosine" (`match_parts`)."""
    plain = symmetry.without_modules

    def trial(network: Params) -> Params:
        return match_networks(reference, network, plain, no_less=no_less, made=False).params

    return match_parts(reference, params, symmetry, trial, no_less=no_less)


def check_method(method: str, *, learns: bool = False, of_sets: bool = False) -> None:
    """Check that a method of aligning exists; "learned" only where there is what to learn by, "cycle" only of sets.

    Raises:
        GeometryError: naming those that do, or saying what to do instead.
    """
    check_choice("alignment method", method, Method, GeometryError)
    if method == Method.LEARNED and not learns:
        raise GeometryError(
            "the method 'learned' trains on labelled data, which only `align` does: align first, and measure the result"
        )
    if method == Method.CYCLE and not of_sets:
        raise GeometryError("the method 'cycle' matches a set of networks at once: to match two of them, use 'weight'")


def one_at_a_time(
    params: Params, symmetry: Symmetry, permutations: Mapping[str, Tensor], signs: Mapping[str, Tensor]
) -> Iterator[tuple[str, Params]]:
    """Yield for each group the network with that group alone permuted or flipped, to find one at fault."""
    for name, permutation in permutations.items():
        if not torch.equal(permutation.cpu(), torch.arange(len(permutation))):
            yield name, permute(params, symmetry, {name: permutation})
    for name, sign in signs.items():
        if bool((sign < 0).any()):
            yield f"signs of {name}", flip(params, symmetry, {name: sign})


def _tables(symmetry: Symmetry) -> dict[str, Axis]:
    """Return the gains whose every number, along several axes, has a sign of its own, by sign group.

    These say nothing of how units match: networks are compared with all of them positive.
    """
    gains = ((group.name, axis) for group in symmetry.signs for axis in group.axes[:1])
    return {name: axis for name, axis in gains if axis.role is Role.GAIN and len(axis.dims) > 1}


def _signs_of(network: Params, gain: Axis) -> Tensor:
    values = unit_rows(network[gain.tensor], gain)[:, 0].cpu()
    return torch.where(values < 0, -1.0, 1.0)


def _with_positive(network: Params, symmetry: Symmetry, tables: Mapping[str, Axis]) -> Params:
    signs = {name: _signs_of(network, gain) for name, gain in tables.items()}
    return flip(network, symmetry, signs) if signs else network


def _by_weights(similarity: Similarity, start: UnitMatching, orders: int, seed: int) -> UnitMatching:
    """Return the best of several coordinate descents on the inner product of the networks."""
    best, value = start, float("-inf")
    for k in range(orders):
        labelling = start.copy()
        Descent(similarity, labelling).sweep(_random_orders(start.axis_table.symmetry, generator(seed, k)))
        reached = similarity.total(labelling) if orders > 1 else 0.0
        if reached > value:
            best, value = labelling, reached
    return best


def _random_orders(symmetry: Symmetry, source: torch.Generator) -> Iterator[list[str]]:
    names = [group.name for group in symmetry.permutations]
    while True:
        yield [names[k] for k in torch.randperm(len(names), generator=source)]
