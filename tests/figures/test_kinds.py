"""What is no result, or not whole, is refused in a line."""

from __future__ import annotations

from typing import Any

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.figures.kinds import kind_of_results
from tests.support import results


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([], "nothing to draw"),
        ([{}], "no result that can be drawn"),
        ([{"points": [{"tau": 0.0, "train_error": 0.0}], "provenance": {}}], "name the JSON"),
        ([{"points": [{"tau": 0}], "kind": 3, "barrier": {}}], "kind should be text, and is 3"),
        ([results.path(points=[])], "no points"),
        ([results.path(points=[{"tau": "x"}])], r"points\[0\].tau should be a number, and is 'x'"),
        ([results.path(points=[{"tau": 1e308}])], r"should be a number below 1e\+300, and is 1e\+308"),
        ([results.path(points=[{"tau": True}])], "should be a number"),
        ([results.path(), results.families()], "path and paths of families are two figures"),
        ([results.plane(), results.plane()], "one plane is drawn at a time"),
        ([results.plane() | {"x": [0.0, 1.0]}], "no grid"),
        ([results.plane() | {"x": [0.0, 2.0, 1.0, 3.0]}], "do not ascend"),
        ([results.distance() | {"pairs": []}], "no pairs"),
        ([results.distance() | {"matrix": {"metric": "x"}}], "no distance that it has"),
        ([results.curvature("a", residuals=[0.1])], "a residual for each"),
        ([results.curvature("a", metric="x")], "metric"),
        ([results.curvature("a", density={"nodes": [[0.0]], "weights": []})], "not whole"),
        ([results.energy("a") | {"networks": [{"network": "a", "local_energy": [{}]}]}], "no strengths"),
        ([{"points": [{"facet": "a-q", "weight_1": 1, "weight_2": 0}]}], "three networks"),
        ([{"points": [{"facet": "a-b", "weight_1": 1}]}], "of no facet"),
    ],
)
def test_what_is_no_result_is_refused(wrong: list[Any], why: str) -> None:
    with pytest.raises(ResultError, match=why) as refused:
        kind_of_results(wrong)
    assert "\n" not in str(refused.value)
