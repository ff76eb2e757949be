"""Aligning networks with proof: what a permuted network computes is compared with what it computed before."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from landscape_cli.alignment.activations import Correlations, unit_correlations
from landscape_cli.alignment.align import Alignment, check_method, match_networks, one_at_a_time, with_parts_matched
from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.alignment.learned import PathLearner
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.requirements import check_inputs, check_learning, drawn_data, drawn_inputs
from landscape_cli.arguments import device_of
from landscape_cli.choices import Method
from landscape_cli.errors import LandscapeWarning, Remark
from landscape_cli.evaluation.equivalence import Difference, Outputs, outputs_on, prove_equivalence, warn_of_precision
from landscape_cli.evaluation.probes import check_probe, probe_batch
from landscape_cli.evaluation.splits import Data, named_splits
from landscape_cli.forward.functional import float_type
from landscape_cli.forward.memory import MIB, return_freed_memory
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.io.file_tensors import release
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry, tell_of_buffers

KEPT = MIB
"""Bytes of a network's outputs on the probes up to which they are kept for other pairs that it is in."""


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
    alignment = _match(
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


def _match(
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

    def match(network: Params, symmetry: Symmetry) -> Alignment:
        correlations = None
        if inputs is not None:
            seen: dict[str, Any] = {"network_inputs": network_inputs, "device": device, "advance": advance}
            correlations = correlate(model, reference, network, symmetry, inputs, **seen)
        setting: dict[str, Any] = {"orders": orders, "seed": seed, "correlations": correlations}
        return match_networks(reference, network, symmetry, method=method, **setting, learner=learner, made=False)

    return with_parts_matched(reference, network, symmetry, match)


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


class PairAligner:
    """Aligns many networks of one model, one pair at a time, each with proof; what pairs share is drawn once."""

    def __init__(
        self,
        model: nn.Module,
        like: Checkpoint,
        symmetry: Symmetry,
        *,
        method: str,
        inputs: Callable[[Checkpoint], Tensor] | None,
        seed: int,
        device: torch.device,
        orders: int = ORDERS,
        samples: int = ALIGN_SAMPLES,
        data: Data | None = None,
        learning: Learning | None = None,
    ) -> None:
        """Draw what is the same for every pair: the inputs of the proof, and those to correlate units on.

        Args:
            model: the architecture.
            like: one of the networks.
            symmetry: of all of them.
            method: "cosine", "weight", "activation" or "learned".
            inputs: training inputs as a network sees them, shape (n, *input_shape), of which "activation" draws the
                same for all; others do without.
            seed: of all that is drawn.
            device: where outputs and activations are computed.
            orders: descents of "weight".
            samples: how many inputs "activation" draws, or samples "learned", or all if there are fewer.
            data: of "learned": samples with labels; of several splits, the training set.
            learning: of "learned": how.

        Raises:
            GeometryError: if the method is "learned", and there are no data, or none for two networks.
        """
        check_method(method, learns=data is not None)
        self._model, self._symmetry, self._method, self._orders = model, symmetry, method, orders
        self._seed, self._device = seed, device
        self._inputs, self._samples, self._like = inputs, samples, like
        self._data, self._learning = drawn_data(data, seed, samples), learning
        self._probe = probe_batch(
            model, like.params, like.model.input_shape, inputs=symmetry.inputs, seed=seed, device=device
        )
        self._outputs: WeakKeyDictionary[Checkpoint, Outputs] = WeakKeyDictionary()
        self._warned_of_scale = self._aligned_any = False

    @property
    def work(self) -> str:
        """What takes long of a match, in a word."""
        return "activations" if self._data is None else "learning"

    @property
    def samples(self) -> int:
        """What `advance` is called with in all for each pair: inputs correlated, or samples learned on."""
        if self._data is not None:
            [split] = named_splits(self._data).values()
            return (self._learning or Learning()).epochs * len(split.y)
        drawn = self._drawn(self._like)
        return 0 if drawn is None else len(drawn)

    def match(
        self, reference: Checkpoint, network: Checkpoint, *, advance: Callable[[int], None] | None = None
    ) -> Alignment:
        """Match a network to a reference.

        Args:
            reference: the network whose units keep their order and signs.
            network: the one to permute.
            advance: called with the number of inputs correlated.

        Returns:
            The match; the tensors of its network are made when they are asked for, each time anew.

        Raises:
            GeometryError: as `align` does.
            ProofError: naming the groups at fault.

        Warns:
            LandscapeWarning: if only one of them is normalised, or the proof could not be made in float64.
            Remark: naming the groups without correlations, and buffers that went with units.
        """
        if differ_in_scale(reference, network, self._symmetry):
            warn_of_scale(reference, network)
        return self._match(reference, network, advance)

    def align(self, reference: Checkpoint, network: Checkpoint) -> Checkpoint:
        """Return the network with its units permuted to match the reference's.

        Raises:
            GeometryError: as `align` does.
            ProofError: naming the groups at fault.

        Warns:
            LandscapeWarning, Remark: as `match` does, but once for all pairs.
        """
        if not self._warned_of_scale and differ_in_scale(reference, network, self._symmetry):
            self._warned_of_scale = True
            warn_of_scale(reference, network)
        with warnings.catch_warnings():
            if self._aligned_any:
                warnings.simplefilter("ignore", LandscapeWarning)
                warnings.simplefilter("ignore", Remark)
            alignment = self._match(reference, network, None)
        self._aligned_any = True
        return replace(network, params=dict(alignment.params))

    def _drawn(self, network: Checkpoint) -> Tensor | None:
        """Return the samples that units are correlated on, as a network sees them; None of methods without."""
        if self._inputs is None or self._method != Method.ACTIVATION:
            return None
        return drawn_inputs(self._method, self._inputs(network), self._seed, self._samples)

    def _match(self, reference: Checkpoint, network: Checkpoint, advance: Callable[[int], None] | None) -> Alignment:
        alignment = _match(
            self._model,
            reference.params,
            network.params,
            self._symmetry,
            method=self._method,
            orders=self._orders,
            seed=self._seed,
            inputs=self._drawn(reference),
            network_inputs=self._drawn(network),
            data=self._data,
            learning=self._learning,
            device=self._device,
            name=network.path,
            advance=advance,
        )
        release(reference.params)
        return_freed_memory()
        proof = prove_alignment(
            self._model,
            network.params,
            alignment,
            self._symmetry,
            self._probe,
            expected=self._expected(network),
            name=network.path,
        )
        tell_of_buffers(network.params, alignment.params, self._symmetry, stacklevel=3)
        release(network.params)
        warn_of_precision(network.path, proof)
        return replace(alignment, proof=proof)

    def _expected(self, network: Checkpoint) -> Outputs:
        """Return what a network puts out for the probes, and keep it for the next pair that the network is in."""
        outputs = self._outputs.get(network)
        if outputs is None:
            outputs = outputs_on(self._model, network.params, self._probe, float_type(network.params))
            if outputs.nbytes <= KEPT:
                self._outputs[network] = outputs
        return outputs


def differ_in_scale(reference: Checkpoint, network: Checkpoint, symmetry: Symmetry) -> bool:
    """Tell whether one of two networks alone is normalised, in a way that matters: signs have no scale."""
    return (reference.normalized is None) != (network.normalized is None) and not symmetry.is_binary


def warn_of_scale(reference: Checkpoint, network: Checkpoint) -> None:
    """Say that one of two networks alone is normalised.

    Warns:
        LandscapeWarning: naming them.
    """
    warnings.warn(
        f"only one of {reference.path} and {network.path} is normalised: matches will be poor", LandscapeWarning, 3
    )
