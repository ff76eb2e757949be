"""The options of `align --method learned`, and which options are for which method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.alignment.learning import RATES, Learning
from landscape_cli.choices import Method, Relaxation
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_COUNT
from landscape_cli.cli.parsing import flag, given
from landscape_cli.cli.provenance import OF_LEARNING

if TYPE_CHECKING:
    from landscape_cli.alignment.learned import LearnedPath

USUAL = Learning()
ON_DATA = (Method.ACTIVATION, Method.LEARNED)
USED_BY: dict[str, tuple[Method, ...]] = {"orders": (Method.WEIGHT, Method.LEARNED, Method.CYCLE)}
OF_DATA = ("data", "data_dir", "image_size")
USED_BY |= dict.fromkeys(("samples", *OF_DATA), ON_DATA)
USED_BY |= dict.fromkeys(OF_LEARNING, (Method.LEARNED,))
"""The methods that each of these options is for."""


@dataclass(frozen=True)
class LearningOptions(Group):
    """How permutations are learned."""

    panel = "Learning (--method learned)"

    epochs: Annotated[int, typer.Option("--epochs", min=1, max=LARGEST_COUNT, help="Passes over the samples.")] = (
        USUAL.epochs
    )
    relaxation: Annotated[
        Relaxation,
        typer.Option(
            "--relaxation",
            help="What gradients pass through: sinkhorn, doubly stochastic matrices; straight-through, the match to "
            "latent weights.",
        ),
    ] = Relaxation.SINKHORN
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            help=f"Learning rate of Adam.  [default: {RATES[Relaxation.SINKHORN]:g}; straight-through: "
            f"{RATES[Relaxation.STRAIGHT_THROUGH]:g}]",
        ),
    ] = None
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Samples in a mini-batch.")] = USUAL.batch_size
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", help="Sinkhorn: what logits are divided by; the lower, the closer to permutations."
        ),
    ] = USUAL.temperature

    def learning(self) -> Learning:
        """Return how to learn.

        Raises:
            GeometryError: if that makes no sense.
        """
        learning = Learning(self.epochs, self.relaxation.value, self.learning_rate, self.batch_size, self.temperature)
        learning.check()
        return learning


def check_used(context: typer.Context, method: Method, *, also: Sequence[str] = ()) -> None:
    """Refuse options of other methods, but for those that are `also` used: one silently ignored misleads.

    Raises:
        BadParameter: naming it.
    """
    for name, used_by in USED_BY.items():
        if given(context, name) and method not in used_by and name not in also:
            methods = " or ".join(choice.value for choice in used_by)
            others = ", --bn recompute or --fold-preprocessing" if name in OF_DATA else ""
            raise typer.BadParameter(f"{flag(name)} is for --method {methods}{others}: leave it out")
    if given(context, "temperature") and context.params["relaxation"] != Relaxation.SINKHORN:
        raise typer.BadParameter("--temperature is for --relaxation sinkhorn: leave it out")


def learned_remark(name: str, learned: LearnedPath) -> str:
    """Return what is to be said of what was learned."""
    measured = f"{name}: mean loss between the networks {learned.loss_before:.4g} by weights"
    if not learned.kept:
        return f"{measured}, which none of {learned.epochs} epochs improved: that match is kept"
    return f"{measured}, {learned.loss:.4g} learned (after epoch {learned.kept} of {learned.epochs})"
