"""The image data sets that torchvision reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from landscape_cli.data.source import DataSource, Split
from landscape_cli.errors import DataError
from landscape_cli.torchvision_compat import import_torchvision

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec


class Images(DataSource):
    """A data set of torchvision's."""

    def __init__(self, dataset: str, *, tasks: tuple[str, ...] = ()) -> None:
        """Keep the name of torchvision's class, and what else can be told from labels."""
        self.dataset, self.tasks = dataset, tasks

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split, Split]:
        """Return the images as they are in the files, uint8, shape (n, channels, height, width).

        Raises:
            DataError: if they are not in the folder, or cannot be read.
        """
        source = getattr(import_torchvision("datasets"), self.dataset)
        if download:
            Path(spec.directory).mkdir(parents=True, exist_ok=True)
        try:
            train, test = (source(spec.directory, train=train, download=download) for train in (True, False))
        except MemoryError:
            raise
        except Exception as cause:  # of a file that is not what its name says, anything
            reason = " ".join(str(cause).split()).partition(". You can use download=True")[0]  # torchvision's remedy
            raise DataError(
                f"cannot load {spec.name} from {spec.directory!r} ({reason}): "
                f"name its folder with `data_dir=`, or fetch it with 'landscape train `download=`'"
            ) from cause
        return _split(train), _split(test)


def _split(source: Any) -> Split:
    images = torch.as_tensor(source.data)
    channels_last = images.ndim == 4  # as CIFAR-10 comes
    images = images.permute(0, 3, 1, 2).contiguous() if channels_last else images.unsqueeze(1)
    return Split(images, torch.as_tensor(source.targets))


MNIST = Images("MNIST", tasks=("parity",))
FASHION_MNIST = Images("FashionMNIST")
CIFAR10 = Images("CIFAR10")
