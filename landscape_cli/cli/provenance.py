"""What a result says of how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import Algorithm, Kind, Method, Perturbation, Relaxation, Target

if TYPE_CHECKING:
    import torch

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.io.checkpoint import Checkpoint


# Where and how a result is shown does not belong to how it was made.
NOT_RECORDED = {
    "output",
    "out_dir",
    "force",
    "form",
    "no_comment",
    "quiet",
    "progress",
    "debug",
    "log",
    "plot",
    "permutations",
    "midpoint_out",
    "network_out",
    "export",
    "average_out",
    "connector_out",
    "download",
    "checkpoint_every",
    "resume",
    "part",
    "merge",
    "keep_replicas",
    "keep_snapshots",
    "keep_epochs",
}


# Recorded only where they are used: a result made without them is what it was before there were such options.
IF_USED = (
    *("more", "pairs", "both_ways", "align", "optimize_midpoint", "network_at", "repair", "task", "objective"),
    *("adv_optimizer", "dropout", "ensemble"),
    *("density_probes", "density_steps"),
    *("b", "c", "third", "fold_preprocessing", "key", "check"),
    *("direction", "directions", "project", "on_torus"),
)
IF_USED += tuple(kind.value for kind in Perturbation)

IF_GIVEN = (
    *("cycles", "fge_start", "cycle_epochs", "lr_min", "gamma_every", "replica_batch_size", "asam_eta"),
    *("adv_zeroed", "esgd_inner_lr"),
    *("class_axis", "ignore_index", "input_dtype", "input_range", "model_output"),
    *("subspace_dim", "subspace_seed", "subspace_basis", "init_scale"),
    *("image_size", "train_samples", "test_samples"),
    *("preprocess", "mean", "std", "precision"),
    *("normalize_directions", "limits", "growth"),
)
"""Likewise, but for options that may be zero."""

OF_MIDPOINT = ("epochs", "lr", "momentum", "batch_size", "until_error")
"""Options of `path` that only `--optimize-midpoint` and `--kind connector` use."""
OF_MIDPOINT_ALONE = ("midpoints", "optimizer", "lr_schedule")
"""Options of `path` that only `--optimize-midpoint` uses, recorded where they are not the usual ones."""
OF_CONNECTOR = ("shape", "centres", "train_on", "orthogonal", "geometry", "align_rounds")
"""Options of `path` that only `--kind connector` uses; but midpoints are trained on something, too."""


OF_LEARNING = ("epochs", "relaxation", "learning_rate", "batch_size", "temperature")
"""Options of `align` that only `--method learned` uses."""


OWN_SCHEDULES = (Algorithm.SNAPSHOT, Algorithm.FGE)
"""Samplers with which `--lr-schedule` is not recorded, as theirs is another; SWA's networks have always held it."""
OF_ENSEMBLE = ("same", "bn")
"""Options of `distance` that only `--ensemble` uses."""


def recorded(context: typer.Context, **replaced: Any) -> dict[str, Any]:
    """Return the command's options as the provenance keeps them: under their own names."""
    unused = {name for name in IF_USED if not context.params.get(name)}
    unused.update(name for name in IF_GIVEN if context.params.get(name) is None)
    if "optimize_midpoint" in context.params:
        unused.update(_unused_by_path(context.params))
    if "ensemble" in unused and "ensemble" in context.params:
        unused.update(OF_ENSEMBLE)
    if {"functions", "on_torus"} & context.params.keys() and not context.params["all_parameters"]:
        unused.add("all_parameters")  # which it is new to, other than to `flatness`
    if "average_out" in context.params:  # of `align`, whose mean alone has statistics of its own
        unused.add("bn")
    if "relaxation" in context.params:
        unused.update(_unused_by_align(context.params))
    if context.params.get("algo") in OWN_SCHEDULES:
        unused.add("lr_schedule")
    left_out = NOT_RECORDED | unused
    values = {key: value for key, value in context.params.items() if key not in left_out} | replaced
    if len(values.get("key", ())) == 1:
        [values["key"]] = values["key"]
    kind = values.get("kind")
    # Older versions of typer leave choices as text here.
    if kind in list(Kind) and (
        kind == Kind.CONNECTOR or not Kind(kind).load().random
    ):  # which has no use for `--orders`
        values.pop("orders", None)
    spelled = {parameter.name: parameter.opts for parameter in context.command.params}
    return {_own_name(key, spelled.get(key, ())): _plain(value) for key, value in values.items()}


def _own_name(parameter: str, spellings: Sequence[str]) -> str:
    """Return the name under which the user knows an option, as `lr` of --lr; arguments keep theirs."""
    names = [spelling.removeprefix("--").replace("-", "_") for spelling in spellings if spelling.startswith("--")]
    return parameter if not names or parameter in names else names[0]


def _unused_by_path(options: Mapping[str, Any]) -> set[str]:
    """Return which options of `path` have no say in what was measured."""
    connects, bends = options["kind"] == Kind.CONNECTOR, options["optimize_midpoint"]
    unused = set() if connects or bends else set(OF_MIDPOINT)
    unused.update(("kind", "orders") if options["direction"] else ())
    unused.update(name for name, end in (("begin", 0), ("stop", 1)) if options[name] == end)
    unused.update(OF_MIDPOINT_ALONE if options["midpoints"] == 1 else OF_MIDPOINT_ALONE[1:])
    if not connects:
        unused.update(OF_CONNECTOR)
        if bends and options["train_on"] != Target.VERTICES:
            unused.remove("train_on")
    return unused


def _unused_by_align(options: Mapping[str, Any]) -> set[str]:
    """Return which options of `align` have no say in what was learned, if anything was."""
    if options["method"] != Method.LEARNED:
        return set(OF_LEARNING)
    return set() if options["relaxation"] == Relaxation.SINKHORN else {"temperature"}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def make_provenance(
    context: typer.Context,
    *,
    device: torch.device,
    seed: int,
    networks: Sequence[Checkpoint],
    data: DataSet | None = None,
    arithmetic: Arithmetic | None = None,
    **replaced: Any,
) -> dict[str, Any]:
    """Return the provenance of this command's result, with the data it was measured on, if any.

    `arithmetic` says what another precision than float32 changes.

    `replaced` are options that were left to the command, and what it chose.
    """
    from landscape_cli.io.results import provenance

    measured = ("name", "task", "image_size", "train_samples", "test_samples", "sha256")
    record = {} if data is None else {**data.record, **data.part}
    used = {} if data is None else {"data": {key: record[key] for key in measured if key in record}}
    counted = {} if arithmetic is None else arithmetic.record()
    aligned = _aligned(networks) if "points" in context.params else {}  # of paths, whose pictures say so
    return (
        used
        | counted
        | aligned
        | provenance(
            context.info_name or "",
            recorded(context, device=str(device), **replaced),
            device=str(device),
            seed=seed,
            inputs={path: digest for network in networks for path, digest in network.inputs.items()},
        )
    )


def _aligned(networks: Sequence[Checkpoint]) -> dict[str, Any]:
    """Return by which method networks were aligned before, by file; nothing where none was."""
    methods = {
        network.path: str(step["arguments"].get("method", ""))
        for network in networks
        for step in network.history
        if step.get("command") == "landscape align" and isinstance(step.get("arguments"), dict)
    }
    return {"aligned": methods} if methods else {}
