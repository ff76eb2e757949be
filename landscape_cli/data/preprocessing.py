"""How a network sees inputs: what is done to the numbers of a data set before it gets them (docs/method.md: Data)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.choices import Preprocess, check_choice
from landscape_cli.errors import DataError, shown
from landscape_cli.network import INTEGER_INPUTS, all_finite

LARGEST_BYTE = 255
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's channels, red, green and blue, of bytes scaled to [0, 1]."""
FROM_DATA = {Preprocess.STANDARDIZE, Preprocess.COLUMNS}
"""What takes its numbers from a training set."""
OF_UNIT_BYTES = {Preprocess.UNIT, Preprocess.IMAGENET, Preprocess.CHANNELS}
"""What scales bytes to [0, 1] first."""
SAME = 1e-6
"""By which part of a deviation two means may differ that are one to float32's rounding."""


@dataclass(frozen=True)
class Preprocessing:
    """How a network sees inputs; a part of the network, as its weights are.

    Equal ones do the same. Those of `standardize` and `columns` have no numbers until they have seen a training set
    (`fitted`), which `load_data` shows them.

    Attributes:
        kind: which of the choices it is: "standardize", "columns", "none", "unit", "imagenet" or "channels".
        mean: what is subtracted: one number for each channel (or column of a table), or one for all.
        deviation: what is divided by then; as many.
        only: of "columns", before it has its numbers: which are standardised, from 0; by default all.

    Raises:
        DataError: if there is no such kind, or the numbers are not what it needs.
    """

    kind: str
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    only: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_choice("preprocessing", self.kind, Preprocess, DataError)
        object.__setattr__(self, "kind", Preprocess(self.kind).value)
        if self.kind == Preprocess.IMAGENET and not self.mean:
            object.__setattr__(self, "mean", IMAGENET[0])
            object.__setattr__(self, "deviation", IMAGENET[1])
        for name in ("mean", "deviation"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        if len(self.mean) != len(self.deviation):
            raise DataError(
                f"there are {len(self.mean)} means and {len(self.deviation)} deviations: as many are needed"
            )
        if any(deviation <= 0 for deviation in self.deviation):
            raise DataError(f"deviations must be positive, and one is {min(self.deviation):g}")
        if self.kind == Preprocess.CHANNELS and not self.mean:
            raise DataError("preprocessing by channel needs its numbers: give `mean=` and `deviation=`")
        if self.kind in {Preprocess.NONE, Preprocess.UNIT} and self.mean:
            raise DataError(f"the preprocessing {self.kind!r} has no mean or deviation")
        if self.kind == Preprocess.IMAGENET and (self.mean, self.deviation) != IMAGENET:
            raise DataError("the preprocessing 'imagenet' has ImageNet's mean and deviation, and no others")
        if self.only and (self.kind != Preprocess.COLUMNS or self.mean):
            raise DataError("`columns=` is for the preprocessing 'columns', before it has seen a training set")

    @classmethod
    def standardize(cls) -> Preprocessing:
        """Return: less the training set's mean of each channel, by its deviation; of tables, of all numbers."""
        return cls(Preprocess.STANDARDIZE)

    @classmethod
    def columns(cls, only: Sequence[int] = ()) -> Preprocessing:
        """Return: less the training set's mean of each column of a table, by its deviation.

        Args:
            only: which columns, from 0; others, such as categories, stay what they are. By default all.

        Raises:
            DataError: if these are no numbers of columns.
        """
        check_kind("columns", only, Sequence, "give the numbers of columns, as in [0, 2]", DataError)
        for column in only:
            check_whole("columns", column, DataError, least=0)
        return cls(Preprocess.COLUMNS, only=tuple(sorted(set(map(int, only)))))

    @classmethod
    def none(cls) -> Preprocessing:
        """Return: the numbers as they are."""
        return cls(Preprocess.NONE)

    @classmethod
    def unit(cls) -> Preprocessing:
        """Return: bytes scaled to [0, 1]; other numbers as they are."""
        return cls(Preprocess.UNIT)

    @classmethod
    def imagenet(cls) -> Preprocessing:
        """Return: bytes scaled to [0, 1], less ImageNet's mean of each channel, by its deviation."""
        return cls(Preprocess.IMAGENET)

    @classmethod
    def channels(cls, mean: Sequence[float], deviation: Sequence[float]) -> Preprocessing:
        """Return: bytes scaled to [0, 1], less a mean of each channel (or one of all), by a deviation."""
        return cls(Preprocess.CHANNELS, tuple(mean), tuple(deviation))

    @classmethod
    def usual(cls, x: Tensor) -> Preprocessing:
        """Return what inputs get of which nothing is said: whole numbers are left alone, others standardised."""
        return cls.none() if x.dtype in INTEGER_INPUTS else cls.standardize()

    @classmethod
    def from_record(cls, record: Any) -> Preprocessing:
        """Return what `to_record` gave.

        Raises:
            DataError: if the record is malformed.
        """
        if not isinstance(record, Mapping) or not {"kind"} <= set(record) <= {"kind", "mean", "deviation"}:
            raise DataError(f"the checkpoint's metadata key 'preprocessing' is malformed ({shown(repr(record))})")
        try:
            result = cls(record["kind"], record.get("mean", ()), record.get("deviation", ()))
        except DataError as error:
            raise DataError(f"the checkpoint's metadata key 'preprocessing' is malformed: {error}") from error
        if result.needs_data:
            raise DataError("the checkpoint's metadata key 'preprocessing' is malformed: it lacks mean and deviation")
        return result

    @classmethod
    def of_data(cls, record: Mapping[str, Any]) -> Preprocessing:
        """Return how a network sees inputs that was trained on standardised data, from what it records of them.

        Raises:
            DataError: if mean or deviation are missing or malformed.
        """
        if not record.get("mean") or not record.get("deviation"):
            raise DataError("the checkpoint's metadata key 'data' lacks mean or deviation")
        try:
            return cls(Preprocess.STANDARDIZE, record["mean"], record["deviation"])
        except DataError as error:
            raise DataError(
                f"the checkpoint's metadata key 'data' holds a mean or deviation that is no usable number: {error}"
            ) from error

    @property
    def is_recorded_with_data(self) -> bool:
        """Whether what a data set records of itself says it all: as ever, that of `standardize` alone."""
        return self.kind == Preprocess.STANDARDIZE

    @property
    def beside_data(self) -> dict[str, Any] | None:
        """What a checkpoint keeps of it beside what its data set records; None if that says it all."""
        return None if self.is_recorded_with_data else self.to_record()

    @property
    def needs_data(self) -> bool:
        """Whether its numbers are still to come from a training set."""
        return self.kind in FROM_DATA and not self.mean

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        if self.kind in {Preprocess.NONE, Preprocess.UNIT, Preprocess.IMAGENET}:
            return {"kind": self.kind}
        return {"kind": self.kind, "mean": list(self.mean), "deviation": list(self.deviation)}

    def fitted(self, x: Tensor) -> Preprocessing:
        """Return it with the numbers that it takes from training inputs `x`, having checked that it suits them.

        Raises:
            DataError: if it is of tables, or of columns that there are not, or of another number of channels.
        """
        if self.kind == Preprocess.COLUMNS and x.ndim != 2:
            raise DataError(f"only tables have columns to standardise, and inputs have shape {tuple(x.shape[1:])}")
        if self.only and self.only[-1] >= x.shape[1]:
            raise DataError(f"`columns=` names {self.only[-1]}, and there are {x.shape[1]} columns, numbered from 0")
        if self.needs_data:
            mean, deviation = _statistics(x.reshape(len(x), -1, 1) if self.kind == Preprocess.COLUMNS else _channels(x))
            others = [column for column in range(len(mean)) if self.only and column not in self.only]
            mean[others], deviation[others] = 0, 1
            return Preprocessing(self.kind, tuple(mean.tolist()), tuple(deviation.tolist()))
        count, channels = len(self.mean), _channels(x[:1]).shape[1]
        if self.kind == Preprocess.STANDARDIZE and count != channels:
            raise DataError(f"the checkpoint was trained on {count} channels, this data has {channels}")
        if count > 1 and count != x.shape[1]:
            of = "columns" if x.ndim == 2 else "channels"
            raise DataError(
                f"the preprocessing {self.kind!r} is of {count} {of}, this data has {x.shape[1]}: give one number, or "
                "as many as there are"
            )
        return self

    def apply(self, x: Tensor) -> Tensor:
        """Return inputs as the network sees them, of the same shape.

        Args:
            x: the numbers of the data set, shape (n, channels, ...) or (n, features), of any plain number type.

        Returns:
            float32. Where nothing is subtracted or divided by: whole numbers (not bytes) as int64, and floating-point
            numbers in their type.

        Raises:
            DataError: if it does not suit them, or has no numbers yet, or float32 cannot hold what they become.
        """
        if self.needs_data:
            raise DataError(f"the preprocessing {self.kind!r} takes its numbers from a training set: see `fitted`")
        self.fitted(x)
        if not self.mean and x.dtype in INTEGER_INPUTS:
            return x.long()
        is_unit = self.kind in OF_UNIT_BYTES and x.dtype == torch.uint8
        if not self.mean:
            plain = x if x.is_floating_point() else x.float()
            return plain / LARGEST_BYTE if is_unit else plain
        parts = x.reshape(len(x), len(self.mean), -1).float()
        parts = parts / LARGEST_BYTE if is_unit else parts
        mean, deviation = (torch.tensor(of, dtype=torch.float64).float()[:, None] for of in (self.mean, self.deviation))
        seen = ((parts - mean) / deviation).reshape(x.shape).contiguous()
        if not all_finite(seen):
            raise DataError(f"float32 cannot hold inputs {self.numbers}: see `mean=` and `deviation=`")
        return seen

    def affine(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is subtracted of the numbers themselves, and divided by: one for each channel, or one for all.

        Returns:
            Mean and deviation, shape (channels,) or (1,), float64.
        """
        scale = LARGEST_BYTE if self.kind in OF_UNIT_BYTES and x.dtype == torch.uint8 else 1
        mean, deviation = self.mean or (0.0,), self.deviation or (1.0,)
        return torch.tensor(mean, dtype=torch.float64) * scale, torch.tensor(deviation, dtype=torch.float64) * scale

    def same_on(self, other: Preprocessing, x: Tensor) -> bool:
        """Tell whether two do the same to the numbers `x`, to float32's rounding."""
        if self == other:
            return True
        (mean, deviation), (mean_of_other, deviation_of_other) = self.affine(x), other.affine(x)
        apart = torch.maximum((mean - mean_of_other).abs(), (deviation - deviation_of_other).abs())
        return bool((apart <= SAME * torch.minimum(deviation, deviation_of_other)).all())

    def __str__(self) -> str:
        """Return it in words, as after "inputs are"."""
        if self.kind == Preprocess.NONE:
            return "taken as they are"
        if self.kind in FROM_DATA:
            return "standardised" + " by column" * (self.kind == Preprocess.COLUMNS)
        if self.kind == Preprocess.UNIT:
            return "scaled to [0, 1] if they are bytes"
        if self.kind == Preprocess.IMAGENET:
            return "scaled and standardised as ImageNet's"
        return self.numbers

    @property
    def numbers(self) -> str:
        """Its mean and deviation in words."""
        listed = [shown(",".join(f"{number:g}" for number in numbers)) for numbers in (self.mean, self.deviation)]
        return f"less a mean of {listed[0]}, by a deviation of {listed[1]}"


def network_preprocessing(preprocessing: Mapping[str, Any] | None, data: Mapping[str, Any]) -> Preprocessing | None:
    """Return how a network sees inputs, from what its checkpoint records of that and of its data; None if neither says.

    Raises:
        DataError: if what is recorded is malformed.
    """
    if preprocessing is not None:
        return Preprocessing.from_record(preprocessing)
    return Preprocessing.of_data(data) if data else None


def _statistics(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each part, shape (parts,), float64; a constant part is only centred.

    Args:
        parts: inputs, shape (n, parts, ...), of any plain number type.
    """
    mean, deviation = [], []
    for part in parts.transpose(0, 1).flatten(1):  # one at a time: float64 copies of a whole image set are large
        values = part.double()
        mean.append(values.mean())
        deviation.append(values.std(correction=0))
    spread = torch.stack(deviation)
    return torch.stack(mean), torch.where(spread > 0, spread, torch.ones_like(spread))


def _channels(x: Tensor) -> Tensor:
    """Return inputs in shape (samples, channels, pixels); a plain vector is one channel."""
    return x.reshape(len(x), 1 if x.ndim == 2 else x.shape[1], -1)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    """Return finite numbers.

    Raises:
        DataError: if they are none.
    """
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as cause:
        raise DataError(f"`{name}=` must be numbers, and is {shown(repr(values))}") from cause
    if isinstance(values, str):
        raise DataError(f"`{name}=` must be numbers, and is {shown(repr(values))}")
    for number in numbers:
        if not math.isfinite(number):
            raise DataError(f"`{name}=` must be finite numbers, and one is {number}")
    return numbers
