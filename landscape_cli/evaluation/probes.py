"""The inputs that a proof compares outputs on: how many, and how many of them at once."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.errors import ModelError
from landscape_cli.forward.functional import errors_of_forward, float_type, run_with, unsaved_buffers
from landscape_cli.forward.memory import MIB
from landscape_cli.forward.shapes import ShapesTold
from landscape_cli.forward.uncompiled import without_compiler
from landscape_cli.forward.work import Work, count_work
from landscape_cli.network import Params, WholeInputs
from landscape_cli.rng import generator

PROBES = 256
CONVOLUTIONAL = 64
"""The same of convolutional networks, in which each input shows every filter at many places."""
FEWEST = 2
WORK = 4 * 10**9
"""Products of numbers in one forward pass on all probes: a third of a second in float64."""
MEMORY = 128 * MIB
"""Bytes for the largest tensor on all probes."""
PART = 32 * MIB
"""Bytes of activations for the probes that are run at once."""


def probe_batch(
    model: nn.Module,
    params: Params,
    input_shape: tuple[int, ...] | None,
    *,
    inputs: WholeInputs | None = None,
    seed: int,
    device: torch.device,
) -> Tensor:
    """Return standard normal inputs, as standardised data are, shape (probes, *input_shape), float64.

    Where a model takes whole numbers they are such, uniform, in their type.

    There are PROBES, of convolutional networks CONVOLUTIONAL, or as many as keep a forward pass within WORK and
    MEMORY, though at least two.

    Raises:
        ModelError: if the model does not run, or the shape of one input is not known.
    """
    if input_shape is None:
        raise ModelError("the shape of one input is not known, so nothing can be proved: name it with `input_shape=`")
    check_kind("input_shape", input_shape, (tuple, list), "give the sizes of one input as a tuple", ModelError)
    for size in input_shape:
        check_whole("input_shape", size, ModelError, least=1)

    def draw(count: int, dtype: torch.dtype) -> Tensor:
        source = generator(seed)
        if inputs is None:
            return torch.randn(count, *input_shape or (), generator=source, dtype=dtype).to(device)
        drawn = inputs.draw(count, *input_shape or (), seed=source).to(device)
        return drawn.to(dtype) if drawn.is_floating_point() else drawn

    work = _work(model, params, draw(FEWEST, float_type(params)))
    most = CONVOLUTIONAL if work.unfolded else PROBES
    fits = min(WORK // max(1, work.products), MEMORY // (torch.float64.itemsize * work.largest))
    return draw(max(FEWEST, min(most, fits)), torch.float64)


def check_probe(probe: Tensor) -> None:
    """Check inputs to compare outputs on.

    Raises:
        ModelError: if they are no tensor, or there are none.
    """
    check_kind("probe", probe, Tensor, "give inputs as a tensor, shape (n, *input_shape)", ModelError)
    if not probe.numel():
        raise ModelError("`probe=` holds no inputs, so nothing can be proved: give some, or leave it out")


def probes_at_once(model: nn.Module, params: Params, probe: Tensor) -> int:
    """Return how many probes may be run at once: their activations fill PART, with what convolutions unfold.

    On a CPU these unfold a few samples at a time (`forward.float64`), which does not count.
    """
    if len(probe) <= FEWEST + 1:
        return len(probe)
    first = probe[:FEWEST]
    try:
        work = _work(model, params, first.to(float_type(params)) if probe.is_floating_point() else first)
    except ModelError:  # it is told where it fails on all of them, in float64
        return len(probe)
    unfolded = 0 if probe.device.type == "cpu" else work.unfolded
    return max(FEWEST, PART // (torch.float64.itemsize * (unfolded + 3 * work.largest)))


def parts_of(probe: Tensor, size: int) -> tuple[Tensor, ...]:
    """Return probes in parts of nearly one size, at most `size` but where that would leave one alone in its part."""
    return probe.tensor_split(max(1, min(-(-len(probe) // size), len(probe) // FEWEST)))


def _work(model: nn.Module, params: Params, examples: Tensor) -> Work:
    """Count on tensors without numbers, which takes no time; on the examples if the model looks at values."""

    def count(x: Tensor) -> Work:
        tensors = {name: tensor.to(x.device) for name, tensor in ({**unsaved_buffers(model), **params}).items()}
        return count_work(lambda x: run_with(model, tensors, x), x)

    model.eval()
    with suppress(Exception), without_compiler(), ShapesTold():  # code of others, which is run again below
        return count(examples.to("meta"))
    with errors_of_forward():
        return count(examples)
