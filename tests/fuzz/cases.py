"""Cases drawn at random: the same for the same seed and number."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tests.fuzz.commands import NAMES, any_command, mutated, on_file
from tests.fuzz.mutations import mutated as mutated_content
from tests.fuzz.running import Case

STATES = (".resume", ".csv")
"""What is found by its name alone."""


def draw(corpus: Mapping[str, bytes], seed: int, number: int) -> Case:
    """Return a case: a file mutated, a command line mutated, a file with an odd name, or some of that."""
    random = Random(f"{seed}.{number}")
    if random.random() < 0.35:
        return Case({}, mutated(any_command(random), random))
    kinds = (".st", ".pt", ".safetensors", ".json", *STATES)
    names = sorted(name for name in corpus if name.endswith(kinds))
    name = random.choices(names, [1 if name.endswith((".pt", ".json", *STATES)) else 3 for name in names])[0]
    content = mutated_content(name, corpus[name], random)
    path = name
    if random.random() < 0.1 and not name.endswith(STATES):
        path = random.choice(NAMES)
        content = corpus[name] if random.random() < 0.5 else content
    arguments = on_file(name, path, random)
    return Case({path: content}, mutated(arguments, random) if random.random() < 0.1 else arguments)
