"""Errors of the library that are about an option: shown with where its help is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from landscape_cli.cli.console import in_options
from landscape_cli.errors import LandscapeError


@contextmanager
def errors_of_usage() -> Iterator[None]:
    """Make errors of usage of the library's errors within.

    Raises:
        BadParameter: with the library's message, in the words of the command line.
    """
    try:
        yield
    except LandscapeError as error:
        raise typer.BadParameter(in_options(str(error))) from error
