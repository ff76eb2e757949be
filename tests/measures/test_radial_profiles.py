"""Angular widths of curves known by hand, the jackknife, and results as JSON values (docs/method.md: Angular width)."""

from __future__ import annotations

import json
import math
import statistics

import pytest
import torch

from landscape_cli import AngularWidth, RadialProfile, RadialProfiles

NAN = math.nan


def profile(errors: list[list[float]], angles: tuple[float, ...] = (10.0, 20.0, 40.0)) -> RadialProfile:
    draws = torch.tensor(errors, dtype=torch.float64)
    return RadialProfile("random", angles, True, {"train": draws}, {"train": 10 * draws})


@pytest.mark.parametrize(
    ("errors", "angle"),
    [
        ([0.1, 0.3, 0.5], 15.0),  # half-way between 10, where it is 0.05 short, and 20
        ([0.25, 0.3, 0.5], 10 * 0.15 / 0.2),  # before the first angle: from 0 at 0
        ([0.05, 0.1, 0.5], 20 + 20 * 0.1 / 0.4),  # where it falls at first
        ([0.2, 0.1, 0.5], 10.0),  # where it is reached, though it falls again
        ([0.1, 0.1, 0.19], NAN),
        ([0.3, NAN, NAN], 10 * 0.15 / 0.25),
        ([0.1, NAN, 0.5], NAN),  # it may have been reached earlier
    ],
)
def test_widths_known_by_hand(errors: list[float], angle: float) -> None:
    error, growth = 0.05, 0.15
    width = profile([[value] for value in errors]).width("train", error, growth)
    assert width.angle == pytest.approx(angle, nan_ok=True)
    assert math.isnan(width.standard_error)
    assert (width.reached, width.directions) == (int(any(value >= error + growth for value in errors)), 1)


def test_the_jackknife() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(3, 6, generator=generator, dtype=torch.float64) * torch.tensor([[0.1], [0.4], [1.0]])
    whole = profile(draws.tolist())
    width = whole.width("train", 0.0, 0.15)
    assert width.angle == pytest.approx(profile([[row.mean()] for row in draws]).width("train", 0.0, 0.15).angle)
    without = [
        profile(torch.cat([draws[:, :k], draws[:, k + 1 :]], dim=1).tolist()).width("train", 0.0, 0.15).angle
        for k in range(6)
    ]
    expected = math.sqrt(5 / 6 * sum((value - statistics.fmean(without)) ** 2 for value in without))
    assert width.standard_error == pytest.approx(expected)
    assert width.standard_error > 0


def test_without_a_direction_that_matters_there_is_no_standard_error() -> None:
    width = profile([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]).width("train", 0.0, 0.4)
    assert width.angle == pytest.approx(36.0)
    assert math.isnan(width.standard_error)
    assert (width.reached, width.directions) == (1, 2)
    assert width.to_dict()["standard_error"] is None


def test_results_as_json_values() -> None:
    factors = RadialProfile(
        "radial", (0.5, 2.0), False, {"train": torch.tensor([[0.5], [NAN]])}, {"train": torch.tensor([[1.0], [2.0]])}
    )
    measured = profile([[0.1, 0.3], [0.2, 0.6], [0.5, 0.5]])
    result = RadialProfiles({"train": 0.1}, {"train": 0.7}, (measured, factors), 0.2)
    body = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(body) == ["train_error", "profiles", "width"]
    random, radial = body["profiles"]
    assert random["direction"] == "random"
    assert random["angles"] == [10.0, 20.0, 40.0]
    assert random["train"]["mean"] == pytest.approx([0.2, 0.4, 0.5])
    assert random["train"]["standard_error"] == pytest.approx([0.1, 0.2, 0.0])
    assert random["train"]["draws"] == [[0.1, 0.3], [0.2, 0.6], [0.5, 0.5]]
    assert radial == {
        "direction": "radial",
        "factors": [0.5, 2.0],
        "train": {"mean": [0.5, None], "standard_error": [None, None], "draws": [[0.5], [None]]},
    }
    assert body["width"] == result.width["train"].to_dict()
    rows = result.rows()
    assert [(row.get("angle"), row.get("factor")) for row in rows] == [
        (10.0, None),
        (20.0, None),
        (40.0, None),
        (None, 0.5),
        (None, 2.0),
    ]
    assert rows[0]["width"] == body["width"]["angle"]
    assert "width" not in rows[-1]


def test_losses_are_shown_where_asked_for() -> None:
    quiet, whole = (
        RadialProfiles({"train": 0.0}, {"train": 0.7}, (profile([[0.1], [0.2], [0.5]]),), 0.2, shows)
        for shows in (False, True)
    )
    assert "train_loss" not in quiet.to_dict()
    assert "train_loss" not in quiet.rows()[0]
    assert whole.to_dict()["train_loss"] == 0.7
    assert whole.to_dict()["profiles"][0]["train_loss"]["mean"] == pytest.approx([1.0, 2.0, 5.0])
    assert whole.rows()[2]["train_loss"] == pytest.approx(5.0)


def test_of_several_splits_the_first_one_has_the_width() -> None:
    draws = {"train": torch.tensor([[0.5, 0.5]]), "test": torch.tensor([[0.1, 0.1]])}
    result = RadialProfiles(
        {"train": 0.0, "test": 0.0}, {}, (RadialProfile("random", (10.0,), True, draws, draws),), 0.5
    )
    assert result.to_dict()["width"] == AngularWidth(0.5, 10.0, 0.0, 2, 2).to_dict()
    assert result.to_dict()["test_width"]["angle"] is None
    assert result.rows()[0]["width"] == 10.0
    assert RadialProfiles({"train": 0.0}, {}, (), 0.5).width == {}
