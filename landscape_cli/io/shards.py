"""Networks in folders, as transformers saves them: one file, or several with an index that says what is in which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from landscape_cli.errors import CheckpointError, listed, shown
from landscape_cli.io.safetensors import read_content

NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What a folder may hold: the first that is there counts."""
INDEX = ".index.json"
LARGEST_INDEX = 1 << 26
"""The most bytes of an index: of half a million tensors."""
SHARD = re.compile(r"(.+)-\d+-of-\d+(\.safetensors|\.bin)")


@dataclass(frozen=True)
class FileSet:
    """The files that one network is in.

    Attributes:
        files: those that hold tensors.
        index: the file that says which tensor is in which; None if there is one file.
        where: in which file each tensor is, as the index says.
        sha256: the index's digest.
    """

    files: tuple[Path, ...]
    index: Path | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""

    def check_names(self, names: Mapping[Path, Iterable[str]]) -> None:
        """Check that every tensor is where the index says, and that no other is in these files.

        Raises:
            CheckpointError: naming the first file or tensor that is not as promised.
        """
        if self.index is None:
            return
        seen: dict[str, Path] = {}
        for path, tensors in names.items():
            for name in tensors:
                if name in seen:
                    raise CheckpointError(
                        f"{path} and {seen[name].name} both hold {shown(name)!r}: shards of different networks?"
                    )
                seen[name] = path
                if self.where.get(name) != path.name:
                    raise CheckpointError(
                        f"{path} holds {shown(name)!r}, which {self.index.name} does not say: is it a shard of another "
                        "network?"
                    )
        missing = [f"{shown(name)} ({shown(file)})" for name, file in self.where.items() if name not in seen]
        if missing:
            raise CheckpointError(f"{self.index} names tensors that are not there: {listed(missing)}")


def is_set(path: Path) -> bool:
    """Tell whether a path is a folder that holds a network, or an index."""
    return path.name.endswith(INDEX) or any((path / name).exists() for name in NAMES)


def find_files(path: Path) -> FileSet:
    """Return the files of the network that a file, a folder, an index or one of its shards is of.

    Raises:
        CheckpointError: if there is no network in the folder, or the index is missing, malformed, or names files that
            are missing or elsewhere.
        OSError: if the index cannot be read.
    """
    if path.is_dir():
        found = next((path / name for name in NAMES if (path / name).exists()), None)
        if found is None:
            raise CheckpointError(f"{path} is a folder, and holds none of {', '.join(NAMES)}: name the file")
        return find_files(found)
    if path.name.endswith(INDEX):
        return _read_index(path)
    shard = SHARD.fullmatch(path.name)
    if shard is None:
        return FileSet((path,))
    index = path.with_name(shard[1] + shard[2] + INDEX)
    if not index.exists():
        raise CheckpointError(f"{path} is one of several shards, and {index.name} is not beside it: fetch that as well")
    files = _read_index(index)
    if path not in files.files:
        raise CheckpointError(f"{path} is a shard that {index.name} does not name: is it one of another network?")
    return files


def _read_index(path: Path) -> FileSet:
    if path.stat().st_size > LARGEST_INDEX:
        raise CheckpointError(f"{path} is too large for an index: {path.stat().st_size:,} bytes")
    content, digest = read_content(path)
    try:
        value = json.loads(content)
        where = value["weight_map"]
    except (ValueError, RecursionError, KeyError, TypeError) as cause:
        raise CheckpointError(f"{path} is no index: it must be a JSON object with a 'weight_map'") from cause
    if not isinstance(where, dict) or not where or not all(isinstance(file, str) for file in where.values()):
        raise CheckpointError(f"{path} is no index: its 'weight_map' must name a file for each tensor")
    names = dict.fromkeys(where.values())
    for name in names:
        if name in {"", ".."} or Path(name).name != name or "\0" in name or "\\" in name:
            raise CheckpointError(f"{path} names {shown(name)!r}, which is not a file beside it")
    files = tuple(path.with_name(name) for name in names)
    missing = [shown(file.name) for file in files if not file.is_file()]
    if missing:
        raise CheckpointError(f"{path} names shards that are not beside it: {listed(missing)}: fetch them as well")
    return FileSet(files, path, where, digest)
