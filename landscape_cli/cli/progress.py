"""How long work shows itself on standard error: a bar on a terminal, lines in a log, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta

from landscape_cli.choices import ProgressStyle
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS

AT_FIRST, EACH = 5.0, 60.0
"""Seconds until work that nobody asked to hear of says how much it is, and between its lines."""


class Chosen:
    """What the user chose, with `--progress`: None for what suits standard error."""

    style: ProgressStyle | None = None


def choose_progress(style: ProgressStyle | None) -> ProgressStyle | None:
    """Take note of what the user chose."""
    Chosen.style = style
    return style


def progress_style(quiet: bool) -> ProgressStyle:
    """Return how work shows itself: `quiet` leaves all out, unless the user chose."""
    launch = RANKS_OF_THIS_PROCESS.launch
    if launch is not None and launch.rank:  # the first shows itself for all
        return ProgressStyle.NONE
    if Chosen.style is not None:
        return ProgressStyle(Chosen.style)
    if quiet:
        return ProgressStyle.NONE
    return ProgressStyle.BAR if sys.stderr is not None and sys.stderr.isatty() else ProgressStyle.LINES


class ProgressLines:
    """Lines about one piece of work: how much there is to do, about once a minute how far it is, and its end.

    Of work that ends within seconds nothing is said, unless the user chose lines.
    """

    def __init__(self, what: str, total: int, unit: str, say: Callable[[str], None], *, done: int = 0) -> None:
        """Begin.

        Args:
            what: what is done.
            total: the amount of it; 0 where it is not known.
            unit: what is counted.
            say: prints a line.
            done: how much of it was done before.
        """
        self._what, self._total, self._unit, self._say = what, total, unit, say
        self._done = self._before = done
        self._begun = time.monotonic()
        self._spoken: float | None = None
        if Chosen.style is not None:
            self._begin()

    def _begin(self) -> None:
        self._spoken = self._begun
        done = f", {self._before:,} done before" if self._before else ""
        self._say(f"{self._what}: {self._total:,} {self._unit} to do{done}")

    def advance(self, amount: int, detail: str = "") -> None:
        """Take note that an amount more is done.

        Args:
            amount: how much.
            detail: what else to say of it.
        """
        self._done += amount
        now = time.monotonic()
        if self._spoken is None and now - self._begun > AT_FIRST:
            self._begin()
        if self._spoken is not None and now - self._spoken > EACH and self._done != self._total:
            self._spoken = now
            self._say(f"{self._what}: {self._amount()}{detail}, {self._rate(now)}{self._left(now)}")

    def end(self) -> None:
        """Say how long it took, if its beginning was said; what ended before all was done says no more."""
        now = time.monotonic()
        if self._spoken is not None and self._done >= self._total:
            self._say(f"{self._what}: {self._done:,} {self._unit} in {_clock(now - self._begun)}, {self._rate(now)}")

    def _amount(self) -> str:
        share = f" ({self._done / self._total:.0%})" if self._total else ""
        return f"{self._done:,} of {self._total:,} {self._unit}{share}"

    def _rate(self, now: float) -> str:
        rate = (self._done - self._before) / max(now - self._begun, 1e-9)
        return f"{rate:,.0f} {self._unit}/s" if rate >= 10 else f"{rate:.2g} {self._unit}/s"

    def _left(self, now: float) -> str:
        done = self._done - self._before
        if not done or self._total < self._done:
            return ""
        return f", {_clock((self._total - self._done) / done * (now - self._begun))} left"


def _clock(seconds: float) -> str:
    """Return a length of time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
