"""The one import of torchvision."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

_declared: list[Any] = []


def import_torchvision(module: str) -> Any:
    """Import `torchvision.<module>`, also where torchvision's compiled extension does not fit this torch."""
    prepare_torchvision()
    return import_module(f"torchvision.{module}")


def prepare_torchvision() -> None:
    """See to it that torchvision, if it is there, can be imported, by whomever.

    The wheels of torchvision on the registry are built for CUDA; beside a CPU build of torch their extension
    does not load, and the import dies for want of two operators that its data sets and models never call.
    Their schemas are declared here, when and only when the extension cannot load.
    """
    if not _declared and find_spec("torchvision") and not _extension_loads():
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)  # a library's operators live as long as it does


def _extension_loads() -> bool:
    if hasattr(torch.ops.torchvision, "nms"):
        return True
    spec = find_spec("torchvision")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        for library in sorted(Path(folder).glob("_C*.so")):
            try:
                torch.ops.load_library(str(library))
            except OSError:
                return False
            return True
    return False
