"""`landscape flatness --kind radial`: the library's numbers, what is recorded, refusals, pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from landscape_cli import load_data, radial_profiles, read_checkpoint, write_checkpoint
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN, rows_of

RADIAL = ["flatness", "a.st", "--kind", "radial"]
SMALL = ["--samples", "3", "--angles", "20,90,170", "--growth", "0.02"]


@pytest.fixture
def files(made: Callable[..., Any]) -> tuple[str, str]:
    """Two networks of one model."""
    for seed, name in ((1, "a.st"), (2, "b.st")):
        made(*TRAIN, "--epochs", "40", "--seed", seed, "-o", name)
    return "a.st", "b.st"


def test_command_and_library_agree(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    to = "random,gradient,radial,b.st"
    options = [*SMALL, "--directions", to, "--factors", "0.5,2", "--seed", "7", "--test", "--loss", "--align", "weight"]
    result = json.loads(landscape(*RADIAL, *options).out)
    network, other = map(read_checkpoint, files)
    data = load_data(DataSpec.from_record(network.data), preprocessing=network.data)
    measured = radial_profiles(
        build_model(network.model, network.params),
        network.params,
        data,
        directions=("random", "gradient", "radial"),
        towards={"b.st": other.params},
        angles=(20.0, 90.0, 170.0),
        factors=(0.5, 2.0),
        samples=3,
        growth=0.02,
        align="weight",
        loss=True,
        seed=7,
    )
    assert result["kind"] == "radial"
    assert result["networks"] == [json.loads(json.dumps({"network": "a.st"} | measured.to_dict()))]
    directions = [profile["direction"] for profile in result["networks"][0]["profiles"]]
    assert directions == ["random", "-gradient", "+gradient", "radial", "b.st"]
    landscape(*RADIAL, *options, "-o", "a.csv")
    rows = rows_of(Path("a.csv").read_text())
    assert len(rows) == 3 + 3 + 3 + 2 + 3
    for row, expected in zip(rows, measured.rows(), strict=True):
        assert row["direction"] == expected["direction"]
        assert float(row["train_error"]) == expected["train_error"]
        assert ("width" in expected) == (row["width"] != "") or math.isnan(expected["width"])


def test_scales_and_order_of_units_change_nothing(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    """The network normalised, and the network aligned to another, by the command line itself."""
    landscape("normalize", "a.st", "-o", "n.st")
    landscape("align", "b.st", "a.st", "-o", "p.st")
    result = json.loads(landscape("flatness", "a.st", "n.st", "p.st", "--kind", "radial", *SMALL).out)
    first, *others = result["networks"]
    for network in others:
        assert network["width"]["angle"] == pytest.approx(first["width"]["angle"], rel=0.05)
        assert network["profiles"][0]["train"]["mean"] == pytest.approx(first["profiles"][0]["train"]["mean"], abs=0.02)
    energies = json.loads(landscape("flatness", "a.st", "p.st", "--samples", "3").out)["networks"]
    assert energies[0]["local_energy"] != energies[1]["local_energy"]


def test_what_is_recorded(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    def recorded(*options: str) -> dict[str, Any]:
        return json.loads(landscape(*RADIAL, *options).out)["provenance"]

    used = {"kind", "directions", "angles", "factors", "growth", "align", "samples", "all_parameters", "sigma", "bn"}
    for options, expected in (
        ([], {"kind", "directions", "angles", "growth", "samples", "bn"}),
        (["--directions", "radial"], {"kind", "directions", "factors", "bn"}),
        (["--directions", "gradient", "--angles", "3"], {"kind", "directions", "angles", "bn"}),
        (["--directions", "b.st"], {"kind", "directions", "angles", "align", "bn"}),
    ):
        provenance = recorded(*options, *(["--samples", "1"] if "samples" in expected else []))
        assert used & provenance["arguments"].keys() == expected
        assert ("b.st" in provenance["inputs"]) == ("align" in expected)
    arguments = recorded("--samples", "1")["arguments"]
    assert (arguments["kind"], arguments["directions"]) == ("radial", "random")
    assert (arguments["angles"], arguments["growth"]) == ("5,10,15,20,25,30,35,40,45,50,55,60", 0.1)
    energy = json.loads(landscape("flatness", "a.st", "--samples", "1").out)["provenance"]["arguments"]
    assert used & energy.keys() == {"sigma", "samples", "all_parameters", "bn"}


def test_tables_and_pictures(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    options = [*SMALL, "--directions", "random,radial", "--format", "table", "--plot", "a.svg"]
    done = landscape("flatness", *files, "--kind", "radial", *options)
    assert done.code == 0
    assert done.out.count("of 3") == 2
    assert "angular width" in done.out
    picture = Path("a.svg").read_text()
    for words in ("a (random)", "b (radial)", "angle of every unit (degrees)", "factor of all weights"):
        assert words in picture


def test_a_width_that_is_not_reached_is_said(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    done = landscape(*RADIAL, "--samples", "2", "--angles", "0.001,0.01", "--growth", "0.5")
    width = json.loads(done.out)["networks"][0]["width"]
    assert width == {"growth": 0.5, "angle": None, "standard_error": None, "reached": 0, "directions": 2}
    assert "a.st: the error does not grow by 0.5 up to 0.01 degrees in the mean (in 0 of 2 directions" in done.err
    assert "turn further with --angles, or lower --growth" in done.err
    assert landscape(*RADIAL, "--samples", "2", "--angles", "0.01", "--growth", "0.5", "--quiet").err == ""


def test_the_network_itself_is_in_no_direction(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    done = landscape(*RADIAL, "--directions", "a.st", "--angles", "3,5")
    assert "warning: no direction leads from a.st to a.st: that profile is missing (null)" in done.err
    assert json.loads(done.out)["networks"][0]["profiles"][0]["train"]["mean"] == [None, None]


def test_a_network_that_overflows_is_missing(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    """Finite numbers, whose products are too large for their type: as of other kinds, a warning and no numbers."""
    network = read_checkpoint("a.st")
    write_checkpoint("large.st", replace(network, params={key: 1e18 * t for key, t in network.params.items()}))
    done = landscape("flatness", "large.st", "--kind", "radial", "--directions", "random,gradient,b.st", *SMALL)
    assert done.code == 0
    assert "large.st: once it is normalised, weights are too large for the type of its numbers: what is" in done.err
    assert "of 9 networks on the random profile of large.st have no error (missing, null)" in done.err
    [measured] = json.loads(done.out)["networks"]
    assert measured["train_error"] is measured["width"]["angle"] is None
    assert {mean for profile in measured["profiles"] for mean in profile["train"]["mean"]} == {None}
    assert landscape(*RADIAL, "--directions", "large.st", "--angles", "10").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "radial", "--sigma", "0.1"], "--sigma goes with --kind energy"),
        (["--kind", "radial", "--flip", "0.1"], "--flip goes with --kind energy"),
        (["--kind", "radial", "--all-parameters"], "--all-parameters goes with --kind energy"),
        (["--angles", "5"], "--angles goes with --kind radial"),
        (["--growth", "0.1"], "--growth goes with --kind radial"),
        (["--directions", "random"], "--directions goes with --kind radial"),
        (["--loss"], "--loss goes with --kind radial"),
        (["--align", "cosine"], "--align goes with --kind radial"),
        (["--kind", "radial", "--factors", "2"], "--factors goes with --directions radial"),
        (["--kind", "radial", "--align", "cosine"], "--align goes with --directions FILE"),
        (["--kind", "radial", "--directions", "radial", "--angles", "5"], "--angles goes with --directions random,"),
        (["--kind", "radial", "--directions", "gradient", "--samples", "5"], "--samples goes with --directions random"),
        (["--kind", "radial", "--directions", "gradient", "--growth", "0.5"], "--growth goes with --directions random"),
        (["--kind", "radial", "--directions", "sideways"], "--directions takes random, gradient, radial or files of"),
        (["--kind", "radial", "--directions", "nothere.st"], "--directions names the file nothere.st, which does not"),
        (["--kind", "radial", "--directions", "there/not"], "--directions names the file there/not, which does not"),
        (["--kind", "radial", "--directions", ""], "--directions takes random, gradient, radial or files of networks"),
        (["--kind", "radial", "--directions", "random,random"], "--directions names random twice: once is enough"),
        (["--kind", "radial", "--angles", "20,10"], "--angles takes degrees that rise, from above 0 to at most 180"),
        (["--kind", "radial", "--angles", "nan"], "--angles takes degrees that rise, from above 0 to at most 180"),
        (["--kind", "radial", "--angles", "0,5"], "--angles takes degrees that rise, from above 0 to at most 180"),
        (["--kind", "radial", "--angles", "5,200"], "--angles takes degrees that rise, from above 0 to at most 180"),
        (["--kind", "radial", "--angles", "few"], "--angles takes numbers separated by commas, not 'few'"),
        (["--kind", "radial", "--directions", "radial", "--factors", "0"], "--factors takes positive numbers, not 0"),
        (["--kind", "radial", "--growth", "nan"], "--growth must be a finite number, and is nan"),
        (["--kind", "radial", "--growth", "1.5"], "--growth takes a fraction of samples, above 0 and at most 1"),
        (["--kind", "radial", "--samples", "0"], "--samples"),
        (["--kind", "flat"], "Invalid value for '--kind': 'flat' is not one of 'energy'"),
    ],
)
def test_refusals(landscape: Callable[..., Any], arguments: list[str], message: str) -> None:
    """Before any file is read: there is none."""
    done = landscape("flatness", "a.st", *arguments)
    done.check_refused(message, " ".join(arguments))


def test_binary_networks_and_other_models_are_refused(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    assert landscape(*BINARY, "--hidden", "15,12", "-o", "c.st").code == 0
    done = landscape("flatness", "c.st", "--kind", "radial")
    done.check_refused("c.st is binary, and signs do not turn: measure it with --kind energy, as --flip says", "binary")
    landscape(*RADIAL, "--directions", "c.st").check_refused("c.st is binary", "towards a binary one")
