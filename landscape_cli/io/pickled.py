"""PyTorch's own files, unpickled without running code."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.serialization import safe_globals

from landscape_cli.errors import CheckpointError, shown
from landscape_cli.io.safetensors import read_content

UNPACKED, UNPACKED_EACH = 1 << 28, 4
"""How many bytes an archive may unpack to: so many, or so many for each of its own."""
REMEDY = "save the state_dict alone: torch.save(model.state_dict(), FILE)"


class _Unread:
    """Stands in for what is harmless, and not needed: it takes whatever it is made of, and keeps nothing."""

    def __new__(cls, *_: object) -> _Unread:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


NUMPY = ("scalar", "_reconstruct")
"""By what numpy makes numbers and arrays anew, in modules that were once called otherwise."""
HARMLESS = (
    *("argparse.Namespace", "numpy.dtype", "numpy.ndarray"),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in NUMPY),
)
"""What training scripts save beside a network: arguments, numpy's numbers and arrays. None of their code is run."""
_STAND_INS: list[Any] = [
    (type(path.rpartition(".")[2].replace("_reconstruct", "ndarray"), (_Unread,), {}), path) for path in HARMLESS
]
PROGRAM = ("archive_format", "serialized_exported_program.json")
"""Files in the archives of `torch.export`, of now and of once."""


def load_pickle(path: Path) -> tuple[Any, str]:
    """Return what a file of `torch.save` holds, on the CPU, and its SHA-256; what is `HARMLESS` stays unread.

    Raises:
        CheckpointError: if the file is truncated, unpacks to too much, or needs code to be read.
        OSError: if it cannot be read.
    """
    content, digest = read_content(path)
    _check_archive(path, content)
    try:
        with warnings.catch_warnings(), safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), digest
    except (OSError, MemoryError):
        raise
    except Exception as cause:  # a pickle that was made to do so can raise anything
        text = str(cause)
        if "TorchScript" in text:
            raise CheckpointError(f"{path} is a TorchScript archive, which is code: {REMEDY}") from cause
        if isinstance(cause, pickle.UnpicklingError):
            needed = re.search(r"(?:GLOBAL |global )([\w.]+)", text)
            what = f" ({shown(needed[1])})" if needed else ""
            raise CheckpointError(
                f"{path} holds more than tensors{what}, and reading that could run code, so it is refused: {REMEDY}"
            ) from cause
        raise CheckpointError(
            f"{path} is not a whole PyTorch file: it may be truncated, or of another format"
        ) from cause


def _check_archive(path: Path, content: bytes) -> None:
    """Refuse an archive that unpacks to far more than it holds, as PyTorch's own do not; and exported programs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            exported = any(name.rpartition("/")[2] in PROGRAM for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeError, struct.error, EOFError):
        return  # none, or a broken one: what reads it says so
    if unpacked > max(UNPACKED, UNPACKED_EACH * len(content)):
        raise CheckpointError(
            f"{path} holds {len(content):,} bytes that unpack to {unpacked:,}, which is too much: save it anew with "
            "torch.save, which does not compress"
        )
    if exported:
        raise CheckpointError(
            f"{path} is a program that torch.export has written, which is code: save its weights alone: "
            "torch.save(torch.export.load(FILE).state_dict, NEW)"
        )
