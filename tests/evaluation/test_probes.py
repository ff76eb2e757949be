"""How many inputs a proof compares outputs on, and how they are divided."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import ProofError
from landscape_cli.evaluation import equivalence, probes
from landscape_cli.evaluation.equivalence import outputs_on, prove_equivalence
from landscape_cli.evaluation.probes import CONVOLUTIONAL, PROBES, parts_of, probe_batch, probes_at_once

CPU = torch.device("cpu")


class Counted(nn.Sequential):
    """Notes how many samples each forward pass has."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3))
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        output: Tensor = super().forward(x)
        return output


def params_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(model: nn.Module, *shape: int) -> int:
        return len(probe_batch(model, params_of(model), shape, seed=0, device=CPU))

    linear, model = nn.Linear(5, 3), Counted()
    assert (count(linear, 5), count(model, 2, 6, 6)) == (PROBES, CONVOLUTIONAL)
    monkeypatch.setattr(probes, "WORK", 10 * (16 * 18 * 6 + 96 * 3))
    assert count(model, 2, 6, 6) == 10
    monkeypatch.setattr(probes, "WORK", 1)
    assert count(model, 2, 6, 6) == 2
    monkeypatch.undo()
    monkeypatch.setattr(probes, "MEMORY", 8 * 5 * 7)
    assert count(linear, 5) == 7


class Placed(Counted):
    """Notes where each forward pass is, and keeps something of it; may look at values."""

    def __init__(self, *, looks: bool) -> None:
        super().__init__()
        self.looks, self.places, self.kept = looks, list[str](), None

    def forward(self, x: Tensor) -> Tensor:
        self.places.append(x.device.type)
        self.kept = torch.ones(3, device=x.device) if self.kept is None else self.kept
        return super().forward(x) * self.kept if not self.looks or bool(x.isfinite().all()) else x


@pytest.mark.parametrize(("looks", "places"), [(False, ["meta"]), (True, ["meta", "cpu"])])
def test_work_is_counted_without_numbers_unless_a_model_looks_at_them(looks: bool, places: list[str]) -> None:
    model = Placed(looks=looks).eval()
    params = params_of(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "WORK", 10 * (16 * 18 * 6 + 96 * 3))
        probe = probe_batch(model, params, (2, 6, 6), seed=0, device=CPU)
    assert len(probe) == 10
    assert model.places == places
    assert model.kept is None
    assert outputs_on(model, params, probe, torch.float32).values[0][0].shape == (10, 3)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("size", [2, 3, 5, 100])
def test_parts(count: int, size: int) -> None:
    probe = torch.arange(count)
    parts = parts_of(probe, size)
    assert torch.equal(torch.cat(parts), probe)
    assert min(map(len, parts)) >= min(count, 2)
    assert max(map(len, parts)) <= max(size, 3)


def test_parts_are_bounded_and_show_what_the_whole_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Counted().eval()
    params, probe = params_of(model), torch.randn(20, 2, 6, 6, dtype=torch.float64)
    assert probes_at_once(model, params, probe) > 20
    [whole] = outputs_on(model, params, probe, torch.float32).values
    monkeypatch.setattr(probes, "PART", 5 * 8 * 3 * 96)
    assert probes_at_once(model, params, probe) == 5
    model.seen.clear()
    by_parts = outputs_on(model, params, probe, torch.float32)
    assert model.seen == [2, 5, 5, 5, 5]
    torch.testing.assert_close(torch.cat([outputs for (outputs,) in by_parts.values]), whole[0], rtol=1e-13, atol=0)
    assert whole[0].dtype == torch.float64
    wrong = params | {"3.bias": params["3.bias"] + 1e-3}
    with pytest.raises(ProofError, match="changed the function: logits differ"):
        prove_equivalence(model, params, wrong, wrong, probe, what="x")


def test_one_probe_alone_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes outputs of the last part alone is seen, and decisions are counted over all parts."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).eval()
    params = {"0.weight": torch.eye(2), "0.bias": torch.zeros(2), "2.weight": torch.eye(2), "2.bias": torch.zeros(2)}
    other = params | {"0.weight": torch.diag(torch.tensor([1.0, -1.0]))}
    probe = torch.tensor([[2.0, 0.0]] * 9 + [[0.0, 1.0]], dtype=torch.float64)
    monkeypatch.setattr(probes, "PART", 1)
    with pytest.raises(ProofError, match=r"logits differ by 0\.5 of the largest"):
        prove_equivalence(model, params, other, other, probe, what="x")
    assert prove_equivalence(model, params, other, other, probe[:9], what="x").decisions == 0


@pytest.mark.parametrize("at_once", [7, 1 << 20])
def test_as_many_passes_as_needed(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass where nothing but places moved, none of what is the same network; two where storing rounds."""
    monkeypatch.setattr(equivalence, "AT_ONCE", at_once)
    model = Counted().eval()
    params, probe = params_of(model), torch.randn(20, 2, 6, 6, dtype=torch.float64)

    def passes(exact: dict[str, Tensor], stored: dict[str, Tensor]) -> int:
        expected = outputs_on(model, params, probe, torch.float32)
        model.seen.clear()
        difference = prove_equivalence(model, params, exact, stored, probe, expected=expected, what="x")
        assert difference.probes == 20
        return len(model.seen)

    moved = {name: tensor.clone() for name, tensor in params.items()}
    doubled = {name: tensor.double() for name, tensor in params.items()}
    assert [passes(params, params), passes(moved, moved), passes(doubled, moved)] == [0, 1, 1]
    assert passes({name: tensor * (1 + 1e-12) for name, tensor in doubled.items()}, moved) == 2
    last = doubled | {"3.weight": doubled["3.weight"].clone()}
    last["3.weight"][-1, -1] *= 1 + 1e-12
    assert passes(last, moved) == 2
