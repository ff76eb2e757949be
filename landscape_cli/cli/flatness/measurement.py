"""What a kind of flatness is to the command that measures it; nothing here imports torch.

`choices.FlatnessKind` registers the kinds. The command reads networks and data, and hands them to the chosen one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from landscape_cli.choices import FlatnessKind, Statistics
from landscape_cli.cli.parsing import flag, given

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.cli.flatness.curvature_options import CurvatureOptions
    from landscape_cli.cli.flatness.energy_options import StrengthOptions
    from landscape_cli.cli.flatness.radial_options import RadialOptions
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.reports.flatness import FlatnessFrame
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.sharing.share import Share, Values
    from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class FlatnessOptions:
    """All options of the command that belong to some of the kinds: those of one kind, then those of several.

    The context tells which of them were given.
    """

    context: typer.Context
    strengths: StrengthOptions
    curvature: CurvatureOptions
    all_parameters: bool
    radial: RadialOptions
    samples: int
    test: bool
    bn: Statistics


@dataclass(frozen=True)
class Measurand:
    """What is measured: networks of one model, on data.

    Attributes:
        networks: as read.
        further: networks of the files that the kind's options name.
        model: their architecture.
        symmetry: of the model; None where the kind needs none.
        data: the data.
        common: lets networks meet that see inputs differently.
        device: where to compute.
        arithmetic: in which numbers networks are evaluated.
        seed: of everything random.
        quiet: whether no progress is to be shown.
    """

    networks: Sequence[Checkpoint]
    further: Sequence[Checkpoint]
    model: nn.Module
    symmetry: Symmetry | None
    data: DataSet
    common: CommonInputs
    device: torch.device
    arithmetic: Arithmetic
    seed: int
    quiet: bool


class FlatnessMeasurement(ABC):
    """One kind of flatness, as the command's options say to measure it.

    Attributes:
        takes: the names of those options that it takes, of all that do not belong to every kind.
        files: further networks to read, of the model of those that are measured.
        needs_symmetry: whether these networks' symmetry is needed, once `choose` has seen them.
    """

    takes: ClassVar[tuple[str, ...]]
    files: tuple[Path, ...] = ()
    needs_symmetry: bool = False

    @abstractmethod
    def __init__(self, options: FlatnessOptions) -> None:
        """Parse and check what the options say, before any file is read.

        Raises:
            BadParameter: if one makes no sense.
        """

    @abstractmethod
    def choose(self, networks: Sequence[Checkpoint], model: nn.Module) -> dict[str, Any]:
        """Settle what depends on the networks, and return options that were left to that, for the provenance.

        Raises:
            BadParameter: if options do not go with the networks.
        """

    def prepare(self, model: nn.Module, symmetry: Symmetry | None) -> None:  # noqa: B027 - most have nothing to do
        """Settle what depends on the symmetry, before data are loaded."""

    @abstractmethod
    def measure(self, measurand: Measurand, share: Share) -> tuple[FlatnessFrame, Values]:
        """Measure every network, as far as that falls to a share; return what of, and what was measured."""


def start_measurement(context: typer.Context, kind: FlatnessKind, options: FlatnessOptions) -> FlatnessMeasurement:
    """Return the measurement of a kind, having refused options of others; those leave the record of options.

    Raises:
        BadParameter: naming an option of another kind, or one that makes no sense.
    """
    kinds = {each: each.load() for each in FlatnessKind}
    _check_belong(context, kind, {each: loaded.takes for each, loaded in kinds.items()})
    measurement: FlatnessMeasurement = kinds[kind](options)
    return measurement


def _check_belong(context: typer.Context, kind: FlatnessKind, taken_by: Mapping[FlatnessKind, tuple[str, ...]]) -> None:
    for name in dict.fromkeys(name for names in taken_by.values() for name in names):
        if name in taken_by[kind]:
            continue
        if given(context, name):
            kinds = " or ".join(each.value for each, names in taken_by.items() if name in names)
            raise typer.BadParameter(f"{flag(name)} goes with --kind {kinds}")
        context.params.pop(name, None)
    if kind is next(iter(FlatnessKind)):  # a result of it is recorded as it was before there were kinds
        context.params.pop("kind", None)
