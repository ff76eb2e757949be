"""The random subspace that `landscape train` is confined to, if any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import Algorithm, Basis, Optimizer
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_SEED
from landscape_cli.cli.parsing import flag

if TYPE_CHECKING:
    from landscape_cli.cli.training.recipe_options import RecipeOptions
    from landscape_cli.samplers import Subspace


@dataclass(frozen=True)
class SubspaceOptions(Group):
    """A random affine subspace through the initial network."""

    panel = "Random subspace (--algo sgd)"

    subspace_dim: Annotated[
        int | None,
        typer.Option(
            "--subspace-dim",
            min=1,
            help="Train only so many coordinates of a random affine subspace through the initial network.",
            show_default=False,
        ),
    ] = None
    subspace_seed: Annotated[
        int | None,
        typer.Option("--subspace-seed", min=0, max=LARGEST_SEED, help="Seed of its basis.  [default: each run's own]"),
    ] = None
    subspace_basis: Annotated[
        Basis | None,
        typer.Option(
            "--subspace-basis",
            help="Each weight in one column, exactly orthogonal, or dense columns of normal numbers.  "
            "[default: disjoint]",
        ),
    ] = None

    @property
    def optimizer(self) -> Optimizer:
        """What trains where `--optimizer` is not given."""
        return Optimizer.SGD if self.subspace_dim is None else Optimizer.ADAM

    def check_belong(self, algo: Algorithm, recipe: RecipeOptions) -> None:
        """Refuse options that do not go together: an option silently ignored misleads.

        Raises:
            BadParameter: naming the first.
        """
        if self.subspace_dim is None:
            for name in ("subspace_seed", "subspace_basis"):
                if getattr(self, name) is not None:
                    raise typer.BadParameter(f"{flag(name)} goes with --subspace-dim")
        elif algo is not Algorithm.SGD:
            raise typer.BadParameter("--subspace-dim goes with --algo sgd")
        elif recipe.momentum is not None and recipe.optimizer is None:
            raise typer.BadParameter("--momentum is for --optimizer sgd: in a subspace adam is the default")

    def subspace(self) -> Subspace | None:
        """Return the subspace; None for the whole space."""
        from landscape_cli.samplers import Subspace

        if self.subspace_dim is None:
            return None
        return Subspace(self.subspace_dim, self.subspace_seed, self.subspace_basis or Basis.DISJOINT)
