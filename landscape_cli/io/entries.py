"""Which entry of a file holds the network: a `state_dict` in what training scripts save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from landscape_cli.errors import CheckpointError, listed, shown
from landscape_cli.io.pickled import REMEDY
from landscape_cli.network import Params

KEYS = (
    *("state_dict", "model_state_dict", "model", "model_state", "net", "network", "params", "module", "weights"),
    *("student", "online", "state_dict_ema", "model_state_dict_ema", "ema_state_dict", "model_ema", "params_ema"),
    *("ema", "ema_model", "teacher", "target"),
)
"""The usual entries, the likelier first: trained networks before averages of them."""
DEEPEST = 4


@dataclass(frozen=True)
class Entry:
    """A network in what a file holds.

    Attributes:
        tensors: by name.
        key: what leads there, dotted for nesting; empty if it is all that the file holds.
        rivals: other keys that hold a network, and were not chosen.
    """

    tensors: Params
    key: str = ""
    rivals: tuple[str, ...] = ()


def find_network(name: str, content: Any, key: str = "") -> Entry:
    """Find the `state_dict` in what a file holds: under a key, or else under the first of the usual ones.

    Args:
        name: of the file, for messages.
        content: what it holds.
        key: an entry, dotted for nesting, which may itself hold the network in an entry; or what names begin with,
            up to a dot.

    Raises:
        CheckpointError: if there is none, or the key names something else.
    """
    keys: list[str] = []
    rivals: tuple[str, ...] = ()
    rest = key
    for _ in range(DEEPEST + (key.count(".") + 1 if key else 0)):
        where = f" under {shown('.'.join(keys))!r}" if keys else ""
        if not isinstance(content, Mapping):
            raise CheckpointError(f"{name} holds a {type(content).__name__}{where}, expected a state_dict: {REMEDY}")
        if not content:
            raise CheckpointError(f"{name} holds no tensors{where}: {REMEDY}")
        if rest:
            entry, rest, inside = _step(name, content, rest, keys)
            if inside is not None:
                return Entry(inside, ".".join(keys))
            if not entry:  # a name's beginning in what is found without a key, which remarks advise
                [entry] = _usual(f"{name}{where}", content, keys)[:1]
        elif _is_state_dict(content):
            return Entry(dict(content), ".".join(keys), rivals)
        else:
            entry, *others = _usual(f"{name}{where}", content, keys)
            rivals += tuple(".".join([*keys, other]) for other in others)
        content = content[entry]
        keys.append(entry)
    raise CheckpointError(f"{name} nests dictionaries too deep: {REMEDY}")


def tensors_under(name: str, tensors: Params, key: str) -> Params:
    """Return those tensors whose names begin with a key and a dot; all, if it is empty.

    Raises:
        CheckpointError: if there are none.
    """
    inside = {tensor: value for tensor, value in tensors.items() if tensor.startswith(f"{key}.")} if key else tensors
    if not inside:
        deeper = dict.fromkeys(n[: n.index(f".{key}.") + 1 + len(key)] for n in tensors if f".{key}." in n)
        heads = dict.fromkeys(shown(tensor.partition(".")[0]) for tensor in tensors)
        there = f"choose with `key=` {shown(next(iter(deeper)))}" if deeper else f"its names begin with {listed(heads)}"
        raise CheckpointError(f"{name} has nothing under `key=` {shown(key)}: {there}")
    return inside


def _step(name: str, content: Mapping[Any, Any], key: str, keys: Sequence[str]) -> tuple[str, str, Params | None]:
    """Return the entry that a key begins with, what is left of the key, and tensors whose names begin with it."""
    end = len(key)
    while end > 0:
        if key[:end] in content:
            return key[:end], key[end + 1 :], None
        end = key.rfind(".", 0, end)
    if _is_state_dict(content):
        return "", "", tensors_under(name, content, key)
    if any(_holds_network(content.get(entry)) for entry in KEYS):
        network = find_network(name, content).tensors
        if any(tensor.startswith(f"{key}.") for tensor in network):
            return "", key, None
    what = f"{name} has nothing under `key=` {shown('.'.join([*keys, key]))}; it"
    raise CheckpointError(_no_network(what, content, keys, key))


def _usual(what: str, content: Mapping[Any, Any], keys: Sequence[str]) -> list[str]:
    """Return the usual keys that hold a network; if none does, one that might have."""
    usual = [key for key in KEYS if _holds_network(content.get(key))]
    if not usual and not any(map(_holds_network, content.values())):
        usual = [key for key in KEYS if isinstance(content.get(key), Mapping)][:1]
    if not usual:
        raise CheckpointError(_no_network(what, content, keys))
    return usual


def _no_network(what: str, content: Mapping[Any, Any], keys: Sequence[str], asked: str = "") -> str:
    """Return what is to be said where no entry holds a network, or none of that name; `keys` led to the content."""
    holding = [shown(key) for key in sorted(_networks(content, keys), key=lambda key: not key.endswith(f".{asked}"))]
    if holding:
        return f"{what} holds tensors under {listed(holding, 8)}: choose with `key=` {holding[0]}"
    others = [key for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    entries = ", ".join(f"{shown(str(key))} ({type(content[key]).__name__})" for key in others[:3])
    usual = ", ".join(KEYS[:3])
    return (
        f"{what} holds entries that are no tensors ({entries}), and no state_dict under {usual} or the like: {REMEDY}"
    )


def _networks(content: Mapping[Any, Any], keys: Sequence[str]) -> list[str]:
    """Return the keys of all `state_dict`s within, dotted, the least deep first; no dictionary is looked into twice."""
    found: list[str] = []
    seen: set[int] = set()
    level = [(".".join(keys), content)]
    for _ in range(DEEPEST):
        below = []
        for where, outer in level:
            for key, value in outer.items():
                if isinstance(key, str) and isinstance(value, Mapping) and id(value) not in seen:
                    path = f"{where}.{key}" if where else key
                    if _is_state_dict(value):
                        found.append(path)
                    else:
                        seen.add(id(value))
                        below.append((path, value))
        level = below
    return found


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items())
    )


def _holds_network(value: Any, depth: int = DEEPEST - 1) -> bool:
    """Tell whether something is a `state_dict`, or holds one under one of the usual keys."""
    if not isinstance(value, Mapping) or _is_state_dict(value):
        return isinstance(value, Mapping)
    return depth > 0 and any(_holds_network(value.get(key), depth - 1) for key in KEYS)
