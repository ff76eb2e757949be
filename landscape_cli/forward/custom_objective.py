"""An objective of the user's: a function that returns losses, and perhaps one that returns errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from landscape_cli.errors import DataError, LandscapeError, ModelError, one_line, shown
from landscape_cli.forward.objective import Objective, Sums, count_numbers
from landscape_cli.forward.outputs import all_outputs


@dataclass(frozen=True)
class Custom(Objective):
    """A loss of the user's: `function(outputs, targets)` returns one for each sample, shape (n,).

    If the function has an attribute `error`, a function of the same arguments, that returns the error of each sample,
    shape (n,), fractions or 0 and 1.

    Attributes:
        function: the user's.
        name: `package.module:function`.
    """

    decides = False
    counted_in = torch.float64

    function: Callable[[Tensor, Tensor], Tensor] = field(repr=False, compare=False)
    name: str

    @property
    def has_error(self) -> bool:
        """Whether the function has an attribute of that name."""
        return callable(getattr(self.function, "error", None))

    def outputs(self, returned: Any) -> Tensor:
        """Return the first output, whatever its shape."""
        return all_outputs(returned)[0]

    def targets(self, y: Tensor) -> Tensor:
        """Return whole numbers as int64, others as they are."""
        return y if y.is_floating_point() else y.long()

    def check_targets(self, name: str, y: Tensor, samples: int, part: str) -> None:
        """Check that there is something for each sample."""
        if y.ndim < 1 or len(y) != samples or not y.numel():
            raise DataError(f"{name}: {part} has shape {tuple(y.shape)}, expected ({samples}, ...)")

    def check_fit(self, name: str, outputs: Tensor, y: Tensor) -> None:
        """Call the function on some samples, whose outputs are there."""
        self.score(outputs, y[: len(outputs)].to(outputs.device))

    def classes(self, name: str, train: Tensor, test: Tensor) -> int:
        """Return the number of classes, if targets are one whole number a sample, else how many numbers they are."""
        whole = train.ndim == 1 and not train.is_floating_point()
        return int(train.max()) + 1 if whole else count_numbers(name, train, test)

    def fits(self, outputs: int, classes: int) -> bool:
        """Leave it to the function."""
        return True

    def score(self, outputs: Tensor, y: Tensor) -> Sums:
        """Return the sums of losses and errors; what is NaN is undecided."""
        outputs = outputs.double()
        losses = self._each(self.function, outputs, y, "loss").double()
        undecided = outputs.isnan().flatten(1).any(dim=1) if outputs.ndim > 1 else outputs.isnan()
        undecided = undecided | losses.isnan()
        return Sums(self._wrong(outputs, y), torch.count_nonzero(undecided), losses.sum())

    def loss_sum(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the samples' losses."""
        return self._each(self.function, outputs, y, "loss").sum()

    def wrong(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the samples' errors, float64."""
        return self._wrong(outputs, y)

    def _wrong(self, outputs: Tensor, y: Tensor) -> Tensor:
        if not self.has_error:
            return torch.zeros((), dtype=torch.float64, device=outputs.device)
        return self._each(getattr(self.function, "error"), outputs, y, "error").double().sum()  # noqa: B009 - mypy

    def _each(self, function: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, y: Tensor, what: str) -> Tensor:
        try:
            values = function(outputs, y)
        except (LandscapeError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as cause:  # code of others
            raise ModelError(
                f"the {what} {shown(self.name)} fails on outputs of shape {tuple(outputs.shape)} and targets of shape "
                f"{tuple(y.shape)}: {type(cause).__name__}: {one_line(cause)}"
            ) from cause
        if not isinstance(values, Tensor) or values.shape != y.shape[:1]:
            got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
            raise ModelError(f"the {what} {shown(self.name)} returns {got}, expected ({len(y)},): one for each sample")
        return values
