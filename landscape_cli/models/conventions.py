"""What models of transformers say of their files: names that they may hold in vain, and names that differ there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from torch import nn

LOADING = "transformers.core_model_loading"
"""Where transformers keeps this, from its version 5 on; a model of its own has imported it."""


def ignored_names(model: nn.Module) -> set[str]:
    """Return patterns of names that files of a model may hold in vain."""
    patterns = (getattr(module, "_keys_to_ignore_on_load_unexpected", None) for module in model.modules())
    return {pattern for each in patterns if isinstance(each, list | tuple | set) for pattern in each}


def saved_names(model: nn.Module) -> dict[str, str]:
    """Return what files call a model's tensors, by its names for them, where that differs.

    It is asked of transformers by what it makes of a `state_dict` when it saves one. Tensors that it puts together, or
    takes apart, are left out.
    """
    saved: dict[str, str] = {}
    for prefix, module in model.named_modules():
        revert = _reverter(module)
        if revert is None:
            continue
        state = module.state_dict()
        names: dict[int, str] = {id(tensor): name for name, tensor in state.items()}
        try:
            written: dict[str, Any] = dict(revert(module, dict(state)))
        except Exception:  # code of others: a convention that does not apply here
            continue
        head = f"{prefix}." if prefix else ""
        for there, tensor in written.items():
            ours = names.get(id(tensor), there)
            if ours != there:
                saved.setdefault(head + ours, head + there)
    return saved


def _reverter(module: nn.Module) -> Callable[..., Any] | None:
    """Return what makes a module's `state_dict` that of a file, if it is a model of transformers."""
    bases = (base for base in type(module).__mro__ if base.__name__ == "PreTrainedModel")
    if not any(base.__module__.startswith("transformers.") for base in bases):
        return None
    revert = getattr(sys.modules.get(LOADING), "revert_weight_conversion", None)
    return revert if callable(revert) else None
