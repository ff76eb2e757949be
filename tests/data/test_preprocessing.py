"""How networks see inputs, one number at a time."""

from __future__ import annotations

import statistics

import pytest
import torch
from torch import Tensor

from landscape_cli.choices import Preprocess
from landscape_cli.data.preprocessing import IMAGENET, Preprocessing, network_preprocessing
from landscape_cli.errors import DataError

IMAGES = torch.randint(0, 256, (9, 3, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
TABLE = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 5.0, 0.0]) + 7
MEAN, DEVIATION = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
KINDS = [
    Preprocessing.standardize(),
    Preprocessing.none(),
    Preprocessing.unit(),
    Preprocessing.imagenet(),
    Preprocessing.channels(MEAN, DEVIATION),
    Preprocessing.channels([0.5], [0.5]),
]


@pytest.mark.parametrize("x", [IMAGES, IMAGES[:, :, 0, 0].float(), IMAGES[:, :, 0].double()])
def test_every_channel_has_mean_zero_and_deviation_one(x: Tensor) -> None:
    fitted = Preprocessing.standardize().fitted(x)
    channels = [x.double()] if x.ndim == 2 else [x[:, k].double() for k in range(3)]
    assert fitted.mean == pytest.approx([statistics.fmean(channel.flatten().tolist()) for channel in channels])
    assert fitted.deviation == pytest.approx([statistics.pstdev(channel.flatten().tolist()) for channel in channels])
    standard = fitted.apply(x)
    assert (standard.dtype, standard.shape) == (torch.float32, x.shape)
    again = Preprocessing.standardize().fitted(standard)
    assert again.mean == pytest.approx([0.0] * len(channels), abs=1e-6)
    assert again.deviation == pytest.approx([1.0] * len(channels))


def test_columns_are_standardised_one_by_one_and_a_constant_one_is_only_centred() -> None:
    columns, together = (kind.fitted(TABLE) for kind in (Preprocessing.columns(), Preprocessing.standardize()))
    expected = (TABLE - TABLE.mean(0)) / torch.tensor([*TABLE[:, :2].std(0, correction=0), 1.0])
    assert torch.allclose(columns.apply(TABLE), expected, atol=1e-5)
    assert columns.deviation[2] == 1
    assert (len(columns.mean), len(together.mean)) == (3, 1)
    with pytest.raises(DataError, match="only tables have columns"):
        Preprocessing.columns().fitted(IMAGES)


def test_columns_that_are_not_named_stay_what_they_are() -> None:
    some, all_of_them = Preprocessing.columns([1, 0, 1]).fitted(TABLE), Preprocessing.columns().fitted(TABLE)
    seen = some.apply(TABLE)
    assert torch.equal(seen[:, 2], TABLE[:, 2])
    assert torch.equal(seen[:, :2], all_of_them.apply(TABLE)[:, :2])
    assert Preprocessing.from_record(some.to_record()) == some
    assert Preprocessing.columns([2, 1, 0]).fitted(TABLE) == all_of_them
    for wrong, word in (([3], "there are 3 columns"), ([-1], "at least 0"), ([True], "whole number"), (2, "as in")):
        with pytest.raises(DataError, match=word):
            Preprocessing.columns(wrong).fitted(TABLE)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is for the preprocessing 'columns'"):
        Preprocessing("unit", only=(1,))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_bytes_are_seen_as_a_plain_loop_sees_them(kind: Preprocessing) -> None:
    x = IMAGES.float()
    shape = (1, -1, 1, 1)
    mean, deviation = (torch.tensor(numbers).view(shape) for numbers in (kind.mean or (0,), kind.deviation or (1,)))
    expected = {
        "standardize": (x - x.mean((0, 2, 3)).view(shape))
        / x.transpose(0, 1).flatten(1).std(1, correction=0).view(shape),
        "none": x,
        "unit": x / 255,
    }.get(kind.kind, (x / 255 - mean) / deviation)
    seen = kind.fitted(IMAGES).apply(IMAGES)
    assert seen.dtype == torch.float32
    assert torch.allclose(seen, expected, atol=1e-5)
    level, scale = (number.view(shape) for number in kind.fitted(IMAGES).affine(IMAGES))
    assert torch.allclose(seen.double(), (IMAGES.double() - level) / scale, atol=1e-5)


def test_numbers_that_are_no_bytes_are_not_scaled() -> None:
    for dtype in (torch.float16, torch.float32, torch.float64):
        assert torch.equal(Preprocessing.unit().apply(TABLE.to(dtype)), TABLE.to(dtype))
        assert Preprocessing.none().apply(TABLE.to(dtype)).dtype == dtype
    seen = Preprocessing.channels([7.0], [2.0]).apply(TABLE)
    assert torch.allclose(seen, (TABLE - 7) / 2)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_pass_unchanged_unless_they_are_calculated_with(dtype: torch.dtype) -> None:
    x = torch.arange(12, dtype=dtype).reshape(4, 3)
    for kind in (Preprocessing.none(), Preprocessing.unit(), Preprocessing.usual(x)):
        seen = kind.apply(x)
        assert seen.dtype == torch.int64
        assert seen.tolist() == x.tolist()
    assert Preprocessing.columns().fitted(x).apply(x).dtype == torch.float32
    assert Preprocessing.usual(x.to(torch.uint8)) == Preprocessing.standardize()


def test_records_bring_the_same_back() -> None:
    for kind in (*KINDS, Preprocessing.columns().fitted(TABLE), Preprocessing.standardize().fitted(IMAGES)):
        if kind.kind != Preprocess.STANDARDIZE or kind.mean:
            assert Preprocessing.from_record(kind.to_record()) == kind
    fitted = Preprocessing.standardize().fitted(IMAGES)
    data = {"mean": list(fitted.mean), "deviation": list(fitted.deviation)}
    assert network_preprocessing(None, data) == fitted
    assert network_preprocessing({"kind": "unit"}, data) == Preprocessing.unit()
    assert network_preprocessing(None, {}) is None


def test_what_does_the_same_is_the_same() -> None:
    named, given = Preprocessing.imagenet(), Preprocessing.channels(*IMAGENET)
    assert named != given
    assert named.same_on(given, IMAGES)
    assert Preprocessing.none().same_on(Preprocessing.unit(), TABLE)
    assert not Preprocessing.none().same_on(Preprocessing.unit(), IMAGES)
    assert Preprocessing.channels([0.5], [0.5]).same_on(Preprocessing.channels([0.5] * 3, [0.5 + 1e-8] * 3), IMAGES)
    assert not Preprocessing.channels([0.5], [0.5]).same_on(Preprocessing.channels([0.5, 0.5, 0.6], [0.5] * 3), IMAGES)


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({"name": "x"}, "lacks mean or deviation"),
        ({"mean": ["x"], "deviation": [1.0]}, "no usable number"),
        ({"mean": [0.0] * 3, "deviation": [1.0, 0.0, 1.0]}, "no usable number"),
        ({"mean": [0.0] * 3, "deviation": [1.0]}, "no usable number"),
        ({"mean": [float("nan")] * 3, "deviation": [1.0] * 3}, "no usable number"),
        ({"mean": 3, "deviation": [1.0]}, "no usable number"),
    ],
)
def test_data_records_that_are_malformed(record: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        Preprocessing.of_data(record)


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        {"kind": 3},
        {"kind": "nonsense"},
        {"kind": "unit", "mean": [1], "deviation": [1]},
        {"kind": "channels"},
        {"kind": "columns"},
        {"kind": "standardize"},
        {"kind": "channels", "mean": [1], "deviation": [-1]},
        {"kind": "channels", "mean": "12", "deviation": [1, 1]},
        {"kind": "channels", "mean": [1e999], "deviation": [1]},
        {"kind": "imagenet", "mean": [1], "deviation": [1]},
        {"kind": "unit", "more": 1},
    ],
)
def test_records_that_are_malformed(record: object) -> None:
    with pytest.raises(DataError, match="'preprocessing' is malformed"):
        Preprocessing.from_record(record)


def test_what_does_not_suit_the_data_is_refused() -> None:
    with pytest.raises(DataError, match="trained on 1 channels, this data has 3"):
        Preprocessing("standardize", (0.0,), (1.0,)).fitted(IMAGES)
    with pytest.raises(DataError, match="of 3 channels, this data has 1"):
        Preprocessing.imagenet().apply(IMAGES[:, :1])
    with pytest.raises(DataError, match="of 2 columns, this data has 3"):
        Preprocessing.channels([1, 2], [1, 2]).apply(TABLE)
    with pytest.raises(DataError, match="takes its numbers from a training set"):
        Preprocessing.standardize().apply(IMAGES)
