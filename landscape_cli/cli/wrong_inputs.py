"""What points at preprocessing where a network fails, or errs as if it knew inputs otherwise."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from landscape_cli.choices import Preprocess
from landscape_cli.errors import DataError, LandscapeError, LandscapeWarning, Remark, one_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.forward.functional import ForwardError
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import Params

LARGE = {"asked": 0.9, "assumed": 0.5}
"""The part of the error of always guessing the commonest class from which on preprocessing may be wrong."""
WORTH_TRIALS = 0.1
"""The same for assumed ones, from which on others are tried."""
TRIAL_SAMPLES = 1000
BETTER, DEVIATIONS = 0.8, 3
"""The part of an error that another preprocessing must stay below to be suggested, by so many standard errors."""


def check_categories(name: str, model: nn.Module, params: Params, seen: DataSet, device: torch.device) -> None:
    """Check that a network runs on a table of which columns of whole numbers, maybe categories, were calculated with.

    Raises:
        DataError: if it runs on the table as it is, but not as it is to see it.

    Warns:
        Remark: if it runs, and columns are of both kinds.
    """
    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.data.source import Split
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.forward.functional import ForwardError

    x, kind = seen.raw_train.x, seen.preprocessing
    if x.ndim != 2 or not kind.mean:
        return
    numbers = [k for k in range(x.shape[1]) if len(kind.mean) == 1 or (kind.mean[k], kind.deviation[k]) != (0, 1)]
    whole = [k for k in numbers if not x.is_floating_point() or bool((x[:, k] == x[:, k].round()).all())]

    def failure_on(inputs: Tensor) -> ForwardError | None:
        try:
            Evaluator(model, Split(inputs, seen.raw_train.y, seen.objective), device=device).evaluate([params])
        except ForwardError as error:
            return error
        return None

    failure = failure_on(seen.train.x) if whole else None
    others = [k for k in numbers if k not in whole]
    remedy = f"name the others with `columns=` {as_ranges(others)}" if others else "use `preprocess=` none"
    if failure is not None and failure_on(Preprocessing.none().apply(x)) is None:
        raise DataError(
            f"{name} runs on inputs as they are, but not {kind} ({one_line(failure.reason)}{failure.where}): if "
            f"columns {as_ranges(whole)}, which hold whole numbers, are categories, {remedy}"
        )
    if failure is None and whole and others:
        warnings.warn(
            f"columns {as_ranges(whole)} hold whole numbers, and are standardised like the others: if they are "
            f"categories, {remedy}",
            Remark,
            stacklevel=3,
        )


def as_ranges(columns: Sequence[int]) -> str:
    """Return numbers in rising order as `--columns` takes them: 0,2-4."""
    runs: list[list[int]] = []
    for column in columns:
        if runs and runs[-1][-1] == column - 1:
            runs[-1][1:] = [column]
        else:
            runs.append([column])
    return ",".join("-".join(map(str, run)) for run in runs)


def check_guess(network: Checkpoint, model: nn.Module, data: DataSet, device: torch.device, *, assumed: bool) -> None:
    """Point at preprocessing if a network that does not say how it sees inputs errs as if it saw them otherwise.

    Whoever has said how it does is told only near the error of guessing: the network may know little.

    Warns:
        LandscapeWarning: if another preprocessing does better.
        Remark: if none that has no numbers of its own does.
    """
    import torch

    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.data.source import Split
    from landscape_cli.evaluation.evaluator import Evaluator

    own = data.seen_by(network).preprocessing
    if own.kind == Preprocess.NONE and network.model.inputs is not None:  # tokens are prepared in one way only
        return
    labels = data.raw_train.y
    drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:TRIAL_SAMPLES]
    x, y = data.raw_train.x[drawn], labels[drawn]
    chance = data.objective.guess_error(y)
    if chance is None:
        return

    def error_of(kind: Preprocessing) -> float:
        try:
            split = Split(data.under(kind).preprocessing.apply(x), y, data.objective)
            return float(Evaluator(model, split, device=device).error([network.params])[0])
        except LandscapeError:  # it does not suit the data, or the model not what becomes of them
            return math.inf

    error, large = error_of(own), chance * LARGE["assumed" if assumed else "asked"]
    if not (chance * WORTH_TRIALS if assumed else large) <= error <= 1:
        return
    others = [Preprocessing(kind) for kind in Preprocess if kind is not Preprocess.CHANNELS and kind != own.kind]
    lowest, best = min(((error_of(kind), kind.kind) for kind in others), default=(math.inf, ""))
    noise = math.sqrt(error * (1 - error) / len(y))
    is_better = lowest <= min(BETTER * error, error - DEVIATIONS * noise)
    if not is_better and error < large:
        return
    remedy = "was it trained on inputs prepared otherwise? See --preprocess, --mean and --std"
    if is_better:
        remedy = f"with --preprocess {best} it is {lowest:.3g}"
    warnings.warn(
        f"{network.path} has an error of {error:.3g} on {len(y)} training samples that are {own}, where guessing has "
        f"{chance:.3g}: {remedy}",
        LandscapeWarning if is_better else Remark,
        stacklevel=3,
    )
