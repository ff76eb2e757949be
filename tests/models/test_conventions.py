"""Models of transformers whose files call tensors otherwise, as transformers itself says."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from landscape_cli.io.export import state_dict_of
from landscape_cli.models.conventions import LOADING, ignored_names, saved_names
from landscape_cli.models.reader import read_network

OLD = {"layers.0.q.weight": "encoder.layer.0.attention.query.weight", "layers.0.q.bias": "encoder.layer.0.b"}


class PreTrainedModel(nn.Module):
    __module__ = "transformers.modeling_utils"
    _keys_to_ignore_on_load_unexpected = ("pooler",)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.ModuleDict({"q": nn.Linear(3, 4), "o": nn.Linear(4, 4)})])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0]["o"](self.layers[0]["q"](x).relu())  # type: ignore[index]


class Classifier(nn.Module):
    """One inside of a module of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = PreTrainedModel(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@pytest.fixture(autouse=True)
def loading(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for the module of transformers that says it."""
    module = ModuleType(LOADING)

    def revert(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        whole = {OLD.get(name, name): tensor for name, tensor in state.items() if name != "layers.0.o.bias"}
        return whole | {"together": state["layers.0.o.bias"] * 1}

    monkeypatch.setattr(module, "revert_weight_conversion", revert, raising=False)
    monkeypatch.setitem(sys.modules, LOADING, module)
    return module


def test_names_are_those_of_the_same_tensors() -> None:
    """What is put together of tensors is none of them; other modules have no other names."""
    assert saved_names(PreTrainedModel()) == OLD
    assert saved_names(Classifier()) == {f"body.{ours}": f"body.{theirs}" for ours, theirs in OLD.items()}
    assert saved_names(nn.Linear(2, 2)) == {}
    assert ignored_names(Classifier()) == {"pooler"}


def test_versions_without_such_a_module(loading: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("another version")

    monkeypatch.setattr(loading, "revert_weight_conversion", fails)
    assert saved_names(PreTrainedModel()) == {}
    monkeypatch.delitem(sys.modules, LOADING)
    assert saved_names(PreTrainedModel()) == {}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("make", [PreTrainedModel, Classifier])
def test_files_of_either_names_are_read(tmp_path: Path, make: type[nn.Module], prefix: str) -> None:
    """And go back under those of the owner's `state_dict`."""
    state = make().state_dict()
    saved = saved_names(make())
    save_file({prefix + saved.get(name, name): tensor for name, tensor in state.items()}, tmp_path / "a.safetensors")
    network = read_network(tmp_path / "a.safetensors", model=f"{__name__}:{make.__name__}", input_shape=(3,))
    assert all(torch.equal(network.params[name], state[name]) for name in state)
    assert set(state_dict_of(network)) == {prefix + name for name in state}
