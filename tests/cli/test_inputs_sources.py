"""Data from where people have them, as commands read them: files, folders, functions; all of them or a part."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from landscape_cli.data import user_function
from landscape_cli.data.part import choose
from landscape_cli.io.checkpoint import read_checkpoint
from tests.conftest import Outcome

Landscape = Callable[..., Outcome]
MLP = ("train", "--model", "mlp", "--hidden", "6", "--epochs", "1", "--lr", "0.1")
RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (96, 3, 4, 4), dtype=np.uint8), np.arange(96) % 3
OWN = """
import numpy, torch
from torch.utils.data import DataLoader, Dataset

with open("ran", "a") as file:
    file.write("ran\\n")


class Pairs(Dataset):
    def __init__(self, first, last):
        held = numpy.load("a.npz")
        self.x, self.y = held["x_train"][first:last] / 255, held["y_train"][first:last]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return torch.from_numpy(self.x[index]).float(), int(self.y[index])


def pairs(first=0, last=48):
    return Pairs(first, last), DataLoader(Pairs(48, 60), batch_size=5, shuffle=True)
"""


@pytest.fixture
def here(landscape: Landscape, monkeypatch: pytest.MonkeyPatch) -> Iterator[Landscape]:
    """An archive, a folder of images, and a module."""
    np.savez("a.npz", x_train=X[:60], y_train=Y[:60], x_test=X[60:], y_test=Y[60:])
    for index, (x, y) in enumerate(zip(X, Y, strict=True)):
        path = Path("imgs", "train" if index < 60 else "test", "abc"[y], f"{index:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x.transpose(1, 2, 0)).save(path)
    Path("own.py").write_text(OWN)
    monkeypatch.setattr(user_function, "_allowed", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield landscape
    sys.modules.pop("own", None)


def train(landscape: Landscape, data: str, *more: str, output: str = "a.st") -> None:
    done = landscape(*MLP, "--data", data, *more, "-o", output)
    assert done.code == 0, done.err


def measured(landscape: Landscape, *arguments: str) -> dict[str, Any]:
    done = landscape(*arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


def error_of(path: str, x: Tensor, y: Tensor) -> float:
    """Return the error of a network of one hidden layer on inputs as it sees them, by hand."""
    params = {name: tensor.double() for name, tensor in read_checkpoint(path).params.items()}
    hidden = (x.flatten(1).double() @ params["fc1.weight"].T + params["fc1.bias"]).relu()
    return float(((hidden @ params["fc2.weight"].T + params["fc2.bias"]).argmax(1) != y).double().mean())


def standardized(x: np.ndarray, of: np.ndarray) -> Tensor:
    mean, deviation = of.mean((0, 2, 3), keepdims=True), of.std((0, 2, 3), keepdims=True)
    return torch.from_numpy((x - mean) / deviation)


@pytest.mark.parametrize("data", ["a.npz", "imgs"])
def test_files_and_folders(here: Landscape, data: str) -> None:
    """What commands measure is what a loop of one's own over the same arrays does."""
    train(here, data)
    points = measured(here, "path", "a.st", "a.st", "--points", "2")["points"]
    seen = standardized(X, X[:60])
    assert points[0]["train_error"] == pytest.approx(error_of("a.st", seen[:60], torch.from_numpy(Y[:60])))
    assert points[0]["test_error"] == pytest.approx(error_of("a.st", seen[60:], torch.from_numpy(Y[60:])))


def test_parts_of_the_data(here: Landscape) -> None:
    """The same part for every command, of a network that was trained on a part itself; statistics are the whole's."""
    train(here, "a.npz", "--train-size", "30", "--data-seed", "2")
    part = ("--samples", "9", "--test-samples", "6", "--seed", "5")
    result = measured(here, "path", "a.st", "a.st", "--points", "2", *part)
    data = result["provenance"]["data"]
    assert (data["train_samples"], data["test_samples"]) == (9, 6)
    assert data["sha256"] != read_checkpoint("a.st").data["sha256"]
    assert {key: result["provenance"]["arguments"][key] for key in ("train_samples", "test_samples", "seed")} == {
        "train_samples": 9,
        "test_samples": 6,
        "seed": 5,
    }
    record = read_checkpoint("a.st").data
    mean, deviation = (np.array(record[key])[None, :, None, None] for key in ("mean", "deviation"))
    seen, labels = torch.from_numpy((X[60:] - mean) / deviation), torch.from_numpy(Y[60:])
    chosen = choose(labels, 6, 5)
    expected = error_of("a.st", seen[chosen], labels[chosen])
    assert result["points"][0]["test_error"] == pytest.approx(expected)
    part = ("--train-samples", *part[1:])
    flat = measured(here, "flatness", "a.st", "--sigma", "0.1", "--samples", "2", "--test", *part)
    assert flat["networks"][0]["test_error"] == pytest.approx(expected)
    assert flat["provenance"]["data"] == data
    plane = measured(here, "plane", "a.st", "--third", "random", "--grid", "2", *part)
    assert plane["provenance"]["data"] == data
    distances = measured(here, "distance", "a.st", "a.st", *part)
    assert distances["provenance"]["data"] == data
    plain = measured(here, "path", "a.st", "a.st", "--points", "2")
    assert not {"train_samples", "test_samples", "image_size"} & plain["provenance"]["arguments"].keys()


def test_parts_of_folders_are_read_alone(here: Landscape) -> None:
    train(here, "imgs", "--image-size", "3")
    assert read_checkpoint("a.st").data["image_size"] == [3, 3]
    for path in Path("imgs/test").rglob("*.png"):  # all but one of each class
        if path.stem not in {"060", "061", "062"}:
            path.write_text("no image")
    files = torch.arange(36) // 12  # class by class
    seed = next(seed for seed in range(3000) if choose(files, 1, seed).tolist() == [0])
    part = ("--test-samples", "1", "--seed", str(seed))
    for data in ((), ("--data", "imgs")):  # the size of images goes with a folder that is named, too
        done = here("path", "a.st", "a.st", "--points", "2", *part, *data)
        assert done.code == 0, done.err
        assert ("is read, so that they are the same is not checked" in done.err) == (not data)
    here("path", "a.st", "a.st", "--points", "2").check_refused("is not a whole image", "all")


def test_code_is_run_only_if_it_is_named(here: Landscape) -> None:
    train(here, "own:pairs?last=30", "--train-size", "24")
    Path("ran").unlink()
    sys.modules.pop("own")
    user_function._allowed.clear()
    path = ("path", "a.st", "a.st", "--points", "2")
    for command in (path, ("flatness", "a.st"), (*MLP, "--init", "a.st", "-o", "b.st")):
        done = here(*(part for part in command if part not in MLP[1:5]))
        done.check_refused("own:pairs?last=30 is code, which is run only if you name it: add --data", command[0])
    assert not Path("ran").exists()
    advice = shlex.split(done.err.rpartition("add ")[2])
    result = measured(here, *path, *advice, "--seed", "3")
    assert Path("ran").exists()
    assert result["provenance"]["data"]["train_samples"] == 24  # what it was trained on, as it records
    assert result["provenance"]["data"]["sha256"] == read_checkpoint("a.st").data["sha256"]
    assert measured(here, *path, "--data", "own:pairs?last=33")["provenance"]["data"]["train_samples"] == 33
    with np.load("a.npz") as held:
        changed = dict(held)
    np.savez("a.npz", **(changed | {"x_train": changed["x_train"] // 2}))
    done = here(*path, *advice)
    assert done.code == 0
    assert "warning: own:pairs?last=30 does not return the data that a.st was trained on" in done.err


def test_foreign_files_on_folders(here: Landscape) -> None:
    """An owner's network of an owner's folder, prepared in an owner's way."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    torch.save(model.state_dict(), "own.pt")
    Path("nets.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))\n"
    )
    means, deviations = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    result = measured(
        here,
        "path",
        "own.pt",
        "own.pt",
        "--points",
        "2",
        "--loss",
        "--data",
        "imgs",
        "--model",
        "nets:net",
        "--input-shape",
        "3,4,4",
        "--mean",
        "0.5,0.4,0.3",
        "--std",
        "0.2,0.3,0.4",
    )
    sys.modules.pop("nets")
    x = (torch.from_numpy(X[60:]) / 255 - torch.tensor(means)[:, None, None]) / torch.tensor(deviations)[:, None, None]
    logits, labels = model(x), torch.from_numpy(Y[60:])
    assert result["points"][0]["test_error"] == pytest.approx(float((logits.argmax(1) != labels).double().mean()))
    loss = nn.functional.cross_entropy(logits, labels)
    assert result["points"][0]["test_loss"] == pytest.approx(loss.item(), rel=1e-5)


BAD = [
    (("--samples", "61"), "--train-samples 61 is more than the 60 samples that there are"),
    (("--samples", "0"), "'--samples' / '--train-samples'"),
    (("--test-samples", "many"), "'many' is not a valid integer"),
    (("--image-size", "3"), "--image-size goes with --data"),
    (("--data", "imgs", "--image-size", "3,x"), "--image-size takes whole numbers"),
    (("--data", "imgs", "--image-size", "3,4,5"), "--image-size takes S or H,W"),
    (("--data", "imgs", "--image-size", "0"), "--image-size takes S or H,W"),
    (("--data", "a.npz", "--image-size", "3"), "--image-size is for folders of images, and a.npz is none"),
    (("--data", "nowhere:f"), "there is no module 'nowhere' for --data nowhere:f"),
    (("--data", "own:pairs?last=0"), "the training set of own:pairs?last=0 is empty"),
    (("--data", "own:pairs?last"), "'last' is no argument"),
    (("--data", "nowhere"), "a folder of images by class, or package.module:function"),
    (("--data", "b.npz"), "cannot read b.npz: No such file"),
    (("--data", "."), "is not a folder of images with a training and a test set"),
]


def test_bad_options(here: Landscape) -> None:
    train(here, "a.npz")
    for arguments, words in BAD:
        here("path", "a.st", "a.st", "--points", "2", *arguments).check_refused(words, str(arguments))
