"""Data sets of the user's, as safetensors files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from landscape_cli.choices import Task
from landscape_cli.data.checks import check_splits
from landscape_cli.data.source import DataSource, Split
from landscape_cli.errors import DataError, one_line
from landscape_cli.io.header import read_header
from landscape_cli.io.regular import open_regular
from landscape_cli.io.safetensors import load
from landscape_cli.network import Params

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec
    from landscape_cli.forward.objective import Objective

SUFFIXES = (".st", ".safetensors")
KEYS = ("x_train", "y_train", "x_test", "y_test")


class SafetensorsFile(DataSource):
    """A file that holds `x_train`, `y_train`, `x_test` and `y_test`; its labels may be whatever has a task."""

    tasks = tuple(task.value for task in Task)

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split, Split]:
        """Return what the file holds.

        Raises:
            DataError: if it cannot be read, or lacks a tensor, or one is of a shape or type that it cannot be.
        """
        path = Path(spec.name)
        try:
            with open_regular(path) as file:
                # before values are read
                check_splits(spec.name, *splits_of(path, read_header(file).tensors(), spec.objective))
            tensors, _, _ = load(path)
        except SafetensorError as cause:
            raise DataError(f"{path} is not a whole safetensors file ({one_line(cause)})") from cause
        except OSError as cause:
            raise DataError(f"cannot read {path}: {cause.strerror or cause}") from cause
        return splits_of(path, tensors, spec.objective)


def splits_of(path: Path, tensors: Params, objective: Objective) -> tuple[Split, Split]:
    """Return the two splits that tensors by name are.

    Raises:
        DataError: if one is missing.
    """
    missing = [key for key in KEYS if key not in tensors]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}: a data file holds {', '.join(KEYS)}")
    x_train, y_train, x_test, y_test = (tensors[key] for key in KEYS)
    return Split(x_train, y_train, objective), Split(x_test, y_test, objective)
