"""Where a command writes: checked before any work."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.stdout import check_stdout
from landscape_cli.errors import CheckpointError, LandscapeError, ResultError, listed
from landscape_cli.io.atomic import check_not_system, check_outputs, check_room, check_takes_files
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    from landscape_cli.cli.options import ResultOptions
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import Params


def output_paths(
    inputs: Sequence[Path], *, output: Path | None, out_dir: Path | None, suffix: str, force: bool
) -> list[Path]:
    """Return where the networks made from `inputs` go, checking that they may.

    Args:
        inputs: the checkpoints read.
        output: `-o`, for one.
        out_dir: `--out-dir`, for any number; `make_folder` makes it.
        suffix: what is added to the names in `out_dir`.
        force: whether existing files may be replaced.

    Raises:
        CheckpointError: if neither or both are given, or a file stands in the way.
    """
    from landscape_cli.io.checkpoint import check_checkpoint_name

    if (output is None) == (out_dir is None):
        raise CheckpointError("name either the output with -o, or a folder for the outputs with --out-dir")
    if output is not None:
        if len(inputs) != 1:
            raise CheckpointError(f"-o names one file, but {len(inputs)} networks are to be written: use --out-dir")
        paths = [output]
    else:
        assert out_dir is not None
        paths = [out_dir / f"{path.stem}{suffix}.st" for path in inputs]
        doubles = sorted(str(path) for path, count in Counter(paths).items() if count > 1)
        if doubles:
            raise CheckpointError(f"two networks would both be written to {doubles[0]}: rename one")
        check_not_system(out_dir, f"{out_dir} lies", error=CheckpointError)
        folder = next(folder for folder in (out_dir, *out_dir.parents) if os.path.lexists(folder))
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is not a folder: name another with --out-dir")
        check_takes_files(folder, error=CheckpointError)
    for path in paths:
        check_checkpoint_name(path)
    there = (path for path in paths if output is not None or path.exists())
    check_outputs(there, force=force, error=CheckpointError)
    return paths


def export_paths(
    template: Path | None,
    names: Sequence[Mapping[str, str]],
    outputs: Sequence[Path | None],
    *,
    force: bool,
    out_dir: Path | None = None,
) -> list[Path]:
    """Return where each network goes as a plain `state_dict`, checking that it may; nowhere without a template.

    Args:
        template: `--export`, in which fields stand for what tells the networks apart.
        names: of each network, what the fields stand for, such as {name}.
        outputs: further outputs of the command.
        force: whether existing files may be replaced.
        out_dir: a folder that will be there, if it is not.

    Raises:
        BadParameter: if the template has a field that is not known.
        CheckpointError: if two would go to one file, a file stands in the way, or none can be of that name.
        ResultError: if one would be another output.
    """
    from landscape_cli.io.export import check_export_name

    if template is None:
        return []
    paths = named_paths(template, "--export", names)
    for path in paths:
        check_export_name(path)
    here = (path for path in paths if path.exists() or path.parent != out_dir)
    check_outputs(here, force=force, error=CheckpointError)
    check_distinct(*outputs, *paths)
    return paths


def named_paths(
    template: Path, option: str, names: Sequence[Mapping[str, str]], *, what: str = "networks"
) -> list[Path]:
    """Return the file of each network, by a name in which fields, such as {start}, stand for what tells them apart.

    Args:
        template: the name.
        option: whose it is.
        names: of each network, what the fields stand for: the stems of its files, and the like.
        what: what to call the networks.

    Raises:
        BadParameter: if the name has a field that is not known.
        CheckpointError: if several would go to one file.
    """
    fields = list(names[0])
    check_fields(template, fields)
    paths = []
    for values in names:
        name = str(template)
        for field, value in values.items():
            name = name.replace(field, value)
        paths.append(Path(name))
    double = next((path for path, count in Counter(paths).items() if count > 1), None)
    if double is not None:
        raise CheckpointError(
            f"several {what} would be written to {double}: tell them apart by {' and '.join(fields)} in {option}"
        )
    return paths


def make_folder(out_dir: Path | None) -> None:
    """Make the folder that `--out-dir` names, once there is something to put into it.

    Raises:
        CheckpointError: if it cannot be made.
    """
    if out_dir is None:
        return
    check_not_system(out_dir, f"{out_dir} lies", error=CheckpointError)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except (OSError, RecursionError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it lies too deep"
        raise CheckpointError(f"cannot make the folder {out_dir}: {reason}") from cause


def write_networks(
    paths: Sequence[Path], networks: Sequence[Checkpoint], *, out_dir: Path | None, force: bool, quiet: bool
) -> list[LandscapeError]:
    """Write networks to their files, once nothing else may fail, and say so; return why some cannot be written."""
    try:
        make_folder(out_dir)
    except CheckpointError as error:
        return [error]
    both = zip(paths, networks, strict=True)
    errors = (write_network(path, network, force=force, quiet=quiet) for path, network in both)
    return [error for error in errors if error is not None]


def write_network(path: Path, network: Checkpoint, *, force: bool, quiet: bool) -> LandscapeError | None:
    """Write a network to its file, and say so; return why that cannot be, so that the rest is written all the same."""
    from landscape_cli.io.checkpoint import write_checkpoint

    plain = () if network.form is None else network.form.unheld
    why = f", as plain weights: what its model makes of others could not hold {listed(plain)}" if plain else ""
    return _write(write_checkpoint, path, network, why=why, force=force, quiet=quiet)


def _write(
    write: Callable[..., None], path: Path, network: Checkpoint, *, why: str = "", force: bool, quiet: bool
) -> LandscapeError | None:
    try:
        write(path, network, force=force)
    except CheckpointError as error:
        return error
    say(f"wrote {path}{why}", quiet=quiet)
    return None


def write_exports(
    paths: Sequence[Path], networks: Sequence[Checkpoint], *, force: bool, quiet: bool
) -> list[LandscapeError]:
    """Write networks as plain `state_dict`s, and say so; return why some cannot be written."""
    both = zip(paths, networks, strict=False)
    errors = (write_export(path, network, force=force, quiet=quiet) for path, network in both)
    return [error for error in errors if error is not None]


def write_export(path: Path, network: Checkpoint, *, force: bool, quiet: bool) -> LandscapeError | None:
    """Write a network as a plain `state_dict`, as `write_network` writes a checkpoint."""
    from landscape_cli.io.checkpoint import write_state_dict

    return _write(write_state_dict, path, network, force=force, quiet=quiet)


def check_room_for(paths: Sequence[Path], params: Params) -> None:
    """Check, before what takes long, that networks of such tensors roughly fit on the disk, beside what is there.

    Raises:
        CheckpointError: if they do not.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        size = sum(tensor.numel() * tensor.element_size() for tensor in params.values())
        what = f"{len(missing)} networks" if len(missing) > 1 else "the network's numbers"
        check_room(missing[0].parent, size * len(missing), what=what, error=CheckpointError)


@contextmanager
def noting(errors: list[LandscapeError]) -> Iterator[None]:
    """Let what goes wrong be told at the end, by `check_written`, with what else does."""
    try:
        yield
    except LandscapeError as error:
        errors.append(error)


def check_written(errors: Sequence[LandscapeError]) -> None:
    """Raise, at the end of a command, if something went wrong on the way.

    Raises:
        LandscapeError: the first error of each kind, and how many more files cannot be written.
    """
    kinds = dict.fromkeys(map(type, errors))
    of_kind = [[error for error in errors if type(error) is kind] for kind in kinds]
    lines = [f"{first}{f' (and {len(more)} files more)' if more else ''}" for first, *more in of_kind]
    if lines:
        raise type(errors[0])("; ".join(lines)) from errors[0]


def check_fields(template: Path, fields: Sequence[str]) -> None:
    """Check that a name has no other fields than those that stand for something.

    Args:
        template: the name.
        fields: those that it may have, such as {seed}.

    Raises:
        BadParameter: naming those that are known.
    """
    rest = str(template)
    for field in fields:
        rest = rest.replace(field, "")
    if "{" in rest:
        known = f"only {fields[0]} is" if len(fields) == 1 else f"only {' and '.join(fields)} are"
        raise typer.BadParameter(f"{template} has a field that is not known: {known}")


def check_distinct(*outputs: Path | None) -> None:
    """Check that no two outputs are one file, and that none is the folder of another.

    Raises:
        ResultError: naming the file that two are.
    """
    named = [resolved(path) for path in outputs if path is not None]
    counts = Counter(named)
    in_folder = {path.parent: path for path in named}
    folders = {folder: path for each, path in in_folder.items() for folder in (each, *each.parents)}
    for path, count in counts.items():
        if count > 1:
            raise ResultError(f"two outputs are the same file, {path.name}: name them apart")
        if path in folders:
            raise ResultError(f"{path.name} is to be a file, and the folder of {folders[path].name}: name them apart")


def check_result_output(result: ResultOptions, *, force: bool) -> None:
    """Check, before any work, that a result and its plot can be written.

    Raises:
        ResultError: if they cannot, or `--format` contradicts the suffix of `-o`, or `--no-comment` is of no CSV.
    """
    from landscape_cli.io.results import check_result_name

    output, form, plot = result.output, result.form, getattr(result, "plot", None)
    check_stdout(output)
    if output is not None:
        check_result_name(output, force=force, comment=not result.no_comment)
        if form is not None and output.suffix != f".{form.value}":
            raise ResultError(f"--format {form.value} contradicts the suffix of {output}: leave one of them out")
    if result.no_comment and not result.is_csv:
        raise ResultError("--no-comment is about CSV: name a .csv with -o, or add --format csv")
    check_distinct(output, plot)
    if plot is not None:
        from landscape_cli.figures.figure import check_plot

        check_plot(plot, force=force)
