"""How long, how fast and by which optimiser `landscape train` trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Algorithm, Augment, Optimizer, Precision, Schedule
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_STACK
from landscape_cli.cli.parsing import flag, given, numbers

if TYPE_CHECKING:
    from landscape_cli.samplers import Recipe


@dataclass(frozen=True)
class RecipeOptions(Group):
    """The recipe, and how many runs follow it."""

    panel = "Optimization"

    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training set.")] = 100
    runs: Annotated[
        int,
        typer.Option(
            "--runs",
            min=1,
            max=LARGEST_STACK,
            help="Independent networks trained as one, of seeds --seed and following.",
        ),
    ] = 1
    optimizer: Annotated[
        Optimizer | None, typer.Option("--optimizer", help="sgd or adam.  [default: sgd; --subspace-dim: adam]")
    ] = None
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            help="Learning rate at the start.  [default: 0.02, adam 0.001; binary: 20, adam 0.05; esgd 0.1; "
            "--subspace-dim: adam 0.1, sgd 0.3]",
        ),
    ] = None
    lr_schedule: Annotated[
        Schedule, typer.Option("--lr-schedule", help="How it falls: by a cosine to zero, not at all, or in steps.")
    ] = Schedule.COSINE
    lr_milestones: Annotated[
        str | None,
        typer.Option("--lr-milestones", help="step: after which fractions of the epochs.  [default: 0.5,0.75]"),
    ] = None
    lr_decay: Annotated[float | None, typer.Option("--lr-decay", help="step: factor at each.  [default: 0.1]")] = None
    momentum: Annotated[
        float | None, typer.Option("--momentum", help="sgd: Nesterov momentum.  [default: 0.9; adv: 0]")
    ] = None
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="L2 penalty in the gradient.")] = 0.0
    clip_norm: Annotated[
        float | None, typer.Option("--clip-norm", help="Cut longer gradients to this norm.  [default: off]")
    ] = None
    augment: Annotated[
        Augment, typer.Option("--augment", help="Change images at random: shifts by up to 4 pixels, mirror images.")
    ] = Augment.OFF
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of the forward and backward pass; weights stay in float32.")
    ] = Precision.FLOAT32
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Samples in a mini-batch.")] = 128
    until_error: Annotated[
        float | None, typer.Option("--until-error", help="Stop once the training error is this low.")
    ] = None

    def check_belong(self, context: typer.Context, algo: Algorithm) -> None:
        """Refuse options of another optimizer, schedule or sampler: an option silently ignored misleads.

        Raises:
            BadParameter: naming it.
        """
        if self.momentum is not None and self.optimizer is Optimizer.ADAM:
            raise typer.BadParameter("--momentum is for --optimizer sgd: adam has its own")
        for name, value in (("lr_milestones", self.lr_milestones), ("lr_decay", self.lr_decay)):
            if value is not None and self.lr_schedule is not Schedule.STEP:
                raise typer.BadParameter(f"{flag(name)} is for --lr-schedule step, not {self.lr_schedule.value}")
        if algo.load().own_schedule and given(context, "lr_schedule"):
            raise typer.BadParameter(f"--algo {algo.value} has a schedule of its own: leave out --lr-schedule")

    def recipe(self, optimizer: Optimizer) -> Recipe:
        """Return the recipe; it leaves open what was not given, as that depends on the sampler and the model.

        Args:
            optimizer: where none was given.

        Raises:
            BadParameter: if an option is malformed.
            TrainingError: if a setting is impossible.
        """
        from landscape_cli.samplers import Recipe

        until = self.until_error
        if until is not None and not 0 <= until <= 1:
            raise typer.BadParameter(f"--until-error takes a fraction from 0 to 1, not {until}")
        steps: dict[str, Any] = {} if self.lr_decay is None else {"decay": self.lr_decay}
        if self.lr_milestones is not None:
            steps["milestones"] = tuple(numbers(self.lr_milestones, "--lr-milestones"))
        return Recipe(
            self.epochs,
            self.lr,
            self.momentum,
            self.batch_size,
            until,
            optimizer=self.optimizer or optimizer,
            schedule=self.lr_schedule,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            augment=self.augment,
            precision=self.precision,
            **steps,
        )
