"""Learning permutations that lower the loss on the path between two networks (docs/method.md: Align)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.relaxation import PermutationRelaxation
from landscape_cli.alignment.signs import Gains
from landscape_cli.choices import Relaxation
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.batch_norm import tracked_statistics
from landscape_cli.evaluation.batch_statistics import BatchStatistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.forward.functional import (
    as_inputs,
    cast_floats,
    errors_of_forward,
    run_with,
    unsaved_buffers,
    working_type,
)
from landscape_cli.forward.uncompiled import uncompiled
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import Joined, unjoin

TAUS = (0.25, 0.5, 0.75)
"""Where on the path the loss is measured; the ends' is the same for all permutations."""
STREAM = 0x1EA2
"""Of the order of samples and the points on the path: not that of the orders of the start."""


@dataclass(frozen=True)
class LearnedPath:
    """What learning did to the loss on the straight path between two networks, in nats.

    Attributes:
        loss_before: the mean over τ = 1/4, 1/2, 3/4 on the samples, the networks matched by their weights.
        loss: the same with the permutations that were kept; not larger.
        kept: after which epoch these were found; 0 if none were better than those by weights, or the networks as they
            are.
        epochs: how many there were.
        samples: how many samples the loss is over.
    """

    loss_before: float
    loss: float
    kept: int
    epochs: int
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


class PathLearner:
    """Learns the permutations of networks on samples, one pair at a time."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        learning: Learning,
        *,
        seed: int,
        device: torch.device,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        """Put the samples on the device.

        Args:
            model: the architecture, put in evaluation mode; its own parameters are not used.
            data: samples with labels; of splits by name the training set, or else the first.
            learning: how to learn.
            seed: of the order of samples and of the points on the path.
            device: where to compute.
            advance: called with the number of samples learned on.

        Raises:
            DataError, ModelError: if the data do not fit the model.
        """
        splits = named_splits(data)
        self._name = training_split(splits)
        self._model, self._learning, self._seed, self._device = model, learning, seed, device
        self._joined: Sequence[Joined] = ()
        self._data, self._advance = {self._name: splits[self._name]}, advance or (lambda _: None)

    def improve(
        self, reference: Params, network: Params, start: UnitMatching, gains: Gains, joined: Sequence[Joined] = ()
    ) -> tuple[UnitMatching, LearnedPath]:
        """Return the matching with the lowest loss on the path: of the start, those of all epochs, and none at all.

        Args:
            reference: the network whose units keep their order.
            network: the one to permute.
            start: the matching to start from.
            gains: the signs of both networks' gains.
            joined: the tensors that are taken as one in both networks.

        Raises:
            GeometryError: if the loss is not finite on the path, or while learning.
        """
        kind = working_type(reference)
        ends = [cast_floats(params, kind, self._device) for params in (reference, network)]
        self._joined = joined
        some = self._data[self._name].x[:2].to(self._device)
        statistics = tracked_statistics(self._model, unjoin(ends[0], joined), some)
        evaluator = Evaluator(
            self._model, self._data, device=self._device, recompute_on=self._name if statistics else None
        )
        best, kept = start, 0
        before = least = self._path_loss(evaluator, ends[0], ends[1], start)
        if not math.isfinite(before):
            raise GeometryError("nothing can be learned: the loss between the networks is NaN or Inf as it is")
        unmatched = UnitMatching(start.axis_table)
        if not _alike(start, unmatched):
            reached = self._path_loss(evaluator, ends[0], ends[1], unmatched)
            if reached < least:
                best, least = unmatched, reached
        home = Relaxation(self._learning.relaxation).load()
        relaxation: PermutationRelaxation = home(*ends, start, gains, self._learning)
        last = start
        for epoch in self._epochs(evaluator, ends[0], relaxation):
            matching = relaxation.matching()
            if not _alike(matching, last):
                reached, last = self._path_loss(evaluator, ends[0], ends[1], matching), matching
                if reached < least:
                    best, least, kept = matching, reached, epoch
        samples = len(self._data[self._name].y)
        return best, LearnedPath(before, least, kept, self._learning.epochs, samples)

    def _epochs(self, evaluator: Evaluator, reference: Params, relaxation: PermutationRelaxation) -> Iterator[int]:
        """Learn; yield the number of each epoch once it is done."""
        split, learning = evaluator.splits[self._name], self._learning
        kind = working_type(reference)
        constants = cast_floats(unsaved_buffers(self._model), kind, self._device)
        parameters = relaxation.parameters()
        if not parameters:
            return
        optimizer = uncompiled(torch.optim.Adam)(parameters, lr=learning.rate)
        source = generator(self._seed, STREAM)
        batches = max(1, len(split.y) // learning.batch_size)
        for epoch in range(1, learning.epochs + 1):
            for chosen in torch.randperm(len(split.y), generator=source).to(self._device).tensor_split(batches):
                tau = float(torch.rand((), generator=source))
                with torch.enable_grad(), errors_of_forward("the samples, with gradients"), BatchStatistics():
                    point = unjoin(_between(reference, relaxation.permuted(), tau), self._joined)
                    outputs = run_with(self._model, constants | point, as_inputs(split.x[chosen], kind))
                    loss = split.objective.loss(split.objective.outputs(outputs), split.y[chosen])
                    optimizer.zero_grad()
                    loss.backward()
                if not bool(torch.isfinite(loss)):
                    raise GeometryError(
                        f"learning diverged in epoch {epoch} (the loss is not finite): lower `learning_rate=`, now "
                        f"{learning.rate:g}"
                    )
                optimizer.step()
                self._advance(len(chosen))
            yield epoch

    def _path_loss(self, evaluator: Evaluator, reference: Params, network: Params, matching: UnitMatching) -> float:
        permuted = {name: matching.apply(name, tensor) for name, tensor in network.items()}
        scores = evaluator.evaluate(unjoin(_between(reference, permuted, tau), self._joined) for tau in TAUS)
        return float(scores[self._name].loss.mean())


def _between(reference: Params, network: Params, tau: float) -> dict[str, Tensor]:
    """Return the network at τ on the straight line; what is no float is the reference's."""
    return {
        name: torch.lerp(tensor, network[name], tau) if tensor.is_floating_point() else tensor
        for name, tensor in reference.items()
    }


def _alike(a: UnitMatching, b: UnitMatching) -> bool:
    return all((a.pairs[name] == b.pairs[name]).all() for name in a.pairs) and all(
        torch.equal(a.signs[name], b.signs[name]) for name in a.signs
    )
