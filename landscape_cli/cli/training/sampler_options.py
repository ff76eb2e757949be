"""From options of `landscape train` to a sampler: which belong to which algorithm, and what they default to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import Algorithm, Precision
from landscape_cli.cli.console import say
from landscape_cli.cli.options import flag, numbers
from landscape_cli.errors import TrainingError

if TYPE_CHECKING:
    import torch

    from landscape_cli.samplers import Recipe, Sampler

OWNERS: Mapping[str, tuple[str, ...]] = {
    "replicas": ("rsgd",),
    "gamma_init": ("rsgd", "esgd"),
    "gamma_growth": ("rsgd", "esgd"),
    "gamma_schedule": ("rsgd",),
    "keep_replicas": ("rsgd",),
    "adv_copies": ("adv",),
    "adv_zero_fraction": ("adv",),
    "adv_epochs": ("adv",),
    "adv_optimizer": ("adv",),
    "adv_lr": ("adv",),
    "adv_until_error": ("adv",),
    "sam_rho": ("sam",),
    "swa_start": ("swa",),
    "swa_lr": ("swa",),
    "esgd_steps": ("esgd",),
    "esgd_noise": ("esgd",),
}
LEARNING_RATES = {"sgd": 0.02, "adam": 0.001}
# A step has to take latent weights across zero: rates from 3 to 100 (adam: 0.03 to 0.3) measured alike.
BINARY_RATES = {"sgd": 20.0, "adam": 0.05}


def check_belongs(options: Mapping[str, Any], algo: Algorithm) -> None:
    """Refuse options of another algorithm, optimiser or schedule: an option silently ignored misleads.

    Raises:
        BadParameter: naming it.
    """
    for name, owners in OWNERS.items():
        if options[name] not in {None, False} and algo.value not in owners:
            raise typer.BadParameter(f"{flag(name)} is for --algo {' or '.join(owners)}, not {algo.value}")
    if options["momentum"] is not None and options["optimizer"].value == "adam":
        raise typer.BadParameter("--momentum is for --optimizer sgd: adam has its own")
    schedule = options["lr_schedule"].value
    for name in ("lr_milestones", "lr_decay"):
        if options[name] is not None and schedule != "step":
            raise typer.BadParameter(f"{flag(name)} is for --lr-schedule step, not {schedule}")
    if algo is Algorithm.SWA and schedule != "cosine":
        raise typer.BadParameter("--algo swa has a schedule of its own: leave out --lr-schedule")


def configure(options: Mapping[str, Any], algo: Algorithm, *, binary: bool = False) -> Sampler:
    """Return the sampler: checked before any data is read.

    Args:
        options: the command's.
        algo: the algorithm.
        binary: whether the model is a binary network, whose learning rates have other defaults.

    Raises:
        BadParameter: if an option is malformed.
        TrainingError: if a setting is impossible.
    """
    from landscape_cli import samplers

    recipe = _recipe(options, algo, binary)
    if algo is Algorithm.RSGD:
        return samplers.rsgd(
            recipe,
            samplers.Replication(
                **_given(options, replicas="replicas", growth="gamma_growth", schedule="gamma_schedule"),
                gamma=_gamma(options["gamma_init"]),
            ),
        )
    if algo is Algorithm.ADV:
        settings = samplers.Adversarial(**_given(options, copies="adv_copies", zero_fraction="adv_zero_fraction"))
        return samplers.adv(recipe, _with_first_phase(settings, options, recipe, binary))
    if algo is Algorithm.SAM:
        return samplers.sam(recipe, samplers.Sharpness(**_given(options, rho="sam_rho")))
    if algo is Algorithm.SWA:
        return samplers.swa(recipe, samplers.Averaging(**_given(options, start="swa_start", rate="swa_lr")))
    if algo is Algorithm.ESGD:
        if options["gamma_init"] == "auto":
            raise typer.BadParameter("--gamma-init takes a number for --algo esgd")
        gamma = _gamma(options["gamma_init"])
        own = _given(options, steps="esgd_steps", growth="gamma_growth", noise="esgd_noise")
        return samplers.esgd(recipe, samplers.LocalEntropy(**own | ({} if gamma is None else {"gamma": gamma})))
    return samplers.sgd(recipe)


def check_precision(precision: Precision, device: torch.device, *, quiet: bool) -> None:
    """Check that a device computes in this precision.

    Raises:
        TrainingError: if it does not.
    """
    import torch

    if precision is Precision.FLOAT32:
        return
    if device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise TrainingError(f"{device} does not compute in bf16: leave out --precision")
    elif "avx512_bf16" not in _cpu_flags():
        say("this CPU has no instructions for bf16: training is slower than in float32", quiet=quiet)


def _cpu_flags() -> str:
    from pathlib import Path

    try:
        return Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""


def _given(options: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Return the settings whose options were given: the others have their defaults in one place."""
    found = {setting: options[name] for setting, name in names.items() if options[name] is not None}
    return {setting: getattr(value, "value", value) for setting, value in found.items()}


def _recipe(options: Mapping[str, Any], algo: Algorithm, binary: bool) -> Recipe:
    from landscape_cli.samplers import Recipe

    until = options["until_error"]
    if until is not None and not 0 <= until <= 1:
        raise typer.BadParameter(f"--until-error takes a fraction from 0 to 1, not {until}")
    optimizer = options["optimizer"].value
    rate = options["lr"]
    steps = _given(options, milestones="lr_milestones", decay="lr_decay")
    if "milestones" in steps:
        steps["milestones"] = tuple(numbers(steps["milestones"], "--lr-milestones"))
    return Recipe(
        epochs=options["epochs"],
        learning_rate=(BINARY_RATES if binary else LEARNING_RATES)[optimizer] if rate is None else rate,
        batch_size=options["batch_size"],
        until_error=until,
        optimizer=optimizer,
        schedule=options["lr_schedule"].value,
        weight_decay=options["weight_decay"],
        clip_norm=options["clip_norm"],
        augment=frozenset(options["augment"].value.split("+")) - {"off"},
        precision=options["precision"].value,
        momentum=_momentum(options, algo),
        **steps,
    )


def _momentum(options: Mapping[str, Any], algo: Algorithm) -> float:
    if options["momentum"] is not None:
        return float(options["momentum"])
    return 0.0 if algo is Algorithm.ADV else 0.9


def _with_first_phase(settings: Any, options: Mapping[str, Any], recipe: Recipe, binary: bool) -> Any:
    """Return ADV's settings, its first phase on the same batches and in the same precision as the second."""
    from dataclasses import replace

    own = _given(
        options, epochs="adv_epochs", optimizer="adv_optimizer", learning_rate="adv_lr", until_error="adv_until_error"
    )
    rates = BINARY_RATES if binary else LEARNING_RATES
    if binary:
        own.setdefault("optimizer", "adam")  # by SGD binary networks hardly learn random labels
    own.setdefault("learning_rate", rates[own.get("optimizer", settings.recipe.optimizer)])
    first = replace(settings.recipe, batch_size=recipe.batch_size, precision=recipe.precision, **own)
    return replace(settings, recipe=first)


def _gamma(text: str | None) -> float | None:
    if text in {None, "auto"}:
        return None
    try:
        return float(str(text))
    except ValueError:
        raise typer.BadParameter(f"--gamma-init takes a number or auto, not {text!r}") from None
