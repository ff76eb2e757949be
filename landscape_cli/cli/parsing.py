"""What options are spelled like, and lists of numbers in them."""

from __future__ import annotations

import typer

from landscape_cli.arguments import decimal_number, whole_number

FLAGS = {
    "form": "--format",
    "learning_rate": "--lr",
    "model_name": "--model",
    "subspace": "--subspace-dim",
    "basis": "--subspace-basis",
    "limits": "--range",
    "begin": "--from",
    "stop": "--to",
    "beyond": "--from, --to",
    "deviation": "--std",
}
"""Options that are not spelled as the parameters are."""
MOST_COLUMNS = 10**5


def numbers(text: str, option: str) -> list[float]:
    """Parse numbers separated by commas.

    Raises:
        BadParameter: if one is no number.
    """
    try:
        return [decimal_number(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{option} takes numbers separated by commas, not {text!r}") from None


def whole_numbers(text: str, option: str) -> list[int]:
    """Parse whole numbers separated by commas; an empty text is none of them.

    Raises:
        BadParameter: if one is no whole number.
    """
    try:
        return [whole_number(part) for part in text.split(",")] if text else []
    except ValueError:
        raise typer.BadParameter(f"{option} takes whole numbers separated by commas, not {text!r}") from None


def ranges(text: str, option: str) -> list[int]:
    """Parse numbers from 0 and ranges of them, both ends included, separated by commas, as in 0,2-4.

    Raises:
        BadParameter: if a part is neither.
    """
    listed: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and first.isascii() and (not dash or (last.isdecimal() and last.isascii()))):
            raise typer.BadParameter(f"{option} takes numbers and ranges of them, as in 0,2-4, not {text!r}")
        low, high = (whole_numbers(end, option)[0] for end in (first, last or first))
        if not low <= high < MOST_COLUMNS:
            raise typer.BadParameter(f"{option} takes ranges from a lower number to a higher one, not {part!r}")
        listed += range(low, high + 1)
    return listed


def flag(name: str) -> str:
    """Return an option as people type it."""
    return FLAGS.get(name, f"--{name.replace('_', '-')}")


def given(context: typer.Context, name: str) -> bool:
    """Tell whether the user gave an option, rather than leaving it at its default."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
