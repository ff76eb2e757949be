"""Kinds look the same everywhere and differ for the color-blind; names are short and stay apart."""

from __future__ import annotations

import itertools

import pytest

from landscape_cli.choices import Algorithm
from landscape_cli.errors import cut_middle
from landscape_cli.figures.style import SAMPLER_COLORS, SAMPLERS, kind_of, short_labels, styles_of

# Linear RGB as protanopes, deuteranopes and tritanopes see it (Machado et al., 2009, at full severity).
SEEN = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(color: str) -> list[float]:
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


@pytest.mark.parametrize("eyes", SEEN)
def test_colors_differ_for_all_eyes(eyes: str) -> None:
    seen = {
        color: [min(1, max(0, sum(m * c for m, c in zip(row, linear(color), strict=True)))) for row in SEEN[eyes]]
        for color in SAMPLER_COLORS
    }
    for a, b in itertools.combinations(SAMPLER_COLORS, 2):
        assert max(abs(x ** (1 / 2.2) - y ** (1 / 2.2)) for x, y in zip(seen[a], seen[b], strict=True)) > 0.1, (a, b)


def test_samplers_always_look_alike_and_never_like_others() -> None:
    assert set(SAMPLERS) == {algorithm.value for algorithm in Algorithm}
    looks = [tuple(map(str, style.values())) for style in SAMPLERS.values()]
    assert len(set(looks)) == len(looks)
    assert len({style["marker"] for style in SAMPLERS.values()}) == len(SAMPLERS)
    for kinds in (["rsgd", "mine", "sgd"], ["x", "sgd", "y", "rsgd"]):
        styles = styles_of(kinds)
        assert styles["sgd"] == SAMPLERS["sgd"]
        assert styles["rsgd"] == SAMPLERS["rsgd"]
        assert len({style["color"] for style in styles.values()}) == len(kinds)
    assert len(styles_of(map(str, range(40)))) == 40


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("runs/rsgd-1.st", "rsgd"),
        ("n/SGD_2.pt", "sgd"),
        ("adv/7.st", "adv"),
        ("n/sgd-*.st", "sgd"),
        ("asgd.st", "asgd.st"),
        ("a.st", "a.st"),
    ],
)
def test_kinds_by_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_names_are_short_and_stay_apart() -> None:
    assert short_labels(["runs/a/x.st", "runs/b/x.st"]) == ["a/x", "b/x"]
    assert short_labels(["runs/x.st"]) == ["x"]
    assert short_labels(["x.st", "x.pt"]) == ["x.st", "x.pt"]
    assert short_labels(["x.st", "x.st"]) == ["x", "x"]
    long = [f"{'a' * 40}-{k}-{'b' * 40}.st" for k in range(3)]
    assert len(set(short_labels(long))) == 3
    assert max(map(len, short_labels([f"{'a' * 90}{k}.st" for k in range(3)]))) == 26
    assert cut_middle("abcdefghij", 5) == "ab…ij"
    assert short_labels(["a\nb"]) == ["a\\nb"]
