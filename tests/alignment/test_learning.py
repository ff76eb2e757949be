"""How alignments are learned: what makes no sense is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from landscape_cli import Learning
from landscape_cli.errors import GeometryError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", value) for value in (0, -1, 1.5, "3", True)),
        *(("relaxation", value) for value in ("soft", None, 3)),
        *(("learning_rate", value) for value in (0, -0.1, float("nan"), float("inf"), "0.1", 1e39)),
        *(("temperature", value) for value in (0.0, -1, float("nan"))),
        *(("batch_size", value) for value in (1, 0, 2.5)),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: Any) -> None:
    Learning().check()
    with pytest.raises(GeometryError, match=f"`{name}=`|{name}"):
        replace(Learning(), **{name: value}).check()


def test_rates_by_default() -> None:
    assert Learning().rate == 0.5
    assert Learning(relaxation="straight-through").rate == 0.001
    assert Learning(learning_rate=0.2).rate == 0.2
