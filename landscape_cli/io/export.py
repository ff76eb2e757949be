"""Networks as plain `state_dict`s, for the code that they came from: nothing of landscape's is in the file."""

from __future__ import annotations

import io
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.errors import CheckpointError
from landscape_cli.io.origin import Origin
from landscape_cli.io.safetensors import pack

if TYPE_CHECKING:
    from landscape_cli.io.checkpoint import Checkpoint

PICKLES = (".pt", ".pth", ".bin")
"""Suffixes of files that `torch.save` writes."""
PLAIN = (*PICKLES, ".safetensors")


@dataclass(frozen=True)
class Layout:
    """How a model's `state_dict` is laid out.

    Attributes:
        names: of its tensors, in its order.
        versions: what it says of its modules' layouts, by their names.
    """

    names: tuple[str, ...] = ()
    versions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def check_export_name(path: Path) -> None:
    """Check that a file to be exported is named as one.

    Raises:
        CheckpointError: if the suffix is none of `PLAIN`.
    """
    if path.suffix not in PLAIN:
        raise CheckpointError(f"{path} must end in {', '.join(PLAIN)}: what is exported is a plain state_dict")


def state_dict_of(checkpoint: Checkpoint) -> OrderedDict[str, Tensor]:
    """Return a network as its owner's `load_state_dict` takes it, strictly: under the names that it came with.

    Returns:
        Every tensor of the model's `state_dict`, tied ones under each of their names and counters of batches among
        them, also those that the file had left out, on the CPU, in the checkpoint's dtypes, each with memory of its
        own; in the model's order and with the versions of the modules' layouts, where they are known.

    Raises:
        CheckpointError: if it came with one name for two tensors.
    """
    origin, params, layout = checkpoint.origin or Origin(), checkpoint.params, checkpoint.layout
    names = origin.saved_names(dict.fromkeys([*(n for n in layout.names if n in params), *sorted(params)]))
    state = OrderedDict((sys.intern(theirs), _own(params[ours])) for ours, theirs in names.items())
    if len(state) < len(params):
        raise CheckpointError("the metadata key 'origin' gives two tensors one name: read the foreign file again")
    if layout.versions:
        modules = origin.saved_names(f"{module}." if module else "" for module in layout.versions)
        versions = zip(modules.values(), layout.versions.values(), strict=True)
        metadata = OrderedDict((sys.intern(module.removesuffix(".")), dict(version)) for module, version in versions)
        setattr(state, "_metadata", metadata)  # noqa: B010 - what torch.save keeps of a state_dict
    return state


def export_content(path: Path, checkpoint: Checkpoint) -> Iterable[bytes | memoryview]:
    """Return a plain `state_dict`'s bytes in parts, as the suffix says: each time the same."""
    state = state_dict_of(checkpoint)
    if path.suffix not in PICKLES:
        return pack(state, {"format": "pt"})  # what the loaders of others look for
    stream = io.BytesIO()  # not the file itself, whose name would go into the archive
    torch.save(state, stream)
    return [stream.getbuffer()]


def _own(tensor: Tensor) -> Tensor:
    """Return a tensor that shares no memory: what two share, or what a view is of, would be in the file as such."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
