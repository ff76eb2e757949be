"""The one import of torchvision."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

COMPILER = ("torch._dynamo", "torch._dynamo.utils")

_declared: list[Any] = []


def import_torchvision(module: str) -> Any:
    """Import `torchvision.<module>`, also where torchvision's compiled extension does not fit this torch.

    PyTorch's compiler, which takes as long to import as PyTorch, is left out.
    """
    prepare_torchvision()
    with _compiler_later():
        return import_module(f"torchvision.{module}")


@contextmanager
def _compiler_later() -> Iterator[None]:
    """Let modules that are imported meanwhile name the compiler's, which is imported once they ask for more of it.

    torchvision names one function, to ask it on some devices whether an operator can be compiled.
    """
    if any(name in sys.modules for name in COMPILER):
        yield
        return
    package, utils = map(_later, COMPILER)
    package.__path__ = [str(Path(folder, "_dynamo")) for folder in torch.__path__]
    utils.__dict__["is_compile_supported"] = lambda device: _now(COMPILER[1]).is_compile_supported(device)
    sys.modules |= dict(zip(COMPILER, (package, utils), strict=True))
    try:
        yield
    finally:
        _forget()


def _later(name: str) -> ModuleType:
    """Return what stands in for a module until something is asked of it."""
    module = ModuleType(name)

    def ask(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(_now(name), attribute)

    module.__getattr__ = ask  # type: ignore[method-assign] # of this module alone
    return module


def _now(name: str) -> ModuleType:
    _forget()
    return import_module(name)


def _forget() -> None:
    """Take away what stands in for modules."""
    for name in COMPILER:
        if getattr(sys.modules.get(name), "__spec__", None) is None:
            sys.modules.pop(name, None)


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
