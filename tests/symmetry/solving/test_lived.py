"""Where parts live in a tensor along several runs of its axes at once."""

from __future__ import annotations

import numpy as np

from landscape_cli.symmetry.solving.lived import in_common

SHAPE = (3, 2, 4)


def places(along: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return the places along two axes of each of the slices of the first."""
    return np.arange(SHAPE[along[0]] * SHAPE[along[1]]).reshape(SHAPE[0], -1)


def test_rows_and_columns_of_the_matrices_of_a_stack_move_once() -> None:
    found = in_common({(0, 1): places((0, 1)), (0, 2): places((0, 2))}, SHAPE)
    assert found is not None
    assert list(found) == [(0,)]
    assert found[0,].tolist() == [[0], [1], [2]]


def test_axes_apart_stay_as_they_are() -> None:
    tables = {(0,): np.arange(3)[:, None], (1, 2): np.arange(6).reshape(3, 2)}
    assert in_common(tables, SHAPE) == tables


def test_what_moves_within_its_matrix_besides_is_not_followed() -> None:
    turned = places((0, 2)).copy()
    turned[1] = turned[1, [1, 0, 2, 3]]
    assert in_common({(0, 1): places((0, 1)), (0, 2): turned}, SHAPE) is None
    part = places((0, 2))[:, :2]
    assert in_common({(0, 1): places((0, 1)), (0, 2): part}, SHAPE) is None
