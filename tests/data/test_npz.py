"""NumPy's archives: what they hold comes back; what they must not hold, or claim, is refused before it is unpacked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landscape_cli.data import npz
from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.errors import DataError

RNG = np.random.default_rng(0)


def arrays(**replaced: Any) -> dict[str, Any]:
    made = {
        "x_train": RNG.integers(0, 256, (30, 2, 4, 4), dtype=np.uint8),
        "y_train": np.arange(30) % 3,
        "x_test": RNG.integers(0, 256, (12, 2, 4, 4), dtype=np.uint8),
        "y_test": np.arange(12) % 3,
    }
    return made | replaced


def raw(path: Path) -> dict[str, torch.Tensor]:
    data = load_data(DataSpec(str(path)), preprocessing="none")
    splits = {"train": data.raw_train, "test": data.raw_test}
    return {
        f"{part}_{name}": tensor for name, split in splits.items() for part, tensor in zip("xy", split, strict=True)
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f8", "i2", "<i8", "f2", "?"])
def test_numbers_come_back(tmp_path: Path, save: Any, dtype: str) -> None:
    made = {key: np.asfortranarray(value) for key, value in arrays().items()}
    made |= {key: (made[key] % 100).astype(dtype) for key in ("x_train", "x_test")}
    save(tmp_path / "a.npz", more=np.zeros(3), **made)
    for key, tensor in raw(tmp_path / "a.npz").items():
        assert torch.equal(tensor, torch.from_numpy(np.array(made[key], made[key].dtype.newbyteorder("="))))


def test_the_same_as_safetensors(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    made = arrays()
    np.savez(tmp_path / "a.npz", **made)
    save_file(made, tmp_path / "a.safetensors")
    ours, theirs = (load_data(DataSpec(str(tmp_path / name))) for name in ("a.npz", "a.safetensors"))
    assert ours.record["sha256"] == theirs.record["sha256"]
    again = load_data(DataSpec.from_record(ours.record), preprocessing=ours.record)
    assert again.record == ours.record


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"x_train": np.array([Trap()] * 30)}, "x_train holds Python objects, which could run code: save it as"),
        ({"y_test": np.array(["a"] * 12)}, "y_test holds <U1, expected plain numbers"),
        ({"x_test": np.zeros(12, [("a", "f4")])}, "x_test holds .*, expected plain numbers"),
        ({"x_train": np.zeros((30, 2), np.complex64)}, r"x_train holds torch\.complex64"),
        ({"x_train": np.full((30, 2, 4, 4), np.nan)}, "x_train holds NaN or Inf"),
        ({"y_train": np.arange(29)}, r"y_train has shape \(29,\), expected \(30,\)"),
        ({"x_test": np.zeros((12, 5))}, "x_test of"),
        ({"x_test": None}, "lacks x_test: a data file holds x_train, y_train, x_test, y_test"),
    ],
)
def test_what_is_no_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", **{key: value for key, value in arrays(**replaced).items() if value is not None})
    with pytest.raises(DataError, match=words) as refused:
        load_data(DataSpec("a.npz"))
    assert "\n" not in str(refused.value)
    assert not Path("ran").exists()


def member(shape: str, numbers: bytes = b"") -> bytes:
    """Return the content of an array whose header promises a shape."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + numbers


@pytest.mark.parametrize(
    "content",
    [
        member("(30, 2)", b"\x00" * 59),
        member("(30, 10000000000000)", b"\x00" * 60),
        member("(30, -2)", b"\x00" * 60),
        member("(30, True)", b"\x00" * 30),
        member("__import__('os').system('touch ran')"),
        member("(" * 9000),
        member("-" * 9000 + "1"),
        b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b" " * 200_000,
        b"\x93NUMPY\x09\x00" + b"\x00" * 100,
        b"nothing",
        b"",
    ],
)
@pytest.mark.usefixtures("here")
def test_headers_that_lie(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **{key: value for key, value in arrays().items() if key != "x_train"})
    with zipfile.ZipFile("a.npz", "a") as archive:
        archive.writestr("x_train.npy", content)
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda file, n=-1: lengths.append(n) or read(file, n))
    lengths: list[int] = []
    with pytest.raises(DataError, match=r"^a\.npz") as refused:
        load_data(DataSpec("a.npz"))
    assert "\n" not in str(refused.value)
    assert not Path("ran").exists()
    assert 0 <= min(lengths) <= max(lengths) <= npz.LONGEST_HEADER


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = arrays(x_train=np.zeros((30, 2, 100, 100), np.uint8), x_test=np.zeros((12, 2, 100, 100), np.uint8))
    np.savez_compressed(tmp_path / "a.npz", **made)
    spec = DataSpec(str(tmp_path / "a.npz"))
    assert load_data(spec).input_shape == (2, 100, 100)
    monkeypatch.setattr(npz, "available_memory", lambda: 800_000)
    with pytest.raises(DataError, match=r"unpacks to 0\.0 GB, and 0\.0 GB are free"):
        load_data(spec)
    monkeypatch.setattr(npz, "UNPACKED", 100_000)
    monkeypatch.setattr(npz._Array, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(DataError, match=r"bytes that unpack to 840,336, which is too much"):
        load_data(spec)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays())
    whole = path.read_bytes()
    for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2], whole[:200] + bytes(100) + whole[300:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a whole"):
            load_data(DataSpec(str(path)))
    with pytest.raises(DataError, match=r"cannot read .*: No such file"):
        load_data(DataSpec(str(tmp_path / "b.npz")))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("y_test.npy", member("(2,)", b"\x00\x01"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("y_test.npy", member("(2,)", b"\x00\x01"))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="holds y_test twice"):
        load_data(DataSpec(str(path)))
