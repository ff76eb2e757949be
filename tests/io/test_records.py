"""Records: there and back with every bit, and nothing of another type."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from landscape_cli.choices import Third
from landscape_cli.errors import ResultError
from landscape_cli.io.records import RecordError, from_record, parse_json, read_json, to_record


@dataclass(frozen=True, eq=False)
class Inner:
    numbers: tuple[float, ...]
    table: Tensor


@dataclass(frozen=True, eq=False)
class Outer:
    name: str
    count: int
    pair: tuple[int, float]
    third: Third | None
    inner: Mapping[str, Inner]
    either: int | float
    flag: bool


MADE = Outer(
    "a",
    3,
    (1, 0.1),
    Third.RANDOM,
    {"x": Inner((math.nan, math.inf, -math.inf, 1 / 3), torch.tensor([[0.1, math.nan]], dtype=torch.float64))},
    2,
    True,
)


def test_there_and_back_through_text() -> None:
    record = to_record(MADE)
    again = from_record(Outer, parse_json(json.dumps(record, allow_nan=False)))
    assert to_record(again) == record
    assert (again.name, again.count, again.pair, again.third, again.either) == ("a", 3, (1, 0.1), Third.RANDOM, 2)
    assert torch.equal(again.inner["x"].table.nan_to_num(5), MADE.inner["x"].table.nan_to_num(5))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["name"], 1),
        (["count"], 1.0),
        (["count"], True),
        (["count"], 1 << 70),
        (["pair"], [1]),
        (["pair"], [1, 2]),
        (["third"], "fourth"),
        (["inner"], []),
        (["inner", "x", "numbers"], ["NaN"]),
        (["inner", "x", "numbers"], [None]),
        (["inner", "x", "table"], [[1.0], [1.0, 2.0]]),
        (["inner", "x", "table"], [["a"]]),
        (["inner", "x", "more"], 1),
        (["either"], "1"),
        (["flag"], 1),
    ],
)
def test_what_is_of_another_type_is_refused_and_named(path: list[str], value: Any) -> None:
    record = to_record(MADE)
    part = record
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(RecordError, match=path[-1]) as refused:
        from_record(Outer, record)
    assert "\n" not in str(refused.value)


def test_what_is_lacking_is_refused() -> None:
    record = to_record(MADE)
    del record["flag"]
    with pytest.raises(RecordError, match="lacks flag"):
        from_record(Outer, record)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", '{"a": 1, "a": 2}', "{", "", "[" * 10**5, "1" * 5000])
def test_json_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        parse_json(text)
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ResultError, match=r"r\.json is no result"):
        read_json(tmp_path / "r.json")
