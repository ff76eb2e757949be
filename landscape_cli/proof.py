"""Proving, on a network's own outputs, that a transformation did not change what it computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_cli.batches import largest_activation
from landscape_cli.checkpoint import Params
from landscape_cli.errors import GeometryError, ProofError
from landscape_cli.functional import cast_floats, float_type, run_with, unsaved_buffers
from landscape_cli.objective import all_outputs, decide, logits_of
from landscape_cli.seeds import generator

PROBES = 256
MEMORY = 128 << 20
"""Bytes for the largest tensor of one forward pass on the probe batch."""
EXACT = 1e-9
"""Largest relative difference of logits allowed in float64, before storing."""
ROUNDING = 1000.0
"""The same once stored, in units of the dtype's rounding."""


@dataclass(frozen=True)
class Difference:
    """How far apart two networks' outputs are on a probe batch.

    Attributes:
        largest: the largest absolute difference of a logit.
        relative: the same divided by the largest logit; of several outputs, of the one where it is worst.
        decisions: how many decisions differ, by the first output.
        probes: how many probe inputs there were.
    """

    largest: float
    relative: float
    decisions: int
    probes: int

    def columns(self) -> dict[str, float]:
        """Return the columns of a result that hold it."""
        return {
            "largest_logit_difference": self.largest,
            "relative_difference": self.relative,
            "decisions_changed": self.decisions,
            "probes": self.probes,
        }


@torch.no_grad()
def compare(model: nn.Module, before: Params, after: Params, probe: Tensor, *, factor: float = 1.0) -> Difference:
    """Compare all outputs in float64: those of `after` with `factor` times those of `before`."""
    return _difference(_outputs(model, before, probe), _outputs(model, after, probe), factor)


def probe_batch(
    model: nn.Module, params: Params, input_shape: tuple[int, ...], *, seed: int, device: torch.device
) -> Tensor:
    """Return standard normal inputs, as standardised data are, shape (probes, *input_shape), float64.

    There are PROBES, or as many as keep the largest tensor of the forward pass within MEMORY, though at least two.
    """
    examples = torch.randn(2, *input_shape, generator=generator(seed), dtype=float_type(params)).to(device)
    placed = {name: tensor.to(device) for name, tensor in ({**unsaved_buffers(model), **params}).items()}
    model.eval()
    each = torch.float64.itemsize * largest_activation(lambda x: run_with(model, placed, x), examples)
    count = max(2, min(PROBES, MEMORY // each))
    return torch.randn(count, *input_shape, generator=generator(seed), dtype=torch.float64).to(device)


def prove(
    model: nn.Module,
    before: Params,
    exact: Params,
    stored: Params,
    probe: Tensor,
    *,
    factor: float = 1.0,
    what: str,
    suspects: Iterable[tuple[str, Params]] = (),
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
        suspects: by name of each group, the network with only that group transformed, which should compute exactly
            what `before` does; read on failure alone, one at a time, to find the group at fault.

    Returns:
        The difference of `stored` from `before`.

    Raises:
        GeometryError: if the outputs were not finite to begin with.
        ProofError: if either differs by more than rounding.
    """
    eps = max((torch.finfo(t.dtype).eps for t in stored.values() if t.is_floating_point()), default=0.0)
    with torch.no_grad():
        expected = _outputs(model, before, probe)
        if not all(bool(torch.isfinite(output).all()) for output in expected):
            raise GeometryError(f"{what} makes no sense: its outputs on random inputs are NaN or Inf as it is")
        for after, allowed, where in ((exact, EXACT, ""), (stored, max(EXACT, ROUNDING * eps), ", once stored")):
            difference = _difference(expected, _outputs(model, after, probe), factor)
            if not difference.relative <= allowed:
                raise ProofError(
                    f"{what} changed the function{where}: logits differ by {difference.relative:.2g} of the largest, "
                    f"{allowed:.2g} is allowed{_blame(model, expected, after, probe, suspects, allowed, factor)}; "
                    "nothing was written: please report this model"
                )
    return difference


def _blame(
    model: nn.Module,
    expected: tuple[Tensor, ...],
    like: Params,
    probe: Tensor,
    suspects: Iterable[tuple[str, Params]],
    allowed: float,
    factor: float,
) -> str:
    """Return the part of a message that names the groups that change the function on their own, in `like`'s dtypes."""
    innocent, guilty = 0, []
    for name, params in suspects:
        alone = _difference(expected, _outputs(model, cast_like(params, like), probe), 1.0)
        if alone.relative <= allowed:
            innocent += 1
        else:
            guilty.append(repr(name))
    if guilty:
        more = f" and {len(guilty) - 3} more" if len(guilty) > 3 else ""
        return f" (at fault: the group {', '.join(guilty[:3])}{more})"
    if innocent:
        return " (no group is at fault alone)" if factor == 1 else " (at fault: the last layer, or no group alone)"
    return ""


def to_double(params: Params, device: torch.device) -> dict[str, Tensor]:
    """Return the network with its floating-point tensors in float64, on `device`."""
    return cast_floats(params, torch.float64, device)


def cast_like(params: Params, original: Params) -> dict[str, Tensor]:
    """Return the network in the dtypes of another, on the CPU."""
    return {name: tensor.to("cpu", original[name].dtype) for name, tensor in params.items()}


def _outputs(model: nn.Module, params: Params, probe: Tensor) -> tuple[Tensor, ...]:
    tensors = to_double({**unsaved_buffers(model), **params}, probe.device)
    return all_outputs(run_with(model, tensors, probe))


def _difference(expected: tuple[Tensor, ...], found: tuple[Tensor, ...], factor: float) -> Difference:
    apart = torch.stack([(other - factor * one).abs().max() for one, other in zip(expected, found, strict=True)])
    scale = torch.stack([(factor * one).abs().max() for one in expected])
    relative = apart / torch.where(scale > 0, scale, torch.ones_like(scale))  # the largest of NaN and others is NaN
    differing = int(torch.count_nonzero(decide(logits_of(found)) != decide(logits_of(expected))))
    return Difference(float(apart.max()), float(relative.max()), differing, len(found[0]))
