"""What a command reads: the device, networks, their symmetry, data."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from landscape_cli.choices import InputType, Precision
from landscape_cli.cli.console import say
from landscape_cli.cli.options import ModelOptions
from landscape_cli.cli.parsing import whole_numbers
from landscape_cli.cli.preprocessing_options import PreprocessingOptions
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.cli.usage import errors_of_usage
from landscape_cli.errors import LandscapeError, shown

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import WholeInputs
    from landscape_cli.symmetry import Symmetry

NO_MODEL = ModelOptions()
RANGE = "the least number and one too many, as in 0,30000"


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse the shape of one input.

    Raises:
        BadParameter: if it is none.
    """
    shape = tuple(whole_numbers(text, "--input-shape"))
    if not shape or min(shape) < 1:
        raise typer.BadParameter(f"--input-shape takes the sizes of one input, as in 3,32,32, not {text!r}")
    return shape


def parse_inputs(files: ModelOptions) -> WholeInputs | None:
    """Return which whole numbers a model takes, by `--input-range`; None if that is not said.

    Raises:
        BadParameter: if there is no range, or it is none.
    """
    from landscape_cli.network import WholeInputs

    if files.input_range is None:
        if files.input_dtype is not None:
            raise typer.BadParameter(f"--input-dtype goes with --input-range, {RANGE}")
        return None
    numbers = whole_numbers(files.input_range, "--input-range")
    if len(numbers) != 2:
        raise typer.BadParameter(f"--input-range takes {RANGE}, not {files.input_range!r}")
    low, high = numbers
    with errors_of_usage():
        return WholeInputs(low, high, (files.input_dtype or InputType.INT64).value)


def resolve_device(name: str) -> torch.device:
    """Return the device that `--device` names; on a GPU, ask for kernels that give the same bytes every time.

    Raises:
        LandscapeError: if it is unknown or not there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    import torch

    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.set_deterministic_debug_mode("warn")  # `use_deterministic_algorithms` imports a compiler for seconds
    launch = RANKS_OF_THIS_PROCESS.launch
    if launch is not None and name in {"auto", "cuda"} and torch.cuda.is_available():
        torch.cuda.set_device(launch.local % torch.cuda.device_count())
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,9})?", name):
        raise LandscapeError(f"unknown device {shown(name)!r}: choose auto, cpu, cuda or cuda:K")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise LandscapeError(f"the device {name!r} is not there (no CUDA on this machine): use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise LandscapeError(f"the device {name!r} is not there: this machine has {torch.cuda.device_count()}")
    return device


def arithmetic_on(device: torch.device, precision: Precision | None, *, quiet: bool) -> Arithmetic:
    """Return what evaluates networks as `--precision` says, and counts what that changes.

    Raises:
        LandscapeError: if the device does not compute so.
    """
    from landscape_cli.evaluation.arithmetic import Arithmetic

    precision = precision or Precision.FLOAT32
    check_precision(precision, device, quiet=quiet)
    return Arithmetic(precision)


def check_precision(precision: Precision, device: torch.device, *, quiet: bool) -> None:
    """Check that a device computes in this precision.

    Raises:
        LandscapeError: if it does not.
    """
    import torch

    if precision is not Precision.BF16:
        return
    if device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise LandscapeError(f"{device} does not compute in bf16: leave out --precision")
    elif "avx512_bf16" not in _cpu_flags():
        say("this CPU has no instructions for bf16, which is slower than float32", quiet=quiet)


def _cpu_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""


def read_networks(
    paths: Sequence[Path],
    files: ModelOptions = NO_MODEL,
    *,
    plain: Sequence[str] | None = None,
    again: bool = False,
) -> tuple[list[Checkpoint], nn.Module]:
    """Read checkpoints of one model; return them and the model, by default with their effective weights.

    Args:
        paths: the files, landscape's own or foreign ones.
        files: what the user says of the model, as foreign files and those of models made by the user's code need.
        plain: of which kinds tensors that are made of parts become plain ones; by default all.
        again: whether large tensors may be let go and read again.

    Raises:
        CheckpointError: if one cannot be read.
        ModelError: if one does not fit its model, or they are of different models.
    """
    from landscape_cli.forward.parts import ALL
    from landscape_cli.measures.effective import without_masks
    from landscape_cli.models.reader import NetworkReader

    shape = None if files.input_shape is None else parse_shape(files.input_shape)
    reader = NetworkReader(files.model_name, shape, files.keys, parse_inputs(files), files.model_output)
    if plain is not None:
        return reader.read_all(paths, plain=plain, again=again)
    networks, model = reader.read_all(paths, plain=ALL)
    spec, params = networks[0].model, [network.params for network in networks]
    unmasked = without_masks(model, params, None, spec.example())
    return [replace(n, params=p) for n, p in zip(networks, unmasked, strict=True)], model


def open_networks(
    paths: Sequence[Path], files: ModelOptions, device: str, *, plain: Sequence[str]
) -> tuple[list[Checkpoint], nn.Module, torch.device]:
    """Read checkpoints of one model, to be changed; return them, the model, and the device to compute on.

    Args:
        paths: the files, landscape's own or foreign ones.
        files: what the user says of the model.
        device: what `--device` names.
        plain: as for `read_networks`.

    Raises:
        LandscapeError: as `resolve_device` and `read_networks` do.
    """
    from landscape_cli.forward.memory import return_large_blocks

    resolved = resolve_device(device)
    return_large_blocks()
    networks, model = read_networks(paths, files, plain=plain, again=True)
    return networks, model, resolved


def symmetry_of(
    network: Checkpoint, model: nn.Module, *, strict: bool, quiet: bool, claims: Sequence[Checkpoint] = ()
) -> Symmetry:
    """Derive the symmetry of a checkpoint's model, and warn of what could not be established.

    Args:
        network: a checkpoint.
        model: its model.
        strict: whether that is an error.
        quiet: whether to warn of nothing.
        claims: networks of the model that are to be what they say of being normalised.

    Raises:
        GeometryError: if one is not.
        TraceError: if the model cannot be followed; with `strict`, also for what is a warning otherwise.
    """
    from landscape_cli.forward.functional import float_type
    from landscape_cli.normalization.verified import check_claims
    from landscape_cli.symmetry import trace_symmetry

    example = network.model.example(float_type(network.params))
    symmetry = trace_symmetry(model, example, strict=strict, inputs=network.model.inputs)
    for note in symmetry.notes:
        say(f"warning: {note}", quiet=quiet)
    check_claims(claims, symmetry)
    return symmetry


def with_preprocessing(network: Checkpoint, options: PreprocessingOptions, data: DataSet | None = None) -> Checkpoint:
    """Return a network that is to be written, with how the user says that it sees inputs.

    Raises:
        BadParameter: if that needs a training set, which is not there.
    """
    asked = options.chosen()
    if asked is None:
        return network
    if data is not None:
        asked = data.under(asked).preprocessing
    if asked.needs_data:
        raise typer.BadParameter(
            f"--preprocess {asked.kind} takes its numbers from a training set, and none is read here: name them with "
            "--mean and --std"
        )
    return replace(network, preprocessing=asked.to_record())
