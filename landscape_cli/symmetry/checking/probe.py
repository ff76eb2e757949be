"""A model as a function of one vector: all entries that a symmetry may move, in a row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_cli.errors import ModelError
from landscape_cli.forward.float64 import in_float64
from landscape_cli.forward.functional import ForwardError, call_with, cast_floats, run_with, unsaved_buffers
from landscape_cli.forward.outputs import all_outputs
from landscape_cli.network import Params
from landscape_cli.symmetry.checking.failures import gradient_of, is_singular
from landscape_cli.symmetry.checking.smooth import Smooth
from landscape_cli.symmetry.spec import Symmetry

Vector = NDArray[np.float64]

ENTRIES = 20_000
"""The most numbers that a network may have to be checked."""
INPUTS = 9
"""How many inputs are run at once."""
NUDGE = 1e-13
"""By how much numbers are moved, relative to them, to see whether outputs are made of rounding."""
NUDGES = 6
"""How many times, each in another way: by chance one alone changes nothing."""
STEADY = 1e-8
"""What outputs may change by that, relative to the largest."""
DRAWS = 20
"""How many networks are drawn, at most, until one has finite outputs."""
MANY = 64
"""Up to how many networks are run at once."""
UNSEEN = 4
"""How many networks are moved to see what gradients do not show."""
ACTIVE = 1e-7
"""What an entry must change of the outputs, relative to the entry that changes most, to be seen."""


class Probe:
    """A model's outputs, and their gradients, as a function of all the numbers that a symmetry may move.

    Batch-norms use the statistics of the batch, without ε: they are what those of a network follow in the end.

    Attributes:
        names: of the tensors whose numbers these are, each under its first name.
        shapes: theirs.
        starts: where in the vector the numbers of each begin, and the end.
        inputs: a batch of random inputs.
        outputs_count: how many numbers the model returns for it.
    """

    def __init__(self, model: nn.Module, params: Params, symmetry: Symmetry, *, seed: torch.Generator) -> None:
        """Look up what is to be moved, and run the model once.

        Raises:
            ModelError: if the network is too large to be checked, or has no finite outputs.
        """
        self._model, self._seed, self._at_once = model, seed, True
        self._random = np.random.default_rng(int(torch.randint(2**62, (), generator=seed)))
        state = model.state_dict(keep_vars=True)
        learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        self._learned = learned
        moved = learned | _named(symmetry)
        first: dict[int, str] = {}
        self._first = {name: first.setdefault(id(tensor), name) for name, tensor in state.items()}
        self._rest = cast_floats(unsaved_buffers(model) | dict(params), torch.float64, torch.device("cpu"))
        self._statistics: set[int] = set()
        shape = symmetry.input_shape or ()
        self.inputs = (
            torch.randn(INPUTS, *shape, generator=seed, dtype=torch.float64)
            if symmetry.inputs is None
            else symmetry.inputs.draw(INPUTS, *shape, seed=seed)
        )
        self._plain = False
        with self._running():
            outputs = self._flat_of(run_with(model, self._rest, self.inputs))
        self.outputs_count = len(outputs)
        self._plain = self._is_plain(outputs)
        self.names = tuple(
            name
            for name, tensor in self._rest.items()
            if name in moved
            and self._first.get(name) == name
            and tensor.is_floating_point()
            and id(tensor) not in self._statistics
        )
        self.shapes = {name: tuple(self._rest[name].shape) for name in self.names}
        self.starts = np.cumsum([0, *(self._rest[name].numel() for name in self.names)])
        if self.size > ENTRIES:
            raise ModelError(
                f"the network has {self.size:,} numbers, and only one of up to {ENTRIES:,} can be checked for "
                "completeness: build the same model with smaller sizes"
            )
        self._middle, self._spread, self._positive = self._scales()
        self._at_once = self._at_once and not self._has_steps()

    @property
    def size(self) -> int:
        """The number of entries."""
        return int(self.starts[-1])

    def first_name(self, name: str) -> str:
        """Return the first name of a tensor, which may have several."""
        return self._first.get(name, name)

    def tensors(self, vector: Vector | Tensor) -> dict[str, Tensor]:
        """Return the entries as tensors, by every name."""
        flat = torch.as_tensor(vector)
        parts = {
            # a copy: some operators, as `view_as_complex`, take no tensor that begins, or whose rows do, at odd places
            name: flat[start:end].reshape(self.shapes[name]).clone()
            for name, start, end in zip(self.names, self.starts, self.starts[1:], strict=False)
        }
        return parts | {name: parts[first] for name, first in self._first.items() if first in parts}

    def vector(self, tensors: Mapping[str, Tensor]) -> Vector:
        """Return the entries of tensors in a row."""
        flat: Vector = torch.cat([tensors[name].reshape(-1).double() for name in self.names]).numpy()
        return flat

    def draw(self, size: float = 1.0) -> Vector:
        """Return a random network with finite outputs, its numbers `size` times as large as those of the given one.

        If there is one, it is not a network whose outputs are made of rounding, as where a unit that is off is divided
        by its own deviation.

        Raises:
            ModelError: if there is none.
        """
        nudges = 1 + NUDGE * np.cos(np.outer(np.arange(NUDGES), np.arange(1, self.size + 1)))
        found = None
        for _ in range(DRAWS):
            vector = self.scaled(size * self._random.standard_normal(self.size))
            outputs, *nudged = self.outputs(np.vstack([vector, vector * nudges]))
            if np.isfinite(outputs).all():
                found = vector
                if np.abs(np.array(nudged) - outputs).max(initial=0) <= STEADY * np.abs(outputs).max(initial=0):
                    return vector
        if found is not None:
            return found
        raise ModelError("the model's outputs are NaN or Inf whatever its numbers: there is nothing to be checked")

    def scaled(self, normal: Vector) -> Vector:
        """Return standard normal numbers, one for each entry, in the sizes that the entries have in the network."""
        return np.where(self._positive, self._middle * np.exp(0.4 * normal), self._middle + self._spread * normal)

    def outputs(self, vectors: Vector) -> Vector:
        """Return all outputs on all inputs in a row; of several networks, shape (n, entries), a row each."""
        many = torch.as_tensor(np.atleast_2d(vectors))
        with torch.no_grad(), self._running():
            rows: Vector = torch.cat([self._many(chunk) for chunk in many.split(MANY)]).numpy()
        return rows if vectors.ndim > 1 else rows[0]

    def gradients(self, vector: Vector, cotangents: Tensor) -> tuple[Vector, Vector]:
        """Return all outputs, and the gradient of each of their combinations, shape (combinations, entries)."""
        leaf = torch.as_tensor(vector).clone().requires_grad_()
        with torch.enable_grad(), self._running():
            flat = self._flat_or_nan(leaf)
        if not flat.requires_grad:
            return flat.numpy(), np.zeros((len(cotangents), self.size))
        try:
            (rows,) = torch.autograd.grad(flat, leaf, cotangents, retain_graph=True, is_grads_batched=True)
        except RuntimeError:  # operators that do not run for many at once
            rows = torch.stack([gradient_of(flat, leaf, cotangent) for cotangent in cotangents])
        return flat.detach().numpy(), rows.numpy()

    def gradients_of(self, vectors: Vector, cotangents: Tensor, *, soft: bool = False) -> tuple[Vector, Vector]:
        """Return the same of several networks: outputs (n, outputs), gradients (n, combinations, entries).

        Softly, so that also those of which much is 0 have gradients (`Smooth`).
        """
        parts = [self._gradients_of(chunk, cotangents, soft=soft) for chunk in torch.as_tensor(vectors).split(MANY)]
        outputs, rows = (torch.cat(tensors).numpy() for tensors in zip(*parts, strict=True))
        return outputs, rows

    def _gradients_of(self, vectors: Tensor, cotangents: Tensor, *, soft: bool) -> tuple[Tensor, Tensor]:
        leaf = vectors.clone().requires_grad_()
        with torch.enable_grad(), self._running(soft=soft):
            flat = self._many(leaf)
        if not flat.requires_grad:
            return flat, flat.new_zeros(len(flat), len(cotangents), self.size)
        rows = [gradient_of(flat, leaf, row.expand_as(flat)) for row in cotangents]
        return flat.detach(), torch.stack(rows, 1)

    def active(self, vector: Vector) -> NDArray[np.bool_]:
        """Tell which entries a network's outputs depend on enough to be seen: not those of units that are off."""
        cotangents = torch.from_numpy(self._random.standard_normal((2, self.outputs_count)))
        changes = np.abs(self.gradients(vector, cotangents)[1] * vector).max(axis=0)
        seen: NDArray[np.bool_] = np.isfinite(changes) & (changes > ACTIVE * np.nanmax(changes, initial=0))
        return seen

    def unlearned_but(self, names: set[str]) -> NDArray[np.bool_]:
        """Tell which entries are of buffers of other names, whose numbers no rescaling and no flip is to change."""
        held = np.zeros(self.size, dtype=bool)
        for name, start, end in zip(self.names, self.starts, self.starts[1:], strict=False):
            held[start:end] = name not in self._learned and name not in names
        return held

    def unseen(self, idle: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which entries without gradients do change outputs, those of each tensor alike."""
        unseen = np.zeros(self.size, dtype=bool)
        parts = [
            np.flatnonzero(idle[start:end]) + start for start, end in pairwise(self.starts) if idle[start:end].any()
        ]
        for _ in range(UNSEEN):
            vector, other = self.draw(), self.draw()
            moved = np.tile(vector, (len(parts) + 1, 1))
            for row, entries in zip(moved[1:], parts, strict=True):
                row[entries] = other[entries]
            before, *after = self.outputs(moved)
            for row, entries in zip(after, parts, strict=True):
                unseen[entries] |= not np.abs(row - before).max() <= 1e-9 * np.abs(before).max()
        return unseen

    def check_gradients(self) -> None:
        """Check that gradients say how outputs change: those that a model makes up, as for a sign, do not.

        Raises:
            ModelError: if they do not, at any of several networks.
        """
        for _ in range(UNSEEN):
            vector, step = self.draw(), 1e-6 * self.scaled(self._random.standard_normal(self.size))
            cotangents = torch.from_numpy(self._random.standard_normal((1, self.outputs_count)))
            after, before = self.outputs(np.stack([vector + step, vector - step])) @ cotangents[0].numpy()
            (row,) = self.gradients(vector, cotangents)[1] * step
            if abs((after - before) / 2 - row.sum()) <= 1e-3 * np.linalg.norm(row):
                return
        raise ModelError(
            "the model's gradients are not those of its outputs, as where an operator has none, or a function of its "
            "own (`autograd.Function`) passes them through a rounding: it cannot be checked for completeness by them"
        )

    def _many(self, vectors: Tensor) -> Tensor:
        """Return the outputs of several networks, a row each: at once, unless an operator of the model's cannot."""
        if self._at_once and len(vectors) > 1:
            try:
                return torch.vmap(self._flat)(vectors)
            except Exception as error:  # code of others, and operators that take one network alone
                self._at_once = is_singular(error)
        return torch.stack([self._flat_or_nan(vector) for vector in vectors])

    def _flat_or_nan(self, vector: Tensor) -> Tensor:
        """Return a network's outputs, all NaN, and so their gradients, where it solves equations that are singular."""
        try:
            return self._flat(vector)
        except (RuntimeError, ForwardError) as error:
            if not is_singular(error):
                raise
            return torch.nan * vector.sum().expand(self.outputs_count)

    def _flat(self, vector: Tensor) -> Tensor:
        call = call_with if self._plain else run_with
        return self._flat_of(call(self._model, self._rest | self.tensors(vector), self.inputs))

    def _has_steps(self) -> bool:
        """Tell whether operators have no derivative: they are taken for steps, which needs networks one by one."""
        with torch.enable_grad(), self._running() as smooth:
            self._flat_or_nan(torch.from_numpy(self.draw()).requires_grad_())
        return smooth.has_steps

    @staticmethod
    def _flat_of(returned: Any) -> Tensor:
        outputs = [torch.view_as_real(y) if y.is_complex() else y for y in all_outputs(returned)]
        return torch.cat([y.reshape(-1).double() for y in outputs])

    def _is_plain(self, expected: Tensor) -> bool:
        """Tell whether the model computes in float64 of itself: to see to it at every operator takes its time."""
        self._plain = True
        try:
            with torch.no_grad(), self._running():
                outputs = self._flat_of(call_with(self._model, self._rest, self.inputs))
        except Exception:  # code of others
            return False
        largest = float(expected[expected.isfinite()].abs().max()) if expected.isfinite().any() else 0.0
        return outputs.shape == expected.shape and torch.allclose(
            outputs, expected, rtol=1e-13, atol=1e-13 * largest, equal_nan=True
        )

    @contextmanager
    def _running(self, *, soft: bool = False) -> Iterator[Smooth]:
        was_training = {module: module.training for module in self._model.modules()}
        fast = torch.backends.mha.get_fastpath_enabled()
        usual = torch.get_default_dtype()
        nested = self._plain or self.inputs.is_floating_point()  # `run_with` sees to it
        try:
            self._model.eval()
            torch.backends.mha.set_fastpath_enabled(False)
            with (
                warnings.catch_warnings(),
                sdpa_kernel(SDPBackend.MATH),
                Smooth(self._statistics, soft=soft) as smooth,
                nullcontext() if nested else in_float64(),
            ):
                torch.set_default_dtype(torch.float64)
                warnings.filterwarnings("ignore", message="There is a performance drop", category=UserWarning)
                yield smooth
        finally:
            torch.set_default_dtype(usual)
            torch.backends.mha.set_fastpath_enabled(fast)
            for module, training in was_training.items():
                module.training = training

    def _scales(self) -> tuple[Vector, Vector, NDArray[np.bool_]]:
        """Return for each entry the middle and the spread of its tensor's numbers, and whether all are positive."""
        middle, spread, positive = np.zeros(self.size), np.zeros(self.size), np.zeros(self.size, dtype=bool)
        for name, start, end in zip(self.names, self.starts, self.starts[1:], strict=False):
            numbers = self._rest[name].detach()
            if end > start:
                mean, deviation = float(numbers.mean()), float(numbers.std(correction=0))
                positive[start:end] = bool((numbers > 0).all())
                middle[start:end] = mean
                spread[start:end] = min(max(deviation, 0.1), 1.0)
        return middle, spread, positive


def _named(symmetry: Symmetry) -> set[str]:
    """Return the tensors that groups speak of."""
    permuted = {axis.tensor for group in symmetry.permutations for axis in group.axes}
    flipped = {axis.tensor for group in symmetry.signs for axis in group.axes}
    named = {name for joined in permuted | flipped for name in symmetry.tensors_of(joined)}
    return named | {scaled.axis.tensor for group in symmetry.scales for scaled in group.axes}
