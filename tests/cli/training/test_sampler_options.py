"""What the command line makes of the samplers' declarations."""

from __future__ import annotations

import inspect

import pytest
import typer

from landscape_cli.choices import Algorithm
from landscape_cli.cli.training.sampler_options import SamplerOptions, summaries
from landscape_cli.errors import TrainingError
from landscape_cli.samplers import RSGD, SAM, SGD, EntropySGD
from landscape_cli.samplers.options import options_of


def given(**values: object) -> SamplerOptions:
    nothing = {parameter.name: parameter.default for parameter in SamplerOptions.options()}
    return SamplerOptions(nothing | values)


def test_every_declared_option_is_there_once() -> None:
    names = [parameter.name for parameter in SamplerOptions.options()]
    declared = {option.name for algo in Algorithm for option in options_of(algo.load())}
    assert len(names) == len(set(names))
    assert set(names) == declared
    own = [option.name for option in options_of(RSGD)]
    assert names[: len(own)] == own
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in SamplerOptions.options())
    assert all(f"{algo.value}: " in summaries() for algo in Algorithm)


def test_panels_and_defaults_are_those_of_the_samplers() -> None:
    infos = {parameter.name: parameter.annotation.__metadata__[0] for parameter in SamplerOptions.options()}
    assert infos["sam_rho"].rich_help_panel == "Sampler sam: sharpness-aware minimization"
    assert infos["sam_rho"].help.endswith("[default: 0.05; asam: 0.5]")
    assert infos["gamma_growth"].rich_help_panel.startswith("Sampler rsgd")
    assert infos["gamma_growth"].help.endswith("[default: 1e4; esgd: 10]")
    assert infos["esgd_steps"].rich_help_panel.endswith("also --gamma-init, --gamma-growth")


def test_what_is_not_given_is_the_samplers_own() -> None:
    for algo in Algorithm:
        assert given().sampler(algo) == algo.load()()
    assert given(sam_rho=0.2).sampler(Algorithm.SAM) == SAM(rho=0.2)
    assert given(gamma_init="auto", keep_replicas=True).sampler(Algorithm.RSGD) == RSGD(keep_replicas=True)
    assert given(gamma_init="0.5").sampler(Algorithm.RSGD) == RSGD(gamma_init=0.5)
    assert given(gamma_init="0.5", gamma_growth=2.0).sampler(Algorithm.ESGD) == EntropySGD(
        gamma_init=0.5, gamma_growth=2.0
    )
    assert given().sampler(Algorithm.SGD) == SGD()


@pytest.mark.parametrize(
    ("algo", "values", "words"),
    [
        (Algorithm.SGD, {"sam_rho": 0.0}, "--sam-rho is for --algo sam or asam, not sgd"),
        (Algorithm.SAM, {"gamma_growth": 1.0}, "--gamma-growth is for --algo rsgd or esgd, not sam"),
        (Algorithm.ESGD, {"keep_replicas": True}, "--keep-replicas is for --algo rsgd, not esgd"),
    ],
)
def test_options_of_other_samplers_are_refused(algo: Algorithm, values: dict[str, object], words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        given(**values).check_belong(algo)
    given().check_belong(algo)


def test_malformed_options_are_named() -> None:
    with pytest.raises(typer.BadParameter, match="--gamma-init takes a number or auto, not 'x'"):
        given(gamma_init="x").sampler(Algorithm.RSGD)
    assert given(gamma_init="auto").sampler(Algorithm.ESGD) == EntropySGD(gamma_init=None)
    with pytest.raises(TrainingError, match="at least 2 replicas"):
        given(replicas=1).sampler(Algorithm.RSGD)
