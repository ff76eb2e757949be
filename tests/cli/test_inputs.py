"""Commands on networks that landscape has not written: chains, and mistakes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from landscape_cli.models import factories
from landscape_cli.network import ModelSpec
from tests.cli.test_app import TRAIN

NETS = """
import torch
from torch import nn

def make(width=12, depth=1):
    layers = [nn.Flatten()]
    for k in range(depth):
        layers += [nn.Linear(27 if k == 0 else width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 4))

def broken():
    raise ValueError("two\\nlines")

def nothing():
    return None

class Dict(nn.Linear):
    def forward(self, x):
        return {"logits": super().forward(x)}

class Normed(nn.Sequential):
    def __init__(self, width=12):
        first = [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(width, width)]
        super().__init__(*first, nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 4))
        self.register_buffer("mix", torch.linspace(-9, 9, 16).reshape(4, 4).sin() * 4, persistent=False)

    def forward(self, x):
        return super().forward(x) @ self.mix
"""
MAKE = ["--model", "nets:make?width=12", "--input-shape", "3,3,3"]


def network(seed: int, width: int = 12) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(27, width), nn.ReLU(), nn.Linear(width, 4))


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A module with a factory, a data set, and three networks saved in the ways of others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(factories, "_allowed", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("nets.py").write_text(NETS)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randint(256, (90, 3, 3, 3), generator=generator, dtype=torch.uint8), torch.arange(90) % 4
    save_file({"x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]}, "data.safetensors")
    save_file(network(1).state_dict(), "1.safetensors", {"format": "pt"})
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": t for k, t in network(2).state_dict().items()}}, "2.pth")
    torch.save(network(3).state_dict(), "3.bin")
    yield ["1.safetensors", "2.pth", "3.bin"]
    sys.modules.pop("nets", None)


def test_chain(landscape, foreign: list[str]) -> None:
    done = landscape("normalize", *foreign, *MAKE, "--out-dir", "n")
    assert done.code == 0, done.err
    first = read_checkpoint("n/1.st")
    assert first.model == ModelSpec("nets:make", {"width": 12}, (3, 3, 3), 4)
    assert dict(first.data) == {}
    assert first.history[0]["inputs"].keys() == {"1.safetensors"}
    assert first.history[0]["arguments"]["model"] == "nets:make?width=12"
    again = ["--model", "nets:make?width=12"]
    done = landscape("align", "n/1.st", "n/2.st", "n/3.st", *again, "--out-dir", "a")
    assert done.code == 0, done.err
    done = landscape("path", "n/1.st", "a/2_aligned.st", *again, "--kind", "geodesic", "--data", "data.safetensors")
    assert done.code == 0, done.err
    assert "with the statistics of its training set" in done.err
    assert json.loads(done.out)["provenance"]["data"]["name"] == "data.safetensors"
    for command in (["distance"], ["plane", "--grid", "3"], ["flatness", "--samples", "2", "--sigma", "0.1"]):
        done = landscape(*command, *foreign, *MAKE, "--data", "data.safetensors")
        assert done.code == 0, (command, done.err)


def test_errors_are_the_networks_own(landscape, foreign: list[str]) -> None:
    """Standardised by the training set's own statistics, whatever the file is like."""
    done = landscape("path", *foreign[:2], *MAKE, "--data", "data.safetensors", "--points", "2")
    points = json.loads(done.out)["points"]
    data = load_file("data.safetensors")
    x = data["x_train"].double()
    mean, deviation = x.mean((0, 2, 3)), x.transpose(0, 1).flatten(1).std(1, correction=0)
    for seed, point in zip((1, 2), points, strict=True):
        x = (data["x_test"].double() - mean[:, None, None]) / deviation[:, None, None]
        wrong = network(seed).double()(x).argmax(1) != data["y_test"]
        assert point["test_error"] == wrong.double().mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_recomputed(landscape, foreign: list[str], dtype: torch.dtype) -> None:
    """Foreign networks with batch-norm, and a table that no file has: the training set's statistics along the path."""
    sys.path.insert(0, os.getcwd())
    import nets  # type: ignore[import-not-found]

    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = nets.Normed(8).to(dtype).state_dict()
        states.append({k: torch.rand_like(t) if "running" in k else t for k, t in state.items()})
        torch.save({"model": {f"module.{k}": t for k, t in states[-1].items()}}, f"n{seed}.pth")
    named = ["--model", "nets:Normed?width=8", "--input-shape", "3,3,3", "--data", "data.safetensors"]
    found = {}
    for bn in ("keep", "recompute"):
        done = landscape("path", "n1.pth", "n2.pth", *named, "--points", "3", "--loss", "--bn", bn, "--device", "cpu")
        assert done.code == 0, done.err
        found[bn] = json.loads(done.out)["points"]
    data = load_file("data.safetensors")
    x = data["x_train"].double()
    mean, deviation = x.mean((0, 2, 3)), x.transpose(0, 1).flatten(1).std(1, correction=0)
    inputs = {
        split: ((data[f"x_{split}"].double() - mean[:, None, None]) / deviation[:, None, None]).float().to(dtype)
        for split in ("train", "test")
    }
    model = nets.Normed(8).to(dtype)
    for k, point in enumerate(found["recompute"]):
        model.load_state_dict(
            {n: t + k / 2 * (states[1][n] - t) if t.is_floating_point() else t for n, t in states[0].items()}
        )
        for norm in (model[1], model[5]):
            norm.momentum = None
            norm.reset_running_stats()
        with torch.no_grad():
            model.train()(inputs["train"])
            model.eval()
            for split, batch in inputs.items():
                logits = model(batch)
                loss = nn.functional.cross_entropy(logits.double(), data[f"y_{split}"])
                assert point[f"{split}_loss"] == pytest.approx(float(loss), rel=1e-5)
        assert found["keep"][k]["train_loss"] != pytest.approx(point["train_loss"], rel=1e-2)
    for command in (["plane", "--grid", "3"], ["flatness", "--samples", "2", "--sigma", "0.1", "--all-parameters"]):
        networks = ["n1.pth", "n2.pth", "n3.pth"][: 3 if command[0] == "plane" else 2]
        torch.save({k: t + 0.1 if t.is_floating_point() else t for k, t in states[0].items()}, "n3.pth")
        done = landscape(*command, *networks, *named, "--bn", "recompute", "--device", "cpu")
        assert done.code == 0, done.err


def test_own_and_foreign_together(landscape, foreign: list[str]) -> None:
    landscape("normalize", foreign[0], *MAKE, "-o", "own.st")
    done = landscape("distance", "own.st", foreign[1], *MAKE, "--no-functions")
    assert done.code == 0, done.err
    shapes = {"fc1.weight": (9, 21), "fc1.bias": (9,), "fc2.weight": (1, 9), "fc2.bias": (1,)}
    save_file({name: torch.rand(shape) for name, shape in shapes.items()}, "x.st")
    landscape(*TRAIN[:3], "--hidden", "9", *TRAIN[5:], "-o", "trained.st")
    done = landscape("path", "trained.st", "x.st", "--model", "mlp?hidden=[9]&outputs=1", "--input-shape", "21")
    assert "x.st does not say which data" in done.err
    done = landscape(
        "distance", "trained.st", "x.st", "--model", "mlp?hidden=[9]&outputs=1", "--input-shape", "21", "--no-functions"
    )
    assert done.code == 0, done.err


def test_torchvision(landscape, foreign: list[str]) -> None:
    """Batch-norm, half precision, a torch.compile prefix; later commands need not be told the model again."""
    from landscape_cli.torchvision_compat import import_torchvision

    model = import_torchvision("models").get_model("shufflenet_v2_x0_5", weights=None, num_classes=4).half()
    torch.save({"model": {f"_orig_mod.{k}": t for k, t in model.state_dict().items()}}, "a.pt")
    x, y = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 4
    save_file({"x_train": x[:8], "y_train": y[:8], "x_test": x[8:], "y_test": y[8:]}, "x.safetensors")
    spec = "torchvision:shufflenet_v2_x0_5?num_classes=4"
    named = ["--model", spec, "--input-shape", "3,32,32", "--data", "x.safetensors"]
    done = landscape("path", "a.pt", "a.pt", *named, "--points", "2")
    assert done.code == 0, done.err
    done = landscape("train", "--init", "a.pt", *named, "--epochs", "1", "--lr", "0.001", "-o", "n.st")
    assert done.code == 0, done.err
    found = read_checkpoint("n.st")
    assert found.model == ModelSpec("torchvision:shufflenet_v2_x0_5", {"num_classes": 4}, (3, 32, 32), 4)
    assert found.params["conv1.1.num_batches_tracked"] == 1
    assert landscape("distance", "n.st", "n.st", "--no-functions").code == 0
    other = landscape("path", "n.st", "n.st", "--model", "torchvision:shufflenet_v2_x0_5?num_classes=5")
    assert (other.code, "not --model torchvision:shufflenet_v2_x0_5?num_classes=5" in other.err) == (2, True)


def test_training_goes_on_from_them(landscape, foreign: list[str]) -> None:
    train = ["train", "--data", "data.safetensors", "--epochs", "1", "--batch-size", "8"]
    done = landscape(*train, "--init", foreign[1], *MAKE, "-o", "x.st")
    assert done.code == 0, done.err
    assert read_checkpoint("x.st").model.name == "nets:make"
    assert read_checkpoint("x.st").history[0]["inputs"].keys() == {foreign[1]}
    assert landscape("distance", "x.st", "x.st", "--model", "nets:make?width=12").code == 0
    done = landscape(*train, "--model", "nets:make?depth=2", "-o", "new.st")
    assert done.code == 0, done.err
    assert read_checkpoint("new.st").model == ModelSpec("nets:make", {"depth": 2}, (3, 3, 3), 4)
    for extra, word in {
        ("--init", foreign[1]): "name that with --model",
        ("--init", foreign[1], *MAKE[:2]): "--input-shape",
        ("--input-shape", "3,3,3"): "is for --init",
        ("--model", "nets:make", "--hidden", "3"): "--hidden is for landscape's own models",
        ("--init", "new.st"): "add --model 'nets:make?depth=2'",
    }.items():
        done = landscape(*train, *extra, "-o", "no.st")
        assert (done.code, word in done.err) == (2, True), (extra, done.err)
    done = landscape("train", "--init", foreign[1], *MAKE, "-o", "no.st")
    assert (done.code, "does not say which data" in done.err) == (2, True)
    assert not Path("no.st").exists()


def test_registry_models(landscape, foreign: list[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(18, 3, 32, 32, generator=generator), torch.arange(18) % 3
    save_file({"x_train": x[:9], "y_train": y[:9], "x_test": x[9:], "y_test": y[9:]}, "images.safetensors")
    train = ["train", "--data", "images.safetensors", "--epochs", "1", "--batch-size", "4"]
    small = ["--model", "resnet20", "--width", "2", "--blocks", "1", "--norm", "layer"]
    assert landscape(*train, *small, "-o", "r.st").code == 0
    assert read_checkpoint("r.st").model.arguments == {"width": 2, "blocks": 1, "norm": "layer"}
    assert landscape(*train, "--model", "vgg16", "--width", "1", "-o", "v.st").code == 0
    assert read_checkpoint("v.st").model.arguments == {"width": 1, "hidden": []}
    assert landscape(*train, "--model", "vgg16?width=1", "--hidden", "5", "-o", "w.st").code == 0
    assert read_checkpoint("w.st").model.arguments == {"width": 1, "hidden": [5]}
    for extra, word in {
        ("--model", "vgg16", "--norm", "layer"): "--norm is for --model resnet20, not vgg16",
        ("--model", "resnet20", "--hidden", "3"): "--hidden is for --model mlp or lenet or vgg16 or",
        ("--model", "resnet20", "--no-bias"): "--bias is for",
        ("--model", "mlp", "--width", "3"): "--width is for --model vgg16 or resnet20, not mlp",
        ("--model", "resnet20", "--norm", "group"): "--norm",
        ("--model", "resnet20?width=2", "--width", "2"): "leave out --width",
        ("--model", "mlp?outputs=3"): "--outputs",
        ("--model", "resnet20", "--batch-size", "1"): "raise --batch-size",
    }.items():
        done = landscape(*train, *extra, "-o", "no.st")
        assert (done.code, word in done.err) == (2, True), (extra, done.err)
    assert not Path("no.st").exists()


MISTAKES = {
    "no model": (["2.pth"], "2.pth was not written by landscape"),
    "no model for safetensors": (["1.safetensors"], "--model"),
    "no shape": (["2.pth", *MAKE[:2]], "--input-shape 3,32,32"),
    "no shape at all": (["2.pth", *MAKE[:3], "a,b"], "whole numbers"),
    "empty shape": (["2.pth", *MAKE[:3], ""], "sizes of one input"),
    "negative shape": (["2.pth", *MAKE[:2], "--input-shape=-3,3"], "sizes of one input"),
    "another shape": (["2.pth", *MAKE[:3], "4"], "does not run on inputs of shape (4,)"),
    "another width": (["2.pth", "--model", "nets:make?width=9", *MAKE[2:]], "1.weight is (12, 27), expected (9, 27)"),
    "another model": (["2.pth", "--model", "nets:make?depth=2", *MAKE[2:]], "missing: 5.weight, 5.bias"),
    "registry": (["2.pth", "--model", "resnet99", *MAKE[2:]], "unknown model 'resnet99'"),
    "registry without outputs": (["2.pth", "--model", "mlp", *MAKE[2:]], "mlp?outputs=10"),
    "no module": (["2.pth", "--model", "nowhere:make", *MAKE[2:]], "no module 'nowhere'"),
    "no attribute": (["2.pth", "--model", "nets:makes", *MAKE[2:]], "did you mean make?"),
    "factory raises": (["2.pth", "--model", "nets:broken", *MAKE[2:]], "nets:broken failed: ValueError: two / lines"),
    "no module made": (["2.pth", "--model", "nets:nothing", *MAKE[2:]], "returned a NoneType"),
    "arguments": (["2.pth", "--model", "nets:make?height=3", *MAKE[2:]], "unexpected keyword argument"),
    "no dict": (["2.pth", "--model", "nets:Dict?in_features=3&out_features=2", *MAKE[2:]], "do not fit the model"),
    "weights": (["2.pth", "--model", "torchvision:resnet18?weights=DEFAULT", *MAKE[2:]], "would fetch weights"),
    "torchvision": (["2.pth", "--model", "torchvision:resnet17", *MAKE[2:]], "did you mean"),
    "code": (["evil.pt", *MAKE], "could run code"),
    "truncated": (["half.pt", *MAKE], "not a whole PyTorch file"),
    "list": (["list.pt", *MAKE], "holds a list"),
    "complex": (["complex.pt", *MAKE], "complex64"),
    "NaN": (["nan.pt", *MAKE], "'3.bias' holds NaN"),
    "odd names": (["odd.pt", *MAKE], r"not in the model: a\n\x1b[31m"),
    "mixed": (["mixed.pt", *MAKE], "mixes floating-point types"),
    "a data set": (["data.safetensors", *MAKE], "none of its names is the model's"),
    "file names code": (["named.st"], "add --model 'evil:make?x=1'"),
    "file names weights": (["fetch.st"], "would fetch weights"),
    "other than the file": (["named.st", *MAKE], "not --model nets:make?width=12"),
    "other shape than the file": (["own.st", "--input-shape", "4"], "not --input-shape (4,)"),
}


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def test_mistakes(landscape, foreign: list[str]) -> None:
    state = network(1).state_dict()
    torch.save({"state_dict": state, "x": Evil()}, "evil.pt")
    torch.save(state, "half.pt")
    Path("half.pt").write_bytes(Path("half.pt").read_bytes()[:1000])
    torch.save([state], "list.pt")
    torch.save(state | {"1.weight": torch.ones(12, 27, dtype=torch.complex64)}, "complex.pt")
    torch.save(state | {"3.bias": torch.full((4,), float("nan"))}, "nan.pt")
    torch.save(state | {"a\n\x1b[31m": torch.ones(1)}, "odd.pt")
    torch.save(state | {"3.bias": torch.ones(4).half()}, "mixed.pt")
    Path("evil.py").write_text("open('ran', 'w')\n")
    write_checkpoint("named.st", Checkpoint(state, ModelSpec("evil:make", {"x": 1}, (3, 3, 3), 4), {}))
    fetch = ModelSpec("torchvision:resnet18", {"weights": "DEFAULT"}, (3, 64, 64), 1000)
    write_checkpoint("fetch.st", Checkpoint(state, fetch, {}))
    assert landscape(*TRAIN, "-o", "own.st").code == 0
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for name, (arguments, word) in MISTAKES.items():
        for command in (["normalize", "-o", "out.st"], ["distance", arguments[0], "--no-functions", "-o", "out.json"]):
            done = landscape(*command, *arguments)
            done.check_refused(word, name)
            assert "\x1b" not in done.err, name
            assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before, name


def test_missing_data(landscape, foreign: list[str]) -> None:
    for command in (["path"], ["distance"], ["flatness"]):
        done = landscape(*command, *foreign[:2], *MAKE, "-o", "out.json")
        assert (done.code, "name them with --data" in done.err) == (2, True), done.err
    done = landscape("path", *foreign[:2], *MAKE, "--data", "hmm")
    assert (done.code, "inputs of shape (401,)" in done.err) == (2, True)


def test_the_current_folder_is_importable(foreign: list[str]) -> None:
    """As with `python -m`; what the code prints is no result."""
    with open("nets.py", "a") as file:
        file.write("print('noise')\n")
    command = Path(sys.executable).parent / "landscape"
    done = subprocess.run(
        [command, "distance", *foreign[:2], *MAKE, "--no-functions"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["pairs"]) == 1


def test_files_that_name_code_import_nothing(foreign: list[str]) -> None:
    Path("evil.py").write_text("open('ran', 'w')\n")
    spec = ModelSpec("evil:make", {}, (3, 3, 3), 4)
    write_checkpoint("a.st", Checkpoint(network(1).state_dict(), spec, {}))
    Path("b.pt").write_bytes(pickle.dumps(Evil()))
    commands = [
        ["normalize", "a.st", "-o", "x.st"],
        ["train", "--init", "a.st", "--model", "nets:make", "-o", "x.st"],
        ["distance", "b.pt", "a.st", *MAKE],
    ]
    code = f"""
from landscape_cli.cli.app import main
for arguments in {commands!r}:
    try:
        main(arguments)
    except SystemExit as stop:
        print(stop.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["2"] * 3), done.stderr
    assert done.stderr.count("landscape: error: ") == 3
    assert not Path("ran").exists()
