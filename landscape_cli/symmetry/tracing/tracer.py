"""Running a model without numbers, and applying the rule of every operator that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from landscape_cli.errors import ModelError, TraceError, listed
from landscape_cli.forward.outputs import all_outputs
from landscape_cli.symmetry.tracing.constants import EMPTY, FILLS, META, flatten, on_meta
from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.record import Traced
from landscape_cli.symmetry.tracing.rules import RULES, Call, NoRule
from landscape_cli.symmetry.tracing.tensors import NO_RULE, Known
from landscape_cli.symmetry.tracing.weights import Weights

MOVES = {"transpose_", "squeeze_", "unsqueeze_", "t_", "swapaxes_", "swapdims_", "as_strided_"}
"""Operators that change in place how a tensor is laid out, and nothing of what it holds."""
RANDOM = {"rand", "randn", "randint", "randperm", "bernoulli", "normal", "uniform", "multinomial", "native_dropout"}
RANDOM |= {"rand_like", "randn_like", "randint_like", "exponential", "poisson", "log_normal", "geometric", "random"}
LOOKS = {"_local_scalar_dense", "is_nonzero", "equal", "item", "nonzero", "masked_select"}
LOOKS |= {"_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive", "bincount"}


class Tracer(TorchDispatchMode):
    """Applies the rule of every operator that runs."""

    def __init__(self, model: nn.Module, *, strict: bool) -> None:
        super().__init__()
        self.known = Known(model)
        self._weights = Weights(self.known)
        self.module = ""
        self._strict = strict
        self._notes: list[str] = []

    def add_input(self, example: Tensor) -> Tensor:
        """Return what stands in for the input."""
        stand_in = self.known.add_input(example)
        self._weights.add_input(stand_in)
        return stand_in

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        in_place = func._schema.is_mutable and bool(args) and name.endswith("_") and not name.endswith("__")
        target = args[0] if in_place else kwargs.get("out")
        if name in MOVES:
            target = None
        self._check_target(func, target)
        if name.removesuffix("_") in RANDOM:
            raise TraceError(
                f"the forward pass{self.place()} draws random numbers in evaluation mode ({func}): "
                "its outputs are no function of its input"
            )
        if name in FILLS or name in EMPTY:
            return self.known.constants.make(func, name, args, kwargs)
        tensors = [tensor for tensor in flatten((args, kwargs)) if isinstance(tensor, Tensor)]
        known = [tensor for tensor in tensors if self.known.is_known(tensor)]
        if name in LOOKS and any(self.known.constants.numbers(tensor) is None for tensor in tensors):
            raise TraceError(
                f"the forward pass{self.place()} looks at the values of a tensor ({name}), as a data-dependent branch "
                "does: its symmetries cannot be derived from one run"
            )
        if not known:
            result = self.known.constants.run(func, args, kwargs)
            return target if isinstance(target, Tensor) else result
        self.known.uses.update(
            {self.known.names[number] for number in {id(t) for t in tensors} if number in self.known.names}
        )
        if isinstance(target, Tensor):
            if not target.is_meta:
                raise TraceError(f"the forward pass{self.place()} writes into a tensor made outside it ({func})")
            self.known.before_writing(target, name)
        result = func(*on_meta(args), **on_meta(kwargs) | ({"device": META} if kwargs.get("device") else {}))
        outputs = [] if result is None else [result] if isinstance(result, Tensor) else list(result)
        if target is None and isinstance(result, Tensor) and self._is_unread_indices(known):
            # max_pool1d squeezes its indices, and then drops them
            _, where, sources = self.known.opaque[id(known[0])]
            self.known.opaque[id(result)] = (result, where, sources)
            return result
        values = self._apply(func, name, args, kwargs, outputs, in_place=in_place)
        for tensor, value in zip(outputs, values, strict=False):
            if isinstance(tensor, Tensor):
                own = args[0] if in_place else target
                self.known.keep(own if tensor is outputs[0] and isinstance(own, Tensor) else tensor, value)
        for tensor in outputs[len(values) :]:
            if isinstance(tensor, Tensor):
                sources = [self.known.value(operand) for operand in known]
                self.known.opaque[id(tensor)] = (tensor, f"{func}{self.place()}", sources)
        if isinstance(target, Tensor):
            self.known.after_writing(target, values[0])
        self._weights.follow(name.removesuffix("_") if in_place else name, args, kwargs, outputs, target)
        return args[0] if in_place else target if isinstance(target, Tensor) else result

    def _is_unread_indices(self, known: Sequence[Tensor]) -> bool:
        """Tell whether an operator is given only indices that another one returned and nothing has read."""
        return len(known) == 1 and id(known[0]) in self.known.opaque and not known[0].is_floating_point()

    def _apply(
        self, func: Any, name: str, args: Any, kwargs: Any, outputs: list[Any], *, in_place: bool
    ) -> list[Value]:
        """Return what the operator's rule says of its outputs, or what is true without one."""
        shapes = [tuple(tensor.shape) for tensor in outputs if isinstance(tensor, Tensor)]
        call = Call(self.known, func, args, kwargs, shapes, f"{func}{self.place()}")
        self.known.equations.where = call.where
        rule = RULES.get(name.removesuffix("_") if in_place else name)
        if name == "as_strided_" and in_place and shapes[0] == tuple(args[0].shape):
            return [self.known.value(args[0])]  # the same places in another layout
        problem = "no symmetry rule for the operator {}"
        if rule is not None and "out" not in kwargs:
            before = self.known.value(args[0]) if in_place else None
            try:
                made = rule(call)
            except NoRule:
                pass
            except TraceError:
                raise
            except Exception as cause:  # facts stated before it failed are true, or only fix more than is needed
                problem = (
                    f"the symmetry rule of the operator {{}} failed ({type(cause).__name__}: {cause}): report this"
                )
            else:
                values = made if isinstance(made, list) else [made]
                if before is not None and before.shape != values[0].shape and name not in MOVES:
                    raise TraceError(f"{call.where} changes a shape in place, which has no rule")
                return values
        return self._without_rule(call, outputs, problem.format(call.where))

    def _without_rule(self, call: Call, outputs: Sequence[Any], problem: str) -> list[Value]:
        floating = any(isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex()) for t in outputs)
        if floating or call.where.startswith("aten.sort"):
            self._note(problem, "what reaches it is fixed")
        for tensor in flatten((call.args, call.kwargs)):
            if isinstance(tensor, Tensor) and self.known.is_known(tensor):
                self.known.fix(self.known.value(tensor), f"{NO_RULE}{call.where}")
        return [Value(shape, call.apart((), shape)) for shape in call.shapes]

    def _check_target(self, func: Any, target: Any) -> None:
        """Refuse, before it happens, to change a parameter, by whichever view of it."""
        for tensor in flatten([target]):
            name = self.known.parameter_under(tensor) if isinstance(tensor, Tensor) else None
            if name is not None:
                kind = self.known.kind_of(name)
                raise TraceError(f"the forward pass{self.place()} changes the {kind} {name!r} in place ({func})")

    def finish(self, output: Any) -> Traced:
        """Check the outputs and the coverage, and return what was found.

        Raises:
            TraceError: if the output is not tensors made from the input; with `strict`, if a parameter was not used.
        """
        self.known.check_data()
        try:
            outputs = all_outputs(output)
        except ModelError as problem:
            raise TraceError(str(problem)) from problem
        if id(outputs[0]) in self.known.names or not self.known.is_known(outputs[0]):
            raise TraceError("the model's output does not depend on its input")
        values = [self.known.value(tensor) for tensor in outputs]
        for value in values:
            for layer in value.labels:
                self.known.labels.fix(layer.numpy(), "output")
            self.known.equations.equate("sign", value.sign, rank=len(value.shape))
        unused = self.known.fix_unused()
        if unused:
            names = listed(map(repr, unused), most=1)
            self._note(f"the forward pass never uses the tensor {names}", "what is not used is fixed")
        self._weights.note_roles()
        return self.known.traced(values, self._weights.names, self._notes)

    def _note(self, problem: str, remedy: str) -> None:
        if self._strict:
            raise TraceError(f"{problem}, and strict was asked for: without, {remedy}")
        self._notes.append(f"{problem}: {remedy}")

    def place(self) -> str:
        """Return which module is running, for messages."""
        return f" in the module {self.module!r}" if self.module else ""
