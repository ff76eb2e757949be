"""What `landscape train --export` writes: the networks that runs came to, as plain `state_dict`s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.cli.outputs import noting, write_exports
from landscape_cli.cli.training.files import CheckpointFiles
from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import remove_leftovers
from landscape_cli.io.export import export_content

if TYPE_CHECKING:
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint


def export_solutions(files: CheckpointFiles, paths: Mapping[int, Path]) -> list[LandscapeError]:
    """Write the runs' networks as plain `state_dict`s, by seed; return why some cannot be.

    Runs that came to nothing have none. What a training that goes on finds there has to be its own.
    """
    from landscape_cli.models.fitting import layout_of
    from landscape_cli.models.registry import construct_template

    if not paths:
        return []
    errors: list[LandscapeError] = []
    layout = layout_of(construct_template(files.spec))
    for seed, path in paths.items():
        with noting(errors):
            found = files.network_of(seed)
            networks = [] if found is None else [replace(found, layout=layout)]
            if files.resume and not files.force and networks and _is_export(path, *networks):
                continue
            errors += write_exports([path], networks, force=files.force, quiet=files.quiet)
    return errors


def _is_export(path: Path, network: Checkpoint) -> bool:
    """Tell whether a file is there, and remove what was left beside it.

    Raises:
        CheckpointError: if it is there and no export of this network.
    """
    remove_leftovers(path)
    if not path.is_file():
        return False
    try:
        is_same = path.read_bytes() == b"".join(export_content(path, network))
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror}") from cause
    if not is_same:
        raise CheckpointError(f"{path} exists already, of another network: choose another name, or --force")
    return True
