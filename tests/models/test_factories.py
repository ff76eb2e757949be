"""Factories of the user's: recurrent layers, and models wrapped for several devices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.alignment.verified import align
from landscape_cli.data.datasets import Split
from landscape_cli.measures.path import path
from landscape_cli.models import build_model, create_model, factories, find_spec
from landscape_cli.models.fitting import fit_tensors
from landscape_cli.models.naming import match_names
from landscape_cli.models.request import ModelRequest
from landscape_cli.network import Params
from landscape_cli.normalization.verified import normalize
from landscape_cli.symmetry import trace_symmetry

SHAPE = (2, 5)


class Recurrent(nn.Module):
    """What users write: the last output of a recurrent layer to a linear one; the state is returned too."""

    def __init__(self, kind: str = "LSTM", **options: Any) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(5, 6, **options)
        self.first = options.get("batch_first", False)
        self.out = nn.Linear(options.get("proj_size", 6) * (1 + options.get("bidirectional", False)), 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        y, state = self.layer(x if self.first else x.transpose(0, 1))
        return self.out(y[:, -1] if self.first else y[-1]), state


def plain() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(10, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


KINDS: dict[str, dict[str, Any]] = {
    "LSTM": {"batch_first": True, "bidirectional": True},
    "LSTM, projected": {"kind": "LSTM", "proj_size": 4, "num_layers": 2},
    "GRU": {"kind": "GRU"},
    "RNN": {"kind": "RNN", "nonlinearity": "relu", "batch_first": True},
}


def outputs(make: Any, params: Params, x: Tensor) -> Tensor:
    """Return what the owner's own model makes of them."""
    model = make()
    model.load_state_dict(params, strict=True)
    output = model.double().eval()(x)
    result: Tensor = output[0] if isinstance(output, tuple) else output
    return result.detach()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", [*KINDS, "parallel"])
def test_networks_keep_their_function(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Normalised, aligned and half-way between, they compute what the owner's own model says."""

    def make() -> nn.Module:
        return plain() if name == "parallel" else Recurrent(**KINDS[name])

    wrap = nn.DataParallel if name == "parallel" else (lambda model: model)
    monkeypatch.setattr(factories, "_allowed", {"nets:make": lambda: wrap(make())})
    monkeypatch.setattr("landscape_cli.models.registry.allow_code", lambda name: None)
    spec, template = find_spec(ModelRequest("nets:make", {}), SHAPE)
    assert spec.outputs == 3
    a, b = (create_model(spec, seed=seed).state_dict() for seed in (0, 1))
    saved = wrap(make()).state_dict()  # as the owner's wrapped model is saved
    match = match_names(template.state_dict(), saved)
    assert match.theirs.keys() == a.keys()
    assert fit_tensors(template, match.renamed(saved)).keys() == a.keys()
    model = build_model(spec, a)
    symmetry = trace_symmetry(model, torch.zeros(2, *SHAPE))
    assert symmetry.permutations
    x = torch.randn(20, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    normalized = normalize(model, b, symmetry, keep_last_layer=True).params
    aligned = align(model, a, normalized, symmetry).params
    for changed in (normalized, aligned):
        assert torch.allclose(outputs(make, changed, x), outputs(make, b, x), atol=1e-5)
    if name != "RNN":
        assert any(not torch.equal(aligned[key], normalized[key]) for key in aligned)
    labels = outputs(make, a, x).argmax(1)
    data = Split(x, labels)
    middle = {key: (a[key] + aligned[key]) / 2 if a[key].is_floating_point() else a[key] for key in a}
    wrong = (outputs(make, middle, x).argmax(1) != labels).double().mean()
    measured = path(model, a, aligned, data, kind="linear", points=3)
    assert measured.errors["data"][0, :2].tolist() == pytest.approx([0, float(wrong)])
