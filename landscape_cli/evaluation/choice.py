"""Which of the ways to run networks are taken for a model, data and device."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from landscape_cli.choices import Precision
from landscape_cli.data.source import Split
from landscape_cli.evaluation.arithmetic import Arithmetic, InPrecision
from landscape_cli.evaluation.halving import Halving
from landscape_cli.evaluation.runners import FirstSuitable, InWholeNumbers, OneByOne, Runner
from landscape_cli.evaluation.shared_layers import SharedLayers
from landscape_cli.evaluation.stacked import Stacked
from landscape_cli.evaluation.whole_numbers import WholeNumbers
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.work import Work

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
    """
    one_by_one = OneByOne(model, objective)
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
