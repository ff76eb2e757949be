"""Rules for operators: how the places of what they take in relate to the places of what they return.

Every module of this package is imported, and registers what it knows of operators with `@rule` or `register`
(`tracing.operators`): a new module needs to be named nowhere.
"""

from importlib import import_module
from pkgutil import iter_modules

from landscape_cli.symmetry.tracing.operators import operator_of

__all__ = ["operator_of"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
