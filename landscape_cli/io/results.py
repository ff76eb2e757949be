"""The one writer of results: JSON and CSV, with provenance, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from landscape_cli.errors import ResultError, escaped
from landscape_cli.io.atomic import check_output, write_atomic

PACKAGES = ("landscape-cli", "torch", "torchvision", "numpy", "scipy", "safetensors")
FORMATS = (".json", ".csv")
FORMULA = re.compile(r"[=+\-@]")
"""How text begins that spreadsheets run as a formula."""
PLAIN = re.compile(r"[+-][a-z_]+")
"""A word after a sign, as +gradient, of which no spreadsheet makes anything."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What a command measured.

    Attributes:
        body: the whole of it, as JSON values.
        rows: the same as a long table, for CSV and for a terminal.
        provenance: command, arguments, versions, device, threads, seed, and the digest of each input.
    """

    body: Mapping[str, Any]
    rows: Sequence[Row]
    provenance: Mapping[str, Any]

    def to_json(self) -> str:
        """Return the result as JSON text; numbers that are not finite become null."""
        content = finite(dict(self.body) | {"provenance": self.provenance})
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def to_csv(self, *, comment: bool = True) -> str:
        """Return the rows as CSV text, by default after one comment line (#) with the provenance.

        Text that a spreadsheet would take for a formula (it begins with =, +, - or @) has an apostrophe before it.
        """
        text = io.StringIO()
        if comment:
            text.write(f"# {json.dumps(finite(self.provenance), allow_nan=False)}\n")
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(_cell, columns))
        writer.writerows([_cell(row.get(column)) for column in columns] for row in self.rows)
        return text.getvalue()


def provenance(
    command: str, arguments: Mapping[str, Any], *, device: str, seed: int | None, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Return where a result comes from; nothing in it changes from one run of a command to the next.

    Args:
        command: the subcommand.
        arguments: its options, as given.
        device: where it was computed.
        seed: of its randomness.
        inputs: the SHA-256 of each file read, by the name it was given with.
    """
    return {
        "command": f"landscape {command}",
        "arguments": dict(arguments),
        "device": device,
        "threads": threads(),
        "seed": seed,
        "inputs": dict(inputs),
        "versions": versions(),
    }


def threads() -> int:
    """Return how many threads compute: sums are taken in another order with another number of them."""
    import torch

    return torch.get_num_threads()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # used from a source tree
        return "unknown"


def meta_of(path: Path) -> Path:
    """Return the file that holds the provenance of a CSV file without a comment."""
    return path.with_name(f"{path.name}.meta.json")


def check_result_name(path: Path, *, force: bool, comment: bool = True) -> None:
    """Check that a result can be written to `path`; without a comment in CSV, its provenance beside it.

    Raises:
        ResultError: if the suffix is neither `.json` nor `.csv`, the folder is missing, or the file exists.
    """
    if path.suffix not in FORMATS:
        raise ResultError(f"{path} must end in {' or '.join(FORMATS)}: the suffix decides the format")
    check_output(path, force=force, error=ResultError)
    if path.suffix == ".csv" and not comment:
        check_output(meta_of(path), force=force, error=ResultError)


def write_result(path: Path, result: Result, *, force: bool, comment: bool = True) -> None:
    """Write a result to a file, in the format that its suffix says.

    Args:
        path: the file.
        result: what is written.
        force: whether an existing file may be replaced.
        comment: whether CSV begins with the provenance, which else goes to `meta_of(path)`, and first.

    Raises:
        ResultError: if it cannot be written.
    """
    check_result_name(path, force=force, comment=comment)
    text = result.to_csv(comment=comment) if path.suffix == ".csv" else result.to_json()
    if path.suffix == ".csv" and not comment:
        meta = json.dumps({"provenance": finite(result.provenance)}, indent=2, allow_nan=False) + "\n"
        write_atomic(meta_of(path), meta.encode(), force=force, error=ResultError)
    write_atomic(path, text.encode(), force=force, error=ResultError)


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, str):
        text = escaped(value)
        return f"'{text}" if FORMULA.match(text) and not _is_harmless(text) else text
    return "" if value is None else value


def _is_harmless(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return PLAIN.fullmatch(text) is not None
    return True


def finite(value: Any) -> Any:
    """Return a JSON value, numbers that are not finite being None, at any depth; tuples become lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
