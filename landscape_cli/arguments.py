"""What functions check of their arguments before anything is computed: kinds, numbers, devices, tensors by name."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import LandscapeError, ModelError, one_line, shown

if TYPE_CHECKING:
    import torch

LONGEST = 60
WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)


def whole_number(text: str) -> int:
    """Return the whole number that a text is; Python would take `1_000` and digits of other scripts, too.

    Raises:
        ValueError: if it is none.
    """
    if not WHOLE.fullmatch(text.strip(" ")):
        raise ValueError("no whole number")
    return int(text)


def decimal_number(text: str) -> float:
    """Return the number that a text is, likewise.

    Raises:
        ValueError: if it is none.
    """
    if not DECIMAL.fullmatch(text.strip(" ")):
        raise ValueError("no number")
    return float(text)


def described(value: object) -> str:
    """Return a value as a message can show it: its type, and itself where that is short."""
    text = "" if value is None else repr(value)
    word = type(value).__name__
    kind = "None" if value is None else f"{'an' if word[0] in 'aeiouAEIOU' else 'a'} {word}"
    return f"{kind}, {text}" if text and len(text) <= LONGEST and text.isprintable() else kind


def check_kind(
    name: str, value: object, kinds: type | tuple[type, ...], remedy: str, error: type[LandscapeError]
) -> None:
    """Check that an argument is what it should be.

    Args:
        name: the parameter.
        value: what was given.
        kinds: its type, or several.
        remedy: what to give instead, as in "give …".
        error: what to raise.

    Raises:
        LandscapeError: an `error`, saying what there is instead.
    """
    if not isinstance(value, kinds):
        raise error(f"`{name}=` is {described(value)}: {remedy}")


def check_whole(name: str, value: object, error: type[LandscapeError], *, least: int | None = None) -> None:
    """Check that an argument is a whole number, and not too small.

    Raises:
        LandscapeError: an `error`.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or (least is not None and int(value) < least):  # type: ignore[call-overload]
        bound = "" if least is None else f" of at least {least}"
        raise error(f"`{name}=` must be a whole number{bound}, and is {shown(repr(value))}")


def check_memory(what: str, size: int, error: type[LandscapeError]) -> None:
    """Check that something fits into this machine's memory, before it is made bit by bit.

    Args:
        what: it is, and what to do, as in "10 networks: train fewer".
        size: in bytes.
        error: what to raise.

    Raises:
        LandscapeError: an `error`, with the two sizes.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        thing, _, remedy = what.partition(": ")
        raise error(f"{thing} take {size / 1e9:,.0f} GB, and this machine has {memory / 1e9:,.0f} GB: {remedy}")


def available_memory() -> int:
    """Return how many bytes of memory the system says a program may still take; if it does not say, all there are."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_number(name: str, value: object, error: type[LandscapeError]) -> None:
    """Check that an argument is a finite number.

    Raises:
        LandscapeError: an `error`.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise error(f"`{name}=` must be a finite number, and is {shown(repr(value))}")


def check_numbers(name: str, values: object, error: type[LandscapeError]) -> None:
    """Check that an argument is a list of numbers, be they finite or not, or a tuple.

    Raises:
        LandscapeError: an `error`.
    """
    if not isinstance(values, list | tuple):
        raise error(f"`{name}=` takes a list of numbers, and is {described(values)}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise error(f"`{name}=` takes a list of numbers, and one is {described(value)}")


def check_settings(settings: Any, error: type[LandscapeError], *, skip: Iterable[str] = ()) -> None:
    """Check that the fields of a dataclass are of the types that they are declared with, as far as those are plain.

    Raises:
        LandscapeError: an `error`, naming the field.
    """
    words = {"int": (Integral, "a whole number"), "float": (Real, "a number"), "bool": (bool, "True or False")}
    for field in fields(settings):
        value = getattr(settings, field.name)
        kind, _, optional = str(field.type).partition(" | ")
        if kind not in words or field.name in skip or (optional == "None" and value is None):
            continue
        expected, said = words[kind]
        if not isinstance(value, expected) or (kind != "bool" and isinstance(value, bool)):
            raise error(f"`{field.name}=` of {type(settings).__name__} must be {said}, and is {shown(repr(value))}")


def device_of(device: torch.device | str) -> torch.device:
    """Return the device that is asked for, having checked that it is there.

    Raises:
        LandscapeError: if it is not, or holds no numbers.
    """
    import torch

    try:
        wanted = torch.device(device)
        if wanted.type != "meta":
            torch.empty(1, device=wanted)
            return wanted
        reason = "its tensors hold no numbers"
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as cause:
        reason = one_line(cause, 80)
    raise LandscapeError(f"`device=` {device!r} cannot be computed on ({reason}): use 'cpu' or a GPU as 'cuda'")


def check_tensors(params: object) -> None:
    """Check that something is tensors by name, which hold numbers.

    Raises:
        ModelError: saying what there is instead.
    """
    import torch

    if not isinstance(params, Mapping):
        remedy = "give its tensors alone"
        if hasattr(params, "state_dict"):
            remedy += ", as its state_dict() is"
        elif hasattr(params, "params"):
            remedy += ", which are its .params"
        raise ModelError(f"expected tensors by name, not a {type(params).__name__}: {remedy}")
    outline = getattr(params, "outline", params.__getitem__)  # of tensors that are yet to be made
    for name in params:
        tensor = outline(name)
        if not isinstance(name, str):
            raise ModelError(f"expected tensors by name, and one goes by {described(name)}: give a state_dict")
        if not isinstance(tensor, torch.Tensor):
            raise ModelError(f"{shown(name)} is a {type(tensor).__name__}, expected a tensor: see torch.as_tensor")
        if tensor.layout is not torch.strided or tensor.device.type == "meta":
            what = "has no values" if tensor.device.type == "meta" else f"is not stored densely ({tensor.layout})"
            raise ModelError(f"the tensor {shown(name)!r} {what}, so nothing can be computed from it")
