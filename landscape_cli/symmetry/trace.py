"""Deriving a model's symmetries by running it once, without numbers, and relating places operator by operator."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from math import lgamma
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_cli.arguments import check_kind
from landscape_cli.binary.layers import latent_names
from landscape_cli.errors import InconsistencyError, TraceError, one_line
from landscape_cli.forward.float64 import in_float64
from landscape_cli.forward.functional import call_with
from landscape_cli.forward.uncompiled import without_compiler
from landscape_cli.network import WholeInputs
from landscape_cli.symmetry.reasons import doubts
from landscape_cli.symmetry.solving.free_groups import fixed_signs
from landscape_cli.symmetry.solving.groups import assemble, parts_of
from landscape_cli.symmetry.solving.joining import with_trades
from landscape_cli.symmetry.solving.siblings import Siblings
from landscape_cli.symmetry.solving.skipped import leaves_out_nothing
from landscape_cli.symmetry.solving.trades import find_trades
from landscape_cli.symmetry.solving.unfollowed import MAY
from landscape_cli.symmetry.spec import Symmetry
from landscape_cli.symmetry.tracing.branches import MOST, Branches, holds_in
from landscape_cli.symmetry.tracing.cuts import crossed_in, crossings, joint_cuts
from landscape_cli.symmetry.tracing.record import Cut, Known, Stacks, Traced, counts_of
from landscape_cli.symmetry.tracing.tracer import BY_MASKS, Tracer


def trace_symmetry(
    model: nn.Module, example_input: Tensor, *, strict: bool = False, inputs: WholeInputs | None = None
) -> Symmetry:
    """Derive the permutation, scale and sign groups of a model from one forward pass (docs/method.md: Words).

    The forward pass runs in evaluation mode on tensors without numbers, so that it takes no time to speak of; every
    operator relates the places of its inputs to those of its outputs (tracing/rules). What cannot be established is
    fixed, for a reason that is kept. At the end every axis of every parameter must be accounted for: in a group, or
    fixed.

    Args:
        model: any feed-forward model that takes one tensor and returns one, or several in a tuple or list.
        example_input: a batch of inputs, shape (n, ...); its values do not matter, nor does its floating-point type.
        strict: make an error of operators without a rule, of units that are not followed otherwise, and of parameters
            that are never used.
        inputs: which whole numbers the model takes, for proofs to draw from; by default, if the example is of whole
            numbers, those from 0 to its largest.

    Returns:
        The groups, with all tensor axes of each; the spheres of normalised networks; and what is fixed, and why.

    Raises:
        TraceError: if the model looks at values, changes its parameters, does not return tensors, or cannot be run;
            with `strict`, also if an operator has no rule, units are not followed, or a parameter is not used.
    """
    check_kind("model", model, nn.Module, "give an nn.Module, such as build_model returns", TraceError)
    check_kind("example_input", example_input, Tensor, "give a batch of inputs, shape (n, ...)", TraceError)
    traced, symmetry, note = _along_branches(model, example_input, strict)
    told = [*doubts(symmetry), *(text for text in symmetry.notes if text.startswith((MAY, CONTRADICTED)))]
    if told and strict:
        raise TraceError(f"{told[0]}, and strict was asked for: without, that is fixed")
    latents = latent_names(model)
    return replace(
        symmetry,
        notes=(*symmetry.notes, *note, *(f"{line}: that is fixed" for line in doubts(symmetry))),
        latents=latents,
        fixed_signs=fixed_signs(traced.equations, symmetry) if latents else (),
        input_shape=tuple(example_input.shape[1:]),
        inputs=inputs or _whole(example_input),
    )


MOST_JOINT = 4
"""Up to how many parameters are followed one by one with units at the places of several axes together."""
CONTRADICTED = "parameters cut into pieces have symmetries that contradict themselves"
"""What the note begins with that a way to follow a model was given up, which is our fault."""


class _Failed(TraceError):
    """The forward pass itself raised something."""


def _along_branches(model: nn.Module, example_input: Tensor, strict: bool) -> tuple[Traced, Symmetry, list[str]]:
    """Run a model, and again each other way that it may go by values that it looks at; return what holds, and a note.

    Raises:
        TraceError: if what was found is not true of another way; with `strict`, if ways differ at all.
    """
    branches = Branches()
    while True:
        try:
            traced, symmetry, known = _symmetry_of(model, example_input, strict, branches)
            break
        except _Failed:
            if not branches.taken or not branches.taken[-1]:
                raise
            branches = Branches((*branches.taken[:-1], False))
    differ = len(branches.taken) > MOST
    for number, way in enumerate(branches.others()):
        try:
            run = _traced(model, example_input, False, way, known)
        except _Failed:
            continue  # which no input takes
        if leaves_out_nothing(traced, run, number):
            continue
        other, _ = assemble(run)
        if not holds_in(symmetry, other):
            raise TraceError(
                "the forward pass looks at values, as a data-dependent branch does, and has other symmetries one way "
                "than the other: let it compute both ways and choose, as torch.where does"
            )
        differ |= not holds_in(other, symmetry)
    trades = find_trades(traced, list(parts_of(traced)), symmetry)
    if branches.taken:  # of the other ways it is not known
        trades = [replace(trade, slots=()) for trade in trades]
    symmetry = with_trades(symmetry, trades)
    note = "the forward pass goes this way or that by the values that it looks at: it is followed where all is so"
    if differ and strict:
        raise TraceError(f"{note}, and strict was asked for")
    return traced, symmetry, [note] if differ else []


def _symmetry_of(
    model: nn.Module, example_input: Tensor, strict: bool, branches: Branches
) -> tuple[Traced, Symmetry, Known]:
    """Return what one way through a model says, and what is to be known of the model to follow it so."""
    traced, symmetry, siblings = _derived(model, example_input, strict, branches)
    known, tried = Known(), _ways(traced.stacks)
    alike: dict[tuple[int, ...], dict[str, tuple[Cut, ...]]] = {}  # what is no stack is not to be cut along with others
    for name, cuts in traced.stacks.items():
        alike.setdefault(counts_of(cuts), {})[name] = cuts
    notes: dict[str, None] = {}

    def follow(more: Known) -> tuple[Traced, Symmetry, Siblings] | None:
        """Return what a model says that is followed so; None where that contradicts itself, which is noted."""
        try:
            return _derived(model, example_input, strict, Branches(branches.given), more)
        except InconsistencyError as problem:
            notes[f"{CONTRADICTED}, so that less may be found ({problem})"] = None
            return None

    if len(alike) > 1:  # most are none, as tables of positions: what changes nothing together is not cut one by one
        every = follow(Known(dict(traced.stacks)))
        if every and _size(every[1]) == _size(symmetry) and _ways(every[0].stacks) <= tried:
            alike.clear()
    in_order = sorted(alike.values(), key=lambda stacks: -max(map(len, stacks.values())))
    again_apart = [step for stacks in in_order for step in _otherwise(stacks)]
    together = [{name: cuts for stacks in in_order for name, cuts in stacks.items()}] if len(in_order) > 1 else []
    crossed = [step for stacks in (*together, *in_order) for step in crossings(stacks, traced.shapes)]
    steps = deque([*map(Known, [*in_order, *again_apart, *crossed]), Known(joints=siblings.joints)])
    while steps:
        step = steps.popleft()
        cut = {name: cuts for name, cuts in {**known.stacks, **step.stacks}.items() if cuts}
        more = Known(cut, known.joints | step.joints)
        if more == known or (step.stacks in again_apart and not _is_left(step.stacks, known.stacks)):
            continue
        if (crossing := crossed_in(step.stacks)) and crossing <= crossed_in(known.stacks):
            continue
        result = follow(more)
        if result and not more.joints <= result[2].told:
            more = Known(more.stacks, more.joints & result[2].told)
            result = follow(more)
        if result is None:
            continue
        again, apart, found = result
        if seen := _ways(again.stacks, step.joints) - tried:  # what is cut shows what else is a stack
            steps.appendleft(Known({**more.stacks, **again.stacks}, step.joints))
            tried |= seen
        if more.joints <= found.told and _size(apart) > _size(symmetry):
            traced, symmetry, known = again, apart, more
    joint = joint_cuts(traced.joint, traced.shapes, known.stacks)
    ways = [joint, *({name: joint[name]} for name in list(joint)[:MOST_JOINT] if len(joint) > 1)] if joint else []
    for way in ways:
        more = Known({**known.stacks, **way}, known.joints)
        result = follow(more)
        if result and _is_more(result[1], symmetry):
            traced, symmetry, known = result[0], result[1], more
            if way is joint:
                break
    return traced, replace(symmetry, notes=(*symmetry.notes, *notes)), known


def _otherwise(stacks: Mapping[str, tuple[Cut, ...]]) -> Iterator[dict[str, tuple[Cut, ...]]]:
    """Yield other ways to cut parameters: with pieces that are told by their numbers, or by one cut of several."""
    if all(max(cut.pieces) == 1 for cuts in stacks.values() for cut in cuts):
        yield {name: tuple(cut.numbered for cut in cuts) for name, cuts in stacks.items()}
    for k in (0, -1):
        if min(map(len, stacks.values())) > 1:
            yield {name: (cuts[k],) for name, cuts in stacks.items()}


def _ways(stacks: Stacks, joints: frozenset[int] = frozenset()) -> set[tuple[object, ...]]:
    """Return in which ways parameters are cut; along with joints, if pieces have units in common along some axes."""
    return {
        (name, cuts, joints if any(cut.beside is not None for cut in cuts) else frozenset())
        for name, cuts in stacks.items()
    }


def _is_left(stacks: Mapping[str, object], followed: Stacks) -> bool:
    """Tell whether parameters are whole still, others being cut."""
    return bool(followed) and followed.keys().isdisjoint(stacks)


def _is_more(after: Symmetry, before: Symmetry) -> bool:
    """Tell whether units may be permuted in more ways, and as many scales and signs are free."""
    free, order = ([], [])
    for symmetry in (after, before):
        free.append(sum(group.size for groups in (symmetry.scales, symmetry.signs) for group in groups))
        groups = [(group.size, group.blocks) for group in symmetry.permutations]
        groups += [(group.size, 1) for group in symmetry.modules]
        order.append(sum(blocks * lgamma(size + 1) for size, blocks in groups))
    return free[0] >= free[1] and order[0] > order[1] + 1e-6


def _size(symmetry: Symmetry) -> int:
    units = sum(group.units for group in symmetry.permutations) + sum(group.size for group in symmetry.modules)
    return units + sum(group.size for groups in (symmetry.scales, symmetry.signs) for group in groups)


def _derived(
    model: nn.Module, example_input: Tensor, strict: bool, branches: Branches, known: Known | None = None
) -> tuple[Traced, Symmetry, Siblings]:
    """Run a model once; return what was learned, what that amounts to, and which parts trade places."""
    with _kept():
        traced = _traced(model, example_input, strict, branches, known)
        return traced, *assemble(traced)


@contextmanager
def _kept() -> Iterator[None]:
    """Let Python not search for cycles in what is made meanwhile: next to all of it stays to the end."""
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()


def _traced(
    model: nn.Module, example_input: Tensor, strict: bool, branches: Branches, known: Known | None = None
) -> Traced:
    """Run a model once; return what was learned."""
    tracer = Tracer(model, strict=strict, known=known, branches=branches)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), example_input.dtype)
    example = tracer.add_input(example_input.to(dtype) if example_input.is_floating_point() else example_input)
    precision = in_float64() if example.dtype == torch.float64 else nullcontext()
    try:
        with _evaluating(model), _modules(model, tracer), without_compiler(), tracer, precision:
            output = call_with(model, tracer.parameters.stand_ins, example)
    except (TraceError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as cause:
        raise _failure(cause, tracer, tuple(example_input.shape)) from cause
    return tracer.finish(output)


def _whole(example: Tensor) -> WholeInputs | None:
    """Return the whole numbers that inputs are; None of real ones, and of bytes, which are to calculate with."""
    if example.dtype not in {torch.int16, torch.int32, torch.int64} or not example.numel() or example.is_meta:
        return None
    return WholeInputs(min(0, int(example.min())), int(example.max()) + 1)


def _failure(cause: BaseException, tracer: Tracer, shape: tuple[int, ...]) -> TraceError:
    """Return what is to be said of a forward pass that failed, in one line."""
    in_module = tracer.in_module()
    if isinstance(cause, SystemExit):
        return TraceError(f"the forward pass{in_module} ends the program (SystemExit): remove that from the model")
    reason = one_line(cause, 300)
    unknown = isinstance(cause, NotImplementedError | TypeError) and "meta" in reason.lower()
    if unknown or "unallocated storage" in reason:
        return TraceError(
            f"the forward pass{in_module} needs the values of a tensor, as numpy or a data-dependent branch does: "
            f"its symmetries cannot be derived from one run ({type(cause).__name__})"
            + (f": {BY_MASKS}" if tracer.has_names else "")
        )
    return _Failed(f"the forward pass failed{in_module} on an input of shape {shape}: {type(cause).__name__}: {reason}")


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Run a model in evaluation mode, without gradients, operator by operator."""
    was_training = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)  # whole layers in one operator would hide what they do
        with torch.inference_mode(False), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in was_training.items():
            module.training = training


@contextmanager
def _modules(model: nn.Module, tracer: Tracer) -> Iterator[None]:
    """Let the tracer know the module whose forward pass is running, for its messages."""
    stack: list[str] = []

    def enter(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            stack.append(name)
            tracer.module = name

        return hook

    def leave(module: nn.Module, *_: Any) -> None:
        stack.pop()
        if module is model:
            tracer.parameters.check_attributes(model)
        tracer.module = stack[-1] if stack else ""

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue  # which takes no hooks
        handles += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
