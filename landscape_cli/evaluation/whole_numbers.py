"""Binary networks on an evaluator's data in whole numbers: the same bits, where a trial finds that faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from landscape_cli.binary.int8 import Packed, integer_model, is_faster
from landscape_cli.data.source import Split
from landscape_cli.forward.functional import float_type
from landscape_cli.network import Params

TRIAL_SAMPLES = 256


class WholeNumbers:
    """What of a model's logits is computed in whole numbers, on some splits; nothing, if it is no such model."""

    def __init__(
        self,
        model: nn.Module,
        splits: Mapping[str, Split],
        batch_size: int,
        *,
        wanted: bool | None,
    ) -> None:
        """Prepare, without trying yet.

        Args:
            model: the architecture.
            splits: the data, on the device.
            batch_size: samples a batch.
            wanted: whether to use whole numbers where they can be; by default where they are faster.
        """
        self._splits, self._batch_size, self._tried = splits, batch_size, wanted is not None
        device = next(iter(splits.values())).x.device
        self._model = None if wanted is False else integer_model(model, device)
        self._levels: dict[tuple[str, torch.dtype], Tensor | None] = {}
        self._prepared: tuple[tuple[str, int, int, torch.dtype], Tensor] | None = None

    def pack(self, networks: Sequence[Params], run: Callable[[Params, Tensor], Tensor]) -> list[Packed] | None:
        """Return networks of whole numbers, if they are to be evaluated so; the first ever decides whether.

        Args:
            networks: on the device.
            run: what computes the logits of a network on inputs otherwise.
        """
        if self._model is not None and not self._tried and not self._are_faster(networks[0], run):
            self._model = None
        self._tried = True
        return None if self._model is None else [self._model.pack(network) for network in networks]

    def logits(self, network: Packed, split: str, start: int, samples: int) -> Tensor | None:
        """Return a network's logits on samples from one on; None if their inputs are no whole numbers.

        What is prepared of a batch serves all networks that come one after another.
        """
        levels = self._levels_of(split, network.dtype)
        if self._model is None or levels is None:
            return None
        batch = levels[start : start + samples]
        key = (split, start, samples, network.dtype)
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = key, self._model.prepare(batch)
        return self._model.logits(network, self._prepared[1], len(batch))

    def _are_faster(self, network: Params, run: Callable[[Params, Tensor], Tensor]) -> bool:
        assert self._model is not None
        model, x = self._model, next(iter(self._splits.values())).x[: min(TRIAL_SAMPLES, self._batch_size)]
        levels, packed = model.levels(x.to(float_type(network))), model.pack(network)
        if levels is None:
            return False
        return is_faster(lambda: model.logits(packed, model.prepare(levels), len(x)), lambda: run(network, x), x.device)

    def _levels_of(self, split: str, dtype: torch.dtype) -> Tensor | None:
        """Return the inputs of a split as whole numbers, made once for all networks of a type."""
        if self._model is not None and (split, dtype) not in self._levels:
            inputs = self._splits[split].x.split(self._batch_size)
            parts = [self._model.levels(x.to(dtype)) for x in inputs]
            levels = [part for part in parts if part is not None]
            self._levels[split, dtype] = torch.cat(levels) if len(levels) == len(parts) else None
        return self._levels.get((split, dtype))
