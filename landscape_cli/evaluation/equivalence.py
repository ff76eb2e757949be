"""Proving, on a network's own outputs, that a transformation did not change what it computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.errors import (
    GeometryError,
    LandscapeError,
    LandscapeWarning,
    ModelError,
    ProofError,
    listed,
)
from landscape_cli.evaluation.probes import parts_of, probes_at_once
from landscape_cli.forward.float64 import stand_in
from landscape_cli.forward.functional import (
    ForwardError,
    cast_floats,
    errors_of_forward,
    float_type,
    run_with,
    unsaved_buffers,
)
from landscape_cli.forward.nonfinite import not_finite
from landscape_cli.forward.outputs import all_outputs, decide
from landscape_cli.network import Params

EXACT = 1e-9
"""Largest relative difference of logits allowed in float64, before storing."""
ROUNDING = 1000.0
"""The same once stored, in units of the dtype's rounding."""
LARGE = 1 << 16
"""How many numbers a weight has that is made when it is used."""
AT_ONCE = 1 << 20
"""How many numbers are compared at once."""
PLAIN = {nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d}
"""Layers that do nothing with their weights but to multiply."""


@dataclass(frozen=True)
class Difference:
    """How far apart two networks' outputs are on a probe batch.

    Attributes:
        largest: the largest absolute difference of a logit.
        relative: the same divided by the largest logit; of several outputs, of the one where it is worst.
        decisions: how many decisions differ, by the first output (which of its entries on axis 1 is the largest).
        probes: how many probe inputs there were.
        in_float64: whether the outputs were computed in float64, or in the network's own type as the model allows
            no other.
    """

    largest: float
    relative: float
    decisions: int
    probes: int
    in_float64: bool = True

    def columns(self) -> dict[str, float]:
        """Return the columns of a result that hold it."""
        return {
            "largest_logit_difference": self.largest,
            "relative_difference": self.relative,
            "decisions_changed": self.decisions,
            "probes": self.probes,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**self.columns(), "in_float64": self.in_float64}


@dataclass(frozen=True)
class Outputs:
    """What a network puts out for the probes, part by part: a pass that need not be made again.

    Attributes:
        dtype: in which it was computed: float64, or else the network's own.
        probes: the probes, in parts.
        values: of each part all outputs.
    """

    dtype: torch.dtype
    probes: tuple[Tensor, ...]
    values: list[tuple[Tensor, ...]]

    @property
    def nbytes(self) -> int:
        """What keeping them takes."""
        return sum(output.nbytes for outputs in self.values for output in outputs)


@torch.no_grad()
def compare(model: nn.Module, before: Params, after: Params, probe: Tensor, *, factor: float = 1.0) -> Difference:
    """Compare all outputs in float64: those of `after` with `factor` times those of `before`."""
    expected = Outputs(torch.float64, (probe,), [_outputs(model, before, probe, torch.float64)])
    return _compare(model, expected, after, expected.probes, factor)


@torch.no_grad()
def outputs_on(model: nn.Module, params: Params, probe: Tensor, dtype: torch.dtype) -> Outputs:
    """Return what a network puts out for probes, in float64, or in `dtype`, or float32 if that is less, if that fails.

    The probes are run in parts, so that their activations are bounded however many they are.

    Raises:
        ModelError: if the model does not run.
    """
    parts = parts_of(probe, probes_at_once(model, params, probe))
    try:
        return Outputs(torch.float64, parts, [_outputs(model, params, part, torch.float64) for part in parts])
    except Exception as error:  # code of others; what is wrong with it in its own type is told below
        known = isinstance(error, LandscapeError | MemoryError | torch.OutOfMemoryError)
        if known and not isinstance(error, ForwardError):
            raise
        fallback = torch.promote_types(torch.float32, dtype)
        with errors_of_forward():
            return Outputs(fallback, parts, [_outputs(model, params, part, fallback) for part in parts])


def prove_equivalence(
    model: nn.Module,
    before: Params,
    exact: Params,
    stored: Params,
    probe: Tensor,
    *,
    probe_before: Tensor | None = None,
    expected: Outputs | None = None,
    factor: float = 1.0,
    exactly: bool = False,
    what: str,
    suspects: Iterable[tuple[str, Params]] = (),
) -> Difference:
    """Check that `exact` (float64) and `stored` (as it will be written) compute what `before` does, up to `factor`.

    A model that does not run in float64 is run in its own type, or in float32 if that is less, and held to the
    rounding of that. Where `stored` holds the very numbers of `exact`, as where they have but moved, one pass shows
    both; and a network that has all its tensors from `before` is that network.

    Args:
        model: the architecture.
        before: the network as it was.
        exact: the transformed one, in float64; or in any type, where `stored` is the same.
        stored: the same in the dtype it is written in.
        probe: inputs, float64.
        probe_before: those of `before`, where it sees others; by default the same.
        expected: what `before` puts out for these, where that is known.
        factor: the positive factor by which outputs may differ.
        exactly: whether outputs must be equal bit for bit, as those of binary networks are.
        what: what was done, for the message.
        suspects: by name of each group, the network with only that group transformed, which should compute exactly
            what `before` does; read on failure alone, one at a time, to find the group at fault.

    Returns:
        The difference of `stored` from `before`.

    Raises:
        GeometryError: if the outputs were not finite to begin with, or what is stored has lost numbers that its type
            cannot hold.
        ModelError: if the model does not run, or not twice alike.
        ProofError: if either differs by more than rounding, or at all if it is to be exact.
    """
    seen = probe if probe_before is None else probe_before
    with torch.no_grad():
        expected = expected or outputs_on(model, before, seen, float_type(stored))
        if not all(bool(torch.isfinite(output).all()) for outputs in expected.values for output in outputs):
            where = not_finite(model, to_double(before, probe.device), seen)
            raise GeometryError(f"{what} makes no sense: its outputs on random inputs are NaN or Inf as it is{where}")
        probes = probe.split([len(part) for part in expected.probes])
        finest = EXACT if expected.dtype == torch.float64 else ROUNDING * torch.finfo(expected.dtype).eps
        passes = [(exact, 0.0 if exactly else finest, "")]
        if not _same(exact, stored):
            passes.append((stored, 0.0 if exactly else finest, ", once stored"))
        for after, allowed, where in passes:
            if where:
                eps = max((torch.finfo(t.dtype).eps for t in after.values() if t.is_floating_point()), default=0.0)
                allowed = max(allowed, 0.0 if exactly else ROUNDING * eps)
            moved = (
                probe_before is not None
                or factor != 1
                or any(before.get(name) is not tensor for name, tensor in after.items())
            )
            difference = _compare(model, expected, after if moved else None, probes, factor)
            if not difference.relative <= allowed:
                _check_repeats(model, before, expected)
                if where and not _holds(exact, stored):
                    raise GeometryError(
                        f"{what} makes no sense: its numbers differ so much in size that their type cannot hold what "
                        "comes of them"
                    )
                blamed = _blame(model, expected, after, probes, suspects, allowed, factor)
                raise ProofError(
                    f"{what} changed the function{where}: logits differ by {difference.relative:.2g} of the largest, "
                    f"{allowed:.2g} is allowed{blamed}; nothing was written: please report this model"
                )
    return difference


def _same(exact: Params, stored: Params) -> bool:
    """Tell whether what is stored is what is exact, number by number."""
    for name, tensor in exact.items() if exact is not stored else ():
        kept = stored[name]
        if kept is not tensor and not (
            kept.shape == tensor.shape
            and all(
                torch.equal(numbers, rounded.to(numbers.device, numbers.dtype))
                for numbers, rounded in zip(tensor.flatten().split(AT_ONCE), kept.flatten().split(AT_ONCE), strict=True)
            )
        ):
            return False
        del tensor, kept
    return True


def _holds(exact: Params, stored: Params) -> bool:
    """Tell whether numbers are stored as such: none has become zero or infinite."""
    pairs = ((tensor, stored[name].to(tensor.device)) for name, tensor in exact.items() if tensor.is_floating_point())
    return all(bool(((kept != 0) | (tensor == 0)).all() and kept.isfinite().all()) for tensor, kept in pairs)


def _check_repeats(model: nn.Module, before: Params, expected: Outputs) -> None:
    """Check that one network gives the same outputs again, and once more: a counter's parity may hide it once.

    Raises:
        ModelError: if it does not.
    """
    for _ in range(2):
        if not _compare(model, expected, before, expected.probes, 1.0).relative <= EXACT:
            raise ModelError(
                "the model gives other outputs for the same tensors and inputs from one call to the next: its forward "
                "pass must not depend on what it keeps elsewhere, as in a counter"
            )


def _blame(
    model: nn.Module,
    expected: Outputs,
    like: Params,
    probes: Sequence[Tensor],
    suspects: Iterable[tuple[str, Params]],
    allowed: float,
    factor: float,
) -> str:
    """Return the part of a message that names the groups that change the function on their own, in `like`'s dtypes."""
    innocent, guilty = 0, []
    for name, params in suspects:
        alone = _compare(model, expected, cast_like(params, like), probes, 1.0)
        if alone.relative <= allowed:
            innocent += 1
        else:
            guilty.append(repr(name))
    if guilty:
        return f" (at fault: the group {listed(guilty)})"
    if innocent:
        return " (no group is at fault alone)" if factor == 1 else " (at fault: the last layer, or no group alone)"
    return ""


def to_double(params: Params, device: torch.device) -> dict[str, Tensor]:
    """Return the network with its floating-point tensors in float64, on `device`."""
    return cast_floats(params, torch.float64, device)


def cast_like(params: Params, original: Params) -> dict[str, Tensor]:
    """Return the network in the dtypes of another, and where that is."""
    return {name: tensor.to(original[name].device, original[name].dtype) for name, tensor in params.items()}


def _outputs(model: nn.Module, params: Params, probe: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    inputs = probe.to(dtype) if probe.is_floating_point() else probe
    # On inputs in float64 every operator takes its own in float64: large weights are made so one at a time.
    later = _plain_weights(model, params, probe.device) if inputs.dtype == torch.float64 else {}
    tensors = cast_floats(unsaved_buffers(model), dtype, probe.device) | later
    for name in params:
        if name not in later:
            tensors |= cast_floats({name: params[name]}, dtype, probe.device)
    stand_ins = {
        id(tensor): (tensor, partial(_in_float64, params, name, probe.device)) for name, tensor in later.items()
    }
    outputs = all_outputs(run_with(model, tensors, inputs, stand_ins))
    return tuple(output.to(dtype) if output.is_floating_point() else output for output in outputs)


def _plain_weights(model: nn.Module, params: Params, device: torch.device) -> dict[str, Tensor]:
    """Return, by name, what stands in for large weights of layers of PyTorch's that do nothing but multiply them."""
    layers = {f"{name}.weight": module for name, module in model.named_modules() if type(module) in PLAIN and name}
    return {
        name: stand_in(layer.weight.shape, device)
        for name, layer in layers.items()
        if name in params and layer.weight.numel() >= LARGE
    }


def _in_float64(params: Params, name: str, device: torch.device) -> Tensor:
    return params[name].to(device, torch.float64)


def _compare(
    model: nn.Module, expected: Outputs, after: Params | None, probes: Sequence[Tensor], factor: float
) -> Difference:
    """Compare a network's outputs, or without one the expected ones, with `factor` times what is expected."""
    largest = scale = torch.zeros(1)
    decisions = 0
    for before, part in zip(expected.values, probes, strict=True):
        outputs = before if after is None else _outputs(model, after, part, expected.dtype)
        pairs = list(zip(before, outputs, strict=True))
        apart = torch.stack([(now - factor * old).abs().max() for old, now in pairs])
        sizes = torch.stack([(factor * old).abs().max() for old in before])
        largest, scale = torch.maximum(apart, largest.to(apart)), torch.maximum(sizes, scale.to(sizes))  # NaN stays
        first, old = (each[0] if each[0].ndim > 1 else each[0][:, None] for each in (outputs, before))
        decisions += int(torch.count_nonzero(decide(first) != decide(old)))
    relative = largest / torch.where(scale > 0, scale, torch.ones_like(scale))
    return Difference(
        float(largest.max()),
        float(relative.max()),
        decisions,
        sum(map(len, probes)),
        expected.dtype == torch.float64,
    )


def warn_of_precision(name: str, proof: Difference | None) -> None:
    """Say so where a network's outputs were compared, but could not be in float64.

    Warns:
        LandscapeWarning: naming the network.
    """
    if proof is not None and not proof.in_float64:
        warnings.warn(
            f"{name}: the outputs were compared in float32 alone: the model fails in float64", LandscapeWarning, 2
        )
