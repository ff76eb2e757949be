"""Plain state_dicts: what the owner's own code loads, strictly, and nothing else in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from landscape_cli import read_network, write_checkpoint, write_state_dict
from landscape_cli.errors import CheckpointError
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.io.export import state_dict_of
from landscape_cli.models.fitting import layout_of
from landscape_cli.network import ModelSpec


class Dated(nn.Linear):
    """A layer that refuses weights of an unknown layout, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *rest: Any) -> None:
        if metadata.get("version") != 2:
            raise ValueError("of which version?")
        super()._load_from_state_dict(state, prefix, metadata, *rest)


class Owner(nn.Module):
    """Batch-norm with its counter, tied weights, a buffer named as a word of the format is, a layer with a version."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4, bias=False))
        self.inner[2].weight = self.inner[0].weight
        self.last = Dated(4, 3)
        self.register_buffer("version", torch.arange(4, dtype=torch.uint8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(x))


def owned(seed: int) -> Owner:
    torch.manual_seed(seed)
    model = Owner()
    for _ in range(3):
        model(torch.randn(9, 4))
    return model.eval()


def checkpoint_of(model: nn.Module, how: Callable[[str], str] = str) -> Checkpoint:
    """A checkpoint whose tensors and names are copies, or are not."""
    params = {how(name): tensor for name, tensor in model.state_dict().items()}
    return Checkpoint(params, ModelSpec("m", {}, (4,), 3), {}, layout=layout_of(model))


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.bin", "a.safetensors"])
def test_the_owner_loads_it_strictly(tmp_path: Path, name: str) -> None:
    model, other, file = owned(0), owned(1), tmp_path / name
    write_state_dict(file, checkpoint_of(model))
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as opened:
            assert opened.metadata() == {"format": "pt"}
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - it is no dict
        state.update({key: tensor for key, tensor in model.state_dict().items() if key.startswith("last")})
        other.last = nn.Linear(4, 3)  # type: ignore[assignment] # such files have no versions
    else:
        state = torch.load(file, weights_only=True)
        assert list(state) == list(model.state_dict())
        bare = dict(state)
        with pytest.raises(ValueError, match="of which version"):
            owned(1).load_state_dict(bare, strict=True)
    other.load_state_dict(state, strict=True)
    x = torch.randn(7, 4)
    assert torch.equal(other.eval()(x), model(x))
    assert state["inner.1.num_batches_tracked"] == 3
    assert state["version"].dtype == torch.uint8
    assert other.inner[2].weight is other.inner[0].weight


def test_the_same_network_is_the_same_bytes(tmp_path: Path) -> None:
    """Whoever owns its memory and its names, whatever order they come in, and however the file is called."""
    model, digests = owned(0), set()
    whole = checkpoint_of(model)
    apart = checkpoint_of(model, lambda name: "".join(list(name)))
    apart = replace(apart, params={name: apart.params[name].clone() for name in reversed(apart.params)})
    flat = torch.cat([torch.zeros(1000), model.last.weight.detach().flatten()])
    view = replace(whole, params=dict(whole.params) | {"last.weight": flat[1000:].view(3, 4)})
    for k, each in enumerate((whole, apart, view)):
        write_checkpoint(tmp_path / f"{k}.pth", each)
        digests.add(hashlib.sha256((tmp_path / f"{k}.pth").read_bytes()).hexdigest())
    assert len(digests) == 1
    changed = replace(whole, params=dict(whole.params) | {"last.bias": torch.zeros(3)})
    write_checkpoint(tmp_path / "c.pth", changed)
    assert hashlib.sha256((tmp_path / "c.pth").read_bytes()).hexdigest() not in digests


def test_tensors_are_copies() -> None:
    whole = checkpoint_of(owned(0))
    state = state_dict_of(whole)
    state["last.bias"].zero_()
    assert bool(whole.params["last.bias"].any())
    assert state["inner.0.weight"].data_ptr() != state["inner.2.weight"].data_ptr()


def test_it_is_read_as_a_foreign_file(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.pt", checkpoint_of(nn.Sequential(nn.Linear(4, 3))))
    with pytest.raises(CheckpointError, match="was not written by landscape"):
        read_network(tmp_path / "a.pt")


def test_bad_outputs(tmp_path: Path) -> None:
    network = checkpoint_of(owned(0))
    (tmp_path / "taken.pt").write_bytes(b"x")
    for name, words in (("a.st", r"must end in \.pt, \.pth"), ("taken.pt", "exists already"), ("no/a.pt", "mkdir")):
        with pytest.raises(CheckpointError, match=words):
            write_state_dict(tmp_path / name, network)
    broken = replace(network, params=dict(network.params) | {"last.bias": torch.full((3,), torch.nan)})
    with pytest.raises(CheckpointError, match="NaN"):
        write_state_dict(tmp_path / "n.pt", broken)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.pt"]
    write_state_dict(tmp_path / "taken.pt", network, force=True)
    assert torch.load(tmp_path / "taken.pt", weights_only=True).keys() == network.params.keys()
