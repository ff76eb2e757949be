"""Networks that meet although they see inputs differently: those between them need to see one thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.errors import GeometryError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry

REMEDY = (
    "choose one way for all with `preprocess=`, or fold the difference into first layers with `fold_preprocessing=`"
)


def differently(path: str, own: Preprocessing, other_path: str, other: Preprocessing) -> str:
    """Return that two networks do not see inputs alike, with how each does: in numbers, where words are the same."""
    words = [str(own), str(other)]
    if words[0] == words[1]:
        words = [f"{each}, {each.numbers}" for each in (own, other)]
    names = [Path(each).name for each in (path, other_path)]
    if names[0] == names[1]:
        names = [path, other_path]
    return f"networks that meet do not see inputs alike ({names[0]}: {words[0]}; {names[1]}: {words[1]})"


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
            raise GeometryError(f"{differently(said[0][0].path, said[0][1], network.path, seen)}: {REMEDY}")


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
                    differ = differently(group[0].path, seen[0], network.path, seen[1])
                    raise GeometryError(f"{differ}: {REMEDY}")

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
