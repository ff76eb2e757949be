"""Each network sees inputs as its owner prepared them: commands against plain loops on the same files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models import factories

NETS = """
import torch
from torch import nn

def convolution():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4))

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = convolution()

    def forward(self, x):
        return self.net((x - 128) / 64)

class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.kind, self.hidden, self.out = nn.Embedding(5, 3), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        hidden = self.hidden(torch.cat([x[:, :3], self.kind(x[:, 3].long())], 1))
        return self.out(hidden.relu())
"""
MEAN, DEVIATION = torch.tensor([0.49, 0.48, 0.45]).view(3, 1, 1), torch.tensor([0.25, 0.24, 0.26]).view(3, 1, 1)
PREPARE: dict[str, Callable[[Tensor], Tensor]] = {
    "given": lambda x: (x.float() / 255 - MEAN) / DEVIATION,
    "unit": lambda x: x.float() / 255,
    "none": lambda x: x.float(),
}
OPTIONS = {
    "given": ["--mean", "0.49,0.48,0.45", "--std", "0.25,0.24,0.26"],
    "unit": ["--preprocess", "unit"],
    "none": ["--preprocess", "none"],
}
IMAGES = ["--data", "images.safetensors", "--device", "cpu"]
MODEL = ["--model", "nets:convolution", "--input-shape", "3,6,6"]
AGAIN = ["--model", "nets:convolution", *IMAGES]


def images(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 4
    levels = torch.tensor([60.0, 100.0, 140.0, 180.0])[labels].view(-1, 1, 1, 1)
    noise = torch.randn(count, 3, 6, 6, generator=generator) * 40 * torch.tensor([1.0, 0.6, 0.3]).view(3, 1, 1)
    return (levels + noise).clamp(0, 255).to(torch.uint8), labels


def table(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    kind = torch.randint(5, (count,), generator=generator)
    x = torch.randn(count, 3, generator=generator)
    sign = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])[kind]
    return torch.cat([x, kind[:, None].float()], 1), (x[:, 0] * sign > 0).long()


def learn(model: nn.Module, x: Tensor, y: Tensor, *, rate: float = 1e-2, steps: int = 40) -> None:
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()


Measures = dict[str, dict[str, float]]


def measure(model: nn.Module, prepare: Callable[[Tensor], Tensor], data: dict[str, Tensor]) -> dict[str, float]:
    """What an owner's plain loop measures."""
    found = {}
    for split in ("train", "test"):
        with torch.no_grad():
            logits, y = model(prepare(data[f"x_{split}"])), data[f"y_{split}"]
        found[f"{split}_error"] = float((logits.argmax(1) != y).double().mean())
        found[f"{split}_loss"] = float(F.cross_entropy(logits.double(), y))
    return found


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Measures]]:
    """A folder with data and networks of other people, and what their own loops measure."""
    folder = tmp_path_factory.mktemp("owned")
    (folder / "nets.py").write_text(NETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        import nets  # type: ignore[import-not-found]

        generator, owners = torch.Generator().manual_seed(0), {}
        data: dict[str, dict[str, Tensor]] = {}
        for name, make in (("images", images), ("table", table)):
            (x, y), (u, v) = make(100, generator), make(60, generator)
            data[name] = {"x_train": x, "y_train": y, "x_test": u, "y_test": v}
            save_file(data[name], folder / f"{name}.safetensors")
        for seed, (name, model, prepared) in enumerate(
            [
                ("given", nets.convolution, "given"),
                ("given2", nets.convolution, "given"),
                ("unit", nets.convolution, "unit"),
                ("own", nets.Own, "none"),
            ]
        ):
            torch.manual_seed(seed)
            network = model()
            learn(network, PREPARE[prepared](data["images"]["x_train"]), data["images"]["y_train"])
            torch.save(network.state_dict(), folder / f"{name}.pt")
            owners[name] = measure(network, PREPARE[prepared], data["images"])
        torch.manual_seed(9)
        network = nets.Table()
        learn(network, data["table"]["x_train"], data["table"]["y_train"], rate=3e-2, steps=80)
        torch.save(network.state_dict(), folder / "table.pt")
        owners["table"] = measure(network, lambda x: x, data["table"])
        yield folder, owners
    sys.modules.pop("nets", None)


@pytest.fixture
def owners(owned: tuple[Path, Measures], monkeypatch: pytest.MonkeyPatch) -> Measures:
    monkeypatch.chdir(owned[0])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(factories, "_allowed", {})
    return owned[1]


def check(measured: dict[str, float], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-4, abs=1e-7), name


@pytest.mark.parametrize("name", ["given", "unit", "own"])
def test_a_network_scores_what_its_owner_measures(landscape, owners: Measures, name: str) -> None:
    prepared = "none" if name == "own" else name
    model = ["--model", "nets:Own" if name == "own" else "nets:convolution", *MODEL[2:]]
    second = "given2.pt" if name == "given" else f"{name}.pt"
    done = landscape("path", f"{name}.pt", second, *model, *IMAGES, *OPTIONS[prepared], "--points", 2, "--loss")
    assert done.code == 0, done.err
    assert "assumed" not in done.err
    points = json.loads(done.out)["points"]
    check(points[0], owners[name])
    check(points[1], owners[second.removesuffix(".pt")])


def test_a_table_with_categories_is_taken_as_it_is_and_that_is_said(landscape, owners: Measures) -> None:
    command = ["path", "table.pt", "table.pt", "--model", "nets:Table", "--input-shape", "4", "--points", 2, "--loss"]
    done = landscape(*command, "--data", "table.safetensors", "-q")
    check(json.loads(done.out)["points"][0], owners["table"])
    [line] = done.err.splitlines()
    assert "assumed: inputs of table.safetensors are taken as they are" in line
    done = landscape(*command, "--data", "table.safetensors", "--preprocess", "standardize", "-q")
    assert json.loads(done.out)["points"][0]["test_error"] > owners["table"]["test_error"] + 0.1


def test_columns_that_are_no_categories_are_standardised(landscape, owners: Measures, tmp_path: Path) -> None:
    import nets
    from safetensors.torch import load_file

    data, network = load_file("table.safetensors"), nets.Table()
    network.load_state_dict(torch.load("table.pt", weights_only=True))
    mean, deviation = data["x_train"].mean(0), data["x_train"].std(0, correction=0)
    mean[3], deviation[3] = 0, 1
    expected = measure(network.eval(), lambda x: (x - mean) / deviation, data)
    of = ["--data", "table.safetensors", "--device", "cpu", "-q"]
    command = ["path", "table.pt", "table.pt", "--model", "nets:Table", "--input-shape", "4", *of, "--points", 2]
    done = landscape(*command, "--loss", "--columns", "0-2")
    assert (done.code, done.err) == (0, "")
    check(json.loads(done.out)["points"][0], expected)
    out = str(tmp_path / "a.st")
    train = ["train", "--model", "nets:Table", *of, "--epochs", 1, "-o", out]
    for refused in (command, train):
        landscape(*refused, "--preprocess", "columns").check_refused(
            "categories, name the others with --columns 0-2", refused
        )
    assert landscape(*train, "--columns", "0,1-2").code == 0
    assert read_checkpoint(out).preprocessing["mean"] == pytest.approx(mean.tolist(), rel=1e-5)


@pytest.fixture
def recorded(landscape, owners: Measures, tmp_path: Path) -> dict[str, str]:
    """The same networks as checkpoints that record how they see inputs; aligned to themselves, they are the same."""
    files = {}
    for name in ("given", "unit"):
        files[name] = str(tmp_path / f"{name}.st")
        done = landscape("align", f"{name}.pt", f"{name}.pt", *MODEL, *OPTIONS[name], "-o", files[name])
        assert done.code == 0, done.err
    assert read_checkpoint(files["unit"]).preprocessing == {"kind": "unit"}
    return files


def test_networks_of_different_preparation_see_their_own(
    landscape, owners: Measures, recorded: dict[str, str], tmp_path: Path
) -> None:
    """Whatever the order, in pairs, in families; between them only where one is folded."""
    given, unit = recorded["given"], recorded["unit"]
    for order in ([given, unit], [unit, given]):
        done = landscape("path", *order, *AGAIN)
        assert done.code == 2
        how = {given: "less a mean of 0.49,0.48,0.45, by a deviation", unit: "scaled to [0, 1] if they are bytes"}
        assert "do not see inputs alike" in done.err
        assert all(f"{Path(name).name}: {how[name]}" in done.err for name in order), done.err
        assert "--preprocess" in done.err
        assert "--fold-preprocessing" in done.err
        done = landscape("path", *order, *AGAIN, "--fold-preprocessing", "--points", 3, "--loss", "-q")
        assert (done.code, done.err) == (0, "")
        points = json.loads(done.out)["points"]
        for point, path in ((points[0], order[0]), (points[2], order[1])):
            check(point, owners[Path(path).stem])
        done = landscape("distance", *order, *AGAIN, "-q")
        rows = json.loads(done.out)["pairs"]
        flatness = ["flatness", *order, *AGAIN, "--samples", 1, "--sigma", 0.1, "--test", "-q"]
        for row in json.loads(landscape(*flatness).out)["networks"]:
            assert row["train_error"] == pytest.approx(owners[Path(row["network"]).stem]["train_error"])
            assert row["test_error"] == pytest.approx(owners[Path(row["network"]).stem]["test_error"])
        assert rows[0]["test_disagreement"] is not None
    families = ["path", given, unit, "--pairs", "cross", *AGAIN, "--points", 2, "-q"]
    assert landscape(*families).code == 2
    done = landscape(*families, "--fold-preprocessing")
    [pair] = json.loads(done.out)["pairs"]
    assert pair["points"][1]["test_error"] == pytest.approx(owners["unit"]["test_error"])
    done = landscape("path", given, unit, *AGAIN, "--preprocess", "unit", "--points", 2, "--loss", "-q")
    points = json.loads(done.out)["points"]
    check(points[1], owners["unit"])
    assert points[0]["test_loss"] != pytest.approx(owners["given"]["test_loss"], rel=1e-2)
    for command in (["plane", given, unit, "--third", "origin", "--grid", 2], ["distance", given, unit, "--ensemble"]):
        assert landscape(*command, *AGAIN, "-q").code == 2
        assert landscape(*command, *AGAIN, "-q", "--fold-preprocessing").code == 0


def test_statistics_are_recomputed_on_a_networks_own_inputs(
    landscape, owners: Measures, recorded: dict[str, str]
) -> None:
    """Those of a network trained on other inputs would be others: its own loop has the same error."""
    import nets

    network = nets.convolution()
    network.load_state_dict(torch.load("unit.pt", weights_only=True))
    network[1].reset_running_stats()
    network[1].momentum = None
    from safetensors.torch import load_file

    data = load_file("images.safetensors")
    with torch.no_grad():
        network.train()(PREPARE["unit"](data["x_train"]))
    expected = measure(network.eval(), PREPARE["unit"], data)
    command = ["path", recorded["given"], recorded["unit"], *AGAIN, "--fold-preprocessing", "--bn", "recompute"]
    done = landscape(*command, "--points", 2, "--loss", "-q")
    check(json.loads(done.out)["points"][1], expected)


def test_what_is_near_chance_is_pointed_at_preprocessing(landscape, owners: Measures) -> None:
    command = ["flatness", "own.pt", "--model", "nets:Own", *MODEL[2:], *IMAGES, "--samples", 1, "--sigma", 0.1]
    done = landscape(*command)
    assert done.code == 0
    assert "assumed: inputs of images.safetensors are standardised with the statistics of its training set" in done.err
    assert "where guessing has 0.75: with --preprocess none it is" in done.err
    assert landscape(*command, "-q").err.count("\n") == 1  # what is assumed is always said
    done = landscape(*command, "--preprocess", "none")
    assert "guessing" not in done.err


def test_networks_are_aligned_to_see_what_the_first_sees(
    landscape, owners: Measures, recorded: dict[str, str], tmp_path: Path
) -> None:
    """By weights alone each may see its own; folded, the second sees inputs as the first, and computes the same."""
    given, unit = recorded["given"], recorded["unit"]
    plain, folded, mean = (str(tmp_path / f"{name}.st") for name in ("plain", "folded", "mean"))
    assert landscape("align", given, unit, "--model", MODEL[1], "-o", plain, "-q").code == 0
    assert read_checkpoint(plain).preprocessing == {"kind": "unit"}
    command = ["align", given, unit, "--model", MODEL[1], *IMAGES[2:], "-q"]
    landscape(*command, "--average-out", mean).check_refused("--fold-preprocessing", "mean")
    done = landscape(*command, *IMAGES[:2], "--fold-preprocessing", "-o", folded, "--average-out", mean)
    assert done.code == 0, done.err
    for path in (folded, mean):
        assert read_checkpoint(path).preprocessing == read_checkpoint(given).preprocessing
    assert read_checkpoint(folded).history[-1]["arguments"]["fold_preprocessing"] is True
    points = json.loads(landscape("path", given, folded, *AGAIN, "--points", 2, "--loss", "-q").out)["points"]
    check(points[0], owners["given"])
    check(points[1], owners["unit"])


def test_train_records_what_is_not_usual(landscape, owners: Measures, tmp_path: Path) -> None:
    usual, imagenet, further = (str(tmp_path / f"{name}.st") for name in ("usual", "imagenet", "further"))
    command = ["train", "--model", "mlp", "--hidden", 4, "--epochs", 1, "--device", "cpu"]
    assert landscape(*command, *IMAGES, "-o", usual).code == 0
    assert landscape(*command, *IMAGES, "--preprocess", "imagenet", "-o", imagenet).code == 0
    assert landscape("train", "--init", imagenet, "--epochs", 1, "--device", "cpu", "-o", further).code == 0
    assert read_checkpoint(usual).preprocessing is None
    assert {"mean", "deviation"} <= read_checkpoint(usual).data.keys()
    for path in (imagenet, further):
        assert read_checkpoint(path).preprocessing == {"kind": "imagenet"}
        assert not {"mean", "deviation"} & read_checkpoint(path).data.keys()
    done = landscape("flatness", imagenet, usual, "--samples", 1, "--sigma", 0.1, "--test", "--device", "cpu", "-q")
    for row in json.loads(done.out)["networks"]:
        metrics = read_checkpoint(row["network"]).metrics
        assert (row["train_error"], row["test_error"]) == (metrics["train_error"], metrics["test_error"])
    done = landscape("path", imagenet, usual, "-q", "--points", 2, "--optimize-midpoint", "--epochs", 1, "--lr", 0.1)
    assert done.code == 2
    middle = str(tmp_path / "middle.st")
    options = ["--points", 2, "--optimize-midpoint", "--epochs", 1, "--lr", 0.1, "--midpoint-out", middle]
    done = landscape("path", imagenet, usual, *options, "--fold-preprocessing", "--device", "cpu", "-q")
    assert done.code == 0, done.err
    assert read_checkpoint(middle).preprocessing == {"kind": "imagenet"}


WRONG = {
    ("--mean", "1"): "--mean and --std go together",
    ("--mean", "0.1,x", "--std", "1,1"): "numbers separated by commas",
    ("--mean", "1,2", "--std", "1,2"): "of 2 channels, this data has 3",
    ("--mean", "1", "--std", "0"): "deviations must be positive",
    ("--mean", "nan", "--std", "1"): "--mean must be finite numbers, and one is nan",
    ("--mean", "1", "--std", "inf"): "--std must be finite numbers, and one is inf",
    ("--mean", "1", "--std", "1e-46"): "float32 cannot hold inputs less a mean of 1, by a deviation of",
    ("--mean", "1,2,3", "--std", "1"): "3 means and 1 deviations",
    ("--columns", "0"): "only tables have columns",
    ("--columns", "0,x"): "as in 0,2-4",
    ("--columns", "2-1"): "from a lower number to a higher",
    ("--columns", "0", "--preprocess", "unit"): "for --preprocess columns, not unit",
    ("--columns", "0", "--mean", "1", "--std", "1"): "leave out --mean and --std",
    ("--preprocess", "columns"): "only tables have columns",
    ("--preprocess", "channels"): "give --mean and --std",
    ("--preprocess", "unit", "--mean", "1", "--std", "1"): "leave out --preprocess unit",
    ("--preprocess", "nonsense"): "not one of",
    ("--fold-preprocessing",): "--directions FILE",
}


def test_mistakes(landscape, owners: Measures, tmp_path: Path) -> None:
    for wrong, word in WRONG.items():
        out = str(tmp_path / "out.json")
        done = landscape(
            "flatness", "unit.pt", *MODEL, *IMAGES, "--samples", 1, "--sigma", 0.1, *wrong, "-q", "-o", out
        )
        done.check_refused(word, wrong)
    for command, word in (
        (["normalize", "unit.pt", *MODEL, "--preprocess", "standardize", "-o", str(tmp_path / "x.st")], "training set"),
        (["distance", "unit.pt", "given.pt", *MODEL, "--no-functions", "--preprocess", "unit"], "leave out"),
        (["distance", "unit.pt", "given.pt", *MODEL, *IMAGES, "--fold-preprocessing"], "goes with --ensemble"),
    ):
        landscape(*command, "-q").check_refused(word, command)
    assert not list(tmp_path.iterdir())
