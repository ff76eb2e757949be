"""What is computed on a GPU is what the CPU computes: every measure, every command, every sampler."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

import landscape_cli as lib
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.models import create_model
from landscape_cli.samplers import SGD, Recipe, Sampler, Solution, TrainingObserver, train
from tests.conftest import Outcome
from tests.support.training import MODELS, SAMPLERS, SHORT

SPECS = {name: MODELS[name] for name in ("mlp", "lenet", "resnet", "binary", "binary-conv")}
CONTINUOUS = [name for name in SPECS if not name.startswith("binary")]


def data_of(name: str, samples: int = 60) -> lib.Split:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(samples, *SPECS[name].input_shape, generator=source)
    return lib.Split(x, torch.randint(0, SPECS[name].outputs, (samples,), generator=source))


def networks_of(name: str, count: int = 3, dtype: torch.dtype = torch.float64) -> list[dict[str, torch.Tensor]]:
    """Return networks in a type, whose batch-norm statistics are not those of new ones."""
    networks = []
    for seed in range(count):
        source = torch.Generator().manual_seed(seed)
        state = create_model(SPECS[name], seed=seed).state_dict()
        networks.append(
            {
                key: torch.rand(t.shape, generator=source).to(dtype) + 0.5
                if "running" in key
                else t.to(dtype)
                if t.is_floating_point()
                else t
                for key, t in state.items()
            }
        )
    return networks


def model_of(name: str) -> torch.nn.Module:
    return create_model(SPECS[name], seed=9).eval()


def numbers(result: Any) -> Any:
    """Return a result as plain values, tensors as lists on the CPU."""
    if isinstance(result, torch.Tensor):
        return result.detach().cpu().double().tolist()
    if isinstance(result, dict):
        return {str(key): numbers(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [numbers(value) for value in result]
    return numbers(result.to_dict()) if hasattr(result, "to_dict") else result


def check_close(found: Any, expected: Any, relative: float, where: str = "") -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            check_close(found[key], expected[key], relative, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for k, (one, other) in enumerate(zip(found, expected, strict=True)):
            check_close(one, other, relative, f"{where}[{k}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=relative, abs=relative, nan_ok=True), where
    else:
        assert found == expected, where


Measure = Callable[[str, torch.device], Any]


def symmetry_of(name: str) -> lib.Symmetry:
    return lib.trace_symmetry(model_of(name), data_of(name).x[:2])


def normal(name: str) -> list[dict[str, torch.Tensor]]:
    return [lib.normalize(model_of(name), p, symmetry_of(name)).params for p in networks_of(name)]


def scores(name: str, device: torch.device) -> Any:
    return Evaluator(model_of(name), data_of(name), device=device, batch_size=25).evaluate(networks_of(name, 9))


def path(name: str, device: torch.device) -> Any:
    setting: dict[str, Any] = {"points": 5, "loss": True, "orders": 2, "device": device}
    return lib.path(model_of(name), *networks_of(name, 2), data_of(name), **setting)


def geodesic(name: str, device: torch.device) -> Any:
    setting: dict[str, Any] = {"kind": "geodesic", "symmetry": symmetry_of(name), "points": 4, "loss": True}
    return lib.path(model_of(name), *normal(name)[:2], data_of(name), **setting, bn="recompute", device=device)


def plane(name: str, device: torch.device) -> Any:
    return lib.plane(model_of(name), *networks_of(name), data_of(name), grid=4, loss=True, device=device)


def flatness(name: str, device: torch.device) -> Any:
    measure = lib.flip_energy if name.startswith("binary") else lib.local_energy
    return measure(model_of(name), networks_of(name)[0], data_of(name), samples=3, device=device)


def radial(name: str, device: torch.device) -> Any:
    setting: dict[str, Any] = {"directions": ("random", "gradient", "radial"), "angles": (5, 20), "samples": 2}
    return lib.radial_profiles(model_of(name), networks_of(name)[0], data_of(name), **setting, device=device)


def curvature(name: str, device: torch.device) -> Any:
    setting: dict[str, Any] = {"trace_samples": 3, "tolerance": 1e-8, "device": device}
    return lib.curvature(model_of(name), networks_of(name)[0], data_of(name), **setting)


def ensemble(name: str, device: torch.device) -> Any:
    return lib.ensemble(model_of(name), networks_of(name), data_of(name), device=device)


def aligned(name: str, device: torch.device) -> Any:
    a, b = networks_of(name, 2)
    found = lib.align(model_of(name), a, b, symmetry_of(name), probe=data_of(name).x[:9].double(), device=device)
    return found.params


CASES = {
    **{f"scores {name}": (scores, name) for name in SPECS},
    **{f"path {name}": (path, name) for name in SPECS},
    **{f"geodesic {name}": (geodesic, name) for name in CONTINUOUS},
    "plane": (plane, "lenet"),
    "flatness": (flatness, "resnet"),
    "flips": (flatness, "binary"),
    "radial": (radial, "mlp"),
    "curvature": (curvature, "lenet"),
    "ensemble": (ensemble, "resnet"),
    "align": (aligned, "resnet"),
    "align binary": (aligned, "binary-conv"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::landscape_cli.Remark", "ignore::landscape_cli.LandscapeWarning")
def test_measures_are_those_of_the_cpu(case: str, gpu: torch.device) -> None:
    measure, name = CASES[case]
    check_close(numbers(measure(name, gpu)), numbers(measure(name, torch.device("cpu"))), 1e-7)


@pytest.mark.parametrize("name", SPECS)
def test_float32_is_float32(name: str, gpu: torch.device) -> None:
    """Also of convolutions, which PyTorch lets a GPU round to TF32: a loss then differs by a thousandth."""
    networks = networks_of(name, 4, torch.float32)
    found = Evaluator(model_of(name), data_of(name), device=gpu).evaluate(networks)["data"]
    exact = Evaluator(model_of(name), data_of(name)).evaluate(networks_of(name, 4))
    assert torch.allclose(found.loss, exact["data"].loss, rtol=2e-6)


def trained(
    spec: lib.ModelSpec, data: lib.Split, sampler: Sampler, recipe: Recipe, seeds: list[int], device: torch.device | str
) -> tuple[list[Solution], list[float]]:
    """Return the solutions, and each run's loss in the first epoch."""
    losses: list[float] = []
    telling: dict[str, Any] = {"observer": TrainingObserver(epoch=lambda record: losses.append(record.loss))}
    black = torch.full((spec.input_shape[0] if len(spec.input_shape) == 3 else 1,), -1.0)
    solutions = train(spec, data, sampler, recipe=recipe, seeds=seeds, device=device, black=black, **telling)
    return solutions, losses[: len(seeds)]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.filterwarnings("ignore::landscape_cli.Remark", "ignore:the random labels:UserWarning")
def test_samplers_learn_what_they_learn_on_the_cpu(sampler: str, gpu: torch.device) -> None:
    """A stack of runs twice, for the same bytes; a first epoch's loss is the CPU's but for rounding."""
    name, (settings, recipe), seeds = "lenet" if sampler == "augmented" else "mlp", SAMPLERS[sampler], [1, 2, 3]
    spec, data = SPECS[name], data_of(name)
    (solutions, losses), (again, _), (_, expected) = (
        trained(spec, data, settings, recipe, seeds, device) for device in (gpu, gpu, "cpu")
    )
    for one, other in zip(solutions, again, strict=True):
        assert all(torch.equal(tensor, other.params[name]) for name, tensor in one.params.items())
    assert losses == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", SPECS)
def test_a_stack_learns_what_each_run_learns_alone(name: str, gpu: torch.device) -> None:
    """On a GPU the runs of a stack share kernels, which sum in another order."""
    spec, data, recipe = SPECS[name], data_of(name), Recipe(1, SHORT.learning_rate, batch_size=16)
    _, together = trained(spec, data, SGD(), recipe, [1, 2], gpu)
    alone = [trained(spec, data, SGD(), recipe, [seed], gpu)[1][0] for seed in (1, 2)]
    assert together == pytest.approx(alone, rel=1e-3)


TRAIN = "train --model mlp --hidden 9 --data hmm --hmm-latent 5 --hmm-dim 11 --hmm-patterns 60 --hmm-test 40 --epochs 2"
COMMANDS = (
    "path 1.st 2.st --points 4 --loss",
    "path 1.st 2.st --align weight --bn recompute --points 3",
    "path 1.st 2.st 3.st --kind connector --epochs 1 --points 3",
    "plane 1.st 2.st 3.st --grid 3 --loss",
    "flatness 1.st 2.st --samples 2",
    "flatness 1.st --kind radial --samples 2",
    "flatness 1.st --kind curvature",
    "distance 1.st 2.st 3.st",
    "distance 1.st 2.st 3.st --ensemble --align cosine",
)


def test_commands_give_what_they_give_on_the_cpu(landscape: Callable[..., Outcome], gpu: torch.device) -> None:
    for seed in (1, 2, 3):
        done = landscape(*TRAIN.split(), "--seed", seed, "--device", gpu, "-o", f"{seed}.st")
        assert done.code == 0, done.err
    for command in COMMANDS:
        bodies = []
        for device in (gpu, "cpu"):
            done = landscape(*command.split(), "--device", device, "-q")
            assert done.code == 0, (command, done.err)
            result = json.loads(done.out)
            del result["provenance"]
            bodies.append(result)
        check_close(*bodies, 2e-2 if "connector" in command else 1e-3, command)
    for command in ("normalize 1.st", "align 1.st 2.st"):
        for device in (gpu, "cpu"):
            done = landscape(*command.split(), "--device", device, "-o", f"{device}.st", "--force", "-q")
            assert done.code == 0, (command, done.err)
        networks = [lib.read_checkpoint(f"{device}.st").params for device in (gpu, "cpu")]
        check_close(*map(numbers, networks), 1e-5, command)
