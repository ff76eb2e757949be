"""Folders of images by class, against torchvision's `ImageFolder` and transforms; and what is wrong with folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from landscape_cli.data import image_folder
from landscape_cli.data.datasets import DataSet, DataSpec, load_data
from landscape_cli.data.image_folder import read_image
from landscape_cli.data.part import Part, choose
from landscape_cli.errors import DataError, Remark
from landscape_cli.torchvision_compat import import_torchvision

CLASSES = ("ant", "Bee", "cat")
RNG = np.random.default_rng(0)


def draw(path: Path, height: int = 8, width: int = 8, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, count in (("train", 4), ("val", 2)):
        for number, name in enumerate(CLASSES):
            for k in range(count):
                suffix, deep = (("png", ""), ("JPG", ""), ("bmp", "deep/"), ("webp", ""))[k]
                draw(tmp_path / split / name / f"{deep}{9 - k}.{suffix}", mode="L" if number + k == 1 else "RGB")
            (tmp_path / split / name / "note.txt").write_text("no image")
        (tmp_path / split / ".cache").mkdir()
    return tmp_path


def load(folder: Path, size: tuple[int, int] | None = None, **more: object) -> DataSet:
    return load_data(DataSpec(str(folder), image_size=size), preprocessing="none", **more)  # type: ignore[arg-type]


def test_the_images_of_torchvision(folder: Path) -> None:
    data = load(folder)
    shutil.rmtree(folder / "train" / ".cache")
    shutil.rmtree(folder / "val" / ".cache")
    to_bytes = import_torchvision("transforms").PILToTensor()
    for split, name in ((data.raw_train, "train"), (data.raw_test, "val")):
        theirs = import_torchvision("datasets").ImageFolder(str(folder / name), transform=to_bytes)
        assert split.x.dtype == torch.uint8
        assert torch.equal(split.x, torch.stack([x for x, _ in theirs]))
        assert split.y.tolist() == [y for _, y in theirs]
    assert data.classes == 3
    again = load_data(DataSpec.from_record(data.record), preprocessing="none")
    assert again.record == data.record
    assert "image_size" not in data.record


@pytest.mark.parametrize("shape", [(40, 61), (61, 40), (17, 90), (24, 24), (10, 13), (31, 24)])
def test_resized_and_cropped_as_torchvision_does(tmp_path: Path, shape: tuple[int, int]) -> None:
    transforms = import_torchvision("transforms")
    draw(tmp_path / "a.png", *shape)
    usual = transforms.Compose([transforms.Resize(24), transforms.CenterCrop(24), transforms.PILToTensor()])
    with Image.open(tmp_path / "a.png") as image:
        assert torch.equal(read_image(tmp_path / "a.png", (24, 24)), usual(image))
        for size in ((24, 24), (8, 30), (30, 8), (20, 30)):
            scale = max(size[0] / shape[0], size[1] / shape[1])
            covering = [max(least, int(side * scale + 1e-9)) for least, side in zip(size, shape, strict=True)]
            fitted = transforms.functional.center_crop(transforms.functional.resize(image, covering), size)
            assert torch.equal(read_image(tmp_path / "a.png", size), transforms.PILToTensor()(fitted))


def test_sizes_are_recorded(folder: Path) -> None:
    draw(folder / "train" / "cat" / "z.png", 9, 30)
    with pytest.raises(DataError, match=r"z\.png: its input has shape \(3, 9, 30\), .*to one size with `image_size=`"):
        load(folder)
    data = load(folder, (5, 7))
    assert data.input_shape == (3, 5, 7)
    assert data.record["image_size"] == [5, 7]
    assert load_data(DataSpec.from_record(data.record), preprocessing="none").record == data.record


def test_only_a_part_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, read = load(folder), []
    monkeypatch.setattr(image_folder, "read_image", lambda path, size: read.append(path) or read_image(path, size))
    data = load(folder, part=Part(train_samples=3, test_samples=3, seed=5))
    assert len(read) == 6
    chosen = choose(whole.raw_train.y, 3, 5)
    assert torch.equal(data.raw_train.x, whole.raw_train.x[chosen])
    assert sorted(data.raw_test.y.tolist()) == [0, 1, 2]
    assert data.record == whole.record | {"sha256": None}
    assert whole.part == {}
    assert (data.part["train_samples"], data.part["test_samples"]) == (3, 3)
    part = load(folder, part=Part(train_samples=1))
    assert (part.classes, len(part.raw_train.y), len(part.raw_test.y)) == (3, 1, 6)


def break_layout(folder: Path, fault: str) -> None:
    cat, val = folder / "train" / "cat", folder / "val"
    if fault == "no test set":
        shutil.rmtree(val)
    elif fault == "no training set":
        shutil.rmtree(folder / "train")
    elif fault == "no classes":
        for name in CLASSES:
            shutil.rmtree(folder / "train" / name)
    elif fault == "empty class":
        shutil.rmtree(cat)
        cat.mkdir()
    elif fault == "more classes":
        draw(val / "dog" / "1.png")
    elif fault == "truncated":
        path = cat / "9.png"
        path.write_bytes(path.read_bytes()[:60])
    elif fault == "text":
        (cat / "9.png").write_text("cat")
    elif fault == "pipe":
        (cat / "9.png").unlink()
        os.mkfifo(cat / "9.png")
    elif fault == "bomb":
        draw(cat / "9.png", 20, 20)
    elif fault == "dangling":
        (cat / "9.png").unlink()
        (cat / "9.png").symlink_to(folder / "nowhere")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no test set", r"no(t| ) .*it needs train/CLASS/IMAGE and test/CLASS/IMAGE \(or val/, valid/\) below it"),
        ("no training set", "it needs train/CLASS/IMAGE"),
        ("no classes", "train holds no folders, of which there should be one for each class"),
        ("empty class", r"train/cat holds no images \(\.jpg"),
        ("more classes", "val holds classes that .*train does not: dog: call them the same"),
        ("truncated", r"train/cat/9\.png is not a whole image \("),
        ("text", r"train/cat/9\.png is not a whole image \(.*: replace or remove it"),
        ("pipe", r"train/cat/9\.png is not a whole image \(.*pipe"),
        ("bomb", r"train/cat/9\.png is not a whole image \(Image size \(400 pixels\)"),
        ("dangling", r"train/cat/9\.png is not a whole image \(.*No such file"),
    ],
)
def test_what_is_wrong_with_folders(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    break_layout(folder, fault)
    with pytest.raises(DataError, match=words) as refused:
        load(folder)
    assert "\n" not in str(refused.value)


def test_classes_that_the_test_set_lacks(folder: Path) -> None:
    """Labels are numbered as in training, where torchvision would number the test set's own."""
    shutil.rmtree(folder / "val" / "Bee")
    with pytest.warns(Remark, match="val lacks classes of .*train: Bee"):
        assert load(folder).raw_test.y.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (DataSpec("mnist", image_size=(8, 8)), "`image_size=` is for folders of images, and mnist is none"),
        (DataSpec("FOLDER", image_size=(8,)), "takes a height and a width"),
        (DataSpec("FOLDER", image_size=8), "takes a height and a width"),
        (DataSpec("FOLDER", image_size=(0, 8)), "must be a whole number of at least 1"),
        (DataSpec("FOLDER", image_size=(8, 2.5)), "must be a whole number"),
        (DataSpec("FOLDER", image_size=(4096, 4096)), "inputs of 50,331,648 numbers: at most"),
        (DataSpec("FOLDER", task="parity"), r"for mnist, a FILE\.safetensors or FILE\.npz, not"),
    ],
)
def test_sizes_that_are_none(folder: Path, spec: DataSpec, words: str) -> None:
    name = str(folder) if spec.name == "FOLDER" else spec.name
    with pytest.raises(DataError, match=words):
        load_data(DataSpec(name, image_size=spec.image_size, task=spec.task))
