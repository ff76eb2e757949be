"""The table of operators."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import landscape_cli.models.wedges  # noqa: F401 - which defines an operator of its own
from landscape_cli.symmetry.tracing import rules
from landscape_cli.symmetry.tracing.operators import OPERATORS, Operator, operator_of, register, rule
from landscape_cli.symmetry.tracing.rules import operator_of as looked_up
from tests import support


def test_all_modules_of_rules_are_imported() -> None:
    """A rule's module is named nowhere."""
    modules = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == {name for name in vars(rules) if name in modules}
    assert looked_up is operator_of


def test_what_is_known_of_an_operator() -> None:
    assert operator_of("mm").contracts == {0: (-1, -2), 1: (-2, -1)}
    assert operator_of("mm").words == "a product of matrices"
    assert operator_of("full_like").fills == "argument"
    assert operator_of("nonsense") == Operator("nonsense")
    assert operator_of("nonsense").rule is None


@pytest.mark.parametrize("name", [name for name, operator in OPERATORS.items() if operator.contracts])
def test_contracted_arguments_are_tensors(name: str) -> None:
    """What an operator is said to contract are tensors in every overload of it."""
    found = [
        library for library in (torch.ops.aten, torch.ops.landscape, torch.ops.torchvision) if hasattr(library, name)
    ]
    if not found:
        pytest.skip("an operator of a library that is not there")
    packet = getattr(found[0], name)
    for overload in packet.overloads():
        arguments = getattr(packet, overload)._schema.arguments
        assert all("Tensor" in str(arguments[index].type) for index in OPERATORS[name].contracts)


def makes_of_nothing(name: str) -> bool:
    """Tell whether an operator takes no tensor but one to write into, so that there is nothing to follow."""
    packet = getattr(torch.ops.aten, name)
    arguments = [
        argument for overload in packet.overloads() for argument in getattr(packet, overload)._schema.arguments
    ]
    return not any("Tensor" in str(argument.type) and not argument.is_out for argument in arguments)


def test_every_operator_that_models_reach_has_a_rule_or_a_reason_why_not() -> None:
    """Of models of torchvision, timm and transformers, as `benchmarks/models.py --operators` lists them."""
    reached = (Path(support.__file__).parent / "reached_operators.txt").read_text().split()
    ruled = {name for name in reached if operator_of(name).rule is not None}
    known = {
        name for name in reached if (op := operator_of(name)).reads or op.draws or op.creates or op.fills is not None
    }
    rest = set(reached) - ruled - known
    assert {name for name in rest if not makes_of_nothing(name)} == set()
    assert len(ruled) > 80
    assert not makes_of_nothing("mm")


def test_an_operator_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "made_up", Operator("made_up"))
    with pytest.raises(ValueError, match="'made_up' is registered already"):
        register("made_up", words="nothing")
    with pytest.raises(ValueError, match="'made_up' is registered already"):
        rule("made_up")(lambda call: call.operand(0))
    with pytest.raises(TypeError, match="wrods"):
        register("another", wrods="a product")
    assert "another" not in OPERATORS
