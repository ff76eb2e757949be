"""In Python, too, measures are of the effective weights, whatever networks are stored as."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.data.source import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.measures.curvature import curvature
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.ensemble import ensemble
from landscape_cli.measures.flatness import local_energy
from landscape_cli.measures.path import path
from landscape_cli.measures.plane import plane
from landscape_cli.measures.radial import radial_profiles
from landscape_cli.models.effective import effective, plain_model
from landscape_cli.network import Params
from landscape_cli.symmetry import trace_symmetry
from tests.support.pruned import SHAPE, MaskedLinear, by_hand, masks_of, pruned, tensors, wrapped

Measure = Callable[[nn.Module, Params, Params, Split], dict[str, object]]
MEASURES: dict[str, Measure] = {
    "path": lambda model, a, b, data: path(model, a, b, data, points=4, loss=True).to_dict(),
    "plane": lambda model, a, b, data: plane(model, a, b, None, data, third="origin", grid=3, loss=True).to_dict(),
    "flatness": lambda model, a, _, data: local_energy(model, a, data, samples=2, sigma=[0.5]).to_dict(),
    "ensemble": lambda model, a, b, data: ensemble(model, [a, b], data).to_dict(),
    "radial": lambda model, a, _, data: radial_profiles(model, a, data, samples=2, angles=[30.0], loss=True).to_dict(),
    "curvature": lambda model, a, _, data: curvature(
        Evaluator(model, data), a, eigenvalues=1, trace_samples=2, symmetry=trace_symmetry(model, data.x[:2])
    ).to_dict(),
}


def split(shape: tuple[int, ...], classes: int) -> Split:
    x = torch.randn(30, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Split(x, torch.arange(30) % classes)


@pytest.mark.filterwarnings("ignore:.*angular width")
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", ["pruned", "weight norm", "spectral norm"])
def test_measures_see_effective_weights(kind: str, measure: str) -> None:
    if kind != "pruned" and measure in {"plane", "ensemble", "curvature"}:
        pytest.skip("one kind is enough")
    make = (lambda seed: pruned("mlp", "unstructured", seed)) if kind == "pruned" else lambda seed: wrapped(kind, seed)
    models, data = [make(seed) for seed in (0, 1)], split(SHAPE, 4)
    a, b = map(tensors, models)
    plain = [dict(effective(model, tensors(model))) for model in models]
    ours = MEASURES[measure](models[0], a, b, data)
    assert str(ours) == str(MEASURES[measure](plain_model(models[0]), plain[0], plain[1], data))
    if kind == "pruned":  # the negative control: what masks hide would show
        hidden = {key: tensor for key, tensor in a.items() if not key.endswith("_mask")}
        hidden = {key.removesuffix("_orig"): tensor for key, tensor in hidden.items()}
        assert str(ours) != str(MEASURES[measure](plain_model(models[0]), hidden, plain[1], data))


def test_masks_of_the_models_own_code() -> None:
    """Masks that differ do not move: the middle is that of the effective weights."""
    nets = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            nets.append(by_hand().double().eval())
    a, b = map(tensors, nets)
    assert any(not torch.equal(mask, b[name]) for name, mask in masks_of(a).items())
    data = split((5,), 3)
    found = path(nets[0], a, b, data, points=3, loss=True)
    _, (start, end), _ = in_effect(nets[0], [a, b], None, data.x)
    middle = {name: (start[name] + end[name]) / 2 for name in start}
    expected = float(Evaluator(nets[0], data).evaluate([middle])["data"].loss[0])
    assert float(found.losses["data"][0, 1]) == pytest.approx(expected, rel=1e-9)
    for name, mask in masks_of(a).items():
        weight = name.replace("keep", "weight")
        torch.testing.assert_close(start[weight], a[weight] * mask)
        assert bool((start[name] == 1).all())


def test_without_masks_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers of other numbers, or of ones alone, hide nothing; models that cannot be followed have no masks."""
    model = nn.Sequential(MaskedLinear(4, 3)).double()
    model[0].keep = torch.ones(3, 4, dtype=torch.float64)

    def fail(*_: object) -> Tensor:
        raise AssertionError

    network = tensors(model)
    with monkeypatch.context() as patch:
        patch.setattr("landscape_cli.measures.effective.trace_symmetry", fail)
        assert in_effect(model, [network], None, torch.zeros(2, 4))[1] == [network]
    network["0.keep"] = torch.zeros(3, 4, dtype=torch.float64)
    assert in_effect(model, [network], None, torch.zeros(2, 5))[1] == [network]  # which fails on such inputs
