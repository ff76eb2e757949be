"""The data that networks are evaluated on: one split, or several by name, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landscape_cli.data.checks import check_split
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError


def named_splits(data: object) -> dict[str, Split]:
    """Return splits by name, checking that they are some.

    Raises:
        DataError: saying what there is instead.
    """
    splits: dict[str, Any] = dict(data) if isinstance(data, Mapping) else {"data": data}
    if not splits:
        raise DataError("there is no data to evaluate on: name at least one split")
    for name, split in splits.items():
        check_split(f"the split {name!r}", split)
    return {name: Split(split.x, split.y.long()) for name, split in splits.items()}


def check_name(name: str, splits: Mapping[str, Split]) -> str:
    """Return the name of a split, checking that there is one.

    Raises:
        DataError: naming those that there are.
    """
    if name not in splits:
        raise DataError(f"there is no split {name!r}: choose {', '.join(splits)}")
    return name
