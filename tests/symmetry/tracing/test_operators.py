"""The table of operators."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import landscape_cli.models.wedges  # noqa: F401 - which defines an operator of its own
from landscape_cli.symmetry.tracing import rules
from landscape_cli.symmetry.tracing.operators import OPERATORS, Operator, operator_of, register, rule
from landscape_cli.symmetry.tracing.rules import operator_of as looked_up


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


def test_an_operator_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "made_up", Operator("made_up"))
    with pytest.raises(ValueError, match="'made_up' is registered already"):
        register("made_up", words="nothing")
    with pytest.raises(ValueError, match="'made_up' is registered already"):
        rule("made_up")(lambda call: call.operand(0))
    with pytest.raises(TypeError, match="wrods"):
        register("another", wrods="a product")
    assert "another" not in OPERATORS
