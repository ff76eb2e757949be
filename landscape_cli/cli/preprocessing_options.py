"""Options of how networks see inputs; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import Preprocess
from landscape_cli.cli.groups import Group
from landscape_cli.cli.parsing import numbers, ranges

if TYPE_CHECKING:
    from landscape_cli.data.preprocessing import Preprocessing

PreprocessName = Annotated[
    Preprocess | None,
    typer.Option(
        "--preprocess",
        help="How networks see inputs: standardize (less the training set's mean of each channel, by its deviation), "
        "columns (the same of each column of a table), none, unit (bytes to [0, 1]), imagenet, or channels, by --mean "
        "and --std.  [default: as each network records it]",
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        "--mean", help="What is subtracted from each channel, of bytes scaled to [0, 1] first: 0.49,0.48,0.45."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Tables: standardise these columns alone, numbered from 0, as in 0,2-4; others, such as categories, stay "
        "as they are.",
    ),
]
Deviation = Annotated[str | None, typer.Option("--std", help="What each channel is divided by then: 0.25,0.24,0.26.")]
Fold = Annotated[
    bool,
    typer.Option(
        "--fold-preprocessing",
        help="Let networks that see inputs differently meet: the difference goes into their first layers.",
    ),
]


@dataclass(frozen=True)
class PreprocessingOptions(Group):
    """How networks see inputs."""

    panel = "Data"

    preprocess: PreprocessName = None
    mean: Mean = None
    std: Deviation = None
    columns: Columns = None

    def chosen(self) -> Preprocessing | None:
        """Return how networks are to see inputs; None if the user does not say.

        Raises:
            BadParameter: if options contradict each other, or numbers are none.
        """
        if (self.mean is None) != (self.std is None):
            raise typer.BadParameter("--mean and --std go together: give both")
        if self.mean is not None and self.columns is not None:
            raise typer.BadParameter("--columns takes its numbers from the training set: leave out --mean and --std")
        if self.mean is not None and self.preprocess not in {None, Preprocess.CHANNELS}:
            raise typer.BadParameter(f"--mean and --std say how: leave out --preprocess {self.preprocess.value}")
        if self.columns is not None and self.preprocess not in {None, Preprocess.COLUMNS}:
            raise typer.BadParameter(f"--columns is for --preprocess columns, not {self.preprocess.value}")
        if self.preprocess is None and self.mean is None and self.columns is None:
            return None
        from landscape_cli.data.preprocessing import Preprocessing

        if self.columns is not None:
            return Preprocessing.columns(ranges(self.columns, "--columns"))
        if self.mean is None or self.std is None:
            assert self.preprocess is not None
            return Preprocessing(self.preprocess)
        return Preprocessing.channels(numbers(self.mean, "--mean"), numbers(self.std, "--std"))


@dataclass(frozen=True)
class MeetingOptions(PreprocessingOptions):
    """How networks see inputs, and what becomes of those that meet others."""

    fold_preprocessing: Fold = False
