"""Recomputed batch-norm statistics are those of the training set, and reach everything that is moved or merged."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.data.datasets import DataSet, DataSpec, Split, load_data
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.errors import ModelError
from landscape_cli.evaluation.batch_norm import moments, recompute_statistics, size_of_batches, tracked_statistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry.linear import linear
from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.measures.flatness import local_energy
from landscape_cli.models import MODELS, build_model, create_model
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import RSGD, EpochRecord, Recipe, TrainingObserver
from landscape_cli.samplers.rsgd import balanced_gamma
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import initial_params
from tests.support.reference import wrong
from tests.support.training import train_rsgd, train_sgd

CPU = torch.device("cpu")


class Shallow(nn.Module):
    """One batch-norm layer."""

    shape = (3, 6, 6)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.out = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.norm(self.conv(x))).mean((2, 3)))


class Deep(nn.Module):
    """Every kind of layer: in a residual stream, without affine, by function, one-dimensional, without statistics."""

    shape = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 6, 3, padding=1), *(nn.Conv2d(6, 6, 3, padding=1) for _ in range(3))])
        self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False), nn.BatchNorm2d(6, eps=1e-2)])
        self.drop = nn.Dropout(0.5)
        self.register_buffer("by_hand_mean", torch.zeros(6))
        self.register_buffer("by_hand_var", torch.ones(6))
        self.fc = nn.Linear(6 * 16, 8)
        self.last = nn.BatchNorm1d(8, momentum=None)
        self.untracked = nn.BatchNorm1d(8, track_running_stats=False)
        self.unused = nn.BatchNorm1d(8)
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.convs[0](x)))
        x = x + self.norms[1](self.convs[1](x))
        x = self.drop(F.relu(x + self.norms[2](self.convs[2](x))))
        x = self.convs[3](x)
        x = F.batch_norm(x, self.by_hand_mean, self.by_hand_var, training=self.training, momentum=1.0)
        x = self.fc(F.max_pool2d(F.relu(x), 2).flatten(1))
        return self.out(F.relu(self.untracked(self.last(x))))


class Volumes(nn.Module):
    """Three-dimensional and one-dimensional layers with places."""

    shape = (1, 4, 5, 6)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 2)
        self.norm = nn.BatchNorm3d(3)
        self.sequence = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.sequence(F.relu(self.norm(self.conv(x))).flatten(2)).mean(2)


NETS = {net.__name__: net for net in (Shallow, Deep, Volumes)}


def make(
    name: str, samples: int = 96, dtype: torch.dtype = torch.float64
) -> tuple[nn.Module, dict[str, Tensor], Tensor]:
    """A model in training mode, a network with meaningless statistics, and inputs."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = NETS[name]().to(dtype)
        params = {
            key: torch.rand(tensor.shape) + 0.1 if "running" in key or "by_hand" in key else tensor.clone()
            for key, tensor in model.state_dict().items()
        }
        params = {key: t.to(dtype) if t.is_floating_point() else t + 7 for key, t in params.items()}
        x = torch.randn(samples, *NETS[name].shape)
    return model, params, x


def is_statistic(name: str) -> bool:
    return ("running" in name or "by_hand" in name) and "unused" not in name


def whole_set_at_once(model: nn.Module, params: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """What PyTorch leaves behind after one forward pass in training mode, momentum None, dropout off."""
    model = copy.deepcopy(model).train()
    model.load_state_dict(params)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            module.reset_running_stats()
        elif isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        model(x.to(next(model.parameters()).dtype))
    return {name: tensor for name, tensor in model.state_dict().items() if is_statistic(name)}


def deviation(found: dict[str, Tensor], expected: dict[str, Tensor]) -> tuple[float, float]:
    """The largest difference of a mean, in standard deviations, and of a variance, as a fraction."""
    means = [name for name in expected if name.endswith("mean")]
    of_mean = [(found[n] - expected[n]).abs() / expected[n.replace("mean", "var")].sqrt() for n in means]
    of_variance = [(found[n] / expected[n] - 1).abs() for n in (name.replace("mean", "var") for name in means)]
    return max(float(t.max()) for t in of_mean), max(float(t.max()) for t in of_variance)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_equals_the_whole_set_in_training_mode(name: str, dtype: torch.dtype, allowed: float) -> None:
    model, params, x = make(name, dtype=dtype)
    own = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    given = {key: tensor.clone() for key, tensor in params.items()}
    found = recompute_statistics(model, params, x)
    assert max(deviation(found, whole_set_at_once(model, params, x))) < allowed
    assert list(found) == list(params)
    assert {key for key in found if found[key] is not params[key]} == {key for key in params if is_statistic(key)}
    assert all(found[key].dtype == params[key].dtype for key in params)
    assert all(torch.equal(params[key], given[key]) for key in given)
    assert all(torch.equal(model.state_dict()[key], own[key]) for key in own)


@pytest.mark.parametrize("batch_size", [None, 20])
def test_old_statistics_have_no_influence(batch_size: int | None) -> None:
    model, params, x = make("Deep")
    found = recompute_statistics(model, params, x, batch_size=batch_size)
    again = recompute_statistics(model, found, x, batch_size=batch_size)
    spoilt = {key: torch.full_like(t, torch.nan) if is_statistic(key) else t for key, t in params.items()}
    healed = recompute_statistics(model, spoilt, x, batch_size=batch_size)
    assert all(torch.equal(found[key], again[key]) and torch.equal(found[key], healed[key]) for key in found)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 96])
def test_first_layer_is_exact_in_any_batches(batch_size: int) -> None:
    model, params, x = make("Shallow")
    found = recompute_statistics(model, params, x, batch_size=batch_size)
    assert max(deviation(found, whole_set_at_once(model, params, x))) < 1e-12


def test_variation_between_batches_counts() -> None:
    """The mean of the batches' variances, as a moving average has it, is another number."""
    model, params, x = make("Shallow")
    x = x + torch.arange(len(x))[:, None, None, None] / 10
    batches = [whole_set_at_once(model, params, part)["norm.running_var"] for part in x.split(8)]
    exact = recompute_statistics(model, params, x, batch_size=8)["norm.running_var"]
    assert float((torch.stack(batches).mean(0) / exact).max()) < 0.5


def test_batches_are_chosen_for_exactness_then_speed() -> None:
    image = 1 << 16  # bytes an activation: 256 MiB are 4096 of them, 31 MiB are 496
    assert size_of_batches(4096, image, "cpu") == 4096
    assert size_of_batches(4097, image, "cpu") == 512
    assert size_of_batches(60_000, image >> 2, "cpu") == 31 * 64
    assert size_of_batches(60_000, image << 4, "cpu") == 256
    assert size_of_batches(60_000, image << 8, "cpu") == 64
    assert size_of_batches(50, image << 8, "cpu") == 50


@pytest.mark.parametrize("in_classes", [False, True])
def test_batches_hardly_matter(in_classes: bool) -> None:
    model, params, x = make("Deep", 2048)
    if in_classes:  # sorted, as files often are
        x = x + 2 * torch.arange(2048)[:, None, None, None] / 2048 * torch.randn(3, 8, 8)
    exact = whole_set_at_once(model, params, x)
    differences = [max(deviation(recompute_statistics(model, params, x, batch_size=n), exact)) for n in (32, 256, 1024)]
    assert differences[0] < 0.15
    assert differences[1] < 0.02
    assert differences[2] < 0.005
    if in_classes:
        by_file = copy.deepcopy(model).train()
        by_file.load_state_dict(params)
        by_file.drop.eval()
        by_file.last.reset_running_stats()
        for part in x.double().split(256):
            by_file(part)
        ordered = {"last.running_mean": by_file.last.running_mean, "last.running_var": by_file.last.running_var}
        naive = deviation(ordered, {key: exact[key] for key in ordered})
        assert max(naive) > 0.1  # what batches in the file's order would give


def test_sums_are_in_float64() -> None:
    """Deviations a ten-thousandth of the mean, which sums of squares in float32 would lose."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(5000, 3, 4, 5, generator=source) + 1e4
    values = x.double().movedim(1, 0).reshape(3, -1)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = moments(x.contiguous(memory_format=layout))
        assert found.count == values.shape[1]
        assert torch.allclose(found.mean, values.mean(1), rtol=1e-14, atol=0)
        assert torch.allclose(found.squares / found.count, values.var(1, correction=0), rtol=1e-10, atol=0)
        parts = [moments(part) for part in x.split(700)]
        pooled = sum(parts[1:], parts[0])
        assert torch.allclose(pooled.squares, found.squares, rtol=1e-10, atol=0)
    naive = x.square().mean((0, 2, 3)) - x.mean((0, 2, 3)).square()
    assert not torch.allclose(naive.double(), values.var(1, correction=0), rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_networks_are_computed_in_single(dtype: torch.dtype) -> None:
    model, params, x = make("Shallow", dtype=dtype)
    single = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in params.items()}
    found, expected = recompute_statistics(model, params, x), recompute_statistics(model, single, x)
    assert found["norm.running_var"].dtype == dtype
    assert all(torch.equal(found[key], expected[key].to(found[key].dtype)) for key in found)
    if dtype is torch.float16:
        with pytest.raises(ModelError, match=r"norm.running_var exceeds .*float16"):
            recompute_statistics(model, params, 1000 * x)


def test_one_value_has_no_variance() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(ModelError, match=r"1.running_mean .*more samples"):
        recompute_statistics(model, model.state_dict(), torch.ones(1, 3))


def test_without_statistics_nothing_happens() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False), nn.GroupNorm(1, 2))
    params = model.state_dict()
    seen: list[int] = []
    found = recompute_statistics(model, params, torch.randn(9, 3), advance=seen.append)
    assert all(found[key] is params[key] for key in params)
    assert not seen
    assert tracked_statistics(model, params, torch.randn(2, 3)) == ()
    model, params, x = make("Deep")
    expected = [*(f"norms.{k}.running_mean" for k in range(3)), "by_hand_mean", "last.running_mean"]
    assert list(tracked_statistics(model, params, x[:2])) == expected
    recompute_statistics(model, params, x, batch_size=40, advance=seen.append)
    assert Evaluator(model, Split(x, torch.zeros(96).long())).error([params]).shape == (1,)
    assert sum(seen) == 96


class Twice(nn.Module):
    """One layer under two names, used twice; and another."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.a = self.b = nn.BatchNorm1d(4)
        self.c = nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.fc(self.a(x)) + 3))


def test_shared_layers_pool_their_uses() -> None:
    torch.manual_seed(0)
    model, x = Twice().double(), torch.randn(50, 4).double()
    zeros, ones = torch.zeros(4).double(), torch.ones(4).double()  # one tensor for all: layers are told apart still
    params = {key: zeros if "mean" in key else ones if "var" in key else t for key, t in model.state_dict().items()}
    found = recompute_statistics(model, params, x)
    with torch.no_grad():
        second = model.fc((x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()) + 3
        third = (second - second.mean(0)) / (second.var(0, correction=0) + 1e-5).sqrt()
    both = torch.cat([x, second])
    for name in "ab":
        assert torch.allclose(found[f"{name}.running_mean"], both.mean(0), rtol=1e-12)
        assert torch.allclose(found[f"{name}.running_var"], both.var(0), rtol=1e-12)
    assert torch.allclose(found["c.running_mean"], third.mean(0), atol=1e-12)
    assert torch.allclose(found["c.running_var"], third.var(0), rtol=1e-12)


def test_on_a_gpu(gpu: torch.device) -> None:
    model, params, x = make("Deep", dtype=torch.float32)
    there = {key: tensor.to(gpu) for key, tensor in params.items()}
    found = recompute_statistics(copy.deepcopy(model).to(gpu), there, x, batch_size=40)
    assert found["last.running_var"].device.type == gpu.type
    expected = recompute_statistics(model, params, x, batch_size=40)
    assert max(deviation({key: tensor.cpu() for key, tensor in found.items()}, expected)) < 1e-4


# ---- what uses it

SPEC = ModelSpec("norm-mlp", {}, (20,), 1)


def norm_mlp(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(input_shape[0], 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, outputs),
    )


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, SPEC.name, norm_mlp)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(DataSpec("hmm", "data", None, 0, HiddenManifold(30, 20, 90, 60, "sign")))


@pytest.fixture
def pair(registered: None, data: DataSet) -> list[dict[str, Tensor]]:
    """Two trained networks."""
    recipe = Recipe(epochs=15, batch_size=18)
    return [dict(train_sgd(SPEC, data.train, recipe, seed=seed)) for seed in (1, 2)]


def test_evaluator_recomputes_for_every_network(pair: list[dict[str, Tensor]], data: DataSet) -> None:
    model = build_model(SPEC, pair[0])
    splits = {"train": data.train, "test": data.test}
    networks = [linear(*pair, k / 4) for k in range(5)]
    seen: list[int] = []
    evaluator = Evaluator(model, splits, recompute_on="train", advance=seen.append)
    found = evaluator.evaluate(iter(networks))
    assert sum(seen) == 5 * (90 + 90 + 60)
    slow = build_model(SPEC, {key: tensor.clone() for key, tensor in pair[0].items()})
    recomputed = [network | whole_set_at_once(model, network, data.train.x) for network in networks]
    for split, (x, y) in splits.items():
        assert found[split].wrong.tolist() == [wrong(slow, network, x, y) for network in recomputed]
    kept = Evaluator(model, splits).evaluate(networks)
    assert kept["train"].wrong.tolist() != found["train"].wrong.tolist()
    assert float(found["train"].loss[2]) < float(kept["train"].loss[2])


def test_flatness_recomputes_for_every_draw(pair: list[dict[str, Tensor]], data: DataSet) -> None:
    model = build_model(SPEC, pair[0])
    weights = ["0.weight", "3.weight", "6.weight"]
    evaluator = Evaluator(model, data.train, recompute_on="data")
    found = local_energy(evaluator, pair[0], weights=weights, sigma=[0.0, 1.0], samples=4)
    base = whole_set_at_once(model, pair[0], data.train.x)
    slow = build_model(SPEC, {key: tensor.clone() for key, tensor in pair[0].items()})
    assert found.error["data"] == wrong(slow, pair[0] | base, *data.train) / 90
    assert found.draws["data"][0].tolist() == [0.0] * 4
    kept = local_energy(Evaluator(model, data.train), pair[0], weights=weights, sigma=[0.0, 1.0], samples=4)
    assert not torch.equal(kept.draws["data"][1], found.draws["data"][1])


def test_centre_of_replicas_has_statistics_of_its_own(registered: None, data: DataSet) -> None:
    seen: list[EpochRecord] = []
    # One epoch, hardly coupled: the mean of the replicas' running statistics would give another error.
    recipe = Recipe(epochs=1, batch_size=18, until_error=0.0)
    sampler = RSGD(2, gamma_init=1e-3)
    found = dict(train_rsgd(SPEC, data.train, recipe, sampler, seed=1, observer=TrainingObserver(epoch=seen.append)))
    model = create_model(SPEC, seed=0)
    expected = {name: t for name, t in whole_set_at_once(model, found, data.train.x).items() if is_statistic(name)}
    assert max(deviation(found, expected)) < 1e-5
    assert int(found["1.num_batches_tracked"]) == 10  # of 9 samples each, for either replica
    assert seen[-1].solution_error == wrong(model, found, *data.train) / 90
    assert not any(tensor.is_inference() for tensor in found.values())


def test_gamma_is_found_with_statistics_of_the_data(registered: None, data: DataSet) -> None:
    starts = [initial_params(SPEC, 0, a) for a in range(2)]
    stack = Stack(SPEC, starts, CPU, replicas=len(starts))
    losses = [
        float(F.binary_cross_entropy_with_logits(network(data.train.x)[:, 0], data.train.y.float()).detach())
        for network in copy.deepcopy(stack.networks)  # in training mode
    ]
    # Running variances are those of a sample, n / (n - 1) times what training normalises with.
    assert balanced_gamma(stack, 0, data.train) * stack.spread() == pytest.approx(sum(losses) / 2, rel=1e-2)
    with_their_own = Evaluator(stack.networks[0], data.train).evaluate(starts)["data"].loss.mean()
    assert float(with_their_own) != pytest.approx(sum(losses) / 2, rel=1e-2)


def test_centre_keeps_whole_numbers(registered: None) -> None:
    starts = [initial_params(SPEC, 0, a) for a in range(3)]
    starts[1] = dict(starts[1]) | {"1.num_batches_tracked": torch.tensor(5)}
    centre = Stack(SPEC, starts, CPU, replicas=len(starts)).centre()
    assert centre["1.num_batches_tracked"].dtype == torch.int64
    assert int(centre["1.num_batches_tracked"]) == 0


@pytest.fixture
def files(landscape, pair: list[dict[str, Tensor]], data: DataSet) -> list[str]:
    names = ["a.st", "b.st"]
    for name, params in zip(names, pair, strict=True):
        write_checkpoint(Path(name), Checkpoint(params, SPEC, data.record), force=False)
    return names


def test_command_path(landscape, files: list[str], pair: list[dict[str, Tensor]], data: DataSet) -> None:
    found = {
        bn: json.loads(landscape("path", *files, "--points", "3", "--loss", "--bn", bn, "--device", "cpu").out)
        for bn in ("keep", "recompute")
    }
    model = build_model(SPEC, pair[0])
    networks = [linear(*pair, tau) for tau in (0, 0.5, 1)]
    assert found["recompute"]["provenance"]["arguments"]["bn"] == "recompute"
    for bn, result in found.items():
        for network, point in zip(networks, result["points"], strict=True):
            if bn == "recompute":
                network = recompute_statistics(model, network, data.train.x)
            slow = build_model(SPEC, {key: tensor.clone() for key, tensor in network.items()})
            assert point["train_error"] == wrong(slow, network, *data.train) / 90
            assert point["test_error"] == wrong(slow, network, *data.test) / 60
    kept, recomputed = (found[bn]["barrier"]["loss"]["train"]["max"] for bn in ("keep", "recompute"))
    assert recomputed < kept
    assert found["keep"]["points"][0] != found["recompute"]["points"][0]  # the ends are treated alike


def test_command_plane_and_flatness(landscape, files: list[str], pair: list[dict[str, Tensor]], data: DataSet) -> None:
    third = {key: t + 0.1 * torch.ones_like(t) if t.is_floating_point() else t for key, t in pair[0].items()}

    write_checkpoint(Path("c.st"), Checkpoint(third, SPEC, data.record), force=False)
    commands = {
        "plane": ["plane", *files, "c.st", "--grid", "3", "--loss"],
        "flatness": ["flatness", *files, "--all-parameters", "--samples", "2", "--sigma", "0.5"],
    }
    for name, command in commands.items():
        outputs = [landscape(*command, "--bn", bn, "--device", "cpu") for bn in ("keep", "recompute")]
        assert [done.code for done in outputs] == [0, 0]
        kept, recomputed = (json.loads(done.out)["networks"] for done in outputs)
        assert kept != recomputed
        model = build_model(SPEC, pair[0])
        network = recompute_statistics(model, pair[1], data.train.x)
        assert recomputed[1]["train_error"] == float(Evaluator(model, data.train).error([network])), name


def test_command_says_when_there_is_nothing_to_do(landscape, data: DataSet) -> None:

    spec = replace(SPEC, name="mlp", arguments={"hidden": [5]})
    for seed in (1, 2):
        params = create_model(spec, seed=seed).state_dict()
        write_checkpoint(Path(f"{seed}.st"), Checkpoint(params, spec, data.record), force=False)
    plain = landscape("path", "1.st", "2.st", "--points", "3")
    done = landscape("path", "1.st", "2.st", "--points", "3", "--bn", "recompute")
    assert done.err.count("no batch-norm") == 1
    assert json.loads(done.out)["points"] == json.loads(plain.out)["points"]
    assert landscape("path", "1.st", "2.st", "--points", "3", "--bn", "recompute", "-q").err == ""
    bad = landscape("path", "1.st", "2.st", "--bn", "reset")
    assert (bad.code, "reset" in bad.err) == (2, True)
