"""Dataclasses as JSON values, and back: what is read is held against their types, strictly."""

from __future__ import annotations

import hashlib
import json
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from landscape_cli.errors import ResultError, shown
from landscape_cli.io.saved import read_whole, strict_json

T = TypeVar("T")
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
"""How numbers are written that JSON has no word for."""
LARGEST = 1 << 63


class RecordError(ResultError):
    """JSON values are not what a record consists of."""


def digest(value: Any) -> str:
    """Return 16 hexadecimal digits that tell JSON values from others."""
    return hashlib.sha256(json.dumps(value, allow_nan=False).encode()).hexdigest()[:16]


def to_record(value: Any) -> Any:
    """Return a dataclass, or what is made of such, lists, mappings, tensors, numbers and text, as JSON values."""
    if is_dataclass(value):
        return {each.name: to_record(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return next(word for word, number in NOT_FINITE.items() if repr(number) == repr(value))
    if isinstance(value, Mapping):
        return {key: to_record(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_record(item) for item in value]
    return to_record(value.tolist()) if isinstance(value, Tensor) else value


def from_record(kind: type[T], value: Any, where: str = "it") -> T:
    """Return what `to_record` made JSON values of.

    Args:
        kind: its type, such as a dataclass, or `Mapping[str, tuple[float, ...]]`.
        value: the JSON values.
        where: what to call them.

    Raises:
        RecordError: if they are of another type, anywhere.
    """
    return cast(T, _read(kind, value, where))


def _read(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _one_of(inner, value, where)
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        _check(value in [each.value for each in kind], where, f"one of {', '.join(str(each.value) for each in kind)}")
        return kind(value)
    if kind is Tensor:
        return _tensor(value, where)
    if origin is tuple and inner[-1] is not Ellipsis:
        _check(isinstance(value, list) and len(value) == len(inner), where, f"a list of {len(inner)}")
        return tuple(
            _read(each, item, f"{where}[{k}]") for k, (each, item) in enumerate(zip(inner, value, strict=True))
        )
    if origin in {tuple, list, Sequence}:
        _check(isinstance(value, list), where, "a list")
        return tuple(_read(inner[0], item, f"{where}[{k}]") for k, item in enumerate(value))
    if origin in {Mapping, dict}:
        _check(isinstance(value, dict), where, "a mapping")
        return {key: _read(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    return _plain(kind, value, where)


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float:
        value = NOT_FINITE.get(value, value) if isinstance(value, str) else value
    word = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}[kind]
    _check(type(value) is kind, where, word)
    _check(kind is not int or abs(value) < LARGEST, where, "a number of a sensible size")
    return value


def _tensor(value: Any, where: str) -> Tensor:
    """Return numbers in lists of equal length, float64."""

    def numbers(item: Any) -> Any:
        return [numbers(each) for each in item] if isinstance(item, list) else _plain(float, item, where)

    try:
        return torch.tensor(numbers(value), dtype=torch.float64)
    except ValueError as cause:
        raise RecordError(f"{shown(where)} is not a table of numbers") from cause


def _one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    problem: RecordError | None = None
    for kind in kinds:
        try:
            return _read(kind, value, where)
        except RecordError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    hints = _hints(kind)
    _check(isinstance(value, dict), where, "a mapping")
    for name in hints.keys() ^ value.keys():
        raise RecordError(f"{where} {'lacks' if name in hints else 'has an unknown'} {shown(name)}")
    return kind(**{name: _read(each, value[name], f"{where}.{name}") for name, each in hints.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _check(holds: bool, where: str, word: str) -> None:
    if not holds:
        raise RecordError(f"{shown(where)} is not {word}")


def parse_json(text: str | bytes) -> Any:
    """Return JSON values; numbers that are not finite, and keys that occur twice, are no JSON here.

    Raises:
        RecordError: if it is no such JSON.
    """
    try:
        return strict_json(text)
    except (ValueError, RecursionError) as cause:
        raise RecordError("it is no JSON, or not all of it") from cause


def read_json(path: Path) -> Any:
    """Return the JSON values in a file.

    Raises:
        ResultError: if it cannot be read, is too large, or holds something else.
    """
    try:
        return parse_json(read_whole(path))
    except RecordError as cause:
        raise ResultError(f"{path} is no result of landscape's: {cause}") from cause
