"""Small pictures of results in characters, beside tables on a terminal; nowhere else."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from landscape_cli.errors import cut_middle, escaped

HEIGHTS, PLAIN_HEIGHTS = "▁▂▃▄▅▆▇█", "_.-:=+*#"
SHADES, PLAIN_SHADES = "·░▒▓█", ".:+*#"
MISSING = "?"
NAME = 24


def is_plain() -> bool:
    """Tell whether standard output takes letters of ASCII alone: by `TERM`, the locale, or its encoding."""
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "")
    if os.environ.get("TERM") == "dumb" or (locale.partition(".")[0] in {"C", "POSIX"} and "UTF" not in locale.upper()):
        return True
    try:
        HEIGHTS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def print_curves(curves: Mapping[str, Sequence[float]], *, alike: bool = True) -> None:
    """Print a line for each of several curves, if standard output is a terminal.

    Args:
        curves: numbers by name, NaN where there is none.
        alike: whether all are on one scale, rather than each from zero to its highest number.
    """
    known = [value for values in curves.values() for value in values if math.isfinite(value)]
    if not known or not sys.stdout.isatty():
        return
    low, high = min(0.0, *known), max(known)
    if len(curves) > 1:
        print("on one scale, from zero:" if alike else "each on its own scale, from zero:")
    plain = is_plain()
    names = {name: cut_middle(escaped(name), NAME, "..." if plain else "…") for name in curves}
    width = max(map(len, names.values()))
    for name, values in curves.items():
        own = [value for value in values if math.isfinite(value)]
        scale = (low, high) if alike or not own else (min(0.0, *own), max(own))
        spread = f"{min(own):.3g} to {max(own):.3g}" if own else "-"
        print(f"{names[name]:<{width}}  {curve(values, *scale, plain=plain)}  {spread}")


def curve(values: Sequence[float], low: float, high: float, *, plain: bool) -> str:
    """Return a curve as a line of characters, as high as the values between a lowest and a highest."""
    letters = PLAIN_HEIGHTS if plain else HEIGHTS
    return "".join(_letter(value, low, high, letters) for value in values)


def print_field(rows: Sequence[Sequence[float]], marks: Mapping[tuple[int, int], str], about: str) -> None:
    """Print a field as shades, the last row on top, if standard output is a terminal.

    Args:
        rows: the values, NaN where there is none.
        marks: letters at some of the places (row, column).
        about: what is shown.
    """
    known = [value for row in rows for value in row if math.isfinite(value)]
    if not known or not sys.stdout.isatty():
        return
    plain = is_plain()
    letters = PLAIN_SHADES if plain else SHADES
    low, high = min(known), max(known)
    print(f"{about}: {letters[0]} {low:.3g} to {letters[-1]} {high:.3g}")
    for y in reversed(range(len(rows))):
        cells = (marks.get((y, x)) or _letter(value, low, high, letters) for x, value in enumerate(rows[y]))
        print("  " + "".join(cell * (1 if cell.isalpha() else 2) + " " * cell.isalpha() for cell in cells))


def _letter(value: float, low: float, high: float, letters: str) -> str:
    if not math.isfinite(value):
        return MISSING
    place = (value - low) / (high - low) if high > low else 0.0
    return letters[min(len(letters) - 1, max(0, int(place * len(letters))))]


def number(value: Any) -> float:
    """Return a number of a result, NaN where there is none."""
    return math.nan if value is None else float(value)
