"""The curvature of the loss at a network: extreme eigenvalues, trace and spectral density of its Hessian.

See docs/method.md: Curvature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from landscape_cli.arguments import check_whole
from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import HessianMetric, Statistics
from landscape_cli.data.source import Split
from landscape_cli.data.subset import balanced_subset
from landscape_cli.errors import DataError, GeometryError, listed
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator, evaluator_of
from landscape_cli.evaluation.splits import TRAIN, Data, training_split
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.measures.curvature_result import Curvature, SpectralDensity
from landscape_cli.measures.curvature_settings import CurvatureSettings
from landscape_cli.measures.curvature_warnings import remark_of_metric, warn_of_curvature
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.flatness import perturbed_names
from landscape_cli.measures.hessian import Hessian
from landscape_cli.measures.missing import samples_recomputed, statistics_of
from landscape_cli.measures.spectrum import Eigenvalues, NotFiniteError, end_of_spectrum, lanczos, quadratic_form
from landscape_cli.measures.unit_order import order_of_units
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params
from landscape_cli.rng import derive_seed, generator
from landscape_cli.symmetry import Symmetry, permute, trace_symmetry
from landscape_cli.symmetry.checks import check_symmetry

START, PROBES, SUBSET = range(3)
"""Streams of randomness: the first Lanczos vector, probes of trace and density, the samples chosen."""


def curvature(
    model: nn.Module | Evaluator,
    params: Params,
    data: Data | None = None,
    *,
    eigenvalues: int = 1,
    smallest: bool = False,
    trace_samples: int = 16,
    density: bool = False,
    density_probes: int = 4,
    density_steps: int = 64,
    metric: HessianMetric | str = HessianMetric.RELATIVE,
    tolerance: float = 1e-2,
    curvature_samples: int | None = None,
    weights: Sequence[str] | None = None,
    symmetry: Symmetry | None = None,
    bn: Statistics | str = Statistics.KEEP,
    seed: int = 0,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> Curvature:
    """Measure eigenvalues, trace and density of the Hessian of the mean cross-entropy on the training set.

    In the relative metric these are of D H D, D = diag(θ), which no rescaling, flip or permutation of hidden units
    changes; see docs/method.md: Curvature. Eigenvalues by the implicitly restarted Lanczos method (Lehoucq, Sorensen
    and Yang, 1998), the trace by Hutchinson's estimator (1989), the density by stochastic Lanczos quadrature (Ghorbani,
    Krishnan and Xiao, 2019). The network is in evaluation mode: batch-norm statistics are constants.

    Args:
        model: the architecture, put in evaluation mode; or an `Evaluator`, which has its data and device.
        params: the network, any floating-point dtype: float64 is computed in float64, all else in float32.
        data: what to measure on, with a model: a data set, a split, or several by name, of which "train", or else the
            first, is taken.
        eigenvalues: how many of the largest eigenvalues; 0 for none.
        smallest: compute the least one as well.
        trace_samples: random vectors to estimate the trace with; 0 for no trace.
        density: compute the spectral density as well.
        density_probes: random vectors for it.
        density_steps: Lanczos steps for each.
        metric: "relative", or "euclidean" for the Hessian H itself, by default of all parameters.
        tolerance: residuals of eigenvalues, relative to them, at which these are exact enough; relative to a
            ten-thousandth of the largest where that is more, and never below what rounding leaves.
        curvature_samples: the size of a class-balanced subset of the training set; by default all of it.
        weights: names of the tensors to differentiate by; by default the symmetry's, in the Euclidean metric all.
        symmetry: of the model, which tells weights from biases and gains; by default it is derived.
        bn: "keep" batch-norm statistics, or "recompute" them over the whole training set first; an `Evaluator` that
            recomputes them does so in any case.
        seed: of random vectors and the subset.
        device: where to compute, with a model.
        advance: called with the number of samples done, with a model.

    Returns:
        Eigenvalues, trace and density, in nats; NaN where losses or products are not finite.

    Raises:
        GeometryError: if a setting is impossible, the vectors need more than 4 GiB, or the loss has no second
            derivatives.
        ModelError: if the network does not fit the model.
        DataError: if there is no data, or it is malformed, or has no such subset.
        TraceError: if there is no symmetry to tell weights from the rest.

    Warns:
        LandscapeWarning: if eigenvalues do not converge, or nothing can be computed.
        Remark: that the Euclidean metric is not invariant; if statistics are to be recomputed, and there are none.
    """
    settings = CurvatureSettings(
        eigenvalues, smallest, trace_samples, density, density_probes, density_steps, metric, tolerance, seed
    )
    evaluator = evaluator_of(model, data, device=device, advance=advance)
    check_networks(evaluator.model, {"the network": params})
    check_differentiable(evaluator.model, "the network")
    if symmetry is not None:
        check_symmetry(symmetry, params)
    train = evaluator.splits[training_split(evaluator.splits)]
    evaluator, [params], symmetry = in_effect(evaluator, [params], symmetry, train.x)
    subset = training_subset(train, curvature_samples, seed)
    if weights is None:
        if symmetry is None and settings.is_relative:
            symmetry = trace_symmetry(evaluator.model, train.x[:2].cpu())
        weights = differentiated_names(evaluator.model, symmetry, settings)
    if evaluator.recompute_on is not None:
        params = recompute_statistics(evaluator.model, params, evaluator.splits[evaluator.recompute_on].x)
    elif samples_recomputed(evaluator.model, params, train, statistics_of(bn)):
        params = recompute_statistics(evaluator.model, params, train.x)
    measured_on = Evaluator(
        evaluator.model,
        {TRAIN: subset},
        device=evaluator.device,
        batch_size=evaluator.batch_size,
        advance=evaluator.advance,
    )
    remark_of_metric(settings)
    result = loss_curvature(params, measured_on, settings, names=weights, symmetry=symmetry)
    warn_of_curvature(result, "the network")
    return result


def loss_curvature(
    params: Params,
    evaluator: Evaluator,
    settings: CurvatureSettings,
    *,
    names: Sequence[str],
    symmetry: Symmetry | None = None,
) -> Curvature:
    """Measure the curvature of one network's loss on the evaluator's first split.

    Args:
        params: the network.
        evaluator: has the model and the data, and measures loss and error.
        settings: what to compute.
        names: of the tensors to differentiate by.
        symmetry: with it, random vectors belong to units and not to their numbers, so that estimates are the same
            however units are permuted.

    Raises:
        GeometryError: if there are no such tensors, there is not enough memory, or the loss has no second derivatives.
    """
    settings.check_size(*size_and_type(evaluator.model, params, names))
    split = next(iter(evaluator.splits))
    scores = evaluator.evaluate([params])[split]
    loss, metric = float(scores.loss[0]), HessianMetric(settings.metric)
    hessian = Hessian(evaluator, params, names, split, metric=metric)
    ends: tuple[Eigenvalues, Eigenvalues | None] = (_missing(settings.eigenvalues), None)
    if settings.smallest:
        ends = (ends[0], _missing(1))
    draws: tuple[float, ...] = (math.nan,) * settings.trace_samples
    density: SpectralDensity | None = None
    if math.isfinite(loss):
        try:
            if symmetry is not None and symmetry.permutations:
                hessian = _in_order(hessian, params, symmetry)
            ends = _eigenvalues(hessian, settings)
            draws, density = _trace_and_density(hessian, settings)
            ends = not_above_nodes(ends, density)
        except NotFiniteError:
            pass  # what there is not is missing, and warned of
    largest, least = ends
    return Curvature(
        metric=metric,
        dimension=hessian.size,
        loss=loss,
        error=float(scores.error[0]),
        norm=hessian.norm,
        eigenvalues=largest.values,
        residuals=largest.residuals,
        smallest=None if least is None else least.values[0],
        smallest_residual=None if least is None else least.residuals[0],
        eigenvalues_converged=largest.converged,
        smallest_converged=None if least is None else least.converged[0],
        trace_draws=draws,
        density=density,
        products=hessian.products,
    )


def differentiated_names(
    model: nn.Module, symmetry: Symmetry | None, settings: CurvatureSettings, *, all_parameters: bool = False
) -> tuple[str, ...]:
    """Return the names of the tensors to differentiate by: those that noise perturbs, in the Euclidean metric all.

    Args:
        model: the architecture.
        symmetry: of it, which tells weights from the rest; needed in the relative metric, unless all are taken.
        settings: whose metric it is.
        all_parameters: take biases and gains as well.

    Warns:
        LandscapeWarning: naming parameters of several axes that are left out.
    """
    return perturbed_names(model, symmetry, all_parameters=all_parameters or not settings.is_relative)


def check_differentiable(model: nn.Module, path: str) -> None:
    """Check that a model's loss has second derivatives at all.

    Raises:
        GeometryError: if it has binary layers, or parameters of whole numbers, or none.
    """
    if latent_names(model):
        raise GeometryError(
            f"{path} is binary, and its loss is not twice differentiable: measure its local energy, by flips of signs"
        )
    if not any(parameter.is_floating_point() for parameter in model.parameters()):
        raise GeometryError(
            f"{path} has no parameters of real numbers, as quantised models have none, to differentiate its loss by"
        )


def size_and_type(model: nn.Module, params: Params, names: Sequence[str]) -> tuple[int, torch.dtype]:
    """Return the number of weights in some tensors, each counted once, and in which type they are computed with.

    Raises:
        GeometryError: if there are no such parameters.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise GeometryError(f"the tensors to differentiate by are a list of names, not {names!r}")
    owners = parameter_owners(model)
    unknown = [repr(name) for name in names if name not in owners]
    if unknown:
        raise GeometryError(f"the network has no parameters {listed(unknown)} to differentiate by")
    wide = any(tensor.dtype == torch.float64 for tensor in params.values())
    size = sum(params[name].numel() for name in {owners[name] for name in names})
    return size, torch.float64 if wide else torch.float32


def training_subset(train: Split, samples: int | None, seed: int) -> Split:
    """Return so many samples of a training set, class-balanced where there are classes; all of it for None.

    Raises:
        DataError: if there are not so many.
    """
    if samples is None:
        return train
    check_whole("curvature_samples", samples, DataError, least=1)
    labels = train.y.cpu() if train.objective.balances else torch.zeros(len(train.y), dtype=torch.int64)
    present, classes = torch.unique(labels, return_inverse=True)
    numbered = Split(torch.arange(len(train.y)), classes, train.objective)
    chosen = balanced_subset(numbered, len(present), samples, derive_seed(seed, SUBSET), name="curvature_samples").x.to(
        train.x.device
    )
    return replace(train, x=train.x[chosen], y=train.y[chosen])


def not_above_nodes(
    ends: tuple[Eigenvalues, Eigenvalues | None], density: SpectralDensity | None
) -> tuple[Eigenvalues, Eigenvalues | None]:
    """Return the ends of the spectrum, the least eigenvalue not converged if the density has a node below it.

    Nodes are Ritz values, none of which lies below the least eigenvalue.
    """
    largest, least = ends
    if density is None or least is None:
        return ends
    lowest = min(nodes[0] for nodes in density.nodes)
    missed = lowest < least.values[0] - least.residuals[0]
    return largest, least._replace(converged=(False,)) if missed else least


def _missing(count: int) -> Eigenvalues:
    return Eigenvalues((math.nan,) * count, (math.nan,) * count, (not count,) * count)


def _in_order(hessian: Hessian, params: Params, symmetry: Symmetry) -> Hessian:
    """Return the Hessian with units in an order that is the same however the network permutes them.

    The matrix's row sums move with the units, and are the same for all scales and signs.
    """
    sums = hessian.tensors(hessian.product(hessian.ones()))
    return hessian.moved_to(permute(params, symmetry, order_of_units(symmetry, sums)))


def _eigenvalues(hessian: Hessian, settings: CurvatureSettings) -> tuple[Eigenvalues, Eigenvalues | None]:
    start = hessian.signs(generator(settings.seed, START))
    common: dict[str, Any] = {"tolerance": settings.tolerance, "seed": derive_seed(settings.seed, START)}
    largest = Eigenvalues((), (), ())
    if settings.eigenvalues:
        largest = end_of_spectrum(hessian, settings.eigenvalues, start, least=False, **common)
    least = end_of_spectrum(hessian, 1, start, least=True, **common) if settings.smallest else None
    return largest, least


def _trace_and_density(
    hessian: Hessian, settings: CurvatureSettings
) -> tuple[tuple[float, ...], SpectralDensity | None]:
    """Estimate both with the same random signs; the first Lanczos coefficient is the quadratic form by dimension."""
    draws, nodes, weights = [], [], []
    probes = settings.density_probes if settings.density else 0
    for k in range(max(probes, settings.trace_samples)):
        probe = hessian.signs(generator(settings.seed, PROBES, k))
        if k >= probes:  # of a unit vector, as Lanczos steps take it: the same number, to the last digit
            draws.append(hessian.size * quadratic_form(hessian, probe / np.linalg.norm(probe)))
            continue
        projected = lanczos(hessian, probe, settings.density_steps)
        draws.append(hessian.size * float(projected.diagonal[0]))
        quadrature = projected.quadrature()
        nodes.append(quadrature[0])
        weights.append(quadrature[1])
    density = SpectralDensity(tuple(nodes), tuple(weights)) if nodes else None
    return tuple(draws[: settings.trace_samples]), density
