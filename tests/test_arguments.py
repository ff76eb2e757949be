"""What Python users get wrong is refused in one line, by every public function that takes it."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import landscape_cli as ll
from landscape_cli.cli.commands import align as align_command
from landscape_cli.cli.commands import flatness as flatness_command
from landscape_cli.cli.commands import path as path_command
from landscape_cli.cli.commands import plane as plane_command
from landscape_cli.cli.options import ComputeOptions, EnsembleOptions

SPEC, BINARY_SPEC = (
    ll.ModelSpec(name, {"hidden": [sizes, 5]}, (9,), 2) for name, sizes in (("mlp", 6), ("binary-mlp", 7))
)
RECIPE = ll.Recipe(epochs=1, batch_size=20)
DATA = ll.load_data(ll.DataSpec("hmm", hmm=ll.HiddenManifold(latent=5, dim=9, patterns=40, test_patterns=20)))
X, Y = DATA.train
A, B, C = (s.params for s in ll.train(SPEC, DATA, recipe=RECIPE, seeds=[1, 2, 3]))
BINARY, OTHER_BINARY = (s.params for s in ll.train(BINARY_SPEC, DATA, recipe=RECIPE, seeds=[1, 2]))
MODEL, BINARY_MODEL = ll.build_model(SPEC, A), ll.build_model(BINARY_SPEC, BINARY)
SYMMETRY, BINARY_SYMMETRY = (ll.trace_symmetry(model, X[:2]) for model in (MODEL, BINARY_MODEL))
POSITION = {"position": torch.ones(9)}
WEDGES = ll.build_model(ll.ModelSpec("wedges", {"dim": 9, "wedges": 2, "short": 3}, (1,), 2), POSITION)
U, V = (ll.normalize(MODEL, params, SYMMETRY).params for params in (A, B))

# Each as a function of what may be wrong: the model, a network, the data, and keyword arguments.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "path": lambda model=MODEL, network=A, data=DATA, **o: ll.path(model, network, B, data, **{"points": 3, **o}),
    "barrier": lambda model=MODEL, network=A, data=DATA, **o: ll.barrier(model, B, network, data, **{"points": 3, **o}),
    "geodesic path": lambda model=MODEL, network=U, data=DATA, **o: ll.path(
        model, network, V, data, **{"kind": "geodesic", "symmetry": SYMMETRY, "points": 3, **o}
    ),
    "shortest path": lambda data=DATA, **o: ll.path(BINARY_MODEL, BINARY, OTHER_BINARY, data, **{"points": 3, **o}),
    "plane": lambda model=MODEL, network=A, data=DATA, **o: ll.plane(model, network, B, C, data, **{"grid": 2, **o}),
    "plane with a third": lambda model=MODEL, network=A, data=DATA, **o: ll.plane(
        model, network, B, None, data, **{"grid": 2, "third": "random", **o}
    ),
    "least_loss_on_plane": lambda model=WEDGES, network=POSITION, **o: ll.least_loss_on_plane(
        model, network, **{"basis": torch.eye(9)[:, :2], **o}
    ),
    "optimize_midpoint": lambda model=MODEL, network=A, data=DATA, **o: ll.optimize_midpoint(
        model, network, B, data, **{"spec": SPEC, "symmetry": SYMMETRY, "recipe": RECIPE, "points": 2, **o}
    ),
    "connector": lambda model=MODEL, network=A, data=DATA, **o: ll.connector(
        model, [network, B], data, **{"spec": SPEC, "symmetry": SYMMETRY, "recipe": RECIPE, "points": 2, **o}
    ),
    "align": lambda model=MODEL, network=A, **o: ll.align(model, B, network, **{"symmetry": SYMMETRY, **o}),
    "align_set": lambda model=MODEL, network=A, **o: ll.align_set(model, [B, network], **{"symmetry": SYMMETRY, **o}),
    "normalize": lambda model=MODEL, network=A, **o: ll.normalize(model, network, **{"symmetry": SYMMETRY, **o}),
    "distance": lambda network=A, **o: ll.distance(network, B, **{"symmetry": SYMMETRY, **o}),
    "linear": lambda network=A, **o: ll.linear(network, B, **{"tau": 0.5, **o}),
    "geodesic": lambda network=U, **o: ll.geodesic(network, V, **{"tau": 0.5, "symmetry": SYMMETRY, **o}),
    "barycentre": lambda network=U, **o: ll.barycentre(**{"networks": [network, V, U], "symmetry": SYMMETRY, **o}),
    "ensemble": lambda model=MODEL, network=A, data=DATA, **o: ll.ensemble(
        model, **{"networks": [B, network], "data": data, **o}
    ),
    "local_energy": lambda model=MODEL, network=A, data=DATA, **o: ll.local_energy(
        model, network, data, **{"samples": 1, **o}
    ),
    "curvature": lambda model=MODEL, network=A, data=DATA, **o: ll.curvature(
        model, network, data, **{"trace_samples": 1, **o}
    ),
    "radial_profiles": lambda model=MODEL, network=A, data=DATA, **o: ll.radial_profiles(
        model, network, data, **{"samples": 1, "directions": ("gradient",), "angles": (10.0,), **o}
    ),
    "flip_energy": lambda data=DATA, **o: ll.flip_energy(BINARY_MODEL, BINARY, data, **{"samples": 1, **o}),
    "disagreement": lambda model=MODEL, network=A, data=DATA, **o: ll.disagreement(model, network, B, data, **o),
    "Evaluator": lambda model=MODEL, network=A, data=DATA, **o: ll.Evaluator(model, data, **o).evaluate([network]),
    "recompute_statistics": lambda model=MODEL, network=A, **o: ll.recompute_statistics(
        model, network, **{"x": X, **o}
    ),
    "unit_correlations": lambda model=MODEL, network=A, **o: ll.unit_correlations(
        model, network, B, **{"symmetry": SYMMETRY, "inputs": X, **o}
    ),
    "permute": lambda network=A, **o: ll.permute(network, **{"symmetry": SYMMETRY, "permutations": {}, **o}),
    "rescale": lambda network=A, **o: ll.rescale(network, **{"symmetry": SYMMETRY, "factors": {}, **o}),
    "flip": lambda network=BINARY, **o: ll.flip(network, **{"symmetry": BINARY_SYMMETRY, "signs": {}, **o}),
    "trace_symmetry": lambda model=MODEL, **o: ll.trace_symmetry(model, **{"example_input": X[:2], **o}),
    "build_model": lambda network=A, **o: ll.build_model(**{"spec": SPEC, "params": network, **o}),
    "train": lambda data=DATA, **o: ll.train(**{"spec": SPEC, "data": data, "recipe": RECIPE, **o}),
    "subspace_basis": lambda **o: ll.subspace_basis(**{"spec": SPEC, "subspace": ll.Subspace(3), **o}),
}
MODELS: dict[str, Any] = {
    "none": None,
    "text": "mlp",
    "class": nn.Linear,
    "tensors": A,
    "function": lambda x: x,
    "spec": SPEC,
}
NETWORKS: dict[str, Any] = {
    "a model": MODEL,
    "none": None,
    "text": "a.st",
    "numpy": {name: tensor.numpy() for name, tensor in A.items()},
    "lists": {name: tensor.tolist() for name, tensor in A.items()},
    "without numbers": {name: tensor.to("meta") for name, tensor in A.items()},
    "sparse": {name: tensor.to_sparse() for name, tensor in A.items()},
    "names that are numbers": {1: torch.ones(2)},
    "a list": [A],
    "parameters": list(A.values()),
    "number": 3,
    "a solution": ll.Solution(0, A),
}
DATAS: dict[str, Any] = {
    "loader without labels": DataLoader(TensorDataset(X)),
    "tuple of inputs": (X,),
    "inputs": X,
    "none": None,
    "text": "hmm",
    "spec": ll.DataSpec("hmm"),
    "nothing": {},
    "loaders without labels": {"train": DataLoader(TensorDataset(X))},
    "numpy": ll.Split(X.numpy(), Y.numpy()),
    "labels that are floats": ll.Split(X, Y.float()),
    "labels one-hot": ll.Split(X, torch.eye(2)[Y]),
    "labels out of range": ll.Split(X, Y + 5),
    "negative labels": ll.Split(X, Y - 3),
    "inputs that are NaN": ll.Split(X * math.nan, Y),
    "other inputs": ll.Split(X[:, :5], Y),
    "one split of others": {"train": DATA.train, "test": ll.Split(X[:, :5], Y)},
    "empty": ll.Split(X[:0], Y[:0]),
    "short": ll.Split(X, Y[:5]),
    "without numbers": ll.Split(X.to("meta"), Y),
    "sparse": ll.Split(X.to_sparse(), Y),
    "numbered": {0: DATA.train},
}
COUNTS = ["3", None, -1, 0, 2.5, math.nan, math.inf, True, [1]]
NUMBERS = ["3", None, math.nan, math.inf, [1]]
NAMES = ["nonsense", 3, [], "", "COSINE"]
SEEDS = ["3", None, -1, 2.5, math.nan, [1]]
DEVICES = ["nonsense", "meta", None, "cuda:99"]
OTHER_SYMMETRY = ll.trace_symmetry(nn.Sequential(nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2)), X[:2])
SYMMETRIES = ["x", 3, OTHER_SYMMETRY]
UNITS: list[Any] = [None, [torch.arange(6)], {"fc1": [1] * 6}, {"fc1": torch.ones(3)}, {"fc9": torch.ones(6)}]
OPTIONS: dict[str, dict[str, Iterable[Any]]] = {
    "path": {"kind": NAMES, "points": [*COUNTS, 1], "orders": COUNTS, "bn": NAMES, "device": DEVICES},
    "geodesic path": {"symmetry": [*SYMMETRIES, None], "kind": ["shortest"]},
    "shortest path": {"kind": ["linear", "geodesic"], "seed": SEEDS, "orders": COUNTS},
    "barrier": {"points": [1]},
    "plane": {"grid": [*COUNTS, 1], "margin": [*NUMBERS, -1], "bn": NAMES, "device": DEVICES},
    "plane with a third": {"third": [*NAMES, None], "seed": SEEDS},
    "least_loss_on_plane": {
        "basis": [None, torch.ones(9), torch.ones(8, 2), torch.ones(9, 2).long(), torch.full((9, 1), math.nan)],
    },
    "optimize_midpoint": {
        "spec": [None, "mlp", A],
        "symmetry": [*SYMMETRIES, None],
        "recipe": [None, 3],
        "method": NAMES,
        "seed": SEEDS,
    },
    "connector": {
        "spec": [None, "mlp", A],
        "symmetry": [*SYMMETRIES, None],
        "recipe": [None, 3],
        "shape": [name for name in NAMES if name],
        "centres": [*COUNTS, 2.0],
        "train_on": NAMES,
        "orthogonal": ["x", None, 1],
        "geometry": [*NAMES, "spherical"],
        "points": [*COUNTS, 1, 10**9],
        "names": ["ab", ["a"], ["a", "a"], 3],
        "bn": NAMES,
        "seed": SEEDS,
        "device": DEVICES,
    },
    "align": {
        "symmetry": [*SYMMETRIES, None],
        "method": [*NAMES, "activation"],
        "orders": COUNTS,
        "seed": SEEDS,
        "probe": ["x", X.numpy(), X[:0]],
        "input_shape": [3, "x", (3,), (0,)],
        "device": DEVICES,
    },
    "align_set": {
        "symmetry": [*SYMMETRIES, None],
        "method": [*NAMES, "activation"],
        "rounds": [count for count in COUNTS if count != 0],
        "orders": COUNTS,
        "names": [["a"], "abc"],
        "probe": ["x", X[:0]],
        "device": DEVICES,
    },
    "normalize": {"symmetry": [*SYMMETRIES, None], "seed": SEEDS, "device": DEVICES, "probe": ["x", X[:, :3]]},
    "distance": {"symmetry": [*SYMMETRIES, None]},
    "linear": {"tau": NUMBERS},
    "geodesic": {"tau": NUMBERS, "symmetry": [*SYMMETRIES, None]},
    "barycentre": {
        "networks": [None, A, [], [A, BINARY], 3, [A, None]],
        "weights": [[0.5, 0.5], [1, 1, 1], [2, 0, -1], "abc", [math.nan, 0.5, 0.5], [None, 0.5, 0.5], 3],
        "symmetry": SYMMETRIES,
    },
    "ensemble": {
        "networks": [None, A, [], [A], [A, BINARY], 3],
        "aligned": [A, [A], [A, BINARY], 3],
        "symmetry": SYMMETRIES,
        "bn": NAMES,
        "same": [*NUMBERS, -1],
        "device": DEVICES,
    },
    "local_energy": {
        "sigma": [0.1, "0.1", ["0.1"], [], None, [None], [math.nan], [-1]],
        "samples": COUNTS,
        "seed": SEEDS,
        "weights": ["fc1.weight", ["x"], 3],
        "symmetry": SYMMETRIES,
    },
    "curvature": {
        "eigenvalues": ["3", None, -1, 2.5, math.nan, math.inf, True, [1], 10**6],
        "smallest": ["yes", 1, None],
        "trace_samples": ["3", None, -1, 2.5, math.nan, True],
        "density": ["yes", 1, None],
        "density_probes": COUNTS,
        "density_steps": COUNTS,
        "metric": NAMES,
        "tolerance": [*NUMBERS, -0.1, 1],
        "curvature_samples": [count for count in COUNTS if count is not None],
        "weights": ["fc1.weight", ["x"], 3, []],
        "symmetry": SYMMETRIES,
        "seed": SEEDS,
        "device": DEVICES,
    },
    "radial_profiles": {
        "directions": ["random", [3], None, ["nonsense"], 3],
        "towards": [3, A, [A], {"b": 3}, {"b": BINARY}],
        "angles": [10, "10", ["10"], [], None, [math.nan], [0], [-5], [181], [20, 10], [10, 10], [True]],
        "factors": [2, [], None, [math.nan], [0], [-1], [math.inf]],
        "samples": COUNTS,
        "growth": [*NUMBERS, 0, -0.1, 1.5, True],
        "align": NAMES,
        "bn": NAMES,
        "seed": SEEDS,
        "symmetry": SYMMETRIES,
        "device": DEVICES,
    },
    "flip_energy": {"flip": [0.1, [], None, [2]], "samples": COUNTS, "latents": ["x", ["x"], 3]},
    "Evaluator": {
        "device": DEVICES,
        "batch_size": ["3", -1, 0, 2.5, True],
        "recompute_on": [3, [], "x"],
    },
    "recompute_statistics": {"x": [DATA, DATA.train, X.numpy(), X[:, :3], None], "batch_size": ["3", 0, 2.5]},
    "unit_correlations": {"symmetry": [*SYMMETRIES, None], "inputs": [DATA, X.numpy(), X[:, :3], None]},
    "permute": {
        "symmetry": [*SYMMETRIES, None],
        "permutations": [*UNITS, {"fc1": torch.zeros(6, dtype=torch.int64)}, {"fc1": torch.arange(6.0)}],
    },
    "rescale": {
        "symmetry": [*SYMMETRIES, None],
        "factors": [*UNITS, {"fc1": -torch.ones(6)}, {"fc1": torch.zeros(6)}],
        "output": ["3", None, [1], 0, -1],
    },
    "flip": {"symmetry": [*SYMMETRIES, None], "signs": [*UNITS, {"fc1": torch.zeros(7)}]},
    "trace_symmetry": {"example_input": [None, X.numpy(), DATA, X[:, :3]]},
    "build_model": {"spec": [None, "mlp", BINARY_SPEC, MODEL]},
    "train": {
        "spec": [None, "mlp", MODEL, ll.ModelSpec("mlp", {}, (4,), 2)],
        "sampler": ["sgd", ll.SGD, 3],
        "recipe": ["x", ll.Recipe],
        "seeds": [3, "x", [], ["1"], [-1], [1.5], None],
        "device": DEVICES,
        "classes": ["3", 2.5],
        "initial": [[A], A, [[A, B]], [[NETWORKS["numpy"]]], [[BINARY]], 3],
        "init_scale": [*NUMBERS, 0, -1, True],
        "subspace": ["64", 64, ll.Subspace, ll.Subspace(10**6)],
    },
    "subspace_basis": {
        "spec": [None, "mlp", A],
        "subspace": [None, 64, "disjoint", ll.Subspace(10**6)],
        "seed": SEEDS,
    },
}
CASES = [
    *((name, "model", what, model) for name in FUNCTIONS for what, model in MODELS.items()),
    *((name, "network", what, network) for name in FUNCTIONS for what, network in NETWORKS.items()),
    *((name, "data", what, data) for name in FUNCTIONS for what, data in DATAS.items()),
    *(
        (name, option, k, value)
        for name, options in OPTIONS.items()
        for option, values in options.items()
        for k, value in enumerate(values)
    ),
]


def takes(name: str, parameter: str) -> bool:
    known = inspect.signature(FUNCTIONS[name]).parameters
    return parameter in known or parameter not in {"model", "network", "data"}


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        pytest.param(name, parameter, value, id=f"{name}-{parameter}-{what}")
        for name, parameter, what, value in CASES
        if takes(name, parameter)
    ],
)
def test_nonsense_is_refused_in_one_line(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(ll.LandscapeError) as refused:
        FUNCTIONS[name](**{parameter: value})
    assert 10 < len(str(refused.value)) < 400
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_right_is_not_refused(name: str) -> None:
    FUNCTIONS[name]()


SETTINGS = [ll.Recipe, ll.RSGD, ll.Adversarial, ll.SAM, ll.SWA, ll.EntropySGD, ll.SnapshotEnsemble, ll.FGE]


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_of_other_types_are_refused(kind: type) -> None:
    for field in fields(kind):
        if "bool" in field.type or field.type == "str | None":
            continue
        with pytest.raises(ll.LandscapeError, match=field.name if field.type != "str" else "unknown"):
            kind(**{field.name: "nonsense"})


@pytest.mark.parametrize(
    "arguments",
    [("mlp", {}, 9, 2), (3, {}, (9,), 2), ("mlp", None, (9,), 2), ("mlp", {}, (9,), "2"), ("mlp", {}, (0,), 2)],
)
def test_models_that_are_none(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ll.LandscapeError, match=r"`\w+=` (is|must be)"):
        ll.ModelSpec(*arguments)


@pytest.mark.parametrize(
    "options",
    [{"seed": -1}, {"seed": 2**70}, {"seed": "x"}, {"train_size": "3"}, {"hmm": {}}, {"task": 3}, {"name": 3}],
)
def test_data_that_is_none(options: dict[str, Any]) -> None:
    with pytest.raises(ll.LandscapeError):
        ll.load_data(ll.DataSpec(**{"name": "hmm", **options}))
    with pytest.raises(ll.LandscapeError, match="give a DataSpec"):
        ll.load_data(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "checkpoint",
    [
        A,
        None,
        ll.Checkpoint(A, SPEC, None),  # type: ignore[arg-type]
        ll.Checkpoint(A, "mlp", {}),  # type: ignore[arg-type]
        ll.Checkpoint(NETWORKS["numpy"], SPEC, {}),
        ll.Checkpoint(NETWORKS["sparse"], SPEC, {}),
        ll.Checkpoint(A, SPEC, {"x": torch.ones(2)}),
        ll.Checkpoint(A, SPEC, {}, history=3),  # type: ignore[arg-type]
        ll.Checkpoint(A, SPEC, {}, normalized="x"),  # type: ignore[arg-type]
    ],
)
def test_checkpoints_that_are_none(tmp_path: Path, checkpoint: Any) -> None:
    with pytest.raises(ll.LandscapeError) as refused:
        ll.write_checkpoint(tmp_path / "a.st", checkpoint)
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", [3, MODEL, SPEC, "nonsense", ""])
def test_readers_of_no_model(tmp_path: Path, model: Any) -> None:
    torch.save(A, tmp_path / "a.pt")
    with pytest.raises(ll.LandscapeError):
        ll.read_network(tmp_path / "a.pt", model=model, input_shape=(9,))
    reader = ll.NetworkReader("mlp?hidden=[6,5]&outputs=2", (9,))
    assert reader.read(str(tmp_path / "a.pt")).params.keys() == A.keys()
    with pytest.raises(ll.LandscapeError, match="one file or more"):
        reader.read_all([])


@pytest.mark.parametrize(
    "name", ["path", "plane", "local_energy", "disagreement", "ensemble", "Evaluator", "optimize_midpoint", "connector"]
)
def test_data_is_the_same_in_every_form(name: str) -> None:
    def found(data: Any) -> Any:
        result = FUNCTIONS[name](data=data)
        parts = result if isinstance(result, dict) else {"": result}
        return {key: json.loads(json.dumps(part.to_dict(), allow_nan=False)) for key, part in parts.items()}

    assert found(DATA) == found({"train": DATA.train, "test": DATA.test})
    assert found(DATA.train)


def test_defaults_are_those_of_the_command_line() -> None:
    for function, command, names in (
        (ll.path, path_command.path, ("kind", "points", "orders", "loss", "bn")),
        (ll.plane, plane_command.plane, ("third", "grid", "margin", "loss", "bn")),
        (ll.plane, ComputeOptions, ("seed",)),
        (ll.local_energy, flatness_command.flatness, ("samples",)),
        (ll.radial_profiles, flatness_command.flatness, ("samples", "bn")),
        (ll.align, align_command.align, ("method",)),
        (ll.ensemble, EnsembleOptions, ("same", "bn")),
    ):
        ours, theirs = inspect.signature(function).parameters, inspect.signature(command).parameters
        for name in names:
            assert ours[name].default == theirs[name].default, (function, name)


def test_numbers_of_numpy_are_numbers() -> None:
    assert len(ll.path(MODEL, A, B, DATA, points=np.int64(3)).taus) == 3
    assert ll.local_energy(MODEL, A, DATA, sigma=list(np.linspace(0.1, 0.2, 2)), samples=1).strengths == (0.1, 0.2)
