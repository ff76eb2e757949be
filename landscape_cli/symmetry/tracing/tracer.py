"""Running a model without numbers, and applying the rule of every operator that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.forward.shapes import result_on_meta
from landscape_cli.forward.uncompiled import OperatorMode
from landscape_cli.symmetry.tracing.branches import DECIDES, Branches
from landscape_cli.symmetry.tracing.constants import META, Constants, flatten, on_meta, tensors_in
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.finish import Notes, finish
from landscape_cli.symmetry.tracing.graph import Graph
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.parameters import ParameterTable
from landscape_cli.symmetry.tracing.ranks import argument
from landscape_cli.symmetry.tracing.record import Known, Traced
from landscape_cli.symmetry.tracing.rewritten import REWRITTEN, chosen_by_matrix
from landscape_cli.symmetry.tracing.rules import operator_of
from landscape_cli.symmetry.tracing.rules.call import Call, NoRule
from landscape_cli.symmetry.tracing.tensors import NO_RULE, UNKNOWN_PLACE, Names, TensorTable
from landscape_cli.symmetry.tracing.weights import WeightTracker

BOOL = torch.bool
BY_MASKS = "let it take the samples of each expert by a mask (torch.where(chosen == k)), not sort them"
"""What a model is to do of which some samples go to some experts."""
WHOLE = frozenset({torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8})


@dataclass(frozen=True)
class _Dispatch:
    """An operator about to run.

    Attributes:
        function: the operator.
        args: its positional arguments.
        kwargs: its keyword arguments.
        name: its name, with the underscore of those in place.
        operator: what is known of it.
        in_place: whether it writes into its first argument.
        target: what it writes numbers into; a tensor, if it is one.
        tensors: those among its arguments.
        where: it and the module that runs, for messages and reasons.
    """

    function: Any
    args: Any
    kwargs: dict[str, Any]
    name: str
    operator: Operator
    in_place: bool
    target: Any
    tensors: list[Tensor]
    where: str


class Tracer(OperatorMode):
    """Applies the rule of every operator that runs.

    Attributes:
        parameters: the model's tensors.
        module: the name of the module whose forward pass is running.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        strict: bool,
        known: Known | None = None,
        branches: Branches | None = None,
    ) -> None:
        super().__init__()
        self._branches = branches or Branches()
        self._constants = Constants()
        self.parameters = ParameterTable(model, self._constants, known.stacks if known else None)
        self._tensors = TensorTable(Labels(), Equations(), self.parameters, self._constants)
        self._weights = WeightTracker(self._tensors)
        self._notes = Notes(strict)
        self._joints = known.joints if known else frozenset[int]()
        alone = {
            name: [cut.axis for cut in cuts if max(cut.pieces) == 1 and not cut.joint]
            for name, cuts in self.parameters.stacks.items()
        }
        stacks = {name: axes for name, axes in alone.items() if len(axes) == len(self.parameters.stacks[name])}
        self._graph = Graph(self.parameters.name_of, self._constants, stacks)
        self.module = ""

    def add_input(self, example: Tensor) -> Tensor:
        """Return what stands in for the input."""
        stand_in = self._tensors.add_input(example)
        self._weights.add_input(stand_in)
        self._graph.add_input(stand_in)
        return stand_in

    @property
    def has_names(self) -> bool:
        """Whether any units were named by whole numbers, as experts that are chosen."""
        return self._tensors.are_named

    def finish(self, output: Any) -> Traced:
        """Check the outputs and the coverage, and return what was learned.

        Raises:
            TraceError: if the output is not tensors made from the input; with `strict`, if a parameter was not used.
        """
        return finish(output, self._tensors, self._weights, self._notes, self._graph)

    def in_module(self) -> str:
        """Return which module is running, for messages."""
        return f" in the module {self.module!r}" if self.module else ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        dispatch = self._dispatch(func, args, kwargs or {})
        self._check_target(dispatch)
        self._check_determined(dispatch)
        if dispatch.name == "index" and any(map(self._is_condition, tensors_in(args[1]))):
            with self:
                return func(args[0], self._listed(args[1]))
        result = self._rewritten(dispatch)
        if result is not None:
            return result
        if dispatch.operator.reads and self._constants.numbers(args[0]) is None:
            return self._answer(args[0])
        if dispatch.operator.fills is not None:
            return self._constants.fill(dispatch.operator, func, args, dispatch.kwargs)
        known = [tensor for tensor in dispatch.tensors if self._tensors.is_known(tensor)]
        if known:
            return self._run(dispatch, known)
        result = self._constants.run(dispatch.operator, func, args, dispatch.kwargs)
        if any(map(self._graph.holds, dispatch.tensors)):
            self._follow(dispatch, list(result) if isinstance(result, list | tuple) else [result])
        return dispatch.target if isinstance(dispatch.target, Tensor) else result

    def _rewritten(self, dispatch: _Dispatch) -> Tensor | None:
        """Return what other operators compute that are traced in the stead of one; None if there are none."""
        if not any(map(self._tensors.is_known, dispatch.tensors)):
            return None
        if dispatch.name in REWRITTEN:
            with self:
                return REWRITTEN[dispatch.name](*dispatch.args, **dispatch.kwargs)
        if dispatch.name in {"mm", "bmm"} and dispatch.target is None:
            known = [self._tensors.numbers(tensor) for tensor in dispatch.args[:2]]
            if any(numbers is not None for numbers in known):
                with self:
                    return chosen_by_matrix(dispatch.args[:2], known)
        return None

    def _dispatch(self, function: Any, args: Any, kwargs: dict[str, Any]) -> _Dispatch:
        name = function.overloadpacket.__name__
        in_place = function._schema.is_mutable and bool(args) and name.endswith("_") and not name.endswith("__")
        operator = operator_of(name.removesuffix("_") if in_place else name)
        target = args[0] if in_place else kwargs.get("out")
        tensors = tensors_in((args, kwargs))
        return _Dispatch(
            function,
            args,
            kwargs,
            name,
            operator,
            in_place,
            target=None if in_place and operator.restrides else target,
            tensors=tensors,
            where=f"{function}{self.in_module()}",
        )

    def _check_target(self, dispatch: _Dispatch) -> None:
        """Refuse, before it happens, to change a parameter, by whichever view of it."""
        for tensor in tensors_in([dispatch.target]):
            name = self.parameters.name_under(tensor)
            if name is not None:
                kind = self.parameters.kind_of(name)
                raise TraceError(
                    f"the forward pass{self.in_module()} changes the {kind} {name!r} in place ({dispatch.function})"
                )

    def _check_determined(self, dispatch: _Dispatch) -> None:
        """Refuse what is no function of the input, and what one run without values does not determine."""
        if dispatch.operator.draws:
            raise TraceError(
                f"the forward pass{self.in_module()} draws random numbers in evaluation mode ({dispatch.function}): "
                "its outputs are no function of its input"
            )
        if dispatch.operator.reads and any(self._constants.numbers(tensor) is None for tensor in dispatch.tensors):
            if dispatch.name == "nonzero" or (
                dispatch.name == "_local_scalar_dense" and dispatch.args[0].dtype == BOOL
            ):
                return
            names = self._tensors.names(dispatch.args[0])
            if dispatch.name == "_unique2" and not any(dispatch.args[2:]) and names:
                return
            if (
                dispatch.name == "bincount"
                and names
                and argument(dispatch.args, dispatch.kwargs, 2, "minlength", 0) >= len(names.units)
            ):
                return
            experts = "let it take the samples of each expert by a mask (torch.where(chosen == k)), not sort them"
            remedy = "let it compute with all values, as torch.where does" if not self._tensors.are_named else experts
            raise TraceError(
                f"the forward pass{self.in_module()} looks at the values of a tensor ({dispatch.name}), "
                f"as a data-dependent branch does: its symmetries cannot be derived from one run; {remedy}, "
                "or leave that out where the model is made"
            )

    def _answer(self, tensor: Tensor) -> bool | Tensor | tuple[Tensor, ...]:
        """Say of a condition whether it is so; of numbers that they are nowhere 0, so that all places are followed.

        Of such as name units it is asked which are there: all.
        """
        names = self._tensors.names(tensor)
        if names is not None:
            every = torch.arange(len(names.units))
            self._graph.condition(tensor, every)
            return every, every[:0], every[:0]
        self._tensors.fix(self._tensors.value(tensor), DECIDES)
        if tensor.ndim == 0 and tensor.dtype == BOOL:
            return self._branches.next(self._graph.condition(tensor))
        numbers = torch.ones(tensor.shape).nonzero()
        places = self._constants.add(torch.empty_like(numbers, device=META), numbers)
        self._graph.condition(tensor, places)
        return places

    def _is_condition(self, tensor: Tensor) -> bool:
        return tensor.dtype == BOOL and self._constants.numbers(tensor) is None

    def _listed(self, indices: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return indices with the places of conditions in their stead."""
        listed: list[Tensor | None] = []
        for index in indices:
            listed += index.nonzero().unbind(1) if index is not None and self._is_condition(index) else [index]
        return listed

    def _run(self, dispatch: _Dispatch, known: Sequence[Tensor]) -> Any:
        """Run an operator without numbers on tensors of which some are known; note what it returns, and return it."""
        tensors, target = self._tensors, dispatch.target
        self.parameters.count_uses(dispatch.tensors)
        if isinstance(target, Tensor):
            if not target.is_meta:
                raise TraceError(
                    f"the forward pass{self.in_module()} writes into a tensor made outside it ({dispatch.function})"
                )
            tensors.before_writing(target, dispatch.operator, dispatch.name)
        device = {"device": META} if dispatch.kwargs.get("device") else {}
        result = result_on_meta(dispatch.function, on_meta(dispatch.args), on_meta(dispatch.kwargs) | device)
        outputs = [] if result is None else [result] if isinstance(result, Tensor) else list(result)
        self.parameters.count_reads(dispatch.tensors, [each for each in outputs if isinstance(each, Tensor)])
        nodes = self._follow(dispatch, outputs)
        tensors.ties.follow(dispatch.operator, dispatch.function, dispatch.args, dispatch.kwargs, outputs, target)
        if target is None and not dispatch.in_place and self._passes_indices(dispatch, known, outputs):
            return result
        written = dispatch.args[0] if dispatch.in_place else target if isinstance(target, Tensor) else None
        self._keep(dispatch, outputs, written, known, nodes)
        self._weights.follow(dispatch.operator, dispatch.args, dispatch.kwargs, outputs, target)
        return result if written is None else written

    def _follow(self, dispatch: _Dispatch, outputs: Sequence[Any]) -> list[int]:
        name = dispatch.name.removesuffix("_") if dispatch.in_place else dispatch.name
        return self._graph.follow(name, dispatch.args, dispatch.kwargs, outputs, dispatch.target)

    def _passes_indices(self, dispatch: _Dispatch, known: Sequence[Tensor], outputs: Sequence[Any]) -> bool:
        """Let results be unread indices where an operator is given no more than such, and tell whether they are.

        So max_pool1d squeezes the indices of max_pool2d, and then drops them. Those that are moved about name the same.
        """
        tensors, given = self._tensors, dispatch.args[0] if dispatch.args else None
        if not outputs or not all(isinstance(each, Tensor) and each.dtype in WHOLE for each in outputs):
            return False
        names = tensors.named(given) if given is known[0] else None
        same = names is not None and dispatch.name == "remainder" and dispatch.args[1] == len(names.units)
        if names is None or not (dispatch.operator.moves or same):
            if dispatch.name in {"sort", "argsort"}:
                tensors.sort_named(known[0])
            passed = [tensors.pass_unruled(known[0], output, None) for output in outputs if len(dispatch.tensors) == 1]
            return any(passed)
        places = torch.empty_like(known[0])
        tensors.keep(places, names.places)
        values, _ = self._values(replace(dispatch, args=(places, *dispatch.args[1:])), outputs, told=False)
        for output, value in zip(outputs, values, strict=True):
            tensors.pass_unruled(known[0], output, replace(names, places=value))
        return True

    def _keep(
        self, dispatch: _Dispatch, outputs: Sequence[Any], written: Any, known: Sequence[Tensor], nodes: Sequence[int]
    ) -> None:
        """Note what is known of an operator's outputs, the first of which is what it wrote into, if it did."""
        values, named = self._values(dispatch, outputs, not self._joints.isdisjoint(nodes))
        for node, value in zip(nodes, values, strict=False):
            self._graph.describe(node, value)
        for tensor, value in zip(outputs, values, strict=False):
            if isinstance(tensor, Tensor):
                self._tensors.keep(written if tensor is outputs[0] and isinstance(written, Tensor) else tensor, value)
        for tensor in outputs[len(values) :]:
            if isinstance(tensor, Tensor):
                self._tensors.keep_unruled(tensor, dispatch.where, known, named)
        if isinstance(dispatch.target, Tensor):
            self._tensors.after_writing(dispatch.target, values[0])

    def _values(self, dispatch: _Dispatch, outputs: Sequence[Any], told: bool) -> tuple[list[Value], Names | str]:
        """Return what the operator's rule says of its outputs, or what is true without one; and what others name."""
        operator, where = dispatch.operator, dispatch.where
        shapes = [tuple(tensor.shape) for tensor in outputs if isinstance(tensor, Tensor)]
        function, args, kwargs, in_place = dispatch.function, dispatch.args, dispatch.kwargs, dispatch.in_place
        call = Call(self._tensors, operator, function, args, kwargs, shapes, where, in_place, told)
        self._tensors.equations.where = where
        if operator.rule is None or "out" in dispatch.kwargs:
            return self._without_rule(call, outputs, f"no symmetry rule for the operator {where}"), ""
        before = self._tensors.value(dispatch.args[0]) if dispatch.in_place else None
        try:
            made = operator.rule(call)
        except NoRule:
            return self._without_rule(call, outputs, f"no symmetry rule for the operator {where}"), ""
        except TraceError:
            raise
        except Exception as cause:  # facts stated before it failed are true, or only fix more than is needed
            problem = f"the symmetry rule of the operator {where} failed ({type(cause).__name__}: {cause}): report this"
            return self._without_rule(call, outputs, problem), ""
        values = made if isinstance(made, list) else [made]
        if before is not None and before.shape != values[0].shape and not operator.restrides:
            raise TraceError(f"{where} changes a shape in place, which has no rule")
        return values, call.named

    def _without_rule(self, call: Call, outputs: Sequence[Any], problem: str) -> list[Value]:
        """Fix what reaches an operator; return outputs of which no more is known than where their places are."""
        numbers = any(isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex()) for t in outputs)
        if numbers or call.operator.noted:
            self._notes.add(problem, "what reaches it is fixed")
        for tensor in flatten((call.args, call.kwargs)):
            if isinstance(tensor, Tensor) and self._tensors.is_known(tensor):
                self._tensors.fix(self._tensors.value(tensor), f"{NO_RULE}{call.where}")
        return [Value(shape, call.apart((), shape, f"{UNKNOWN_PLACE}{call.where}")) for shape in call.shapes]
