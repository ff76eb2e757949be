"""Preprocessing is suspected where a network errs as if it saw inputs otherwise, and by no means always."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from landscape_cli import Checkpoint, ModelSpec, Preprocessing, load_data
from landscape_cli.cli.wrong_inputs import as_ranges, check_categories, check_guess
from landscape_cli.errors import DataError, LandscapeWarning, Remark
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.objectives import CLASSIFICATION, Dense, Multilabel
from landscape_cli.network import WholeInputs

X = torch.arange(256, dtype=torch.uint8).repeat(2)[:, None]
Y = (X[:, 0] > 127).long()
CPU = torch.device("cpu")


def said(
    labels: torch.Tensor,
    seen: str,
    *,
    assumed: bool,
    objective: Objective = CLASSIFICATION,
    inputs: WholeInputs | None = None,
) -> list[tuple[type[Warning], str]]:
    """What is said of a network that decides at half of [0, 1], seeing bytes in some way."""
    model: nn.Module = nn.Linear(1, 2)
    params = {"weight": torch.tensor([[0.0], [10.0]]), "bias": torch.tensor([0.0, -5.0])}
    if isinstance(objective, Dense):  # one place a sample
        model = nn.Sequential(model, nn.Unflatten(1, (2, 1)))
        params = {f"0.{name}": tensor for name, tensor in params.items()}
    elif isinstance(objective, Multilabel):
        params = {"weight": torch.tensor([[10.0], [-10.0]]), "bias": torch.tensor([-5.0, 5.0])}
    data = load_data(((X, labels), (X, labels)), preprocessing=seen, objective=objective)
    record = data.preprocessing.to_record()
    network = Checkpoint(params, ModelSpec("none", {}, (1,), 2, inputs=inputs), {}, path="a.pt", preprocessing=record)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_guess(network, model, data, CPU, assumed=assumed)
    return [(warning.category, str(warning.message)) for warning in caught]


def test_what_is_assumed_is_doubted_sooner_than_what_is_said() -> None:
    """Wrongly standardised, the network errs on a seventh of the samples."""
    [(category, text)] = said(Y, "standardize", assumed=True)
    assert category is LandscapeWarning
    assert "a.pt has an error of 0.145" in text
    assert "with --preprocess unit it is 0" in text
    assert said(Y, "standardize", assumed=False) == []
    assert said(Y, "unit", assumed=True) == []


def test_a_network_that_knows_little_is_left_alone_where_its_inputs_are_known() -> None:
    noisy = torch.where(torch.rand(len(Y), generator=torch.Generator().manual_seed(0)) < 0.35, 1 - Y, Y)
    assert said(noisy, "unit", assumed=False) == []
    [(category, text)] = said(noisy, "unit", assumed=True)
    assert category is Remark
    assert "trained on inputs prepared otherwise?" in text
    [(category, _)] = said(1 - Y, "unit", assumed=False)
    assert category is LandscapeWarning  # as good as anything else, `standardize` is better than always wrong


def test_places_and_label_bits_are_guessed_too() -> None:
    """A network of several decisions a sample that is seen wrongly is pointed at preprocessing as any other is."""
    for objective, labels in ((Dense(), Y[:, None]), (Multilabel(), torch.stack([Y, 1 - Y], 1))):
        [(category, text)] = said(labels, "standardize", assumed=True, objective=objective)
        assert category is LandscapeWarning
        assert "where guessing has 0.5: with --preprocess unit it is 0" in text


def test_tokens_are_prepared_in_one_way() -> None:
    assert said(Y.flip(0), "none", assumed=True) != []
    assert said(Y.flip(0), "none", assumed=True, inputs=WholeInputs(0, 256)) == []


class Table(nn.Module):
    """Reads its second column as a category."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.out = nn.Embedding(4, 2), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out(torch.cat([x[:, :1], self.kind(x[:, 1].long())], 1))
        return logits


def test_categories_that_are_calculated_with_are_named() -> None:
    x = torch.stack([torch.linspace(-9, 2, 40), torch.arange(40) % 4], 1)
    model = Table()
    data = load_data(((x, Y[108:148]), (x, Y[108:148])), preprocessing="columns")
    with pytest.raises(DataError, match=r"as they are, but not standardised by column .* columns 1, .*`columns=` 0"):
        check_categories("a.pt", model, model.state_dict(), data, CPU)
    check_categories("a.pt", model, model.state_dict(), data.under(Preprocessing.columns([0])), CPU)
    with pytest.warns(Remark, match="columns 1 hold whole numbers, and are standardised like the others"):
        check_categories("a.pt", nn.Linear(2, 2), nn.Linear(2, 2).state_dict(), data, CPU)


def test_ranges() -> None:
    assert [as_ranges(each) for each in ([], [3], [0, 1, 2, 5, 7, 8])] == ["", "3", "0-2,5,7-8"]
