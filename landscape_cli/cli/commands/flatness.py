"""`landscape flatness`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.choices import Statistics
from landscape_cli.cli.console import emit, listen, progress, say
from landscape_cli.cli.options import (
    BatchNorm,
    ComputeOptions,
    DataOptions,
    ModelOptions,
    PictureOptions,
    Strict,
    TerminalOptions,
    numbers,
)

SIGMA, FLIP = "0.1,0.2,0.3,0.4,0.5", "0.01,0.02,0.05,0.1"


def flatness(
    context: typer.Context,
    networks: Annotated[list[Path], typer.Argument(help="Checkpoints of one model.", show_default=False)],
    *,
    sigma: Annotated[
        str | None,
        typer.Option("--sigma", help=f"Strengths of the noise, separated by commas.  [default: {SIGMA}]"),
    ] = None,
    flip: Annotated[
        str | None,
        typer.Option(
            "--flip",
            help="Binary networks: probabilities with which each sign is flipped, separated by commas.  "
            f"[default: {FLIP}]",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Draws, the same for each strength or probability.")
    ] = 20,
    all_parameters: Annotated[
        bool, typer.Option("--all-parameters", help="Perturb biases and norm layers too, not only weights.")
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Measure on the test set as well.")] = False,
    bn: BatchNorm = Statistics.KEEP,
    data: DataOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: ComputeOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure flatness as local energy: how much the error grows when weights are multiplied by noise.

    δE(σ) is the mean of E(θ + σ z ⊙ θ) - E(θ) over draws of z ~ N(0, 1), one for each weight. It does not depend on
    the scale of hidden units, so normalising changes nothing. The JSON result holds every draw.

    Of a binary network each sign is flipped with probability p instead: δE(p). The signs that a smaller p flips in a
    draw, a larger one flips too.

    \b
    Examples:
      landscape flatness sgd.st rsgd.st adv.st
      landscape flatness runs/*.st --sigma 0.05,0.1,0.2 --samples 50 -o flatness.json --plot flatness.png
      landscape flatness binary-*.st --flip 0.01,0.05,0.1
    """  # noqa: D301 - \b keeps the help's lines as they are
    import torch

    from landscape_cli.binary.layers import latent_names
    from landscape_cli.cli.inputs import data_of, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.errors import listed
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.io.checkpoint import placed
    from landscape_cli.io.results import Result
    from landscape_cli.measures.flatness import flip_energy, local_energy
    from landscape_cli.measures.missing import samples_recomputed

    listen(quiet=terminal.quiet)
    check_result_output(result.output, result.form, result.plot, force=result.force)
    by_sigma, by_flip = strengths_of(sigma), probabilities_of(flip)
    place = resolve_device(compute.device)
    checkpoints, model = read_networks(networks, foreign)
    latents = latent_names(model)
    check_suits(checkpoints[0].path, bool(latents), sigma=sigma, flip=flip, all_parameters=all_parameters)
    kind, strengths = ("flip", by_flip) if latents else ("sigma", by_sigma)
    context.params[kind] = (flip or FLIP) if latents else (sigma or SIGMA)  # for the provenance
    weights: Sequence[str] = [name for name, _ in model.named_parameters()]
    if latents:
        weights = latents
        if strict:
            symmetry_of(checkpoints[0], model, strict=strict, quiet=terminal.quiet)
    elif strict or not all_parameters:  # the symmetry tells weights from the rest
        symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=terminal.quiet)
        weights = weights if all_parameters else symmetry.weights
        if symmetry.tables and not all_parameters:
            say(
                f"warning: without noise, as biases and gains are: {listed(symmetry.tables)} "
                "(--all-parameters perturbs them too)",
                quiet=terminal.quiet,
            )
    loaded = data_of(checkpoints, data, quiet=terminal.quiet)
    splits = {"train": loaded.train} | ({"test": loaded.test} if test else {})
    recomputed = samples_recomputed(model, checkpoints[0].params, loaded.train, bn)
    each = recomputed + sum(len(split.y) for split in splits.values())
    total = len(checkpoints) * (1 + samples * len(strengths)) * each
    rows: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    with progress("flatness", total, "samples", quiet=terminal.quiet) as advance:
        recompute_on = "train" if recomputed else None
        evaluator = Evaluator(model, splits, device=place, advance=advance, recompute_on=recompute_on)
        for network in checkpoints:
            params, drawn = placed(network, place), {"samples": samples, "seed": compute.seed}
            if latents:
                found = flip_energy(params, evaluator, latents=latents, flip=strengths, **drawn)
            else:
                found = local_energy(params, evaluator, weights=weights, sigma=strengths, **drawn)
            detail: dict[str, Any] = {"network": network.path}
            detail |= {f"{split}_error": error for split, error in found.error.items()}
            energies = []
            for k, strength in enumerate(strengths):
                row: dict[str, Any] = {"network": network.path, kind: strength}
                draws: dict[str, Any] = {}
                for split in splits:
                    row[f"{split}_energy"] = float(found.mean(split)[k])
                    row[f"{split}_standard_error"] = float(found.standard_error(split)[k])
                    draws[f"{split}_draws"] = found.draws[split][k].tolist()
                rows.append(row)
                energies.append({key: value for key, value in row.items() if key != "network"} | draws)
            missing = int(torch.count_nonzero(torch.stack([found.draws[split].isnan() for split in splits]).any(dim=0)))
            if missing:
                say(
                    f"warning: {missing} of {samples * len(strengths)} draws for {network.path} have no error, so that "
                    "their means are missing (null) too: outputs are NaN there",
                    quiet=terminal.quiet,
                )
            details.append(detail | {"local_energy": energies})
    provenance = make_provenance(context, device=place, seed=compute.seed, networks=checkpoints, data=loaded)
    if result.plot is not None:
        from landscape_cli.figures.figures import plot_flatness

        plot_flatness(result.plot, rows, force=result.force)
    body = {"perturbed": list(weights), "samples": samples, "networks": details}
    emit(
        Result(body, rows, provenance), output=result.output, form=result.form, force=result.force, quiet=terminal.quiet
    )


def strengths_of(sigma: str | None) -> list[float]:
    """Return the strengths of noise that `--sigma` lists, or the default ones.

    Raises:
        BadParameter: if one is negative, infinite or no number.
    """
    found = numbers(SIGMA if sigma is None else sigma, "--sigma")
    if not all(0 <= strength < float("inf") for strength in found):
        raise typer.BadParameter(f"--sigma takes numbers that are not negative, not {sigma}")
    return found


def probabilities_of(flip: str | None) -> list[float]:
    """Return the probabilities that `--flip` lists, or the default ones.

    Raises:
        BadParameter: if one is none.
    """
    found = numbers(FLIP if flip is None else flip, "--flip")
    if not all(0 <= probability <= 1 for probability in found):
        raise typer.BadParameter(f"--flip takes probabilities from 0 to 1, as in {FLIP}, not {flip}")
    return found


def check_suits(path: str, binary: bool, *, sigma: str | None, flip: str | None, all_parameters: bool) -> None:
    """Refuse options for networks of the other kind.

    Raises:
        BadParameter: naming the option and what to do.
    """
    if binary and sigma is not None:
        raise typer.BadParameter(f"{path} is binary, which noise on its weights makes no sense for: use --flip {FLIP}")
    if binary and all_parameters:
        raise typer.BadParameter(f"{path} is binary, and its signs are all that is flipped: leave out --all-parameters")
    if not binary and flip is not None:
        raise typer.BadParameter(f"--flip is for binary networks, and {path} is not: use --sigma {SIGMA}")
