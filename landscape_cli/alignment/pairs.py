"""Aligning many pairs of networks of one model, each with proof; what pairs share is drawn or computed once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from landscape_cli.alignment.align import Alignment, check_method
from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.requirements import drawn_data, drawn_inputs
from landscape_cli.alignment.verified import match, prove_alignment
from landscape_cli.choices import Method
from landscape_cli.errors import LandscapeWarning, Remark
from landscape_cli.evaluation.equivalence import Outputs, outputs_on, warn_of_precision
from landscape_cli.evaluation.probes import probe_batch
from landscape_cli.evaluation.splits import Data, named_splits
from landscape_cli.forward.functional import float_type
from landscape_cli.forward.memory import MIB, return_freed_memory
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.io.file_tensors import release
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import tell_of_buffers

KEPT = MIB
"""Bytes of a network's outputs on the probes up to which they are kept for other pairs that it is in."""


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
        alignment = match(
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
