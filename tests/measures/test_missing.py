"""What is said of statistics that are recomputed, and of networks without outputs."""

from __future__ import annotations

import warnings

import pytest
import torch

from landscape_cli.choices import Statistics
from landscape_cli.errors import LandscapeWarning, Remark
from landscape_cli.measures.missing import samples_recomputed, warn_of_missing
from tests.support.paths import MLP, RESNET, make_ends


def test_what_is_recomputed() -> None:
    normed, plain = make_ends(RESNET), make_ends(MLP)
    for bn, samples in ((Statistics.KEEP, 0), (Statistics.RECOMPUTE, 60)):
        assert samples_recomputed(normed.model, normed.start, normed.data["train"], bn) == samples
    assert samples_recomputed(plain.model, plain.start, plain.data["train"], Statistics.KEEP) == 0
    with pytest.warns(Remark, match="`bn=` recompute changes nothing"):
        assert samples_recomputed(plain.model, plain.start, plain.data["train"], Statistics.RECOMPUTE) == 0


@pytest.mark.parametrize(
    ("spec", "bn", "hint"),
    [(RESNET, Statistics.KEEP, True), (RESNET, Statistics.RECOMPUTE, False), (MLP, Statistics.KEEP, False)],
)
def test_networks_without_outputs(spec, bn: Statistics, hint: bool) -> None:
    ends = make_ends(spec)
    about = {"model": ends.model, "params": ends.start, "train": ends.data["train"], "bn": bn}
    undecided = [torch.tensor([0, 3, 0, 0]), torch.tensor([0, 2, 0, 1])]  # of two splits
    with pytest.warns(LandscapeWarning, match="2 of 4 points have no error") as warned:
        warn_of_missing(undecided, "points", **about)
    assert ("`bn=` recompute" in str(warned[0].message)) == hint
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_missing([torch.zeros(4, dtype=torch.int64)], "points", **about)
