"""Bases of random subspaces: exactly orthonormal, or normal; gaps and orders of memory do not matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.choices import Basis
from landscape_cli.rng import generator
from landscape_cli.samplers.bases import Layout, RandomBasis

SIZES = [(1, 1), (10, 1), (10, 3), (10, 6), (10, 10), (1000, 64), (257, 256)]


def drawn(kind: str, weights: int, dim: int, layout: Layout = lambda vector, gap: vector, seed: int = 0) -> RandomBasis:
    basis: RandomBasis = Basis(kind).load().draw(weights, dim, generator(seed), layout)
    return basis


def combined(basis: RandomBasis, z: Tensor, size: int) -> Tensor:
    out = torch.full((size,), torch.nan)
    basis.move(torch.zeros(size), z, out)
    return out


def dense(basis: RandomBasis, dim: int, size: int) -> Tensor:
    """B, shape (size, dim)."""
    return torch.stack([combined(basis, unit, size) for unit in torch.eye(dim)], 1)


@pytest.mark.parametrize(("weights", "dim"), SIZES)
def test_disjoint_columns_are_exactly_orthonormal(weights: int, dim: int) -> None:
    b = dense(drawn("disjoint", weights, dim), dim, weights)
    gram = b.T.double() @ b.double()
    assert torch.equal(gram - torch.diag(gram.diag()), torch.zeros(dim, dim, dtype=torch.float64))
    assert torch.allclose(gram.diag(), torch.ones(dim, dtype=torch.float64), rtol=3e-7)
    counts = (b != 0).sum(0)
    assert set(counts.tolist()) <= {weights // dim, -(-weights // dim)}
    assert int(counts.sum()) == weights
    assert bool(((b != 0).sum(1) == 1).all())
    assert torch.allclose(b.abs().amax(0), counts.double().rsqrt().float())


def test_disjoint_signs_and_places_are_random() -> None:
    b = dense(drawn("disjoint", 10000, 2), 2, 10000)
    assert abs(float(b.sign().sum())) < 400
    assert 4 < int((b[:100, 0] != 0).sum()) < 96
    assert not torch.equal(b, dense(drawn("disjoint", 10000, 2, seed=1), 2, 10000))


def test_gaussian_columns_have_norm_one() -> None:
    b = dense(drawn("gaussian", 2000, 20), 20, 2000)
    gram = b.T @ b
    assert torch.allclose(gram.diag(), torch.ones(20), atol=1e-5)
    assert float((gram - torch.eye(20)).abs().max()) < 0.12  # √(1/2000) is 0.022
    assert float((b * 2000**0.5).std()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kind", ["disjoint", "gaussian"])
@pytest.mark.parametrize(("weights", "dim"), SIZES)
def test_projection_is_the_transpose(kind: str, weights: int, dim: int) -> None:
    basis = drawn(kind, weights, dim)
    source = torch.Generator().manual_seed(0)
    z, v = torch.randn(dim, generator=source), torch.randn(weights, generator=source)
    assert torch.allclose(basis.project(v), dense(basis, dim, weights).T @ v, rtol=1e-4, atol=1e-5)
    assert float(z @ basis.project(v)) == pytest.approx(float(v @ combined(basis, z, weights)), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("kind", ["disjoint", "gaussian"])
def test_memory_may_be_laid_out_otherwise(kind: str) -> None:
    places = torch.randperm(130, generator=torch.Generator().manual_seed(0))[:100]

    def layout(vector: Tensor, gap: float) -> Tensor:
        return vector.new_full((130,), gap).index_copy_(0, places, vector)

    plain, elsewhere = dense(drawn(kind, 100, 7), 7, 100), dense(drawn(kind, 100, 7, layout), 7, 130)
    assert torch.equal(elsewhere[places], plain)
    basis, vector = drawn(kind, 100, 7, layout), torch.randn(130)
    assert torch.allclose(basis.project(vector), plain.T @ vector[places], atol=1e-5)
    gaps = torch.ones(130, dtype=torch.bool).index_fill_(0, places, False)
    assert not bool(elsewhere[gaps].any())
    assert int(gaps.sum()) == 30


@pytest.mark.parametrize("kind", ["disjoint", "gaussian"])
def test_sizes_in_memory(kind: str) -> None:
    for dim in (5, 500):
        basis = drawn(kind, 1000, dim)
        assert sum(tensor.nbytes for tensor in vars(basis).values()) == type(basis).size_of(1000, dim)
    assert type(basis).size_of(1000, 500) == (10_000 if kind == "disjoint" else 2_000_000)
