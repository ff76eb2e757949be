"""Learned alignment: less loss on the path, never more; the same function; the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import Alignment, Learning, Split, align, align_set, path, trace_symmetry
from landscape_cli.alignment import align as module
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.errors import DataError, GeometryError
from landscape_cli.forward.objectives import Classification
from tests.support.alignment_nets import Attention, ConvBlocks
from tests.support.binaries import make_binary
from tests.support.cases import moved

RELAXATIONS = ("sinkhorn", "straight-through")


class Trained:
    """Two networks trained to tell clusters, the second the first permuted; and the samples."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...], classes: int, steps: int = 60) -> None:
        source = torch.Generator().manual_seed(0)
        y = torch.arange(96) % classes
        centres = torch.randn(classes, *shape, generator=source)
        self.data = Split(centres[y] + 0.5 * torch.randn(96, *shape, generator=source), y)
        self.model = model.train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(self.data.x), y).backward()
            optimizer.step()
        model.eval().requires_grad_(False)
        self.params = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        self.symmetry = trace_symmetry(model, self.data.x[:2])
        self.other = moved(self.params, self.symmetry, 1)

    def align(self, **options: Any) -> Alignment:
        options = {"method": "learned", "data": self.data, "learning": Learning(epochs=4, batch_size=16)} | options
        return align(self.model, self.params, self.other, self.symmetry, **options)

    def path_loss(self, params: dict[str, Tensor], bn: str = "keep") -> float:
        """Return the mean loss between the networks as `path` measures it."""
        measured = path(self.model, self.params, params, self.data, points=5, bn=bn)
        return float(measured.losses["data"][0, 1:-1].mean())


@pytest.fixture(scope="module")
def mlp() -> Trained:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)]
    return Trained(nn.Sequential(*layers), (6,), 3)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from the networks as they are, not as their weights match."""
    monkeypatch.setattr(module, "_by_weights", lambda similarity, start, *_: UnitMatching(start.axis_table))


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_the_loss_on_the_path_falls(mlp: Trained, relaxation: str) -> None:
    rate = {"sinkhorn": 0.5, "straight-through": 0.05}[relaxation]
    found = mlp.align(learning=Learning(6, relaxation, rate, batch_size=16))
    record = found.learned
    assert record is not None
    assert record.kept > 0
    assert record.loss < 0.8 * record.loss_before
    assert record.loss_before == pytest.approx(mlp.path_loss(mlp.other))
    assert record.loss == pytest.approx(mlp.path_loss(found.params))
    assert found.proof is not None
    assert found.to_dict()["learned"] == {
        "loss_before": record.loss_before,
        "loss": record.loss,
        "kept": record.kept,
        "epochs": 6,
        "samples": 96,
    }


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_what_is_no_better_is_not_taken(mlp: Trained, relaxation: str) -> None:
    by_weights = mlp.align(method="weight", data=None, learning=None)
    assert all(torch.equal(by_weights.params[key], tensor) for key, tensor in mlp.params.items())
    found = mlp.align(learning=Learning(2, relaxation, 3.0, batch_size=16))
    record = found.learned
    assert record is not None
    assert record.loss <= record.loss_before
    # an exact copy cannot be bettered much: what is kept is no worse, and where it is the start, that to the bit
    if not record.kept:
        assert all(torch.equal(found.params[key], tensor) for key, tensor in by_weights.params.items())
    assert mlp.path_loss(found.params) <= mlp.path_loss(by_weights.params) + 1e-6


@pytest.mark.usefixtures("lost")
def test_one_seed_one_alignment(mlp: Trained) -> None:
    one, two, other = (mlp.align(seed=seed, prove=False) for seed in (3, 3, 4))
    assert one.to_dict() == two.to_dict()
    assert all(torch.equal(one.params[key], tensor) for key, tensor in two.params.items())
    assert one.to_dict()["permutations"] != other.to_dict()["permutations"]


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize(("make", "shape", "bn"), [(ConvBlocks, (3, 6, 6), "recompute"), (Attention, (5, 5), "keep")])
def test_batch_norm_goes_by_the_data_and_heads_move_whole(make: Any, shape: tuple[int, ...], bn: str) -> None:
    torch.manual_seed(1)
    case = Trained(make(), shape, 4, steps=40)
    calls: list[int] = []
    found = case.align(learning=Learning(epochs=4, batch_size=16), advance=calls.append)
    record = found.learned
    assert record is not None
    assert record.loss_before == pytest.approx(case.path_loss(case.other, bn))
    assert record.loss == pytest.approx(case.path_loss(found.params, bn))
    assert record.loss < record.loss_before
    assert sum(calls) == 4 * 96
    assert found.proof is not None


def test_what_is_refused(mlp: Trained) -> None:
    with pytest.raises(GeometryError, match="'learned' trains on labelled data, which only `align` does: align first"):
        mlp.align(data=None, learning=None)
    with pytest.raises(GeometryError, match=r"`data=` is for the method 'learned', not 'weight'"):
        mlp.align(method="weight")
    with pytest.raises(GeometryError, match=r"`learning=` is for the method 'learned'"):
        mlp.align(method="weight", data=None)
    with pytest.raises(GeometryError, match="'learned' trains"):
        align_set(mlp.model, [mlp.params, mlp.other], mlp.symmetry, method="learned")
    with pytest.raises(DataError):
        mlp.align(data=Split(mlp.data.x, mlp.data.y[:5]))
    with pytest.raises(DataError):
        mlp.align(data=Split(mlp.data.x, mlp.data.y + 7))
    with pytest.raises(GeometryError, match="learning"):
        mlp.align(learning={"epochs": 3})
    binary = make_binary("mlp")
    data = Split(torch.randn(8, *binary.inputs.shape[1:]), torch.zeros(8, dtype=torch.int64))
    with pytest.raises(GeometryError, match="there are none between binary networks"):
        align(binary.model, binary.params, binary.moved(3), binary.symmetry, method="learned", data=data)
    deep = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3))
    far = {key: tensor.abs() * 1e15 for key, tensor in deep.state_dict().items()}
    with pytest.raises(GeometryError, match="NaN or Inf as it is"):
        align(deep, far, far, trace_symmetry(deep, mlp.data.x), method="learned", data=mlp.data)


def test_a_loss_that_is_not_finite_ends_it(mlp: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Classification.loss
    monkeypatch.setattr(Classification, "loss", lambda *arguments: float("nan") * original(*arguments))
    with pytest.raises(GeometryError, match=r"diverged in epoch 1 .*lower `learning_rate="):
        mlp.align()
