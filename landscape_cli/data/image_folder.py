"""Images in folders by class, as torchvision's `ImageFolder` has them, below `train` and `test` (or `val`, `valid`)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.data.items import image_tensor
from landscape_cli.data.samples import Batch, Samples
from landscape_cli.data.source import DataSource
from landscape_cli.errors import DataError, Remark, listed, one_line, shown
from landscape_cli.io.regular import open_regular

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
TEST = ("test", "val", "valid")
LAYOUT = "train/CLASS/IMAGE and test/CLASS/IMAGE (or val/, valid/) below it"
Size = tuple[int, int]
"""Height and width."""


class ImageFolder(DataSource):
    """A folder of images, three channels of bytes each, of classes numbered in the order of their folders' names."""

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Samples, Samples]:
        """Return the images of both sets, not read yet.

        Raises:
            DataError: if the folder is not laid out so, or cannot be listed.
        """
        root = Path(spec.name)
        try:
            test = next((root / name for name in TEST if (root / name).is_dir()), None)
            if test is None or not (root / "train").is_dir():
                raise DataError(f"{root} is not a folder of images with a training and a test set: it needs {LAYOUT}")
            classes = _classes_in(root / "train")
            _check_same_classes(root / "train", classes, test, _classes_in(test))
            return tuple(ImageSamples(folder, classes, spec.image_size) for folder in (root / "train", test))  # type: ignore[return-value]
        except OSError as cause:
            raise DataError(f"cannot read {cause.filename or root}: {cause.strerror or cause}") from cause


class ImageSamples(Samples):
    """The images of one set."""

    unlike = "bring them to one size with `image_size=`"

    def __init__(self, folder: Path, classes: Sequence[str], size: Size | None) -> None:
        """List the images.

        Args:
            folder: with a folder for each class.
            classes: their names, in order.
            size: to which images are brought; by default they have to be of one already.

        Raises:
            DataError: if a class of the training set has no image.
        """
        self._size = size
        self._files: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(classes):
            found = _images_in(folder / name)
            if not found and (folder.name == "train" or (folder / name).is_dir()):
                raise DataError(f"{folder / name} holds no images ({', '.join(SUFFIXES)}): remove it, or add some")
            self._files += found
            labels += [label] * len(found)
        self._found = torch.tensor(labels)
        super().__init__(str(folder), "train" if folder.name == "train" else "test", len(labels))

    def batches(self, indices: Sequence[int] | None) -> Iterator[Batch]:
        """Yield images one by one.

        Raises:
            DataError: naming one that cannot be read.
        """
        for index in range(len(self._files)) if indices is None else indices:
            yield Batch((index,), read_image(self._files[index], self._size)[None], self._found[index : index + 1])

    def find_labels(self) -> Tensor:
        """Return the numbers of the folders."""
        return self._found

    def called(self, index: int) -> str:
        """Return the image's file."""
        return str(self._files[index]) if index < len(self._files) else self.name


def read_image(path: Path, size: Size | None) -> Tensor:
    """Return an image, bytes, shape (3, height, width), in red, green and blue.

    Args:
        path: the file.
        size: height and width to bring it to: made smaller or larger until it just covers them (bilinear, smoothed
            where it becomes smaller), and its middle cut out; for a square this is torchvision's `Resize(size)` and
            `CenterCrop(size)`.

    Raises:
        DataError: if it is no whole image.
    """
    from PIL import Image

    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                colors = image.convert("RGB")
                return image_tensor(colors if size is None else _fitted(colors, size))
    except MemoryError:
        raise
    except Exception as cause:  # of a file that was made to, PIL raises anything
        raise DataError(f"{path} is not a whole image ({one_line(cause, 100)}): replace or remove it") from cause


def _fitted(image: Any, size: Size) -> Any:
    """Return the middle of an image that was resized to cover a size."""
    from PIL import Image

    (height, width), (h, w) = size, (image.height, image.width)
    if w * height >= h * width:
        covering = (max(width, int(height * w / h)), height)
    else:
        covering = (width, max(height, int(width * h / w)))
    left, top = round((covering[0] - width) / 2), round((covering[1] - height) / 2)
    return image.resize(covering, Image.Resampling.BILINEAR).crop((left, top, left + width, top + height))


def _classes_in(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; hidden ones are none.

    Raises:
        DataError: if there is none.
    """
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise DataError(f"{folder} holds no folders, of which there should be one for each class: {LAYOUT}")
    return names


def _check_same_classes(train: Path, classes: Sequence[str], test: Path, tested: Sequence[str]) -> None:
    """Check that the classes of the test set are among those of the training set.

    Raises:
        DataError: naming those that are not.
    """
    more = [name for name in tested if name not in set(classes)]
    if more:
        raise DataError(f"{test} holds classes that {train} does not: {listed(map(shown, more))}: call them the same")
    missing = [name for name in classes if name not in set(tested)]
    if missing:
        warnings.warn(
            f"{test} lacks classes of {train}: {listed(map(shown, missing))}: labels are numbered as in training",
            Remark,
            stacklevel=2,
        )


def _images_in(folder: Path) -> list[Path]:
    """Return the images below a folder, in the order of torchvision: folder by folder, each sorted."""
    return [
        Path(place, name)
        for place, _, names in sorted(os.walk(folder))
        for name in sorted(names)
        if name.lower().endswith(SUFFIXES)
    ]
