"""What `landscape flatness` writes, of each of its kinds: the result, a table, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import emit
from landscape_cli.cli.drawing import drawn_last
from landscape_cli.cli.options import PictureOptions
from landscape_cli.cli.reports.energy import show_energy
from landscape_cli.cli.reports.radial import show_profiles
from landscape_cli.io.records import from_record
from landscape_cli.io.results import Result
from landscape_cli.measures.curvature_result import Curvature
from landscape_cli.measures.local_energy import EnergyFrame
from landscape_cli.measures.radial_profiles import RadialProfiles
from landscape_cli.sharing.share import Values

if TYPE_CHECKING:
    from collections.abc import Callable

    from landscape_cli.measures.local_energy import LocalEnergy


@dataclass(frozen=True)
class Energies:
    """Local energies of networks, but for what is measured: every draw.

    Attributes:
        networks: their files.
        perturbed: the names of the tensors that are perturbed.
        energy: what there is to measure of each.
        families: the files of each, if they were named by patterns.
    """

    networks: tuple[str, ...]
    perturbed: tuple[str, ...]
    energy: EnergyFrame
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def items(self) -> int:
        """How many networks are evaluated in all."""
        return len(self.networks) * (1 + self.energy.samples * len(self.energy.strengths))

    @property
    def groups(self) -> list[list[str]]:
        """Their keys: a group a network."""
        return [self.energy.group(f"{k}/") for k in range(len(self.networks))]

    def energies(self, values: Values) -> list[tuple[str, LocalEnergy]]:
        """Return the local energies, each after the network's file."""
        return [(path, self.energy.energy(values, f"{k}/")) for k, path in enumerate(self.networks)]

    def parts(self, values: Values) -> _Parts:
        """Return what is written."""
        energies = self.energies(values)
        rows = [{"network": path} | row for path, energy in energies for row in energy.rows()]
        details = [{"network": path} | energy.to_dict() for path, energy in energies]
        body = {"perturbed": list(self.perturbed), "samples": self.energy.samples, "networks": details}
        return _Parts(body, rows, show_energy)


@dataclass(frozen=True)
class Profiles:
    """Radial profiles of networks, each measured as a whole.

    Attributes:
        networks: their files.
        families: the files of each, if they were named by patterns.
    """

    networks: tuple[str, ...]
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self.networks)

    @property
    def groups(self) -> list[list[str]]:
        """The networks' keys."""
        return [[str(k)] for k in range(len(self.networks))]

    def parts(self, values: Values) -> _Parts:
        """Return what is written."""
        profiles = [
            (path, from_record(RadialProfiles, values[str(k)], f"the profiles of {path}"))
            for k, path in enumerate(self.networks)
        ]
        rows = [{"network": path} | row for path, each in profiles for row in each.rows()]
        details = [{"network": path} | each.to_dict() for path, each in profiles]
        body = {"kind": "radial", "networks": details}
        return _Parts(body, rows, partial(show_profiles, networks=details))


@dataclass(frozen=True)
class Curvatures:
    """Curvatures of networks, each measured as a whole.

    Attributes:
        networks: their files.
        parameters: the names of the tensors that are differentiated by.
        samples: how many the loss is a mean of.
        families: the files of each, if they were named by patterns.
    """

    networks: tuple[str, ...]
    parameters: tuple[str, ...]
    samples: int
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self.networks)

    @property
    def groups(self) -> list[list[str]]:
        """The networks' keys."""
        return [[str(k)] for k in range(len(self.networks))]

    def curvatures(self, values: Values) -> dict[str, Curvature]:
        """Return the curvatures by the networks' files."""
        return {
            path: from_record(Curvature, values[str(k)], f"the curvature of {path}")
            for k, path in enumerate(self.networks)
        }

    def parts(self, values: Values) -> _Parts:
        """Return what is written."""
        curvatures = self.curvatures(values)
        rows = [{"network": path} | row for path, each in curvatures.items() for row in each.rows()]
        details = [{"network": path} | each.to_dict() for path, each in curvatures.items()]
        body = {"parameters": list(self.parameters), "samples": self.samples, "networks": details}
        return _Parts(body, rows)


FlatnessFrame = Energies | Profiles | Curvatures


@dataclass(frozen=True)
class _Parts:
    """What is written of a kind: body and rows of the result, and what prints it if not as its rows."""

    body: Mapping[str, Any]
    rows: list[dict[str, Any]]
    show: Callable[[Result], None] | None = None


def write_flatness(
    frame: FlatnessFrame, values: Values, provenance: Mapping[str, Any], result: PictureOptions, *, quiet: bool
) -> None:
    """Write what was measured of networks, and draw it if that is asked for.

    Raises:
        ResultError: if it cannot be written, or a value is none of the kind's.
    """
    parts = frame.parts(values)
    families = {"families": frame.families} if frame.families else {}
    written = Result({**parts.body, **families}, parts.rows, provenance)
    with drawn_last(result.plot, written, force=result.force, quiet=quiet):
        emit(written, result, quiet=quiet, show=parts.show)
