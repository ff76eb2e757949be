"""scipy's solver of the assignment problem, without the rest of `scipy.optimize`, which takes long to import."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import scipy

NAME = "scipy.optimize._lsap"
"""The module, compiled, that holds the solver and needs nothing else."""


def _solver() -> Callable[..., Any]:
    """Return the solver alone; where it is not found so, as in other versions of scipy, with all that is around it."""
    stem = Path(scipy.__file__).with_name("optimize") / NAME.rpartition(".")[2]
    for path in (stem.with_name(stem.name + suffix) for suffix in EXTENSION_SUFFIXES):
        spec = spec_from_file_location(NAME, path) if path.exists() and "scipy.optimize" not in sys.modules else None
        if spec is not None and spec.loader is not None:
            with suppress(ImportError, AttributeError):
                module = module_from_spec(spec)
                spec.loader.exec_module(module)
                return module.linear_sum_assignment  # type: ignore[no-any-return] # untyped
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment  # type: ignore[no-any-return] # untyped


linear_sum_assignment = _solver()
