"""What fails at some networks, or some operators, while a model is checked."""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.errors import ModelError
from landscape_cli.forward.functional import ForwardError


def gradient_of(outputs: Tensor, leaf: Tensor, cotangent: Tensor) -> Tensor:
    """Return the gradient of one combination of outputs.

    Raises:
        ModelError: if an operator has none.
    """
    try:
        return torch.autograd.grad(outputs, leaf, cotangent, retain_graph=True)[0]
    except RuntimeError as cause:  # also `NotImplementedError`
        if "derivative" not in str(cause):
            raise
        reason = str(cause).rstrip(".")
        raise ModelError(
            f"an operator of the model has no derivative ({reason}): it cannot be checked for completeness"
        ) from cause


def is_singular(error: BaseException) -> bool:
    """Tell whether an error is that of a matrix without an inverse, as of a network whose numbers are 0, or alike."""
    reason = error.reason if isinstance(error, ForwardError) else error
    singular = isinstance(reason, torch.linalg.LinAlgError)  # type: ignore[attr-defined] # public, but not typed so
    return singular or "division by zero" in str(reason)  # `lu_factor` says so by another kind of error
