"""What is done to files: their headers, metadata, bits, ends, and what their tensors hold."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from random import Random
from typing import Any

import torch

from tests.fuzz.corpus import MEASURED, tree_of


class Pwned:
    """A pickle that runs code as it is read."""

    def __reduce__(self) -> Any:
        return open, ("IMPORTED-pickle", "w")


NUMBERS = (0, 1, 2, 3, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**8, 10**400, 0.5, -0.0, 1e308, 1e-320)
NUMBERS += (float("nan"), float("inf"))
WORDS = ("", "x", "x" * 3000, "\ud800", "\0", "\x1b[31mred", "\u202eright", "a\nb", "../../etc/passwd", "/dev/zero")
WORDS += ("/dev/stdin", ".", "[red]x[/red]", "F64", "torchvision:resnet18", "evil:f", "os:system", "user:make", "hmm")
WORDS += ("own.safetensors", "mnist", "wedges", "lenet", "mlp", "binary-mlp", "parity", "sign")
TREES = ([], {}, [1], [[1]], [1] * 70, [10**9] * 3, [-1, 3], {"a": 1}, [0], ["x"], [1] * 100000)
HOSTILE: list[Any] = [*NUMBERS, *WORDS, *TREES, True, None, json.loads("[" * 90 + "]" * 90)]
PIECES = ('"a":1,', "9" * 30, "NaN", "[" * 2000, '"', "\\ud800", "{}", '"__metadata__":{},', "1e999", "\\u0000")
TYPES = ("F16", "BF16", "F64", "I64", "I32", "U8", "BOOL", "F8_E4M3", "C64", "X", "")


def mutated(name: str, content: bytes, random: Random) -> bytes:
    """Return a file's content after one mutation or a few."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if name.endswith(".pt"):
            content = random.choice((_bits, _ends, _pickled, _zipped))(content, random)
        elif name.endswith(".csv"):
            content = random.choice((_bits, _ends))(content, random)
        elif name.endswith(".json") or name == MEASURED:
            content = random.choice((_bits, _ends, *[_json] * 8))(content, random)
        else:
            content = random.choice((_bits, _ends, *[_header] * 8, _text, _values))(content, random)
    return content


def _bits(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    end = random.choice((len(changed), min(len(changed), 16), min(len(changed), 900)))
    for _ in range(random.choice((1, 2, 20)) if end else 0):
        changed[random.randrange(end)] = random.choice((0, 255, random.randrange(256), random.randrange(256)))
    return bytes(changed)


def _ends(content: bytes, random: Random) -> bytes:
    cut = random.randrange(len(content) + 1)
    return random.choice((content[:cut], content[:8], b"", content + b"\0" * 9, content[cut:], content * 2))


def _json(content: bytes, random: Random) -> bytes:
    """Change a line of JSON, or a whole file of it: a value, or its text."""
    lines = [content] if content.startswith(b"{\n") else content.splitlines(keepends=True)
    k = random.randrange(len(lines) or 1)
    try:
        tree = json.loads(lines[k])
    except (ValueError, RecursionError, IndexError):
        return _bits(content, random)
    text = json.dumps(_changed(tree, random))
    if random.random() < 0.2:
        where = random.randrange(len(text))
        text = text[:where] + random.choice(PIECES) + text[where:]
    return b"".join([*lines[:k], text.encode("utf-8", "surrogatepass") + b"\n", *lines[k + 1 :]])


def _split(content: bytes) -> tuple[Any, bytes]:
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8:
        raise ValueError("no header")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: Any, body: bytes, *, text: str | None = None) -> bytes:
    encoded = (json.dumps(header) if text is None else text).encode("utf-8", "surrogatepass")
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + body


def _header(content: bytes, random: Random) -> bytes:
    """Change one value of the header, or one within the JSON that metadata holds."""
    try:
        header, body = _split(content)
    except (ValueError, RecursionError):
        return _bits(content, random)
    if not isinstance(header, dict):
        return _bits(content, random)
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and metadata and random.random() < 0.75:
        key = random.choice(list(metadata))
        tree = tree_of(metadata[key]) if isinstance(metadata[key], str) else metadata[key]
        metadata[key] = json.dumps(_changed(tree, random)) if random.random() < 0.9 else random.choice(HOSTILE)
    else:
        header = _changed(header, random)
    return _joined(header, body)


def _changed(tree: Any, random: Random) -> Any:
    """Return a tree of JSON in which something is replaced, missing, doubled, or called otherwise."""
    if isinstance(tree, dict) and tree and random.random() < 0.85:
        key = random.choice(list(tree))
        choice = random.random()
        rest = {name: value for name, value in tree.items() if name != key}
        if choice < 0.1:
            return rest
        if choice < 0.2:
            return rest | {str(random.choice(HOSTILE)): tree[key]}
        return tree | {key: _changed(tree[key], random)}
    if isinstance(tree, list) and tree and random.random() < 0.6:
        k = random.randrange(len(tree))
        return [*tree[:k], _changed(tree[k], random), *tree[k + 1 :]]
    return random.choice(HOSTILE)


def _text(content: bytes, random: Random) -> bytes:
    """Change the text of the header: keys twice, numbers longer, words that are no JSON."""
    try:
        header, body = _split(content)
        text = json.dumps(header)
    except (ValueError, RecursionError):
        return _bits(content, random)
    where = random.randrange(len(text))
    piece = random.choice(PIECES)
    return _joined(None, body, text=text[:where] + piece + text[where:])


def _values(content: bytes, random: Random) -> bytes:
    """Change what tensors hold, or in what type."""
    try:
        header, body = _split(content)
    except (ValueError, RecursionError):
        return _bits(content, random)
    number = random.choice((float("nan"), float("inf"), 1e38, -1e38, 1e-45, 0.0, 1.0))
    piece = struct.pack("<f", number) * random.choice((1, 4, 50))
    where = 4 * random.randrange(len(body) // 4 + 1)
    if isinstance(header, dict) and header and random.random() < 0.3:
        entry = header[random.choice(list(header))]
        if isinstance(entry, dict) and "dtype" in entry:
            entry["dtype"] = random.choice(TYPES)
    return _joined(header, body[:where] + piece + body[where + len(piece) :])


def _pickled(content: bytes, random: Random) -> bytes:
    """Return a file of PyTorch's, or a pickle, of something else."""
    linear = {"0.weight": torch.zeros(6, 9), "0.bias": torch.zeros(6), "2.weight": torch.zeros(2, 6)}
    things: list[Any] = [
        Pwned(), {"state_dict": Pwned()}, [1, 2], None, 5, "text", {}, {"model": {}}, {1: torch.zeros(2)},
        torch.zeros(3),
        linear, linear | {"2.bias": torch.zeros(3)}, linear | {"2.bias": 7},
        linear | {"2.bias": torch.zeros(2).to_sparse()},
        linear | {"2.bias\ud800": torch.zeros(2)}, linear | {"2.bias": torch.full((2,), float("nan"))},
        linear | {"2.bias": torch.zeros(1).expand(2)}, linear | {"2.bias": torch.zeros(2, device="meta")},
        linear | {"2.bias": torch.zeros((1,) * 60)}, linear | {"2.bias": torch.zeros(2, dtype=torch.complex64)},
        {"state_dict": {"state_dict": {"state_dict": {"state_dict": {"state_dict": linear}}}}},
        {f"module.{name}": tensor for name, tensor in linear.items()},
    ]  # fmt: skip
    thing = random.choice(things)
    file = io.BytesIO()
    try:
        if random.random() < 0.2:
            return pickle.dumps(thing)
        torch.save(thing, file, _use_new_zipfile_serialization=random.random() < 0.7)
    except Exception:
        return pickle.dumps(None)
    return file.getvalue()


def _zipped(content: bytes, random: Random) -> bytes:
    """Return an archive packed anew, in which a member is changed, missing or large."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return _bits(content, random)
    if not members:
        return _bits(content, random)
    name = random.choice(list(members))
    choice = random.random()
    if choice < 0.3:
        del members[name]
    elif choice < 0.7:
        members[name] = _bits(members[name], random)
    elif choice < 0.8:
        members[name] = bytes(50_000_000)
    else:
        members["../IMPORTED-zip"] = members[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return file.getvalue()
