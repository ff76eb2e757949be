"""Our reader of headers accepts what safetensors accepts, and nothing that it refuses."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor

from landscape_cli.io.header import TYPES, read_header
from landscape_cli.io.safetensors import load

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "empty": torch.ones(0, 3),
    "scalar": torch.tensor(2.5, dtype=torch.float64),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "ö": torch.tensor([True, False]),
}


def reference(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in sorted(opened.keys())}, opened.metadata() or {}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return list(a) == list(b) and all(
        torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype and a[name].shape == b[name].shape
        for name in a
    )


def with_header(header: str | bytes, data: bytes) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize("metadata", [None, {"format": "x", "more": "1"}])
def test_every_type(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    tensors = TENSORS | {kind: torch.zeros(2, 2).to(dtype) for kind, dtype in TYPES.items()}
    save_file(tensors, tmp_path / "a.st", metadata)
    found, text, _ = load(tmp_path / "a.st")
    expected, _ = reference(tmp_path / "a.st")
    assert text == (metadata or {})
    assert found.keys() == expected.keys()
    assert all(found[name].dtype == expected[name].dtype for name in expected)
    assert same({k: v for k, v in found.items() if k in TENSORS}, {k: expected[k] for k in sorted(TENSORS)})
    storages = {tensor.untyped_storage().data_ptr() for tensor in found.values() if tensor.numel()}
    assert len(storages) == sum(tensor.numel() > 0 for tensor in found.values())


def test_mutated_files_are_judged_as_safetensors_does(tmp_path: Path) -> None:
    draw = random.Random(1)
    whole = save(TENSORS, {"format": "x"})
    path = tmp_path / "a.st"
    accepted = 0
    for _ in range(600):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 1, 2])):
            place = draw.randrange(len(content) if draw.random() < 0.2 else struct.unpack("<Q", whole[:8])[0] + 8)
            content[place] = draw.choice([draw.randrange(256), *b'0123456789[]{}",:'])
        if draw.random() < 0.1:
            content = content[: draw.randrange(len(content))]
        path.write_bytes(content)
        try:
            expected = reference(path)
        except Exception:  # of several kinds
            with pytest.raises((SafetensorError, OSError)):
                load(path)
            continue
        found = load(path)
        accepted += 1
        assert same(*({name: t.nan_to_num() for name, t in each[0].items()} for each in (found, expected)))
        assert found[1] == expected[1]
    assert accepted > 20


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
BAD = {
    "twice": f'{{"a":{json.dumps(ONE)},"a":{json.dumps(ONE)}}}',
    "metadata twice": f'{{"__metadata__":{{"format":"a","format":"b"}},"a":{json.dumps(ONE)}}}',
    "half a pair": f'{{"\\ud800":{json.dumps(ONE)}}}',
    "a number": json.dumps({"a": ONE, "__metadata__": {"format": 1}}),
    "a list": json.dumps([ONE]),
    "true": json.dumps({"a": ONE | {"shape": [True]}}),
    "negative": json.dumps({"a": ONE | {"shape": [-1, -1]}}),
    "float": json.dumps({"a": ONE | {"shape": [1.0]}}),
    "a word": json.dumps({"a": ONE | {"shape": "1"}}),
    "offsets": json.dumps({"a": ONE | {"data_offsets": [4, 8]}}),
    "overlap": json.dumps({"a": ONE, "b": ONE}),
    "longer than it says": json.dumps({"a": ONE | {"shape": [0], "data_offsets": [0, 0]}}),
    "shorter than it says": json.dumps({"a": ONE | {"shape": [2], "data_offsets": [0, 8]}}),
    "type": json.dumps({"a": ONE | {"dtype": "F31"}}),
    "unhashable": json.dumps({"a": ONE | {"dtype": [1]}}),
    "no shape": json.dumps({"a": {"dtype": "F32"}}),
    "huge": json.dumps({"a": ONE | {"shape": [2**63] * 200_000}}),
    "no elements, impossible": json.dumps({"a": ONE, "b": ONE | {"shape": [0, 10**30], "data_offsets": [4, 4]}}),
    "deep": "[" * 100_000,
    "digits": json.dumps({"a": ONE}).replace("1", "9" * 5000),
    "not a number": json.dumps({"a": ONE | {"more": float("nan")}}),
    "no text": b'{"\xff":1}',
}


@pytest.mark.parametrize("name", BAD)
def test_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.st").write_bytes(with_header(BAD[name], b"\0" * 4))
    with pytest.raises(SafetensorError):
        load(tmp_path / "a.st")


def test_nothing_is_read_beyond_the_header(tmp_path: Path) -> None:
    with (tmp_path / "a.st").open("wb") as file:
        file.write(with_header(json.dumps({"a": ONE | {"shape": [1 << 40], "data_offsets": [0, 1 << 42]}}), b""))
        file.truncate(file.tell() + (1 << 42))  # sparse: four terabytes
    with (tmp_path / "a.st").open("rb") as opened:
        [entry] = read_header(opened).entries
        assert entry.shape == (1 << 40,)
