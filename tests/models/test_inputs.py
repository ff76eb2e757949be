"""Which whole numbers a model takes is found by running it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import ModelError, Remark
from landscape_cli.forward.outputs import output_named
from landscape_cli.models.inputs import find_inputs
from landscape_cli.network import WholeInputs


class Table(nn.Module):
    """Reads one column as a category, as a table of real numbers has it."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.out = nn.Embedding(7, 3), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(torch.cat([x[:, 1:], self.kind(x[:, 0].long())], 1))
        return logits


class Positions(nn.Module):
    """Looks up where numbers are, not what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.out = nn.Embedding(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out((x[..., None] + self.places(torch.arange(3))).mean(1))
        return logits


TOKENS = nn.Sequential(nn.Embedding(11, 4), nn.Flatten(), nn.Linear(12, 2))


@pytest.mark.parametrize(("model", "high"), [(TOKENS, 11), (Table(), 7)])
def test_tables_that_inputs_are_looked_up_in_are_found(model: nn.Module, high: int) -> None:
    """That of real numbers a few round to an index that there is, as those drawn here do, says nothing."""
    with pytest.warns(Remark, match=f"a table of {high} rows"):
        found = find_inputs(model, (3,))
    assert found == WholeInputs(0, high)


@pytest.mark.parametrize("model", [nn.Linear(3, 2), Positions()])
def test_models_of_real_numbers_take_those(model: nn.Module) -> None:
    assert find_inputs(model, (3,)) is None


def test_what_is_wrong_besides_inputs_is_told_as_it_is() -> None:
    """A name that no output has is no reason to think that a model does not run on tokens."""
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    model.register_forward_hook(lambda module, inputs, returned: output_named({"logits": returned}, "nope"))
    with pytest.raises(ModelError, match="nope"):
        find_inputs(model, (3,))
