"""Data sets that a function of the user's returns: `package.module:function?argument=value`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from landscape_cli.data.given import sets_in
from landscape_cli.data.samples import Samples
from landscape_cli.data.source import DataSource, Split
from landscape_cli.errors import DataError, quoted, shown
from landscape_cli.rng import seeded_globally
from landscape_cli.user_code.callables import import_callable, running
from landscape_cli.user_code.request import format_request, parse_named

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

HOW = "package.module:function?argument=1"

_allowed: dict[str, Callable[..., object]] = {}


def allow_function(name: str) -> None:
    """Import the function of a data set, from the current folder too, and allow it to be called.

    It must be called for names that the user gives only: never for what a file says.

    Args:
        name: `package.module:function?argument=value`.

    Raises:
        DataError: if the name is malformed, the module or the function is not there, or importing raises.
    """
    function, _ = parse_named(name, "data", HOW, DataError)
    _allowed[function] = import_callable(
        function, what="data", noun="function", returns="a training and a test set", error=DataError
    )


def is_function(name: str) -> bool:
    """Tell whether data with this name are returned by a function."""
    head = name.partition("?")[0]
    return ":" in head and "/" not in head


def same_function(name: str, other: str) -> bool:
    """Tell whether two names are of one function with the same arguments."""
    both = [parse_named(each, "data", HOW, DataError) for each in (name, other) if is_function(each)]
    return len(both) == 2 and both[0] == both[1]


class UserFunction(DataSource):
    """Whatever a function of the user's returns."""

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split | Samples, Split | Samples]:
        """Call the function, with global randomness seeded by `spec.seed`; return both sets, read or not.

        Raises:
            DataError: if the user has not named it, it raises, or returns something else than two sets.
        """
        name, arguments = parse_named(spec.name, "data", HOW, DataError)
        request = format_request(name, arguments)
        if name not in _allowed:
            raise DataError(
                f"{shown(request)} is code, which is run only if you name it: add `data=` {quoted(request)}"
            )
        what = shown(request)
        with seeded_globally(spec.seed), running(what, DataError):
            returned = _allowed[name](**arguments)
        return sets_in(returned, f"{what} returned", what, "return")
