"""What imports make is never searched for cycles; what comes after is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from landscape_cli.cli.collection import IMPORTED, collect_later, collect_no_more


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.collect()
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_is_there_at_the_first_search_stays_and_later_cycles_go() -> None:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    collect_later()
    assert gc.get_threshold()[0] == IMPORTED
    early = weakref.ref(Cycle())
    gc.collect()
    assert early() is not None
    assert gc.get_threshold() == thresholds
    assert gc.callbacks == callbacks
    late = weakref.ref(Cycle())
    gc.collect()
    assert late() is None
    assert early() is not None


def test_without_it_cycles_go_at_once() -> None:
    early = weakref.ref(Cycle())
    gc.collect()
    assert early() is None


def test_at_the_end_nothing_is_searched() -> None:
    last = weakref.ref(Cycle())
    collect_no_more()
    gc.collect()
    assert last() is not None
