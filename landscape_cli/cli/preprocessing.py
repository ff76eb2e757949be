"""How networks see inputs: as the user says, as they record it, or as is assumed; and what is done where they meet."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from landscape_cli.choices import DataName, Preprocess
from landscape_cli.cli.console import say
from landscape_cli.errors import DataError, GeometryError, LandscapeError, LandscapeWarning, Remark, listed

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry

NEAR_CHANCE = 0.9
"""The part of the error of always guessing the commonest class from which on preprocessing may be wrong."""
TRIAL_SAMPLES = 1000
BETTER = 0.8
"""The part of an error that another preprocessing must stay below to be suggested."""


def see_data(
    networks: Sequence[Checkpoint],
    model: nn.Module,
    data: DataSet,
    asked: Preprocessing | None,
    device: torch.device,
) -> list[Checkpoint]:
    """Return networks, each with how it sees the data; say what is assumed, whatever else is quiet.

    A network that does not say is taken to see them as the first that does; if none does, they are standardised, but
    for whole numbers and the user's own tables, whose columns may be categories: those are taken as they are.

    Args:
        networks: as read.
        model: of all of them.
        data: what they are measured on.
        asked: what the user says of all of them, whatever they record.
        device: where to compute.

    Raises:
        DataError: if what is asked for, or what a network says of itself, does not suit the data.

    Warns:
        LandscapeWarning, Remark: if one that does not say hardly does better than guessing.
    """
    recorded = [_recorded(network, data) for network in networks]
    known = next((each for each in zip(networks, recorded, strict=True) if each[1] is not None), None)
    chosen = None if asked is None else data.under(asked).preprocessing
    assumed = _assumed(data) if known is None or known[1] is None else known[1]
    seen = [chosen or own or assumed for own in recorded]
    resolved = [replace(n, preprocessing=each.to_record()) for n, each in zip(networks, seen, strict=True)]
    silent = [network for network, own in zip(resolved, recorded, strict=True) if own is None]
    if silent and chosen is None:
        how = str(assumed) if known is None else f"{assumed}, as for {known[0].path}"
        of_set = " with the statistics of its training set" * (known is None and assumed.is_recorded_with_data)
        say(
            f"assumed: inputs of {data.record['name']} are {how}{of_set}, as "
            f"{listed(network.path for network in silent)} {'does' if len(silent) == 1 else 'do'} not say how they are "
            "prepared: if otherwise, use --preprocess"
        )
    for network in silent:
        _check_chance(network, model, data, device)
    return resolved


def _recorded(network: Checkpoint, data: DataSet) -> Preprocessing | None:
    """Return how a network sees inputs, if its checkpoint says so.

    Raises:
        DataError: naming the network, if that is malformed or does not suit the data.
    """
    from landscape_cli.data.preprocessing import network_preprocessing

    try:
        own = network_preprocessing(network.preprocessing, network.data)
        return None if own is None else data.under(own).preprocessing
    except DataError as error:
        raise DataError(f"{network.path}: {error}") from error


def _assumed(data: DataSet) -> Preprocessing:
    """Return how inputs are taken to be seen by networks of which none says so."""
    from landscape_cli.data.preprocessing import Preprocessing

    x = data.raw_train.x
    is_table = x.ndim == 2 and x.is_floating_point() and data.record["name"] not in list(DataName)
    return Preprocessing.none() if is_table else data.under(Preprocessing.usual(x)).preprocessing


def _check_chance(network: Checkpoint, model: nn.Module, data: DataSet, device: torch.device) -> None:
    """Point at preprocessing if a network hardly does better than guessing, and at what would do better.

    Warns:
        LandscapeWarning: if something would.
        Remark: if nothing that has no numbers of its own would: the network may know nothing.
    """
    import torch

    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.data.source import Split
    from landscape_cli.evaluation.evaluator import Evaluator

    if not data.objective.balances:  # guessing has no error there
        return
    labels = data.raw_train.y
    drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:TRIAL_SAMPLES]
    x, y = data.raw_train.x[drawn], labels[drawn]
    chance = 1 - float(torch.bincount(y).max()) / len(y)

    def error_of(kind: Preprocessing) -> float:
        try:
            split = Split(data.under(kind).preprocessing.apply(x), y)
            return float(Evaluator(model, split, device=device).error([network.params])[0])
        except LandscapeError:  # it does not suit the data, or the model not what becomes of them
            return math.inf

    own = data.seen_by(network).preprocessing
    error = error_of(own)
    if not NEAR_CHANCE * chance <= error <= 1:
        return
    others = [Preprocessing(kind) for kind in Preprocess if kind is not Preprocess.CHANNELS and kind != own.kind]
    lowest, best = min(((error_of(kind), kind.kind) for kind in others), default=(math.inf, ""))
    is_better = lowest <= BETTER * error
    remedy = "was it trained on inputs prepared otherwise? See --preprocess, --mean and --std"
    if is_better:
        remedy = f"with --preprocess {best} it is {lowest:.3g}"
    warnings.warn(
        f"{network.path} has an error of {error:.3g} on {len(y)} training samples that are {own}, near that of "
        f"guessing ({chance:.3g}): {remedy}",
        LandscapeWarning if is_better else Remark,
        stacklevel=3,
    )


def check_alike(networks: Sequence[Checkpoint]) -> None:
    """Check that networks see inputs alike, as far as they say, before what is made of all of them.

    Raises:
        GeometryError: naming two that do not.
    """
    import torch

    from landscape_cli.data.preprocessing import network_preprocessing

    said = [(n, seen) for n in networks if (seen := network_preprocessing(n.preprocessing, n.data)) is not None]
    images = torch.zeros(1, dtype=torch.uint8)
    for network, seen in said[1:]:
        if not said[0][1].same_on(seen, images):
            raise GeometryError(
                f"{said[0][0].path} and {network.path} do not see inputs alike (they are {said[0][1]}; and {seen}), so "
                "networks between them make no sense: choose how all see them with `preprocess=`"
            )


@dataclass(frozen=True)
class CommonInputs:
    """Lets networks meet that see inputs differently: those between them need to see one thing.

    Attributes:
        model: their architecture.
        data: what they are measured on.
        symmetry: of the model; needed to fold.
        fold: whether the difference is folded into the first layer.
        seed: of the inputs that this is proved on.
        device: where.
    """

    model: nn.Module
    data: DataSet
    symmetry: Symmetry | None
    fold: bool
    seed: int
    device: torch.device
    _folded: dict[tuple[int, Preprocessing], Checkpoint] = field(default_factory=dict, repr=False)

    def check(self, groups: Iterable[Sequence[Checkpoint]]) -> None:
        """Check that the networks of each group see inputs alike, or can be made to.

        Raises:
            GeometryError: if they do not, and are not to be folded.
        """
        for group in groups if not self.fold else ():
            for network in group[1:]:
                if not self._alike(group[0], network):
                    seen = [self.data.seen_by(each).preprocessing for each in (group[0], network)]
                    raise GeometryError(
                        f"{group[0].path} and {network.path} do not see inputs alike (they are {seen[0]}; and "
                        f"{seen[1]}), so networks between them make no sense: choose how all see them with "
                        "`preprocess=`, or fold the difference into first layers with `fold_preprocessing=`"
                    )

    def of(self, networks: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Return networks that see inputs as the first does, those that did not with another first layer.

        Raises:
            GeometryError: if there is no such network.
        """
        self.check([networks])
        return [networks[0], *(self._as(networks[0], network) for network in networks[1:])]

    def _as(self, reference: Checkpoint, network: Checkpoint) -> Checkpoint:
        from landscape_cli.normalization.folding import fold_checkpoint

        other = self.data.seen_by(reference).preprocessing
        if self._alike(reference, network):
            return replace(network, preprocessing=other.to_record())
        key = id(network), other
        if key not in self._folded:
            assert self.symmetry is not None
            own = self.data.seen_by(network).preprocessing
            x = self.data.raw_train.x
            folded = fold_checkpoint(
                self.model, network, self.symmetry, own, other, x, seed=self.seed, device=self.device
            )
            self._folded[key] = folded
        return self._folded[key]

    def _alike(self, a: Checkpoint, b: Checkpoint) -> bool:
        own, other = (self.data.seen_by(network).preprocessing for network in (a, b))
        return own.same_on(other, self.data.raw_train.x)
