"""What all samplers have in common: settings that are checked, and options that are declared."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from landscape_cli.choices import Algorithm
from landscape_cli.errors import TrainingError
from landscape_cli.samplers import ASAM, FGE, RSGD, SAM, SWA, Adversarial, EntropySGD, Recipe, Sampler, SnapshotEnsemble
from landscape_cli.samplers.options import options_of


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recipe(epochs=0),
        lambda: Recipe(batch_size=0),
        lambda: Recipe(learning_rate=-1.0),
        lambda: Recipe(learning_rate=math.nan),
        lambda: Recipe(momentum=1.0),
        lambda: RSGD(replicas=1),
        lambda: RSGD(gamma_init=-1.0),
        lambda: RSGD(gamma_growth=0.0),
        lambda: RSGD(gamma_schedule="jump"),
        lambda: Recipe(optimizer="adagrad"),
        lambda: Recipe(schedule="jump"),
        lambda: Recipe(precision="int4"),
        lambda: Recipe(milestones=(1.5,)),
        lambda: Recipe(decay=0.0),
        lambda: Recipe(weight_decay=-1.0),
        lambda: Recipe(clip_norm=0.0),
        lambda: SAM(-1.0),
        lambda: ASAM(eta=-1.0),
        lambda: Adversarial(zeroed="half"),
        lambda: EntropySGD(inner_rate=0.0),
        lambda: RSGD(gamma_every="day"),
        lambda: RSGD(replica_batch_size=0),
        lambda: SWA(start=1.0),
        lambda: SWA(rate=0.0),
        lambda: EntropySGD(steps=0),
        lambda: EntropySGD(memory=1.0),
        lambda: EntropySGD(gamma_growth=math.inf),
        lambda: SnapshotEnsemble(cycles=0),
        lambda: FGE(start=1.0),
        lambda: FGE(start=math.nan),
        lambda: FGE(cycle_epochs=3),
        lambda: FGE(cycle_epochs=0),
        lambda: FGE(lr_min=-0.1),
        lambda: FGE(lr_min=math.inf),
        lambda: Adversarial(copies=0),
        lambda: Adversarial(zero_fraction=1.5),
    ],
)
def test_impossible_settings(make) -> None:
    with pytest.raises(TrainingError):
        make()


def test_samplers_are_read_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from landscape_cli.choices import Algorithm\n"
        "from landscape_cli.samplers.options import options_of\n"
        "print([len(options_of(algo.load())) for algo in Algorithm])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{[len(options_of(algo.load())) for algo in Algorithm]}\n"


@pytest.mark.parametrize("algo", list(Algorithm))
def test_every_sampler_declares_itself(algo: Algorithm) -> None:
    kind = algo.load()
    assert issubclass(kind, Sampler)
    assert kind.summary != Sampler.summary
    assert kind.__doc__
    for option in options_of(kind):
        assert option.help.endswith((".", "..."))
        assert getattr(kind(), option.setting) == option.default
