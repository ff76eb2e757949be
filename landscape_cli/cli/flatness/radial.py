"""`flatness --kind radial`: how the error grows as all units turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import Direction, Method
from landscape_cli.cli.console import progress
from landscape_cli.cli.flatness.measurement import FlatnessMeasurement, FlatnessOptions, Measurand
from landscape_cli.cli.flatness.radial_options import RadialOptions
from landscape_cli.cli.parsing import flag, given, numbers
from landscape_cli.cli.usage import errors_of_usage

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.cli.reports.flatness import Profiles
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.sharing.share import Share, Values

NAMES = tuple(direction.value for direction in Direction)


class RadialMeasurement(FlatnessMeasurement):
    """Profiles of the error away from networks, and their angular width."""

    takes = (*(field.name for field in fields(RadialOptions)), "samples", "test", "bn")
    needs_symmetry = True

    def __init__(self, options: FlatnessOptions) -> None:
        """Parse directions, angles and factors.

        Raises:
            BadParameter: if one makes no sense, or is for directions that are not asked for.
        """
        from landscape_cli.measures.radial_settings import RadialSettings

        self._options, radial = options, options.radial
        named = [
            part.strip()
            for part in (Direction.RANDOM.value if radial.directions is None else radial.directions).split(",")
        ]
        for name in named:
            if name not in NAMES and not Path(name).is_file():
                if Path(name).suffix or len(Path(name).parts) > 1:
                    raise typer.BadParameter(f"--directions names the file {name}, which does not exist")
                raise typer.BadParameter(
                    f"--directions takes {', '.join(NAMES)} or files of networks, separated by commas, and {name!r} is "
                    "none of them"
                )
            if named.count(name) > 1:
                raise typer.BadParameter(f"--directions names {name} twice: once is enough")
        self.files = tuple(Path(name) for name in named if name not in NAMES)
        self._drop_unused(named)
        settings = RadialSettings(
            directions=[name for name in named if name in NAMES],
            samples=options.samples,
            align=(radial.align or Method.COSINE).value,
        )
        if radial.angles is not None:
            settings = replace(settings, angles=tuple(numbers(radial.angles, "--angles")))
        if radial.factors is not None:
            settings = replace(settings, factors=tuple(numbers(radial.factors, "--factors")))
        self._settings = settings if radial.growth is None else replace(settings, growth=radial.growth)
        with errors_of_usage():
            self._settings.check()

    def choose(self, networks: Sequence[Checkpoint], model: nn.Module) -> dict[str, Any]:
        """Refuse binary networks, and return what was left to be chosen.

        Raises:
            BadParameter: if networks are binary.
        """
        from landscape_cli.binary.layers import latent_names
        from landscape_cli.measures.perturbation import listed_numbers

        if latent_names(model):
            raise typer.BadParameter(
                f"{networks[0].path} is binary, and signs do not turn: measure it with --kind energy, as --flip says"
            )
        settings = self._settings
        values = {
            "directions": ",".join([*settings.directions, *map(str, self.files)]),
            "angles": listed_numbers(settings.angles),
            "factors": listed_numbers(settings.factors),
            "growth": settings.growth,
            "align": settings.align,
        }
        return {name: value for name, value in values.items() if name in self._options.context.params}

    def measure(self, measurand: Measurand, share: Share) -> tuple[Profiles, Values]:
        """Measure the profiles of every network."""
        from landscape_cli.cli.reports.flatness import Profiles
        from landscape_cli.io.records import to_record
        from landscape_cli.measures.items import compared
        from landscape_cli.measures.radial_evaluator import RadialEvaluator

        networks, data = measurand.networks, measurand.data
        evaluator_of = data.by_network(
            lambda seen: RadialEvaluator(
                measurand.model,
                {"train": seen.train} | ({"test": seen.test} if self._options.test else {}),
                like=networks[0].params,
                symmetry=measurand.symmetry,
                settings=self._settings,
                loss=self._options.radial.loss,
                bn=self._options.bn,
                seed=measurand.seed,
                device=measurand.device,
                precision=measurand.arithmetic,
            )
        )
        evaluator = evaluator_of(networks[0])
        measurand.common.check([network, *measurand.further] for network in networks)
        frame = Profiles(tuple(network.path for network in networks))
        wanted = share.wanted(frame.groups)
        total = len(wanted) * evaluator.samples(len(measurand.further))
        count = len(wanted) * evaluator.networks(len(measurand.further))

        def measured(advance: Callable[[int], None] | None) -> Iterator[Values]:
            for key in wanted:
                network, *further = measurand.common.of([networks[int(key)], *measurand.further])
                targets = {target.path: target.params for target in further}
                evaluator = evaluator_of(network)
                profiles = evaluator.measure(network.params, targets, name=network.path, advance=advance)
                yield {key: to_record(profiles)} | compared(key, measurand.arithmetic)

        with progress("flatness", total, "samples", quiet=measurand.quiet, networks=count) as advance:
            return frame, share.collect(measured(advance))

    def _drop_unused(self, named: Sequence[str]) -> None:
        """Refuse options of directions that are not asked for, and leave their defaults out of the record.

        Raises:
            BadParameter: naming the first.
        """
        context = self._options.context
        random = Direction.RANDOM.value in named
        for name, used, wanted in (
            ("angles", set(named) != {Direction.RADIAL.value}, "random, gradient or FILE"),
            ("factors", Direction.RADIAL.value in named, "radial"),
            ("growth", random, "random"),
            ("samples", random, "random"),
            ("align", bool(self.files), "FILE"),
        ):
            if not used and given(context, name):
                raise typer.BadParameter(f"{flag(name)} goes with --directions {wanted}")
            if not used:
                context.params.pop(name, None)
