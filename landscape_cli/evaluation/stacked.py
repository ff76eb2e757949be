"""Small networks of one model in one set of kernels: on a GPU, launching each alone takes longer than computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import vmap

from landscape_cli.evaluation.runners import Outputs
from landscape_cli.forward.functional import ForwardError, as_inputs, float_type, run_with
from landscape_cli.forward.objective import Objective
from landscape_cli.network import Params


class Stacked:
    """A chunk of networks as one stack of tensors, run by `torch.func.vmap`; not if the model's code does not allow."""

    def __init__(self, model: nn.Module, objective: Objective, examples: Tensor) -> None:
        """Keep what the outputs are of, and which of them count; the first chunk is tried on a few examples."""
        self._model, self._objective = model, objective
        self._examples: Tensor | None = examples
        self._works = True

    def load(self, chunk: Sequence[Params]) -> Outputs | None:
        """Return what runs all networks at once; None if they are of several types, or one alone."""
        kinds = {tuple(tensor.dtype for tensor in params.values()) for params in chunk}
        if not self._works or len(chunk) == 1 or len(kinds) > 1:
            return None
        stack, dtype = (
            {name: torch.stack([params[name] for params in chunk]) for name in chunk[0]},
            float_type(chunk[0]),
        )

        def run(x: Tensor) -> Tensor:
            results: Tensor = vmap(self._run, in_dims=(0, None))(stack, as_inputs(x, dtype))
            return results

        if self._examples is not None:
            self._works, self._examples = _runs(run, self._examples), None
        return (lambda batch: run(batch.x)) if self._works else None

    def _run(self, params: Params, x: Tensor) -> Tensor:
        return self._objective.outputs(run_with(self._model, params, x))


def _runs(run: Callable[[Tensor], Tensor], examples: Tensor) -> bool:
    """Tell whether a model runs so: not if its code reads numbers from tensors, or draws at random."""
    try:
        run(examples)
    except torch.OutOfMemoryError:
        raise
    except (ForwardError, RuntimeError):
        return False
    return True
