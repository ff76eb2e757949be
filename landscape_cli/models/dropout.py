"""Dropout in the models that take it: off in evaluation, and so in everything that is measured."""

from __future__ import annotations

from numbers import Real

from landscape_cli.errors import ModelError


def check_dropout(fraction: object) -> None:
    """Check that a fraction can be dropped while a model trains.

    Raises:
        ModelError: if it is no number from 0 to below 1.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 <= float(fraction) < 1:
        raise ModelError(f"`dropout=` must be at least 0 and below 1, and is {fraction!r}")
