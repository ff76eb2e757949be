"""Which data: what a user asks for, and what is recorded of it (docs/method.md: Data)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.errors import DataError, shown
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.objectives import CLASSIFICATION

LATER = ("task", "image_size")
"""What a record holds only where it says something: without, it is what it was before there were such things."""


@dataclass(frozen=True)
class DataSpec:
    """Which data: what a user asks for, and what a checkpoint records so that it can be loaded again.

    Attributes:
        name: "hmm", "mnist", "fashion-mnist", "cifar10"; the path of a .safetensors or .npz file, or of a folder of
            images by class; or package.module:function?argument=value, of a function that returns both sets.
        directory: where torchvision finds (or puts) its files.
        train_size: size of a class-balanced subset of the training set, or None for all of it.
        seed: seed of that subset, of the generated data, and of what a function of the user's draws.
        hmm: sizes of the generated data.
        task: what is to be told from the labels: None for the labels themselves, "parity" for labels modulo 2.
        image_size: height and width to bring the images of a folder to, or None if they have one size.
        objective: what networks are held against, which says what the targets are; it is no part of the record of the
            data.
    """

    name: str
    directory: str = "data"
    train_size: int | None = None
    seed: int = 0
    hmm: HiddenManifold = field(default_factory=HiddenManifold)
    task: str | None = None
    image_size: tuple[int, int] | None = None
    objective: Objective = CLASSIFICATION

    @classmethod
    def from_record(cls, record: Mapping[str, Any], directory: str | None = None) -> DataSpec:
        """Return the data that a checkpoint's record names, looked for in `directory` if given.

        Raises:
            DataError: if the record is malformed.
        """
        try:
            return cls(
                name=str(record["name"]),
                directory=directory or str(record["directory"]),
                train_size=None if record["train_size"] is None else int(record["train_size"]),
                seed=_seed(record["seed"]),
                hmm=HiddenManifold.from_record(record["hmm"]),
                task=record.get("task"),  # checkpoints from before there were tasks have none
                image_size=recorded_size(record),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as cause:
            raise DataError(
                f"the checkpoint's metadata key 'data' is malformed ({shown(repr(cause))}): name the data with `data=`"
            ) from cause


def asked_for(spec: DataSpec) -> dict[str, Any]:
    """Return what a record says of what was asked for, as JSON values."""
    asked = asdict(replace(spec, objective=CLASSIFICATION))
    asked = {k: value for k, value in asked.items() if k != "objective" and (value is not None or k not in LATER)}
    if spec.image_size is not None:
        asked["image_size"] = list(spec.image_size)
    return asked


def recorded_size(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the size of images that a record names, if it does; whether it is one, loading checks."""
    size = record.get("image_size")
    return None if size is None else tuple(size)


def _seed(value: Any) -> int:
    seed = int(value)
    if seed != value:
        raise ValueError("the seed must be a whole number")
    if not 0 <= seed < 1 << 63:
        raise ValueError("the seed must lie between 0 and 2^63 - 1")
    return seed
