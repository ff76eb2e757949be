"""How many outputs a model has, found by running it."""

from __future__ import annotations

import math

import torch
from torch import nn

from landscape_cli.errors import ModelError, one_line
from landscape_cli.forward.functional import ForwardError, run_with
from landscape_cli.forward.outputs import all_outputs
from landscape_cli.forward.shapes import ShapesTold
from landscape_cli.forward.uncompiled import without_compiler
from landscape_cli.network import WholeInputs

BATCH = 2


def count_outputs(model: nn.Module, input_shape: tuple[int, ...], inputs: WholeInputs | None = None) -> int:
    """Return the number of outputs of a sample, by running the model on two, without numbers where that works.

    Args:
        model: a template (`models.template`) or any model, whose values do not matter; left in evaluation mode.
        input_shape: the shape of one input.
        inputs: which whole numbers it takes; None for real numbers, which are zeros.

    Raises:
        ModelError: if it does not run on such inputs, or does not return one row of outputs for each.
    """
    model.eval()
    try:
        output = _run(model, input_shape, inputs, "meta")
    except Exception:  # operators without a rule for shapes alone, looks at values: the numbers are needed
        try:
            output = _run(model, input_shape, inputs, "cpu")
        except Exception as error:
            if isinstance(error, ModelError) and not isinstance(error, ForwardError):
                raise
            cause = error.reason if isinstance(error, ForwardError) else error
            reason = one_line(cause)
            raise ModelError(
                f"the model does not run on inputs of shape {input_shape} ({type(cause).__name__}: {reason}): "
                "is `input_shape=` right, and does it take real numbers, or `input_dtype=` int64?"
            ) from cause
    output = all_outputs(output)[0]
    if output.ndim < 1 or len(output) != BATCH or not output.numel():
        raise ModelError(
            f"the model returns shape {tuple(output.shape)} for {BATCH} inputs of shape {input_shape}, "
            f"expected ({BATCH}, outputs) or ({BATCH}, ...)"
        )
    if not output.is_floating_point():
        raise ModelError(f"the model returns {output.dtype}, expected real numbers: wrap it to return its logits")
    return math.prod(output.shape[1:])


def _run(model: nn.Module, input_shape: tuple[int, ...], inputs: WholeInputs | None, device: str) -> object:
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    values = {
        name: torch.zeros_like(tensor, device=device) if tensor.is_meta and device != "meta" else tensor.to(device)
        for name, tensor in tensors.items()
    }
    dtype = next((tensor.dtype for tensor in values.values() if tensor.is_floating_point()), torch.float32)
    with torch.no_grad(), without_compiler(), ShapesTold():
        x = torch.zeros(BATCH, *input_shape, dtype=dtype if inputs is None else getattr(torch, inputs.dtype))
        return run_with(model, values, (x if inputs is None else x + inputs.low).to(device))
