"""Proving, on a network's own outputs, that a transformation did not change what it computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_cli.checkpoint import Params
from landscape_cli.errors import ProofError
from landscape_cli.functional import cast_floats, run_with, unsaved_buffers
from landscape_cli.objective import decide
from landscape_cli.seeds import generator

PROBES = 256
EXACT = 1e-9
"""Largest relative difference of logits allowed in float64, before storing."""
ROUNDING = 1000.0
"""The same once stored, in units of the dtype's rounding."""


@dataclass(frozen=True)
class Difference:
    """How far apart two networks' outputs are on a probe batch.

    Attributes:
        largest: the largest absolute difference of a logit.
        relative: the same divided by the largest logit.
        decisions: how many decisions differ.
        probes: how many probe inputs there were.
    """

    largest: float
    relative: float
    decisions: int
    probes: int


@torch.no_grad()
def compare(model: nn.Module, before: Params, after: Params, probe: Tensor, *, factor: float = 1.0) -> Difference:
    """Compare outputs in float64: those of `after` with `factor` times those of `before`."""
    expected = _outputs(model, before, probe)
    found = _outputs(model, after, probe)
    largest = float((found - factor * expected).abs().max())
    scale = float((factor * expected).abs().max())
    differing = int(torch.count_nonzero(decide(found) != decide(expected)))
    return Difference(largest, largest / scale if scale > 0 else largest, differing, len(probe))


def probe_batch(input_shape: tuple[int, ...], *, seed: int, device: torch.device) -> Tensor:
    """Return standard normal inputs, as standardised data are, shape (PROBES, *input_shape), float64."""
    return torch.randn(PROBES, *input_shape, generator=generator(seed), dtype=torch.float64).to(device)


def prove(
    model: nn.Module,
    before: Params,
    exact: Params,
    stored: Params,
    probe: Tensor,
    *,
    factor: float = 1.0,
    what: str,
) -> Difference:
    """Check that `exact` (float64) and `stored` (as it will be written) compute what `before` does, up to `factor`.

    Args:
        model: the architecture.
        before: the network as it was.
        exact: the transformed one, in float64.
        stored: the same in the dtype it is written in.
        probe: inputs, float64.
        factor: the positive factor by which outputs may differ.
        what: what was done, for the message.

    Returns:
        The difference of `stored` from `before`.

    Raises:
        ProofError: if either differs by more than rounding.
    """
    in_theory = compare(model, before, exact, probe, factor=factor)
    in_file = compare(model, before, stored, probe, factor=factor)
    eps = max(torch.finfo(t.dtype).eps for t in stored.values() if t.is_floating_point())
    for difference, allowed in ((in_theory, EXACT), (in_file, max(EXACT, ROUNDING * eps))):
        if not difference.relative <= allowed:
            raise ProofError(
                f"{what} changed the function: logits differ by {difference.relative:.2g} of the largest, "
                f"{allowed:.2g} is allowed; nothing was written: please report this model"
            )
    return in_file


def to_double(params: Params, device: torch.device) -> dict[str, Tensor]:
    """Return the network with its floating-point tensors in float64, on `device`."""
    return cast_floats(params, torch.float64, device)


def cast_like(params: Params, original: Params) -> dict[str, Tensor]:
    """Return the network in the dtypes of another, on the CPU."""
    return {name: tensor.to("cpu", original[name].dtype) for name, tensor in params.items()}


def _outputs(model: nn.Module, params: Params, probe: Tensor) -> Tensor:
    return run_with(model, to_double({**unsaved_buffers(model), **params}, probe.device), probe)
