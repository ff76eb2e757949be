"""What layers say together, told from few places: against a look at every place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from landscape_cli.symmetry.tracing.integers import Array, is_function
from landscape_cli.symmetry.tracing.layers import Layer, compress, to_layer
from landscape_cli.symmetry.tracing.narrowed import MANY, apart, counted, meetings, narrowed, said_together, tells

SHAPE = (6, 40, 30)
"""More places than are looked at one by one."""


def drawn(draw: np.random.Generator, kinds: int = 3) -> Layer:
    """Return a layer along up to three axes, whose indices are each of one of a few kinds, in runs or not."""
    picked = [draw.integers(0, kinds, size) for size in SHAPE]
    picked = [np.sort(kind) if draw.random() < 0.5 else kind for kind in picked]
    sizes = [kinds if draw.random() < 0.6 else 1 for _ in SHAPE]
    small = draw.integers(-(1 << 33), 1 << 33, 4)[draw.integers(0, 4, sizes)]
    places = np.ix_(*(kind if size > 1 else np.zeros(1, dtype=int) for kind, size in zip(picked, sizes, strict=True)))
    return compress(to_layer(np.ascontiguousarray(small[places])))


def at_places(*layers: Layer) -> list[Array]:
    """Return what layers say, place by place."""
    return [layer.reshape(-1).numpy() for layer in torch.broadcast_tensors(torch.zeros(SHAPE), *layers)[1:]]


def combinations(*layers: Layer) -> list[list[int]]:
    rows: list[list[int]] = np.unique(np.stack(at_places(*layers), axis=1), axis=0).tolist()
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_no_combination_is_lost(seed: int) -> None:
    draw = np.random.default_rng(seed)
    layers = [drawn(draw) for _ in range(3)]
    few = narrowed(layers)
    assert (
        combinations(*layers)
        == np.unique(torch.stack(torch.broadcast_tensors(*few), dim=-1).reshape(-1, 3).numpy(), axis=0).tolist()
    )
    assert np.prod(np.broadcast_shapes(*(layer.shape for layer in few))) <= 3**9


def test_a_place_unlike_all_others_is_kept() -> None:
    layer = torch.zeros(SHAPE, dtype=torch.int64)
    layer[:, ::2] = 1
    assert narrowed([layer])[0].numel() == 2
    layer[4, 17, 29] = 7
    assert narrowed([layer])[0].unique().tolist() == [0, 1, 7]


@pytest.mark.parametrize("seed", range(60))
def test_layers_tell_what_every_place_tells(seed: int) -> None:
    draw = np.random.default_rng(seed)
    layers = [drawn(draw) for _ in range(1 + seed % 3)]
    other = drawn(draw)
    if seed % 2:  # what they tell, but perhaps for one place
        _, which = np.unique(np.stack(at_places(*layers), axis=1), axis=0, return_inverse=True)
        told = np.random.default_rng(seed).permutation(9**3)[which.reshape(SHAPE) % 9**3]
        told[0, 0, 0] += seed % 4 // 2
        other = compress(to_layer(told))
    _, code = np.unique(np.stack(at_places(*layers), axis=1), axis=0, return_inverse=True)
    expected = is_function(code.ravel(), *at_places(other))
    assert tells(layers, other) == expected
    if seed % 4 == 1:
        assert expected
    said = at_places(said_together(layers))[0]
    assert is_function(said, code.ravel())
    assert is_function(code.ravel(), said)


def test_places_that_are_told_apart() -> None:
    rows, columns = torch.arange(80)[:, None], torch.arange(60)[None]
    assert rows.numel() * columns.numel() > MANY
    assert apart([rows // 8, rows % 8, columns])
    assert not apart([rows // 8, rows % 4, columns])
    assert not apart([rows, columns, rows + columns])  # which overlap: not looked at
    assert tells([rows // 8, rows % 8, columns], rows * columns)
    assert not tells([rows // 8, rows % 4, columns], rows * columns)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kinds", [3, 30])
def test_meetings_are_counted(seed: int, kinds: int) -> None:
    draw = np.random.default_rng(seed)
    first, second = drawn(draw, kinds), drawn(draw, kinds)
    shape = np.broadcast_shapes(first.shape, second.shape)
    rows = torch.stack(torch.broadcast_tensors(first, second), dim=-1).reshape(-1, 2).numpy()
    assert len(rows) == np.prod(shape)
    pairs, times = np.unique(rows, axis=0, return_counts=True)
    found, found_times = meetings(counted(first), counted(second))
    assert np.array_equal(found, pairs)
    assert np.array_equal(found_times, times)
