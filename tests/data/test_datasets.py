"""Data sets: made, read, subset, standardised, and refused with a reason."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.data.preprocessing import Preprocessing
from landscape_cli.errors import DataError


def tensors(**replaced: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {
        "x_train": torch.randint(0, 256, (60, 2, 4, 4), generator=generator, dtype=torch.uint8),
        "y_train": torch.arange(60) % 3,
        "x_test": torch.randint(0, 256, (30, 2, 4, 4), generator=generator, dtype=torch.uint8),
        "y_test": torch.arange(30) % 3,
    }
    return made | replaced


def write(path: Path, **replaced: Tensor) -> DataSpec:
    save_file(tensors(**replaced), path)
    return DataSpec(str(path))


def test_hidden_manifold_is_as_described() -> None:
    sizes = HiddenManifold(latent=20, dim=50, patterns=60, test_patterns=500)
    data = load_data(DataSpec("hmm", hmm=sizes))
    assert data.train.x.shape == (60, 50)
    assert data.test.x.shape == (500, 50)
    assert data.classes == 2
    raw = data.train.x.double() * data.deviation + data.mean
    assert torch.allclose(raw.abs(), torch.ones_like(raw), atol=1e-6)
    assert 0.4 < float(data.test.y.double().mean()) < 0.6
    again, other = (load_data(DataSpec("hmm", seed=seed, hmm=sizes)) for seed in (0, 1))
    assert torch.equal(again.train.x, data.train.x)
    assert not torch.equal(other.train.x, data.train.x)


def test_hidden_manifold_shares_teacher_and_features() -> None:
    """A linear student that learns the training set does better than chance on the test set."""
    data = load_data(DataSpec("hmm", hmm=HiddenManifold(latent=5, dim=60, patterns=400, nonlinearity="tanh")))
    target = 2.0 * data.train.y - 1
    weights = torch.linalg.lstsq(data.train.x, target[:, None]).solution
    wrong = ((data.test.x @ weights)[:, 0] > 0).long() != data.test.y
    assert float(wrong.double().mean()) < 0.15


def test_default_sizes_are_the_specs() -> None:
    assert HiddenManifold().latent == 201
    assert HiddenManifold().patterns == 603


def test_standardised_with_the_training_sets_own_statistics(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "a.safetensors"))
    channels = data.train.x.transpose(0, 1).flatten(1).double()
    assert torch.allclose(channels.mean(1), torch.zeros(2).double(), atol=1e-6)
    assert torch.allclose(channels.std(1, correction=0), torch.ones(2).double(), atol=1e-6)
    raw = tensors()["x_test"].double()
    expected = (raw - data.mean[:, None, None]) / data.deviation[:, None, None]
    assert torch.allclose(data.test.x.double(), expected, atol=1e-5)


def test_recorded_statistics_are_used(tmp_path: Path) -> None:
    spec = write(tmp_path / "a.safetensors")
    data = load_data(spec, preprocessing={"mean": [1.0, 2.0], "deviation": [3.0, 4.0]})
    raw = tensors()["x_train"].double()
    assert torch.allclose(data.train.x[:, 1].double(), (raw[:, 1] - 2) / 4, atol=1e-5)
    with pytest.raises(DataError, match="trained on 1 channels"):
        load_data(spec, preprocessing={"mean": [1.0], "deviation": [3.0]})


def test_every_network_has_its_own_view_of_one_data_set(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "a.safetensors"), preprocessing="unit")
    assert torch.equal(data.raw_test.x, tensors()["x_test"])
    assert torch.equal(data.test.x, tensors()["x_test"] / 255)
    assert "mean" not in data.record
    standard = data.under(Preprocessing.standardize())
    assert standard.raw_train is data.raw_train
    assert standard is data.under(standard.preprocessing)
    assert standard.record == load_data(DataSpec.from_record(data.record)).record
    assert torch.equal(standard.train.x, load_data(DataSpec.from_record(data.record)).train.x)
    assert standard.under(data.preprocessing).record == data.record
    with pytest.raises(DataError, match="of 3 channels, this data has 2"):
        data.under(Preprocessing.imagenet())
    with pytest.raises(DataError, match="unknown preprocessing"):
        load_data(DataSpec("hmm"), preprocessing="nonsense")


def test_tokens_are_left_alone(tmp_path: Path) -> None:
    made = {f"x_{split}": torch.arange(60).reshape(12, 5).to(torch.int32) for split in ("train", "test")}
    made |= {f"y_{split}": torch.arange(12) % 3 for split in ("train", "test")}
    data = load_data(write(tmp_path / "a.safetensors", **made))
    assert data.train.x.dtype == torch.int64
    assert torch.equal(data.train.x, made["x_train"].long())
    assert data.preprocessing == Preprocessing.none()


def test_record_brings_the_same_data_back(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    data = load_data(DataSpec(str(path), train_size=10, seed=3))
    again = load_data(DataSpec.from_record(data.record), preprocessing=data.record)
    assert torch.equal(again.train.x, data.train.x)
    assert again.record == data.record


def test_parity_is_of_the_labels_before_the_subset(tmp_path: Path) -> None:
    """Three classes in thirds: of their parities, a subset that is balanced afterwards alone has as many of each."""
    path = tmp_path / "a.safetensors"
    write(path)
    plain, parity = (load_data(DataSpec(str(path), task=task)) for task in (None, "parity"))
    assert (plain.classes, parity.classes) == (3, 2)
    for split in ("train", "test"):
        (x, labels), (same, bits) = getattr(plain, split), getattr(parity, split)
        assert torch.equal(x, same)
        assert bits.tolist() == [label % 2 for label in labels.tolist()]
        assert set(labels.tolist()) == {0, 1, 2}
    subset = load_data(DataSpec(str(path), train_size=30, task="parity"))
    assert torch.bincount(subset.train.y).tolist() == [15, 15]
    assert parity.record["sha256"] != plain.record["sha256"]


def test_task_is_recorded(tmp_path: Path) -> None:
    """Records from before there were tasks have none, and those without one still look like them."""
    path = tmp_path / "a.safetensors"
    write(path)
    plain, parity = (load_data(DataSpec(str(path), train_size=10, task=task)) for task in (None, "parity"))
    assert DataSpec.from_record(parity.record).task == "parity"
    assert load_data(DataSpec.from_record(parity.record), preprocessing=parity.record).record == parity.record
    assert "task" not in plain.record
    assert DataSpec.from_record(plain.record).task is None


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (DataSpec("hmm", task="parity"), "for mnist, a FILE.safetensors or FILE.npz, not hmm"),
        (DataSpec("cifar10", "nowhere", task="parity"), "for mnist, a FILE.safetensors or FILE.npz, not cifar10"),
        (DataSpec("fashion-mnist", "nowhere", task="parity"), "not fashion-mnist"),
        (DataSpec("mnist", "nowhere", task="colour"), "unknown task 'colour'"),
        (DataSpec("mnist", "nowhere", task="parity"), "cannot load mnist"),
    ],
)
def test_tasks_of_other_data(spec: DataSpec, word: str) -> None:
    with pytest.raises(DataError, match=word):
        load_data(spec)


def test_parity_of_one_class_or_of_wrong_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    spec = DataSpec(str(path), task="parity")
    even = 2 * (torch.arange(60) % 2)
    write(path, y_train=even, y_test=even[:30].clone())
    with pytest.raises(DataError, match="one class only"):
        load_data(spec)
    write(path, y_train=torch.arange(60) % 3 - 1)
    with pytest.raises(DataError, match="labels out of range"):
        load_data(spec)


@pytest.mark.parametrize("size", [3, 10, 20, 31, 60])
def test_subsets_are_balanced_and_seeded(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    a, b, c = (load_data(DataSpec(str(path), train_size=size, seed=seed)) for seed in (0, 0, 1))
    counts = torch.bincount(a.train.y, minlength=3)
    assert int(counts.sum()) == size
    assert int(counts.max() - counts.min()) <= 1
    assert torch.equal(a.train.x, b.train.x)
    assert size == 60 or not torch.equal(a.train.x, c.train.x)
    assert len(a.test.y) == 30


@pytest.mark.parametrize(
    ("replaced", "word"),
    [
        ({"y_train": torch.arange(59) % 3}, "y_train has shape"),
        ({"y_train": torch.zeros(60, 3, dtype=torch.int64)}, "y_train has shape"),
        ({"y_train": torch.zeros(60)}, "holds torch.float32"),
        ({"y_train": torch.full((60,), -1)}, "labels out of range"),
        ({"y_train": torch.arange(60) * 10**6}, "labels out of range"),
        ({"y_test": torch.arange(30) % 4}, "labels out of range"),
        ({"y_train": torch.zeros(60, dtype=torch.int64), "y_test": torch.zeros(30, dtype=torch.int64)}, "one class"),
        ({"x_train": torch.full((60, 2, 4, 4), float("nan"))}, "NaN"),
        ({"x_train": torch.zeros(60, 2, 4, 5)}, "samples of shape"),
        ({"x_train": torch.zeros(60)}, "has shape"),
        ({"x_train": torch.zeros(0, 4), "y_train": torch.zeros(0, dtype=torch.int64)}, "none empty"),
    ],
)
def test_malformed_files(tmp_path: Path, replaced: dict[str, Tensor], word: str) -> None:
    with pytest.raises(DataError, match=word):
        load_data(write(tmp_path / "a.safetensors", **replaced))


def test_missing_tensors_and_files(tmp_path: Path) -> None:
    save_file({"x_train": torch.ones(3, 2)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="lacks y_train, x_test, y_test"):
        load_data(DataSpec(str(tmp_path / "a.safetensors")))
    with pytest.raises(DataError, match="No such file"):
        load_data(DataSpec(str(tmp_path / "b.safetensors")))
    (tmp_path / "c.safetensors").write_text("text")
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_data(DataSpec(str(tmp_path / "c.safetensors")))
    with pytest.raises(DataError, match="unknown data set 'imagenet'"):
        load_data(DataSpec("imagenet"))


@pytest.mark.parametrize("size", [0, 2, 61, -1])
def test_impossible_subsets(tmp_path: Path, size: int) -> None:
    write(tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="`train_size=`"):
        load_data(DataSpec(str(tmp_path / "a.safetensors"), train_size=size))


def test_rare_class_limits_the_subset(tmp_path: Path) -> None:
    labels = torch.tensor([0] * 30 + [1] * 25 + [2] * 5)
    write(tmp_path / "a.safetensors", y_train=labels)
    with pytest.raises(DataError, match="class 2, which has 5: at most 15"):
        load_data(DataSpec(str(tmp_path / "a.safetensors"), train_size=30))


def idx(path: Path, content: Tensor) -> None:
    header = struct.pack(">HBB", 0, 8, content.ndim) + struct.pack(f">{content.ndim}I", *content.shape)
    path.write_bytes(header + bytes(content.flatten().tolist()))


def test_torchvision_layout(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        idx(raw / f"{part}-images-idx3-ubyte", torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8))
        idx(raw / f"{part}-labels-idx1-ubyte", (torch.arange(count) % 10).to(torch.uint8))
    data = load_data(DataSpec("fashion-mnist", str(tmp_path)))
    assert data.train.x.shape == (40, 1, 28, 28)
    assert data.classes == 10
    (raw / "train-images-idx3-ubyte").write_bytes(gzip.compress(b"broken"))
    with pytest.raises(DataError, match="cannot load fashion-mnist"):
        load_data(DataSpec("fashion-mnist", str(tmp_path)))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_missing_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="`data_dir=`, or fetch it with 'landscape train `download=`'") as caught:
        load_data(DataSpec(name, str(tmp_path / "nowhere")))
    assert "download=True" not in str(caught.value)
    assert not (tmp_path / "nowhere").exists()


def test_bad_hidden_manifolds() -> None:
    with pytest.raises(DataError, match="latent must be at least 1"):
        load_data(DataSpec("hmm", hmm=HiddenManifold(latent=0)))
    with pytest.raises(DataError, match="unknown nonlinearity"):
        load_data(DataSpec("hmm", hmm=HiddenManifold(nonlinearity="exp")))
    with pytest.raises(DataError, match="malformed"):
        DataSpec.from_record({"name": "hmm"})
