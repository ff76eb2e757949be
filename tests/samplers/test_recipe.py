"""Recipes: schedules, defaults, and what is refused."""

from __future__ import annotations

import pytest

from landscape_cli.errors import TrainingError
from landscape_cli.samplers import Adversarial, Recipe


def test_schedule_ends_at_zero() -> None:
    recipe = Recipe(learning_rate=0.4)
    assert recipe.rate(0.0) == 0.4
    assert recipe.rate(0.5) == pytest.approx(0.2)
    assert recipe.rate(1.0) == pytest.approx(0.0)


def test_what_a_recipe_leaves_open() -> None:
    """The rates and momenta that the command line documents, for every kind of network and sampler."""
    plain, binary = Recipe().with_defaults(), Recipe().with_defaults(binary=True)
    assert (plain.learning_rate, plain.momentum) == (0.02, 0.9)
    assert (binary.learning_rate, binary.momentum) == (20.0, 0.9)
    adam = Recipe(optimizer="adam")
    assert adam.with_defaults().learning_rate == 0.001
    assert adam.with_defaults(binary=True).learning_rate == 0.05
    assert adam.with_defaults().momentum is None
    assert Recipe().with_defaults(momentum=Adversarial.momentum).momentum == 0.0
    given = Recipe(learning_rate=0.3, momentum=0.5, optimizer="sgd")
    assert given.with_defaults(binary=True) == given
    assert Recipe(learning_rate=0.3, momentum=0.5).with_defaults() == given
    confined = Recipe().with_defaults(subspace=True)
    assert (confined.optimizer, confined.learning_rate, confined.momentum) == ("adam", 0.1, None)
    assert Recipe(optimizer="sgd").with_defaults(subspace=True).learning_rate == 0.3
    with pytest.raises(TrainingError, match="adam has its own"):
        Recipe(momentum=0.5).with_defaults(subspace=True)
    assert Recipe().rate(0.0) == 0.02


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augment": "spin"}, "unknown augmentation 'spin': choose off, crop, flip, crop"),
        ({"augment": "flip+crop"}, "unknown augmentation"),
        ({"optimizer": "adagrad"}, "unknown optimiser 'adagrad': choose sgd, adam"),
        ({"schedule": "jump"}, "unknown schedule 'jump': choose cosine, constant, step"),
        ({"precision": "int4"}, "unknown precision 'int4': choose float32, tf32, bf16"),
        ({"optimizer": "adam", "momentum": 0.5}, "adam has its own"),
    ],
)
def test_unknown_choices_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        Recipe(**settings)
