"""Results read back: files that may hold anything are read whole, strictly, and named in what is said of them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from landscape_cli.errors import ResultError, one_line
from landscape_cli.io.regular import open_regular
from landscape_cli.io.results import FORMATS, meta_of

LARGEST = 1 << 30
"""Bytes of a file: no result is larger."""
COMMENT = "# "


def read_result(path: str | Path) -> dict[str, Any]:
    """Read a result that a command wrote.

    Args:
        path: the file, .json or .csv.

    Returns:
        Of a JSON file what it holds; of a CSV file its rows as `points`, in which what reads as a number is one, and
        what is empty is None, and the provenance if it has it, or the file beside it.

    Raises:
        ResultError: if it cannot be read, or is no result.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ResultError(f"{path} must end in {' or '.join(FORMATS)}: name a result")
    try:
        text = read_whole(path).decode("utf-8-sig")
        body = _rows(text) if path.suffix == ".csv" else strict_json(text)
    except (ValueError, RecursionError, csv.Error) as cause:
        raise ResultError(f"{path} is no result of landscape: {one_line(cause)}") from cause
    if not isinstance(body, dict):
        raise ResultError(f"{path} is no result of landscape: it holds no object")
    beside = meta_of(path)
    if path.suffix == ".csv" and "provenance" not in body and beside.is_file():
        body["provenance"] = read_result(beside).get("provenance")
    return body


def read_whole(path: Path) -> bytes:
    """Return what a file holds that is a result, or a part of one.

    Raises:
        ResultError: if it cannot be read, or is larger than any.
    """
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as cause:
        raise ResultError(f"cannot read {path}: {cause.strerror or cause}") from cause
    if len(content) > LARGEST:
        raise ResultError(f"{path} is larger than any result: name another file")
    return content


def strict_json(text: str | bytes) -> Any:
    """Return what JSON text holds, without numbers that are not finite, and keys that are there twice.

    Raises:
        ValueError: if it is no JSON, or has such.
        RecursionError: if it is nested too deep.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_distinct)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is there twice")
    return values


def _rows(text: str) -> dict[str, Any]:
    """Return the rows of CSV text, and the provenance in the comment above them."""
    body: dict[str, Any] = {}
    if text.startswith(COMMENT):
        first, _, text = text.partition("\n")
        body["provenance"] = strict_json(first.removeprefix(COMMENT))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    body["points"] = [{name: _cell(value) for name, value in _whole(row).items()} for row in reader]
    return body


def _whole(row: dict[str, str]) -> dict[str, str]:
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than there are columns")
    return row


def _cell(text: str) -> float | str | None:
    if not text:
        return None
    try:
        return _finite(text)
    except ValueError:
        return text
