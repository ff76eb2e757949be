"""Proving, on a network's own outputs, that a transformation did not change what it computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.errors import (
    GeometryError,
    LandscapeError,
    LandscapeWarning,
    ModelError,
    ProofError,
    listed,
)
from landscape_cli.forward.functional import (
    ForwardError,
    cast_floats,
    errors_of_forward,
    float_type,
    run_with,
    unsaved_buffers,
)
from landscape_cli.forward.memory import largest_activation
from landscape_cli.forward.nonfinite import not_finite
from landscape_cli.forward.outputs import all_outputs, decide
from landscape_cli.network import Params, WholeInputs
from landscape_cli.rng import generator

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


@torch.no_grad()
def compare(model: nn.Module, before: Params, after: Params, probe: Tensor, *, factor: float = 1.0) -> Difference:
    """Compare all outputs in float64: those of `after` with `factor` times those of `before`."""
    expected, outputs = (_outputs(model, params, probe, torch.float64) for params in (before, after))
    return _difference(expected, outputs, factor)


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

    There are PROBES, or as many as keep the largest tensor of the forward pass within MEMORY, though at least two.

    Raises:
        ModelError: if the model does not run, or the shape of one input is not known.
    """
    if input_shape is None:
        raise ModelError("the shape of one input is not known, so nothing can be proved: name it with `input_shape=`")
    check_kind("input_shape", input_shape, (tuple, list), "give the sizes of one input as a tuple", ModelError)
    for size in input_shape:
        check_whole("input_shape", size, ModelError, least=1)
    kind = float_type(params)

    def draw(count: int, dtype: torch.dtype) -> Tensor:
        source = generator(seed)
        if inputs is None:
            return torch.randn(count, *input_shape or (), generator=source, dtype=dtype).to(device)
        drawn = inputs.draw(count, *input_shape or (), seed=source).to(device)
        return drawn.to(dtype) if drawn.is_floating_point() else drawn

    examples = draw(2, kind)
    tensors = {name: tensor.to(device) for name, tensor in ({**unsaved_buffers(model), **params}).items()}
    model.eval()
    with errors_of_forward():
        sample_bytes = torch.float64.itemsize * largest_activation(lambda x: run_with(model, tensors, x), examples)
    count = max(2, min(PROBES, MEMORY // sample_bytes))
    return draw(count, torch.float64)


def check_probe(probe: Tensor) -> None:
    """Check inputs to compare outputs on.

    Raises:
        ModelError: if they are no tensor, or there are none.
    """
    check_kind("probe", probe, Tensor, "give inputs as a tensor, shape (n, *input_shape)", ModelError)
    if not probe.numel():
        raise ModelError("`probe=` holds no inputs, so nothing can be proved: give some, or leave it out")


def prove_equivalence(
    model: nn.Module,
    before: Params,
    exact: Params,
    stored: Params,
    probe: Tensor,
    *,
    probe_before: Tensor | None = None,
    factor: float = 1.0,
    exactly: bool = False,
    what: str,
    suspects: Iterable[tuple[str, Params]] = (),
) -> Difference:
    """Check that `exact` (float64) and `stored` (as it will be written) compute what `before` does, up to `factor`.

    A model that does not run in float64 is run in its own type, or in float32 if that is less, and held to the
    rounding of that.

    Args:
        model: the architecture.
        before: the network as it was.
        exact: the transformed one, in float64.
        stored: the same in the dtype it is written in.
        probe: inputs, float64.
        probe_before: those of `before`, where it sees others; by default the same.
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
    eps = max((torch.finfo(t.dtype).eps for t in stored.values() if t.is_floating_point()), default=0.0)
    with torch.no_grad():
        dtype, expected = _expected(model, before, seen, torch.promote_types(torch.float32, float_type(stored)))
        if not all(bool(torch.isfinite(output).all()) for output in expected):
            where = not_finite(model, to_double(before, probe.device), seen)
            raise GeometryError(f"{what} makes no sense: its outputs on random inputs are NaN or Inf as it is{where}")
        finest = EXACT if dtype == torch.float64 else ROUNDING * torch.finfo(dtype).eps
        most = (0.0, 0.0) if exactly else (finest, max(finest, ROUNDING * eps))
        for after, allowed, where in ((exact, most[0], ""), (stored, most[1], ", once stored")):
            difference = _difference(expected, _outputs(model, after, probe, dtype), factor)
            if not difference.relative <= allowed:
                _check_repeats(model, before, seen, expected)
                if where and not _holds(exact, stored):
                    raise GeometryError(
                        f"{what} makes no sense: its numbers differ so much in size that their type cannot hold what "
                        "comes of them"
                    )
                blamed = _blame(model, expected, after, probe, suspects, allowed, factor)
                raise ProofError(
                    f"{what} changed the function{where}: logits differ by {difference.relative:.2g} of the largest, "
                    f"{allowed:.2g} is allowed{blamed}; nothing was written: please report this model"
                )
    return replace(difference, in_float64=dtype == torch.float64)


def _holds(exact: Params, stored: Params) -> bool:
    """Tell whether numbers are stored as such: none has become zero or infinite."""
    pairs = ((tensor, stored[name].to(tensor.device)) for name, tensor in exact.items() if tensor.is_floating_point())
    return all(bool(((kept != 0) | (tensor == 0)).all() and kept.isfinite().all()) for tensor, kept in pairs)


def _expected(
    model: nn.Module, before: Params, probe: Tensor, fallback: torch.dtype
) -> tuple[torch.dtype, tuple[Tensor, ...]]:
    """Return the outputs of a network, and the type they could be computed in: float64, or else its own, `fallback`."""
    try:
        return torch.float64, _outputs(model, before, probe, torch.float64)
    except Exception as error:  # code of others; what is wrong with it in its own type is told below
        known = isinstance(error, LandscapeError | MemoryError | torch.OutOfMemoryError)
        if known and not isinstance(error, ForwardError):
            raise
        with errors_of_forward():
            return fallback, _outputs(model, before, probe, fallback)


def _check_repeats(model: nn.Module, before: Params, probe: Tensor, expected: tuple[Tensor, ...]) -> None:
    """Check that one network gives the same outputs again, and once more: a counter's parity may hide it once.

    Raises:
        ModelError: if it does not.
    """
    for _ in range(2):
        again = _difference(expected, _outputs(model, before, probe, expected[0].dtype), 1.0)
        if not again.relative <= EXACT:
            raise ModelError(
                "the model gives other outputs for the same tensors and inputs from one call to the next: its forward "
                "pass must not depend on what it keeps elsewhere, as in a counter"
            )


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
        alone = _difference(expected, _outputs(model, cast_like(params, like), probe, expected[0].dtype), 1.0)
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
    tensors = cast_floats({**unsaved_buffers(model), **params}, dtype, probe.device)
    outputs = all_outputs(run_with(model, tensors, probe.to(dtype) if probe.is_floating_point() else probe))
    return tuple(output.to(dtype) if output.is_floating_point() else output for output in outputs)


def _difference(expected: tuple[Tensor, ...], outputs: tuple[Tensor, ...], factor: float) -> Difference:
    pairs = list(zip(expected, outputs, strict=True))
    apart = torch.stack([(after - factor * before).abs().max() for before, after in pairs])
    scale = torch.stack([(factor * before).abs().max() for before in expected])
    relative = apart / torch.where(scale > 0, scale, torch.ones_like(scale))  # the largest of NaN and others is NaN
    first, before = (each[0] if each[0].ndim > 1 else each[0][:, None] for each in (outputs, expected))
    differing = int(torch.count_nonzero(decide(first) != decide(before)))
    return Difference(float(apart.max()), float(relative.max()), differing, len(outputs[0]))


def warn_of_precision(name: str, proof: Difference | None) -> None:
    """Say so where a network's outputs were compared, but could not be in float64.

    Warns:
        LandscapeWarning: naming the network.
    """
    if proof is not None and not proof.in_float64:
        warnings.warn(
            f"{name}: the outputs were compared in float32 alone: the model fails in float64", LandscapeWarning, 2
        )
