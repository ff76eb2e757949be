"""Finding 8: hyperparameters and the angular width (docs/method.md: Angular width, Curvature)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from study.claims import Finding, spread
from study.page import table
from study.verdicts import Comparison, Values, smaller

from wedges.readings import Body, asked_for, column_of, networks_in

BASE = "base"
CHAINS = {
    "8a": ("learning rate", "[paper]", ("lr_low", BASE, "lr_high")),
    "8b": ("width of the layers", "[paper]", ("narrow", BASE, "wide")),
    "8c": ("L2 penalty", "[paper]", (BASE, "decay_some", "decay_more")),
    "8d": ("smaller batches", "[the workshop version's]", ("batch_large", BASE, "batch_small")),
    "8e": ("dropout", "[the workshop version's]", (BASE, "dropout")),
}
"""Of each hyperparameter: its name, whose claim it is, and the networks in the order in which widths should grow."""
OPTIONS = ("hidden", "filters", "width", "lr", "weight_decay", "batch_size", "dropout")
TURNED = (10.0, 20.0, 30.0)
"""Angles, in degrees, at which random directions are compared with the gradient's."""


@dataclass(frozen=True)
class Arm:
    """Networks with one choice of hyperparameters.

    Attributes:
        options: what they were trained with, in words.
        errors: by split, of each.
        angles: angular width of each, in degrees.
        censored: those whose error did not grow by so much at any angle: the largest counts as their width.
        profiles: by kind of direction and by angle, the training error of each.
        sharpness: largest eigenvalue of the Hessian of each.
        traces: trace of its relative form.
    """

    options: str
    errors: dict[str, Values]
    angles: Values
    censored: list[str]
    profiles: dict[str, dict[float, Values]]
    sharpness: Values
    traces: Values


def read_arms(folder: Path) -> dict[str, Arm]:
    """Return the networks of each choice of hyperparameters that was measured, by its name."""
    return {file.stem.removesuffix("-radial"): read_arm(folder, file) for file in sorted(folder.glob("*-radial.json"))}


def read_arm(folder: Path, file: Path) -> Arm:
    """Return the networks that a file with profiles is about."""
    name = file.stem.removesuffix("-radial")
    radial = networks_in(file)
    trained = networks_in(folder / f"{name}.json")
    profiles = profiles_of(radial)
    euclidean, relative = (networks_in(folder / f"{name}-{metric}.json") for metric in ("euclidean", "relative"))
    widths = {key: network["width"]["angle"] for key, network in radial.items()}
    largest = max(profiles["random"])
    return Arm(
        options=asked_for(folder / f"{name}.json", OPTIONS),
        errors={split: column_of(trained, f"{split}_error") for split in ("train", "test")},
        angles={key: largest if angle is None else angle for key, angle in widths.items()},
        censored=[key[0] for key, angle in widths.items() if angle is None],
        profiles=profiles,
        sharpness={key: network["eigenvalues"][0] for key, network in euclidean.items()},
        traces={key: network["trace"]["mean"] for key, network in relative.items()},
    )


def profiles_of(networks: dict[tuple[str], Body]) -> dict[str, dict[float, Values]]:
    """Return the training error at each angle, by kind of direction: along the gradient, the mean over both ways."""
    errors: dict[str, dict[float, dict[tuple[str, ...], list[float]]]] = {}
    for key, network in networks.items():
        for profile in network["profiles"]:
            kind = errors.setdefault(profile["direction"].lstrip("+-"), {})
            for angle, error in zip(profile["angles"], profile["train"]["mean"], strict=True):
                kind.setdefault(float(angle), {}).setdefault(key, []).append(error)
    return {
        kind: {angle: {key: fmean(both) for key, both in own.items()} for angle, own in by_angle.items()}
        for kind, by_angle in errors.items()
    }


def widen(arms: dict[str, Arm]) -> list[Finding]:
    """Return finding 8, a part for each hyperparameter that was varied; and what is shown beside it."""
    findings = []
    for label, (name, source, chain) in CHAINS.items():
        if any(arm not in arms for arm in chain):
            continue
        numbers = [f"{arms[arm].options}: φ = {spread(arms[arm].angles, 2)}" for arm in chain]
        comparisons = [
            smaller(f"angular width: {low} < {high}", arms[low].angles, arms[high].angles)
            for low, high in itertools.pairwise(chain)
        ]
        findings.append(Finding(label, f"the angular width grows with {name} {source}", numbers, comparisons))
    return findings


def turning_costs_less(arms: dict[str, Arm]) -> tuple[list[str], list[Comparison]]:
    """Compare the error once every unit is turned at random, and along the gradient: a part of finding 12."""
    numbers, comparisons = [], []
    profiles = arms[BASE].profiles
    for angle in TURNED:
        random, gradient = (profiles[kind][angle] for kind in ("random", "gradient"))
        numbers.append(f"turned by {angle:g}°: random {spread(random)}, gradient {spread(gradient)}")
        comparisons.append(smaller(f"training error, turned by {angle:g}°: random < gradient", random, gradient))
    return numbers, comparisons


def hyperparameters(arms: dict[str, Arm]) -> str:
    """Return the table of widths, with the curvature beside them."""
    rows = [
        [
            name,
            arm.options,
            str(len(arm.angles)),
            spread(arm.errors["train"]),
            spread(arm.errors["test"]),
            spread(arm.angles, 2),
            spread(arm.sharpness, 1),
            spread(arm.traces, 3),
        ]
        for name, arm in arms.items()
    ]
    head = ["networks", "trained with", "seeds", "train error", "test error", "φ, degrees", "λ_max(H)", "tr(DHD)"]
    return table("### Angular width, and curvature beside it", head, rows)
