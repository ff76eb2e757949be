"""Which of the ways to run networks are taken for a model, data and device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from landscape_cli.choices import Precision
from landscape_cli.data.source import Split
from landscape_cli.evaluation.arithmetic import Arithmetic, InPrecision
from landscape_cli.evaluation.halving import Halving
from landscape_cli.evaluation.runners import FirstSuitable, InWholeNumbers, OneByOne, Runner
from landscape_cli.evaluation.shared_layers import SharedLayers
from landscape_cli.evaluation.stacked import Stacked
from landscape_cli.evaluation.whole_numbers import WholeNumbers
from landscape_cli.forward.functional import as_inputs, run_with
from landscape_cli.forward.kernels import Kernels, choose_kernels
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.work import Work, count_work

LARGEST_STACKED = 5 * 10**9
"""Products of a batch up to which networks that convolve are stacked on a GPU (measured on an H100): convolutions of a
stack are in groups, which are slower than others. Networks that do not convolve gain at any size."""


def choose_runner(
    model: nn.Module,
    splits: Mapping[str, Split],
    objective: Objective,
    *,
    batch_size: int,
    integers: bool | None,
    work: Work,
    arithmetic: Arithmetic,
    kernels: Kernels,
) -> Halving | InPrecision:
    """Return the ways in which networks of a model may run on some splits, the fastest first.

    Args:
        model: the architecture, in evaluation mode.
        splits: the data, on the device.
        objective: what outputs are held against.
        batch_size: samples a batch.
        integers: whether binary networks run in whole numbers; by default where they are faster.
        work: of a sample.
        arithmetic: in which numbers networks in float32 are computed.
        kernels: how layers run on a CPU.
    """
    one_by_one = OneByOne(model, objective, kernels)
    runners: list[Runner] = [InWholeNumbers(WholeNumbers(model, splits, batch_size, wanted=integers), one_by_one)]
    inputs = next(iter(splits.values())).x
    samples = min(batch_size, max(len(split.y) for split in splits.values()))
    if inputs.is_cuda and (not work.unfolded or work.products * samples <= LARGEST_STACKED):
        runners.append(Stacked(model, objective, inputs[:2]))
    if not inputs.is_cuda and arithmetic.precision is not Precision.BF16:
        runners.append(SharedLayers(model, one_by_one, inputs[:2]))
    halving = Halving(FirstSuitable([*runners, one_by_one]), inputs.device)
    if not inputs.is_cuda and arithmetic.precision is Precision.FLOAT32:
        return halving
    return InPrecision(halving, arithmetic, objective, inputs.device)


def run_once(model: nn.Module, examples: Tensor, objective: Objective) -> tuple[Work, Kernels, Tensor]:
    """Return what a forward pass takes, how layers run best on a CPU, and the outputs, by running a model.

    Args:
        model: with any tensors of its own.
        examples: a few inputs, shape (n, *input_shape).
        objective: which outputs count.
    """
    returned: list[Any] = []
    parameter = next((p for p in model.parameters() if p.is_floating_point()), examples)
    x = as_inputs(examples, parameter.dtype).to(parameter.device)
    work = count_work(lambda x: returned.append(run_with(model, {}, x)), x)
    kernels = choose_kernels(model, lambda: run_with(model, {}, x))
    return work, kernels, objective.outputs(returned[0])
