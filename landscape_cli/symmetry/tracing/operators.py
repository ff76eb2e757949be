"""All that is to be known of each operator, in one table, which modules of `rules/` fill as they are imported.

Operators are PyTorch's own (ATen) and those of other libraries, as they run below `nn.Module`, `torch.nn.functional`
and tensor methods alike, by name: `add` stands for every overload of it, in place or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from landscape_cli.symmetry.tracing.layers import Value
    from landscape_cli.symmetry.tracing.rules.call import Call

Rule = Callable[["Call"], "Value | list[Value]"]


@dataclass(frozen=True)
class Operator:
    """What is known of an operator. By default: nothing, so that what reaches it is fixed.

    Attributes:
        name: without library, overload, and the underscore of those in place.
        rule: how the units, scales and signs of its outputs follow from those of its inputs; see `rules.call.Call`.
        words: what it does, for explanations, where the name alone says little.
        sign_matters: why a unit's sign matters to it, for explanations.
        contracts: the arguments whose products it sums, by index. For each the axis that is summed over and the axis
            that its units are on, where that is known: so weights are told from gains and biases.
        sums: whether it sums over the axes that its second argument lists.
        multiplies: whether it multiplies element by element, so that a sum of what it returns is a contraction.
        broadcasts: whether an argument smaller than the result is a gain or a bias there, rather than a part of it.
        fills: the number that it fills a new tensor with, which is like another in no more than type and shape;
            "argument" if that is its argument `fill_value`, or the last one.
        creates: whether it makes a tensor out of numbers in the program.
        draws: whether it draws random numbers.
        reads: whether what it returns is a number, or has a shape, that depends on the values of its arguments.
        rescales: whether, in place, it leaves other views of its target with another scale or other units than known.
        restrides: whether, in place, it changes how its target is laid out and nothing of what it holds.
        noted: whether it is noted to have no rule even where it returns whole numbers.
        moves: whether it moves places of its first argument about, copies or leaves out some, and changes no number.
        pointwise: whether each number of its result is made of those at the same place of its arguments.
    """

    name: str
    rule: Rule | None = None
    words: str = ""
    sign_matters: str = ""
    contracts: Mapping[int, tuple[int, int] | None] = field(default_factory=dict)
    sums: bool = False
    multiplies: bool = False
    broadcasts: bool = False
    fills: float | Literal["argument"] | None = None
    creates: bool = False
    draws: bool = False
    reads: bool = False
    rescales: bool = False
    restrides: bool = False
    noted: bool = False
    moves: bool = False
    pointwise: bool = False


OPERATORS: dict[str, Operator] = {}


def rule(*names: str, **metadata: Any) -> Callable[[Rule], Rule]:
    """Register a rule for operators, and what else is known of them.

    Args:
        names: of the operators.
        metadata: attributes of `Operator`; a rule may be registered several times, with different ones.

    Raises:
        ValueError: if an operator is registered already.
    """

    def register_rule(function: Rule) -> Rule:
        register(*names, rule=function, **metadata)
        return function

    return register_rule


def each(*names: str, **metadata: Any) -> Callable[[Rule], Rule]:
    """Register a rule for operators that work on each number alone (`rule`)."""
    return rule(*names, pointwise=True, **metadata)


def register(*names: str, **metadata: Any) -> None:
    """Register what is known of operators: attributes of `Operator`, perhaps no rule among them.

    Raises:
        ValueError: if an operator is registered already.
    """
    for name in names:
        if name in OPERATORS:
            raise ValueError(f"the operator {name!r} is registered already")
        OPERATORS[name] = Operator(name, **metadata)


def operator_of(name: str) -> Operator:
    """Return what is known of an operator by its name."""
    return OPERATORS.get(name) or Operator(name)
