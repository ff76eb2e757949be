"""Buffers that belong to a model and not to a checkpoint: fixed tables, masks, scales (`persistent=False`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from landscape_cli.checkpoint import Params


def unsaved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that the `state_dict` leaves out, by name; one that goes by several names has them all.

    A network's tensors alone do not replace them when the model runs on another device or in another type: what runs
    a model on tensors of its own must give it these too (`cast_floats`).
    """
    saved = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers(remove_duplicate=False) if name not in saved}


def set_buffers(model: nn.Module, buffers: Params) -> None:
    """Make `buffers` the model's own, by name."""
    for name, buffer in buffers.items():
        module, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(module), attribute, buffer)


def cast_floats(tensors: Params, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """Return tensors on `device`, those of floating-point in `dtype`; as they are, not copied, where they are so."""
    return {
        name: tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)
        for name, tensor in tensors.items()
    }


def float_type(params: Params) -> torch.dtype:
    """Return the type that a network computes in: that of its first floating-point tensor; float32 if it has none."""
    return next((tensor.dtype for tensor in params.values() if tensor.is_floating_point()), torch.float32)
