"""What is asked of a Hessian: impossible settings, and what does not fit in memory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from landscape_cli.errors import GeometryError
from landscape_cli.measures.curvature_settings import CurvatureSettings
from landscape_cli.measures.spectrum import vectors_of_eigenvalues, vectors_of_quadrature

BAD: dict[str, list[Any]] = {
    "eigenvalues": [-1, 2.5, "1", None, True],
    "trace_samples": [-1, 0.5, None],
    "density_probes": [0, -1, 1.5, None],
    "density_steps": [0, -1, "64"],
    "smallest": ["yes", 1, None],
    "density": ["yes", 0],
    "metric": ["nonsense", 3, "", "RELATIVE"],
    "tolerance": [-0.1, 1.0, math.nan, math.inf, "0.1", None],
    "seed": [-1, 0.5, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_impossible_settings(name: str, value: Any) -> None:
    with pytest.raises(GeometryError, match=f"`{name}=`"):
        CurvatureSettings(**{name: value})


def test_nothing_asked_for() -> None:
    with pytest.raises(GeometryError, match="nothing of the curvature is asked for"):
        CurvatureSettings(eigenvalues=0, trace_samples=0)
    for one in ("smallest", "density"):
        CurvatureSettings(eigenvalues=0, trace_samples=0, **{one: True})


def test_memory_is_bounded_and_what_fits_is_said() -> None:
    size = 15_000_000  # about VGG16
    for settings, dtype in ((CurvatureSettings(), torch.float32), (CurvatureSettings(smallest=True), torch.float64)):
        settings.check_size(size, dtype)
    with pytest.raises(GeometryError, match=r"`eigenvalues=` 100 of 15000000 weights needs 17\.0 GiB .* at most 22"):
        CurvatureSettings(eigenvalues=100).check_size(size, torch.float32)
    CurvatureSettings(eigenvalues=22).check_size(size, torch.float32)
    assert vectors_of_eigenvalues(22) * 4 * size <= 4 << 30 < vectors_of_eigenvalues(23) * 4 * size
    with pytest.raises(GeometryError, match=r"`density_steps=` 90 of 15000000 weights needs 5\.3 GiB .*: at most 67"):
        CurvatureSettings(density=True, density_steps=90).check_size(size, torch.float32)
    CurvatureSettings(density=True, density_steps=67).check_size(size, torch.float32)
    assert vectors_of_quadrature(67) * 4 * size <= 4 << 30 < vectors_of_quadrature(68) * 4 * size


def test_memory_of_the_largest_networks() -> None:
    size = 600_000_000
    for settings in (CurvatureSettings(), CurvatureSettings(eigenvalues=0, smallest=True)):
        with pytest.raises(GeometryError, match="give 0, for the trace alone, without `smallest=`"):
            settings.check_size(size, torch.float32)
    with pytest.raises(GeometryError, match="leave out `density=`"):
        CurvatureSettings(eigenvalues=0, density=True).check_size(size, torch.float32)
    CurvatureSettings(eigenvalues=0).check_size(size, torch.float32)


def test_small_networks_have_fewer_steps() -> None:
    CurvatureSettings(density=True).check_size(10, torch.float64)
    with pytest.raises(GeometryError, match="there are no weights to differentiate by"):
        CurvatureSettings().check_size(0, torch.float32)


def test_no_more_steps_than_weights() -> None:
    with pytest.raises(GeometryError, match="`density_steps=` 1000000 of 30 weights: there are at most 30"):
        CurvatureSettings(density=True, density_steps=1000000).check_size(30, torch.float32)
    CurvatureSettings(density_steps=1000000).check_size(30, torch.float32)  # of no density
