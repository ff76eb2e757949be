"""Large-scale flatness: how the error grows as every unit turns away (docs/method.md: Angular width)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from landscape_cli.arguments import check_kind, check_tensors
from landscape_cli.choices import Method, Precision, Statistics
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.splits import Data, named_splits
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.radial_evaluator import RadialEvaluator
from landscape_cli.measures.radial_profiles import RANDOM, RadialProfiles
from landscape_cli.measures.radial_settings import ANGLES, FACTORS, RadialSettings
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry


def radial_profiles(
    model: nn.Module,
    params: Params,
    data: Data,
    *,
    symmetry: Symmetry | None = None,
    directions: Sequence[str] = (RANDOM,),
    towards: Mapping[str, Params] | None = None,
    angles: Sequence[float] = ANGLES,
    factors: Sequence[float] = FACTORS,
    samples: int = 20,
    growth: float = 0.1,
    align: Method | str = Method.COSINE,
    loss: bool = False,
    bn: Statistics | str = Statistics.KEEP,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> RadialProfiles:
    """Measure how the error grows as every unit of a network turns by the same angle, whatever its layer.

    Its angular width is the angle at which the error has grown by `growth`, in the mean over random directions: no
    scale, permutation or sign of units changes it. See docs/method.md: Angular width.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        params: the network, any floating-point dtype.
        data: what to measure on; of splits by name, "train" is the training set, or else the first.
        symmetry: of the model, as `trace_symmetry` returns it; by default it is derived.
        directions: of "random", "gradient" (minus and plus the gradient of the training loss) and "radial" (all
            weights times a factor).
        towards: networks of the model to turn towards, by name.
        angles: in degrees, rising.
        factors: of all weights, for "radial".
        samples: how many random directions; direction k is the same however many are asked for.
        growth: of the error, a fraction of samples.
        align: how networks to turn towards are aligned: "cosine", "weight" or "activation".
        loss: whether `to_dict` and `rows` show the loss as well.
        bn: "keep" batch-norm statistics, or "recompute" them over the training set for every network.
        seed: of the directions.
        device: where to compute.
        precision: in which numbers networks in float32 are evaluated: "float32", "tf32" (on a CPU the same) or "bf16".
        advance: called with the number of samples done.

    Returns:
        By split, the error (a fraction of samples, in [0, 1]) and the loss (in nats) of the network, and in each
        profile those of every draw of its direction, shape (angles or factors, draws), float64, NaN where outputs are;
        and from these the angular width.

    Raises:
        GeometryError: if an angle, a factor or another setting makes no sense, or the network is binary.
        ModelError: if a network does not fit the model, or is not for such a precision.
        DataError: if there is no data, or it is malformed.
        TraceError: if the model cannot be followed.
        ProofError: if a network that only differs by a symmetry computes something else.

    Warns:
        LandscapeWarning: if networks have no error, as outputs are NaN; if no direction leads to a network; naming
            parameters of several axes that stay as they are.
        Remark: if statistics are to be recomputed, and there are none; if the error does not grow so much that there is
            a width; how many decisions another precision than float32 changes on a sample.
    """
    targets = _checked_targets(towards)
    check_networks(model, {"the network": params} | targets)
    splits = named_splits(data, model)
    example = next(iter(splits.values())).x
    model, (params, *others), symmetry = in_effect(model, [params, *targets.values()], symmetry, example)
    targets = dict(zip(targets, others, strict=True))
    arithmetic = Arithmetic(precision)
    evaluator = RadialEvaluator(
        model,
        splits,
        like=params,
        symmetry=symmetry,
        settings=RadialSettings(directions, angles, factors, samples, growth, align),
        loss=loss,
        bn=bn,
        seed=seed,
        device=device,
        precision=arithmetic,
    )
    profiles = evaluator.measure(params, targets, advance=advance)
    arithmetic.tell()
    return profiles


def _checked_targets(towards: Mapping[str, Params] | None) -> dict[str, Params]:
    if towards is None:
        return {}
    check_kind("towards", towards, Mapping, "give networks by name", GeometryError)
    for network in towards.values():
        check_tensors(network)
    return dict(towards)
