"""The one place where code outside the package is imported and run: functions that the user names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from typing import Any

from landscape_cli.errors import LandscapeError, one_line, shown
from landscape_cli.torchvision_compat import prepare_torchvision
from landscape_cli.user_code.imports import import_from


def import_callable(
    name: str, *, what: str, noun: str, returns: str, error: type[LandscapeError]
) -> Callable[..., object]:
    """Import `package.module:function`, from the current folder too, and return the function.

    It must be called for names that the user gives only: never for what a file says.

    Args:
        name: `package.module:function`; arguments are given where it is called, not here.
        what: the parameter that names it.
        noun: what it is, as in "factory".
        returns: what it returns, as in "a model".
        error: what to raise.

    Raises:
        LandscapeError: an `error`, if the name is malformed, the module or the function is not there, or importing
            raises.
    """
    module_name, _, attribute = name.partition(":")
    parts = [*module_name.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts) or module_name.endswith(".py"):
        raise error(f"{shown(name)!r} names no {noun}: write package.module:{noun}, without slashes or '.py'")
    with running(f"importing {module_name}", error):
        prepare_torchvision()
        try:
            named: Any = import_from(os.getcwd(), module_name)
        except ModuleNotFoundError as cause:
            if cause.name is None or not f"{module_name}.".startswith(f"{cause.name}."):
                raise  # the module is there, and lacks something itself
            raise error(
                f"there is no module {cause.name!r} for `{what}=` {name}: run in the folder that holds it, or install "
                "it"
            ) from cause
        for part in attribute.split("."):
            if not hasattr(named, part):
                names = [attribute_name for attribute_name, value in vars(named).items() if callable(value)]
                raise error(f"{module_name} has no {attribute!r}{similar(part, names)}")
            named = getattr(named, part)
    if not callable(named):
        raise error(f"{name!r} is a {type(named).__name__}, expected a function or class that returns {returns}")
    function: Callable[..., object] = named
    return function


@contextmanager
def running(what: str | Callable[[], str], error: type[LandscapeError]) -> Iterator[None]:
    """Run code of others: what it prints is no result, what it raises is one line.

    Args:
        what: it does; a function says it once something is raised.
        error: what to raise.

    Raises:
        LandscapeError: an `error`, if the code raises or exits.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except error:
        raise
    except (Exception, SystemExit) as cause:
        reason, what = one_line(cause), what if isinstance(what, str) else what()
        raise error(f"{what} failed: {type(cause).__name__}{f': {reason}' if reason else ''}") from cause


def similar(name: str, names: list[str]) -> str:
    """Return a question whether one of the names that are like this was meant; empty if there are none."""
    close = get_close_matches(name, names, n=5, cutoff=0.7)
    return f": did you mean {', '.join(close)}?" if close else ""
