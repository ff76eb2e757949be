"""Scores of networks that were measured before: an end of many paths is measured once."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence

from torch import Tensor

from landscape_cli.evaluation.scores import Scores, joined
from landscape_cli.network import Params


class KnownEnds:
    """Scores by network, which is the same if its tensors are the very same, unchanged since; none is kept alive."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[tuple[int, ...], tuple[list[weakref.ref[Tensor]], Mapping[str, Scores]]] = {}

    def unknown(self, networks: Sequence[Params]) -> list[int]:
        """Return the indices of networks that were not measured."""
        return [k for k, network in enumerate(networks) if self._get(network) is None]

    def complete(
        self, networks: Sequence[Params], new: Sequence[int], measured: Mapping[str, Scores]
    ) -> dict[str, Scores]:
        """Return the scores of networks, and after them of what was measured besides.

        Args:
            networks: measured now or before.
            new: which of them are measured now, as `unknown` returned them.
            measured: the scores of these, and then of anything else, by split.
        """
        ends: dict[int, Mapping[str, Scores]] = {}
        for position, k in enumerate(new):
            ends[k] = {split: scores.part(position, position + 1) for split, scores in measured.items()}
            self._known[_key(networks[k])] = [weakref.ref(tensor) for tensor in networks[k].values()], ends[k]
        for k, network in enumerate(networks):
            ends[k] = ends.get(k) or self._get(network) or {}
        return {
            split: joined([*(ends[k][split] for k in range(len(networks))), scores.part(len(new), None)])
            for split, scores in measured.items()
        }

    def _get(self, network: Params) -> Mapping[str, Scores] | None:
        tensors, scores = self._known.get(_key(network), ([], None))
        alive = all(ref() is tensor for ref, tensor in zip(tensors, network.values(), strict=False))
        return scores if alive else None


def _key(network: Params) -> tuple[int, ...]:
    """Return which tensors these are, and how often each was written to."""
    versions = (0 if tensor.is_inference() else tensor._version for tensor in network.values())
    return (*map(id, network.values()), *versions)
