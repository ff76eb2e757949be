"""Tables of family pairs on a terminal."""

from __future__ import annotations

import math

from landscape_cli.cli.reports.families import shown_distances, shown_paths, shown_spread

ONE = {"mean": 0.25, "deviation": 0.125}
NONE = {"mean": math.nan, "deviation": math.nan}


def test_mean_and_deviation() -> None:
    assert shown_spread(ONE) == "0.25 ± 0.12"
    assert shown_spread({"mean": 0.25, "deviation": math.nan}) == "0.25"
    assert shown_spread(NONE) == "-"


def test_paths() -> None:
    marks = {"max": ONE, "above_ends": ONE, "above_line": NONE}
    entry = {"families": ["a", "b"], "pairs": 2, "barrier": {"train": marks, "test": marks, "loss": {"train": marks}}}
    [row] = shown_paths([entry])
    assert (row["families"], row["pairs"], row["train max"], row["test above_line"]) == ("a – b", 2, "0.25 ± 0.12", "-")
    assert row["train loss max"] == "0.25 ± 0.12"
    assert not any("midpoint" in key for key in row)
    distances = {"start": {"geodesic": NONE, "euclidean": ONE}, "end": {"hamming_fraction": NONE}}
    [row] = shown_paths([entry | {"midpoint": {"train_error": ONE, "distances": distances}}])
    assert (row["midpoint train error"], row["euclidean to start"]) == ("0.25 ± 0.12", "0.25 ± 0.12")
    assert row["hamming fraction to end"] == "-"
    [row] = shown_paths([entry | {"barrier": NONE, "midpoint": NONE}])  # where every training failed
    assert row["train max"] == "-"
    assert not any("midpoint" in key for key in row)


def test_distances() -> None:
    assert shown_distances([{"families": ["a", "a"], "pairs": 1, "cosine": ONE}]) == [
        {"families": "a – a", "pairs": 1, "cosine": "0.25 ± 0.12"}
    ]
