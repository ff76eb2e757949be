"""What commands do before and after they call the library: devices, checkpoints, data, proofs, provenance."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.options import Format, Kind
from landscape_cli.errors import CheckpointError, LandscapeError, ResultError
from landscape_cli.io.atomic import check_output

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.equivalence import Difference
    from landscape_cli.evaluation.evaluator import Scores
    from landscape_cli.io.checkpoint import Checkpoint, Params
    from landscape_cli.symmetry import Symmetry

# Where and how a result is shown does not belong to how it was made.
NOT_RECORDED = {
    "output",
    "out_dir",
    "force",
    "form",
    "quiet",
    "debug",
    "log",
    "plot",
    "permutations",
    "midpoint_out",
    "download",
    "checkpoint_every",
    "resume",
    "keep_replicas",
}
# Recorded only where they are used: a result made without them is what it was before there were such options.
IF_USED = ("more", "pairs", "align", "optimize_midpoint", "task", "sigma", "flip", "adv_optimizer")
OF_MIDPOINT = ("epochs", "lr", "momentum", "batch_size", "until_error")
"""Options of `path` that only `--optimize-midpoint` uses."""


def resolve_device(name: str) -> torch.device:
    """Return the device that `--device` names; on a GPU, ask for kernels that give the same bytes every time.

    Raises:
        LandscapeError: if it is unknown or not there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    import torch

    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise LandscapeError(f"unknown device {name!r}: choose auto, cpu, cuda or cuda:K")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise LandscapeError(f"the device {name!r} is not there (no CUDA on this machine): use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise LandscapeError(f"the device {name!r} is not there: this machine has {torch.cuda.device_count()}")
    return device


def recorded(context: typer.Context, **replaced: Any) -> dict[str, Any]:
    """Return the command's options as the provenance keeps them."""
    unused = {name for name in IF_USED if not context.params.get(name)}
    if "optimize_midpoint" in unused and "optimize_midpoint" in context.params:
        unused.update(OF_MIDPOINT)
    left_out = NOT_RECORDED | unused
    values = {key: value for key, value in context.params.items() if key not in left_out} | replaced
    if values.get("kind") in {Kind.LINEAR, Kind.GEODESIC}:  # which have no use for `--orders`
        values.pop("orders", None)
    return {key: _plain(value) for key, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def make_provenance(
    context: typer.Context,
    *,
    device: torch.device,
    seed: int,
    networks: Sequence[Checkpoint],
    data: DataSet | None = None,
    **replaced: Any,
) -> dict[str, Any]:
    """Return the provenance of this command's result, with the data it was measured on, if any.

    `replaced` are options that were left to the command, and what it chose.
    """
    from landscape_cli.io.results import provenance

    measured = ("name", "task", "train_samples", "test_samples", "sha256")
    used = {} if data is None else {"data": {key: data.record[key] for key in measured if key in data.record}}
    return used | provenance(
        context.info_name or "",
        recorded(context, device=str(device), **replaced),
        device=str(device),
        seed=seed,
        inputs={network.path: network.sha256 for network in networks},
    )


def read_networks(
    paths: Sequence[Path], model_name: str | None = None, input_shape: str | None = None
) -> tuple[list[Checkpoint], nn.Module]:
    """Read checkpoints of one model; return them and the model.

    Args:
        paths: the files, landscape's own or foreign ones.
        model_name: `--model`, which foreign files and those of models made by the user's code need.
        input_shape: `--input-shape`, which foreign files need.

    Raises:
        CheckpointError: if one cannot be read.
        ModelError: if one does not fit its model, or they are of different models.
    """
    from landscape_cli.cli.inputs import NetworkReader

    return NetworkReader(model_name, input_shape).read_all(paths)


def placed(network: Checkpoint, device: torch.device) -> Params:
    """Return a checkpoint's tensors on a device, where what is made of them then happens."""
    return {name: tensor.to(device) for name, tensor in network.params.items()}


def symmetry_of(network: Checkpoint, model: nn.Module, *, strict: bool, quiet: bool) -> Symmetry:
    """Derive the symmetry of a checkpoint's model, and warn of what could not be established.

    Raises:
        TraceError: if the model cannot be followed; with `strict`, also for what is a warning otherwise.
    """
    import torch

    from landscape_cli.forward.functional import float_type
    from landscape_cli.symmetry import trace_symmetry

    example = torch.zeros(2, *network.model.input_shape, dtype=float_type(network.params))
    symmetry = trace_symmetry(model, example, strict=strict)
    for note in symmetry.notes:
        say(f"warning: {note}", quiet=quiet)
    return symmetry


def say_precision(path: str | Path, difference: Difference, *, quiet: bool) -> None:
    """Say so where a network's outputs could not be compared in float64."""
    if not difference.in_float64:
        say(f"warning: {path}: the outputs were compared in float32 alone: the model fails in float64", quiet=quiet)


def score_columns(scores: Mapping[str, Scores], k: int, *, loss: bool) -> dict[str, float]:
    """Return the columns of a result that hold the scores of network k."""
    columns = {f"{split}_error": float(score.error[k]) for split, score in scores.items()}
    if loss:
        columns |= {f"{split}_loss": float(score.loss[k]) for split, score in scores.items()}
    return columns


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
        doubles = sorted({str(path) for path in paths if paths.count(path) > 1})
        if doubles:
            raise CheckpointError(f"two networks would both be written to {doubles[0]}: rename one")
        if out_dir.exists() and not out_dir.is_dir():
            raise CheckpointError(f"{out_dir} is not a folder: name another with --out-dir")
    for path in paths:
        check_checkpoint_name(path)
        if output is not None or path.exists():
            check_output(path, force=force, error=CheckpointError)
    return paths


def make_folder(out_dir: Path | None) -> None:
    """Make the folder that `--out-dir` names, once there is something to put into it.

    Raises:
        CheckpointError: if it cannot be made.
    """
    try:
        if out_dir is not None:
            out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise CheckpointError(f"cannot make the folder {out_dir}: {cause.strerror}") from cause


def check_distinct(*outputs: Path | None) -> None:
    """Check that no two outputs are one file.

    Raises:
        ResultError: naming the file that two are.
    """
    named = [path.resolve() for path in outputs if path is not None]
    for path in named:
        if named.count(path) > 1:
            raise ResultError(f"two outputs are the same file, {path.name}: name them apart")


def check_result_output(output: Path | None, form: Format | None, plot: Path | None, *, force: bool) -> None:
    """Check, before any work, that a result and its plot can be written.

    Raises:
        ResultError: if they cannot, or `--format` contradicts the suffix of `-o`.
    """
    from landscape_cli.io.results import check_result_name

    if output is not None:
        check_result_name(output, force=force)
        if form is not None and output.suffix != f".{form.value}":
            raise ResultError(f"--format {form.value} contradicts the suffix of {output}: leave one of them out")
    check_distinct(output, plot)
    if plot is not None:
        from landscape_cli.figures.figures import check_plot

        check_plot(plot, force=force)


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning of the library as one line on standard error."""
    print(f"landscape: warning: {message}", file=sys.stderr)
