"""`--precision` of the commands that evaluate networks: what it changes is told and recorded, and only then."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conftest import Outcome

TRAIN = "train --model mlp --hidden 9 --data hmm --hmm-latent 5 --hmm-dim 11 --hmm-patterns 60 --hmm-test 40 --epochs 1"
SAMPLE = 60 + 40
COMMANDS = {
    "path 1.st 2.st --points 3": 1,
    "path 1.st 2.st 3.st --kind connector --epochs 1 --points 2 --lr 0.01": 0,
    "plane 1.st 2.st 3.st --grid 2": 2,
    "flatness 1.st --samples 1 --test": 1,
    "flatness 1.st --kind radial --samples 1 --test": 0,
    "distance 1.st 2.st": 2,
}
"""Commands, and of how many networks decisions are compared, where that is plain to see."""


def test_what_changes_is_told_and_recorded(made: Callable[..., None], landscape: Callable[..., Outcome]) -> None:
    for seed in (1, 2, 3):
        made(*TRAIN.split(), "--seed", seed, "--device", "cpu", "-o", f"{seed}.st")
    for command, networks in COMMANDS.items():
        done = landscape(*command.split(), "--device", "cpu", "--precision", "bf16")
        assert done.code == 0, (command, done.err)
        provenance = json.loads(done.out)["provenance"]
        counted = provenance["changed_decisions"]
        assert provenance["arguments"]["precision"] == "bf16"
        assert counted["compared"] == networks * SAMPLE or not networks
        told = (
            f"in bf16, {counted['changed']} of {counted['compared']:,} decisions on a sample are others than in float32"
        )
        assert told in done.err
    done = landscape("path", "1.st", "2.st", "--points", 3, "--device", "cpu")
    assert not {"precision", "changed_decisions"} & {
        *json.loads(done.out)["provenance"]["arguments"],
        *json.loads(done.out)["provenance"],
    }
    assert "decisions on a sample" not in done.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("distance 1.st 1.st --no-functions --precision bf16", "--precision is for predictions"),
        ("flatness 1.st --kind curvature --precision tf32", "--precision is for errors"),
        ("plane 1.st --third random --precision float16", "'float16' is not one of"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(
    command: str, words: str, made: Callable[..., None], landscape: Callable[..., Outcome]
) -> None:
    made(*TRAIN.split(), "--seed", 1, "--device", "cpu", "-o", "1.st")
    landscape(*command.split()).check_refused(words, command)


def test_binary_networks_are_refused(made: Callable[..., None], landscape: Callable[..., Outcome]) -> None:
    made(*TRAIN.replace("mlp", "binary-mlp").split(), "--seed", 1, "--device", "cpu", "-o", "b.st")
    done = landscape("flatness", "b.st", "--precision", "bf16", "-q")
    done.check_refused("--precision bf16 is not for binary networks", "binary")
