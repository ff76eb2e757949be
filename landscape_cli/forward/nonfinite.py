"""Where a network's outputs stop being numbers: for a message."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.forward.functional import run_with
from landscape_cli.network import Params


def not_finite(model: nn.Module, params: Params, inputs: Tensor) -> str:
    """Return the part of a message that names the first module whose outputs are NaN or Inf, and a tensor at fault.

    Args:
        model: the architecture.
        params: a network whose outputs are not finite.
        inputs: those on which they are not, shape (n, *input_shape).
    """
    at_fault: list[str] = []

    def watch(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if not at_fault and isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
                at_fault.append(name)

        return hook

    watched = [(name, m) for name, m in model.named_modules() if name and not isinstance(m, torch.jit.ScriptModule)]
    handles = [module.register_forward_hook(watch(name)) for name, module in watched]
    try:
        run_with(model, params, inputs)
    except Exception:  # in the type it is run in here, it may fail: then there is nothing to name
        return ""
    finally:
        for handle in handles:
            handle.remove()
    if not at_fault:
        return ""
    variance = params.get(f"{at_fault[0]}.running_var")
    negative = variance is not None and bool((variance < 0).any())
    because = f", whose {f'{at_fault[0]}.running_var'!r} holds negative numbers" if negative else ""
    return f", first in the module {at_fault[0]!r}{because}"
