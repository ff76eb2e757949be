"""The solver is scipy's, with or without what is around it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.optimize

from landscape_cli.alignment import solver


@pytest.mark.parametrize(("name", "whole"), [(solver.NAME, False), ("scipy.optimize._nothing", True)])
def test_the_solver_is_found(name: str, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "NAME", name)
    monkeypatch.delitem(sys.modules, "scipy.optimize")
    found = solver._solver()
    assert ("scipy.optimize" in sys.modules) == whole
    cost = np.random.default_rng(0).normal(size=(9, 9))
    for ours, theirs in zip(found(cost), scipy.optimize.linear_sum_assignment(cost), strict=True):
        assert np.array_equal(ours, theirs)
