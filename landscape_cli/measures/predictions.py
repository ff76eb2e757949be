"""What networks predict of every split: decisions, and distributions over classes, compared in one pass each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.memory import MIB
from landscape_cli.forward.outputs import UNDECIDED, decide
from landscape_cli.network import Params

BLOCK_BYTES = 64 * MIB
"""How much the logarithms of all networks' probabilities on one block of samples may take."""


@dataclass(frozen=True, eq=False)
class Predictions(Mapping[str, Tensor]):
    """What a network predicts: by split, the class decided for, shape (samples,), int64; UNDECIDED for NaN.

    Attributes:
        classes: these.
        errors: by split, the fraction of samples misclassified; NaN where outputs are.
        losses: by split, the mean cross-entropy in nats; empty where distributions were not compared.
        divergences: by split, the mean over samples of the Kullback-Leibler divergence from this network's distribution
            over classes to each network's, in nats, shape (networks,), float64; empty where they were not compared.
        index: which of the networks this is.
    """

    classes: Mapping[str, Tensor] = field(repr=False)
    errors: Mapping[str, float]
    losses: Mapping[str, float] = field(default_factory=dict)
    divergences: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    index: int = 0

    def __getitem__(self, split: str) -> Tensor:
        """Return the classes decided for on a split."""
        return self.classes[split]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of splits."""
        return iter(self.classes)

    def __len__(self) -> int:
        """Return how many splits there are."""
        return len(self.classes)

    @property
    def undecided(self) -> bool:
        """Whether any prediction is missing, as outputs are NaN."""
        return any(bool((classes == UNDECIDED).any()) for classes in self.classes.values())


@dataclass(frozen=True)
class Mixture:
    """How well the mean of several networks' distributions predicts.

    Attributes:
        errors: by split, the fraction of samples misclassified; NaN where outputs of one network are.
        losses: by split, the mean cross-entropy in nats.
    """

    errors: Mapping[str, float]
    losses: Mapping[str, float]


def predict(
    networks: Sequence[Params],
    evaluator: Evaluator | Sequence[Evaluator],
    *,
    advance: Callable[[int], None] | None = None,
) -> list[Predictions]:
    """Return the decisions of each network on every split of the evaluator.

    Args:
        networks: of the evaluator's model.
        evaluator: holds the data; or one for each network, which holds them as that sees them.
        advance: called with the number of samples done, as `samples_predicted` counts them.
    """
    classes: list[dict[str, Tensor]] = [{} for _ in networks]
    errors: list[dict[str, float]] = [{} for _ in networks]
    evaluators = _for_each(networks, evaluator)
    for name, split in evaluators[0].splits.items() if networks else ():
        for k, params in enumerate(networks):
            classes[k][name] = evaluators[k].predictions(params, name)
            errors[k][name] = _error(classes[k][name], evaluators[k].objective.labels(split.y).cpu())
            if advance:
                advance(len(split.y))
    return [Predictions(*of_network, index=k) for k, of_network in enumerate(zip(classes, errors, strict=True))]


def predict_distributions(
    networks: Sequence[Params],
    evaluator: Evaluator | Sequence[Evaluator],
    groups: Sequence[Sequence[int]] = (),
    *,
    advance: Callable[[int], None] | None = None,
) -> tuple[list[Predictions], list[Mixture]]:
    """Return what networks predict, compared with each other, and what the mean distribution of each group does.

    All networks run on a batch before the next one is looked at, so that each makes one pass however many there are
    (docs/method.md: Ensembles).

    Args:
        networks: of the evaluator's model.
        evaluator: holds the data; or one for each network, which holds them as that sees them.
        groups: indices of networks.
        advance: called with the number of samples done, as `samples_predicted` counts them.
    """
    tables = {}
    evaluators = _for_each(networks, evaluator)
    for name in evaluators[0].splits:
        table = tables[name] = _Table(len(networks), groups)
        for logits, labels in _logits(networks, evaluators, name):
            outputs = max(2, logits.shape[2])
            size = max(1, BLOCK_BYTES // (torch.float64.itemsize * len(networks) * outputs))
            for block, of_block in zip(logits.split(size, dim=1), labels.split(size), strict=True):
                table.add(block, of_block)
            if advance:
                advance(len(networks) * len(labels))
        table.finish()
    predictions = [
        Predictions(
            {name: table.classes[k] for name, table in tables.items()},
            {name: table.error(table.classes[k]) for name, table in tables.items()},
            {name: float(table.loss[k]) / table.samples for name, table in tables.items()},
            {name: table.divergences[k] for name, table in tables.items()},
            index=k,
        )
        for k in range(len(networks))
    ]
    mixtures = [
        Mixture(
            {name: table.error(table.of_groups[k]) for name, table in tables.items()},
            {name: float(table.loss_of_groups[k]) / table.samples for name, table in tables.items()},
        )
        for k in range(len(groups))
    ]
    return predictions, mixtures


def _for_each(networks: Sequence[Params], evaluator: Evaluator | Sequence[Evaluator]) -> Sequence[Evaluator]:
    return [evaluator] * len(networks) if isinstance(evaluator, Evaluator) else evaluator


def _logits(networks: Sequence[Params], evaluators: Sequence[Evaluator], split: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits of all networks and the labels, batch by batch, as `Evaluator.logits` does for some that agree.

    Evaluators of one model take the same samples in each batch.
    """
    distinct = list({id(evaluator): evaluator for evaluator in evaluators}.values())
    members = [[k for k, of in enumerate(evaluators) if of is evaluator] for evaluator in distinct]
    order = torch.tensor([k for group in members for k in group]).argsort()
    passes = [
        evaluator.logits([networks[k] for k in group], split)
        for evaluator, group in zip(distinct, members, strict=True)
    ]
    for batches in zip(*passes, strict=True):
        labels = batches[0][1]
        yield (batches[0][0] if len(batches) == 1 else torch.cat([logits for logits, _ in batches])[order]), labels


def samples_predicted(networks: int, evaluator: Evaluator) -> int:
    """Return what `advance` is called with in all, by `predict` and `predict_distributions`."""
    return networks * evaluator.samples


class _Table:
    """Running sums over the samples of one split, of networks and of groups of them."""

    def __init__(self, networks: int, groups: Sequence[Sequence[int]]) -> None:
        self.groups = [list(group) for group in groups]
        self.samples = 0
        self.loss = torch.zeros(networks, dtype=torch.float64)
        self.loss_of_groups = torch.zeros(len(groups), dtype=torch.float64)
        self.divergences = torch.zeros(networks, networks, dtype=torch.float64)
        self._classes: list[Tensor] = []
        self._of_groups: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add samples, of which the networks have logits of shape (networks, samples, outputs)."""
        self.samples += len(labels)
        logs = log_probabilities(logits)
        self.loss -= _of_labels(logs, labels).cpu()
        # Σ p_i log p_j of all pairs is one product of matrices.
        products = (logs.exp().flatten(1) @ logs.flatten(1).T).cpu()
        self.divergences += products.diagonal()[:, None] - products
        self._labels.append(labels.cpu())
        self._classes.append(torch.stack([decide(of_network) for of_network in logits]).cpu())
        one_output = logits.shape[2] == 1
        decided = torch.empty(len(self.groups), len(labels), dtype=torch.int64)
        for k, group in enumerate(self.groups):
            mean = logs[group].logsumexp(dim=0) - math.log(len(group))
            self.loss_of_groups[k] -= _of_labels(mean[None], labels)[0].cpu()
            decided[k] = decide((mean[:, 1] - mean[:, 0])[:, None] if one_output else mean).cpu()
        self._of_groups.append(decided)

    def finish(self) -> None:
        """Make means of the sums of divergences, and rows of the decisions: `classes`, `of_groups`."""
        self.divergences = (self.divergences / self.samples).clamp(min=0)  # of equal networks: zero, but for rounding
        self.classes, self.of_groups = (torch.cat(parts, dim=1) for parts in (self._classes, self._of_groups))
        self.labels = torch.cat(self._labels)

    def error(self, classes: Tensor) -> float:
        """Return the fraction of samples misclassified."""
        return _error(classes, self.labels)


def log_probabilities(logits: Tensor) -> Tensor:
    """Return the logarithms of probabilities, shape (..., classes), float64; one output with a sign makes two classes.

    Args:
        logits: shape (..., outputs).
    """
    logits = logits.double()
    if logits.shape[-1] == 1:
        return F.logsigmoid(torch.cat([-logits, logits], dim=-1))
    return logits.log_softmax(dim=-1)


def _of_labels(logs: Tensor, labels: Tensor) -> Tensor:
    """Return the sums over samples of the logarithms of the labels' probabilities, shape (networks,)."""
    return logs.gather(2, labels.expand(len(logs), -1)[:, :, None]).sum(dim=(1, 2))


def _error(classes: Tensor, labels: Tensor) -> float:
    if bool((classes == UNDECIDED).any()):
        return math.nan
    return float((classes != labels).double().mean())
