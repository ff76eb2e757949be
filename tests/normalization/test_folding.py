"""Networks that see inputs in another way compute what they did, or are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from landscape_cli import Checkpoint, ModelSpec, Preprocessing, fold_preprocessing, trace_symmetry
from landscape_cli.errors import GeometryError
from landscape_cli.normalization import folding
from landscape_cli.normalization.normalize import is_normalized
from landscape_cli.normalization.verified import normalize_checkpoint

IMAGES = torch.randint(0, 256, (20, 3, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
TABLE = torch.randn(30, 5, generator=torch.Generator().manual_seed(1)) * 3 + torch.arange(5)
GIVEN = Preprocessing.channels((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))


class Branches(nn.Module):
    """Two layers that read the input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(5, 4), nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.a(x).relu() + self.b(x).sigmoid())
        return out


class Squared(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * x)


def plain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))


torch.manual_seed(1)
FLAT = nn.Sequential(nn.Flatten(), nn.Linear(108, 7), nn.ReLU(), nn.Linear(7, 3))
CONVOLUTION = plain(nn.Conv2d(3, 4, 3), nn.ReLU())
NORMED = plain(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
PADDED = plain(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
UNBIASED = nn.Sequential(nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))
ALONE = nn.Sequential(nn.Linear(5, 3))
STANDARD, COLUMNS = Preprocessing.standardize(), Preprocessing.columns()
GREY = IMAGES[:, :1]
ONE_CHANNEL = plain(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 2, groups=4))
GROUPED = plain(nn.Conv2d(3, 6, 3, groups=3), nn.ReLU())
PAIRS = plain(nn.Conv2d(6, 4, 3, groups=2), nn.ReLU())
SIX = IMAGES.repeat(1, 2, 1, 1)
SHIFTLESS = Preprocessing.channels([0.0], [0.5])


def made(model: nn.Module, x: Tensor) -> nn.Module:
    torch.manual_seed(4)
    model.float()(x.float())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("model", "x", "own", "other"),
    [
        (FLAT, IMAGES, GIVEN, STANDARD),
        (FLAT, IMAGES, Preprocessing.none(), GIVEN),
        (CONVOLUTION, IMAGES, Preprocessing.imagenet(), Preprocessing.unit()),
        (NORMED, IMAGES, Preprocessing.unit(), Preprocessing.imagenet()),
        (PADDED, IMAGES, Preprocessing.unit(), SHIFTLESS),
        (UNBIASED, TABLE, Preprocessing.none(), SHIFTLESS),
        (Branches(), TABLE, Preprocessing.none(), COLUMNS),
        (ALONE, TABLE, COLUMNS, STANDARD),
        (ONE_CHANNEL, GREY, Preprocessing.unit(), STANDARD),
        (GROUPED, IMAGES, Preprocessing.unit(), GIVEN),
        (PAIRS, SIX, STANDARD, Preprocessing.channels([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.3, 0.2, 0.1] * 2)),
    ],
)
def test_folded_networks_compute_the_same(
    model: nn.Module, x: Tensor, own: Preprocessing, other: Preprocessing, dtype: torch.dtype
) -> None:
    model = made(model, x).to(dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    symmetry = trace_symmetry(model, x[:2].to(dtype))
    folded = fold_preprocessing(model, before, symmetry, own, other, x)
    assert {name: tensor.dtype for name, tensor in folded.items()} == {n: t.dtype for n, t in before.items()}
    with torch.no_grad():
        expected = model(own.fitted(x).apply(x).to(dtype))
        model.load_state_dict(folded)
        seen = model(other.fitted(x).apply(x).to(dtype))
        model.load_state_dict(before)
        wrong = model(other.fitted(x).apply(x).to(dtype))
    assert torch.allclose(seen, expected, atol=1e-4 * float(expected.abs().max()))
    assert not torch.allclose(wrong, expected, atol=1e-2 * float(expected.abs().max()))
    back = fold_preprocessing(model, folded, symmetry, other, own, x)
    assert all(torch.allclose(back[name], before[name], atol=1e-4, rtol=1e-4) for name in before)


@pytest.mark.parametrize(
    ("model", "x", "word"),
    [
        (PADDED, IMAGES, "pads it with zeros"),
        (UNBIASED, TABLE, "nothing to add a shift to"),
        (Squared(5, 3), TABLE, "more than sums of products"),
    ],
)
def test_what_cannot_be_folded_is_refused(model: nn.Module, x: Tensor, word: str) -> None:
    model = made(model, x).float()
    symmetry = trace_symmetry(model, x[:2].float())
    with pytest.raises(GeometryError, match=word):
        fold_preprocessing(model, model.state_dict(), symmetry, Preprocessing.none(), STANDARD, x)


def test_masks_stay_and_what_they_hide_is_no_part_of_the_shift() -> None:
    layer = nn.Linear(5, 4)
    prune.random_unstructured(layer, "weight", 0.5)
    model = made(nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 2)), TABLE)
    params, own = model.state_dict(), Preprocessing.none()
    folded = fold_preprocessing(model, params, trace_symmetry(model, TABLE[:2]), own, COLUMNS, TABLE)
    assert torch.equal(folded["0.weight_mask"], params["0.weight_mask"])
    with torch.no_grad():
        expected = model(TABLE)
        model.load_state_dict(folded)
        assert torch.allclose(model(COLUMNS.fitted(TABLE).apply(TABLE)), expected, atol=1e-4)


def test_a_wrong_fold_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shift that is a little off is noticed by the outputs."""
    model = made(FLAT, IMAGES).float()
    symmetry = trace_symmetry(model, IMAGES[:2].float())
    right = folding._along
    monkeypatch.setattr(folding, "_along", lambda numbers, *rest: right(numbers, *rest) * 1.001)
    with pytest.raises(GeometryError, match="cannot be folded"):
        fold_preprocessing(model, model.state_dict(), symmetry, Preprocessing.unit(), GIVEN, IMAGES)


def test_a_normalised_network_is_normalised_again() -> None:
    model = made(FLAT, IMAGES).float()
    symmetry = trace_symmetry(model, IMAGES[:2].float())
    network = Checkpoint(model.state_dict(), ModelSpec("none", {}, (3, 6, 6), 3), {}, path="a.st")
    setting = {"seed": 0, "device": torch.device("cpu")}
    normal, _ = normalize_checkpoint(model, network, symmetry, keep_last_layer=False, **setting)
    folded = folding.fold_checkpoint(model, normal, symmetry, Preprocessing.unit(), GIVEN, IMAGES, **setting)
    assert is_normalized(folded.params, symmetry)
    assert not is_normalized(
        folding.fold_checkpoint(
            model, replace(normal, normalized=None), symmetry, Preprocessing.unit(), GIVEN, IMAGES, **setting
        ).params,
        symmetry,
    )
    assert folded.preprocessing == GIVEN.to_record()
    with torch.no_grad():
        decisions = model(Preprocessing.unit().apply(IMAGES)).argmax(1)
        model.load_state_dict(folded.params)
        assert torch.equal(model(GIVEN.apply(IMAGES)).argmax(1), decisions)
