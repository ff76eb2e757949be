"""The paper's study: its verdicts and its page on made-up results, and its scripts without running them."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from study.age import age
from study.claims import Finding
from study.effects import difference, largest, log_ratio
from study.page import page, whole
from study.readings import PAIRS, Curve, of_pair, read_studies, read_study, turned
from study.subset import held_out
from study.verdicts import FAILS, HOLDS, NOISE, below, positive, sampler_of, smaller, verdict
from toroids.choose import main as choose
from toroids.findings import FINDINGS, FORM, findings, lean
from toroids.report import REPORT

from landscape_cli.cli.app import build_command
from landscape_cli.data.datasets import Split

ROOT = Path(__file__).parent.parent.parent
TOROIDS = ROOT / "examples" / "toroids"

SHARPNESS = {"rsgd": 1.0, "sgd": 2.0, "adv": 5.0}
NAMES = [f"{sampler}-{3 * place + seed}" for place, sampler in enumerate(SHARPNESS) for seed in (1, 2, 3)]


def networks(sampler: str, *values: float) -> dict[tuple[str, ...], float]:
    return {(f"{sampler}-{seed}",): value for seed, value in enumerate(values)}


# verdicts


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([1.0, 1.1, 0.9], [2.0, 2.1, 1.9], HOLDS),
        ([2.0, 2.1, 1.9], [1.0, 1.1, 0.9], FAILS),
        ([1.0, 2.0, 0.0], [1.1, 0.1, 2.1], NOISE),
    ],
)
def test_the_three_verdicts(low: list[float], high: list[float], expected: str) -> None:
    assert smaller("", networks("rsgd", *low), networks("sgd", *high)).verdict == expected


def test_error_of_means_over_networks_is_the_usual_one() -> None:
    low, high = [1.0, 1.5, 0.7, 1.2], [2.0, 2.9, 1.1]
    found = smaller("", networks("rsgd", *low), networks("sgd", *high))
    assert found.difference == pytest.approx(fmean(high) - fmean(low))
    assert found.error == pytest.approx((stdev(low) ** 2 / len(low) + stdev(high) ** 2 / len(high)) ** 0.5)


def test_pairs_that_share_a_network_count_by_networks() -> None:
    """A pair's value is the sum of two networks' own: the mean over pairs is twice that over networks."""
    own = {"rsgd-1": 1.0, "rsgd-2": 1.7, "rsgd-3": 0.4}
    pairs = {(a, b): own[a] + own[b] for a, b in combinations(own, 2)}
    found = positive("", pairs)
    by_networks = 2 * stdev(own.values()) / 3**0.5
    assert found.error == pytest.approx(by_networks)
    assert found.error > 1.5 * stdev(pairs.values()) / 3**0.5  # what independent pairs would have


def test_a_network_in_both_means_cancels() -> None:
    """The same networks on both sides: what they share is no noise in the difference."""
    low = {(f"rsgd-{k}", f"sgd-{k}"): 10.0 * k for k in range(3)}
    high = {key: value + 1 for key, value in low.items()}
    assert smaller("", low, high).verdict == HOLDS
    apart = {(f"adv-{k}", f"swa-{k}"): 10.0 * k + 1 for k in range(3)}
    assert smaller("", low, apart).verdict == NOISE


def test_too_few_networks_tell_nothing() -> None:
    assert positive("", {("rsgd-1",): 5.0}).verdict == NOISE
    assert positive("", {("rsgd-1", "rsgd-2"): 5.0}).verdict == NOISE
    assert positive("", {("rsgd-1",): 5.0, ("rsgd-2",): 5.1, ("rsgd-3",): 5.2}).verdict == HOLDS


def test_equal_values_are_within_noise() -> None:
    assert smaller("", networks("rsgd", 0, 0, 0), networks("sgd", 0, 0, 0)).verdict == NOISE


def test_below_a_number() -> None:
    assert below("", networks("rsgd", 0.001, 0.002, 0.0), 0.01).verdict == HOLDS
    assert below("", networks("rsgd", 0.101, 0.102, 0.1), 0.01).verdict == FAILS
    assert below("", networks("rsgd", 0.001, 0.02, 0.006), 0.01).verdict == NOISE


def test_verdict_over_several() -> None:
    assert verdict([HOLDS, HOLDS]) == HOLDS
    assert verdict([HOLDS, NOISE]) == NOISE
    assert verdict([HOLDS, NOISE, FAILS]) == FAILS
    assert verdict([HOLDS, NOISE, NOISE], [HOLDS, HOLDS]) == HOLDS
    assert verdict([HOLDS, HOLDS], [HOLDS, NOISE]) == NOISE
    assert verdict([HOLDS, FAILS], [HOLDS]) == verdict([HOLDS], [FAILS]) == FAILS
    with pytest.raises(ValueError, match="at least one"):
        verdict([])
    with pytest.raises(ValueError, match="nothing was measured for: x"):
        positive("x", {})


def test_an_effect_is_a_mean_difference_with_its_usual_interval() -> None:
    """Of two samples of five: 2.776 standard errors, the quantile with four degrees of freedom."""
    low, high = [1.0, 1.5, 0.7, 1.2, 0.9], [2.0, 2.9, 1.1, 2.4, 2.2]
    found = difference("", networks("rsgd", *low), networks("sgd-small", *high))
    bounds = found.interval
    half = 2.776445 * (stdev(low) ** 2 / 5 + stdev(high) ** 2 / 5) ** 0.5
    assert bounds == pytest.approx((fmean(low) - fmean(high) - half, fmean(low) - fmean(high) + half), rel=1e-6)
    assert difference("", networks("rsgd", 1.0), networks("sgd", 2.0)).interval == (-float("inf"), float("inf"))


@pytest.mark.parametrize(
    ("value", "side", "expected"),
    [(-1.0, "<", HOLDS), (1.0, "<", FAILS), (1.0, ">", HOLDS), (-1.0, ">", FAILS), (0.0, "=", HOLDS), (1.0, "=", FAILS)]
    + [(0.0, side, NOISE) for side in "<>"],
)
def test_an_effect_is_told_by_its_whole_interval(value: float, side: str, expected: str) -> None:
    samples = networks("rsgd", *(value + k for k in (-0.2, 0.0, 0.2))), networks("sgd", 0.0, 0.0, 0.0)
    found = difference("", *samples, side=side)
    assert found.verdict == expected
    assert str(found).endswith(f"] {expected}")
    assert str(difference("", *samples)).endswith("]")


def test_one_half_of_a_claim_is_not_enough() -> None:
    """As many inequalities hold as are within noise, and the effect of one half is not told apart."""
    flat, usual, sharp = (
        networks(name, *values)
        for name, *values in (("rsgd", 1.0, 1.2, 0.8), ("sgd", 1.1, 1.3, 0.9), ("adv", 5.0, 5.1, 4.9))
    )
    pairs = [(flat, usual), (usual, sharp)]
    comparisons = [smaller("", low, high) for low, high in pairs]
    effects = [difference("", low, high, side="<") for low, high in pairs]
    found = Finding("1", "", [], comparisons, effects).by_effects()
    assert [one.verdict for one in found.comparisons] == [NOISE, HOLDS]
    assert found.verdict == NOISE
    assert replace(found, effects=effects[1:]).verdict == HOLDS


def test_inequalities_beside_effects_are_told_by_intervals() -> None:
    """2.78 standard errors of five networks, not two: none holds where its effect's interval has zero in it."""
    low, high = networks("rsgd", 0.0, 0.1, 0.2, 0.3, 0.4), networks("sgd", *(0.24 + 0.1 * k for k in range(5)))
    found = Finding("1", "", [], [smaller("", low, high)], [difference("", low, high, side="<")])
    assert 2 < found.comparisons[0].difference / found.comparisons[0].error < 2.7
    assert [one.verdict for one in found.comparisons] == [HOLDS]
    assert [one.verdict for one in found.by_effects().comparisons] == [found.effects[0].verdict] == [NOISE]


def test_the_largest_mean_has_its_own_error_and_is_not_below_zero() -> None:
    samples = [networks("rsgd", 0.0, 0.1, 0.5), networks("adv", 0.9, 1.0, 1.1)]
    found = largest("", samples, below=0.01)
    assert found.estimate.value == pytest.approx(1.0)
    assert found.estimate.error == pytest.approx(0.1 / 3**0.5)
    assert found.verdict == FAILS
    assert largest("", samples[:1]).interval[0] == 0


def test_a_ratio_of_nothing_has_a_floor() -> None:
    pairs = [(networks("rsgd", 0, 0), networks("sgd", 0, 0)), (networks("rsgd", 0.2, 0.2), networks("sgd", 0.1, 0.1))]
    assert log_ratio("", pairs).estimate.value == pytest.approx(0.5 * 0.6931472)


# the page, on made-up results


def make_up(folder: Path, sharpness: dict[str, float], *, noise: float = 0.01, seed: int = 0) -> Path:
    """Write results of networks whose energies, barriers and distances grow with a sharpness, and some noise."""
    source = random.Random(seed)

    def of(name: str) -> float:
        return sharpness[name.split("-")[0]]

    def kin(file: str) -> str:
        return Path(file).stem.split("-")[0]

    def noisy(value: float) -> float:
        return value * (1 + noise * source.gauss(0, 1))

    def write(name: str, body: dict[str, Any]) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(body | {"provenance": {"versions": {"python": "3"}}}))

    for sampler in SHARPNESS:
        own = [name for name in NAMES if name.startswith(f"{sampler}-")]
        reports = [
            {"network": f"raw/{name}.st", "train_error": 0.0, "test_error": noisy(0.1 + 0.01 * of(name)), "epochs": 60}
            for name in own
        ]
        write(f"raw/{sampler}.json", {"networks": reports})
    levels = [
        {
            "network": f"raw/{name}.st",
            "local_energy": [{"sigma": s, "train_energy": noisy(s * of(name))} for s in (0.1, 0.2)],
        }
        for name in NAMES
    ]
    write("flatness.json", {"networks": levels})
    pairs = list(combinations(NAMES, 2))
    scale = {"linear": 0.1, "aligned": 0.03, "geodesic": 0.03}
    tilt = {"linear": 0.0, "aligned": -0.2, "geodesic": 0.2}
    for kind in FORM.kinds:
        for prefix, factor in (("", 1.0), ("optimized-", 0.003)):
            measured = []
            for a, b in pairs:
                height = noisy(factor * scale[kind] * of(a) * of(b))
                lopsided = tilt[kind] * (of(b) - of(a))
                errors = [0.0, height * (0.5 - 0.1 * lopsided), height, height * (0.5 + 0.1 * lopsided), 0.0]
                distances = {"start": {"geodesic": noisy(of(a))}, "end": {"geodesic": noisy(of(b))}}
                points = [{"tau": k / 4, "train_error": error} for k, error in enumerate(errors)]
                entry = {"start": f"raw/{a}.st", "end": f"raw/{b}.st", "points": points}
                entry["barrier"] = {"train": {"max": height}}
                measured.append(
                    entry | {"midpoint": {"epochs": 3, "train_error": 0.0, "distances": distances}} if prefix else entry
                )
            if not prefix:
                write(f"paths/{kind}.json", {"pairs": measured})
                continue
            for first, second in PAIRS:
                own = [pair for pair in measured if (kin(pair["start"]), kin(pair["end"])) == (first, second)]
                write(f"paths/{prefix}{kind}-{first}-{second}.json", {"pairs": own})
    rows = [
        {
            "a": f"normal/{a}.st",
            "b": f"normal/{b}.st",
            "geodesic": noisy(10 + of(a) + of(b)),
            "rms_angle": 1.0,
            "test_disagreement": 0.1,
        }
        for a, b in pairs
    ]
    write("distances.json", {"pairs": rows})
    write("distances-unaligned.json", {"pairs": rows})
    corners = [{"network": f"raw/{name}.st", "x": x, "y": y} for name, x, y in (("rsgd-1", 0, 0), ("adv-7", 1, 1))]
    grid = [{"train_error": 0.1 * k, "test_error": 0.1 * k} for k in range(4)]
    write("planes/raw-rsgd-adv.json", {"networks": corners, "x": [0, 1], "y": [0, 1], "points": grid})
    return folder


def write_planes(folder: Path) -> None:
    """Write the planes of all pairs of samplers, as `make_up` has that of one."""
    for title in FORM.titles:
        (folder / "planes" / f"{title}.json").write_bytes((folder / "planes" / "raw-rsgd-adv.json").read_bytes())


def verdicts_of(folder: Path) -> dict[str, str]:
    return {finding.label: finding.verdict for finding in findings(read_study(folder, FORM))}


def test_planted_findings_hold(tmp_path: Path) -> None:
    found = verdicts_of(make_up(tmp_path, SHARPNESS))
    assert set(found) == set(FINDINGS)
    assert set(found.values()) == {HOLDS}


def test_reversed_findings_do_not_hold(tmp_path: Path) -> None:
    found = verdicts_of(make_up(tmp_path, {"rsgd": 4.0, "sgd": 2.0, "adv": 1.0}))
    assert {label for label, said in found.items() if said != FAILS} == {"3a", "4a", "4b", "4c"}
    assert found["3a"] == HOLDS  # whatever the order, aligning lowers barriers here


def test_equal_samplers_are_within_noise(tmp_path: Path) -> None:
    equal = verdicts_of(make_up(tmp_path / "equal", dict.fromkeys(SHARPNESS, 2.0), noise=0))
    orderings = ("1a", "1b", "2a", "2b", "2c", "5a", "5b")
    assert {equal[label] for label in orderings} == {NOISE}
    noisy = verdicts_of(make_up(tmp_path / "noisy", dict.fromkeys(SHARPNESS, 2.0), noise=0.5))
    assert HOLDS not in {noisy[label] for label in orderings}


def test_page_says_what_was_found(tmp_path: Path) -> None:
    study = read_study(make_up(tmp_path / "data-net", SHARPNESS), FORM)
    text = page(REPORT, [study], [[("some.png", "A figure.")]])
    assert text.count("**holds**") == 2 * len(findings(study))  # in the overview, and in the study's table
    assert "A figure." in text
    for sampler, word in (("rsgd", "RSGD"), ("adv", "ADV")):
        tests = [value for key, value in study.errors["test"].items() if key[0].startswith(f"{sampler}-")]
        assert f"{word} {fmean(tests):.4f} ± {stdev(tests):.4f}" in text
    for line in text.splitlines():
        assert not line.startswith("| ") or line.endswith(" |")


def test_report_writes_page_and_figures(tmp_path: Path) -> None:
    make_up(tmp_path / "data-net", SHARPNESS)
    command = [sys.executable, str(TOROIDS / "report.py"), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "data-net  1a  holds" in done.stdout
    links = re.findall(r"\]\((figures/.*?)\)", (tmp_path / "report.md").read_text())
    assert len(links) == 4
    assert all((tmp_path / link).stat().st_size > 1000 for link in links)
    refused = subprocess.run([*command[:2], str(tmp_path / "nowhere")], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "usage" in refused.stderr


def test_committed_page_is_what_the_committed_results_give() -> None:
    results = TOROIDS / "results"
    text = (results / "report.md").read_text()
    assert whole(REPORT, read_studies(results, FORM)) == text
    assert all((results / link).exists() for link in re.findall(r"\]\((figures/.*?)\)", text))


def test_pairs_that_failed_are_named_and_left_out(tmp_path: Path) -> None:
    folder = make_up(tmp_path, SHARPNESS)
    file = folder / "paths" / "aligned.json"
    body = json.loads(file.read_text())
    body["pairs"][0]["points"][1]["train_error"] = None
    file.write_text(json.dumps(body))
    study = read_study(folder, FORM)
    assert study.missing == ["aligned: rsgd-1 – rsgd-2"]
    assert len(of_pair(study.curves["aligned"], ("rsgd", "rsgd"))) == 2
    assert "rsgd-1 – rsgd-2" in page(REPORT, [study], [[]])


def test_findings_of_what_was_not_measured_yet_are_left_out(tmp_path: Path) -> None:
    whole, part = make_up(tmp_path / "whole-net", SHARPNESS), make_up(tmp_path / "part-net", SHARPNESS)
    for file in part.glob("paths/optimized-aligned-*.json"):
        file.unlink()
    assert set(verdicts_of(whole)) - set(verdicts_of(part)) == {"4b"}
    (part / "flatness.json").unlink()
    (part / "paths" / "optimized-linear-adv-adv.json").unlink()
    write_planes(part)
    study = read_study(part, FORM)
    assert study.absent == ["flatness", "paths/optimized-linear-adv-adv", "paths/optimized-aligned"]
    assert set(verdicts_of(whole)) - set(verdicts_of(part)) == {"1a", "4b", "4c"}
    text = page(REPORT, [study, read_study(whole, FORM)], [[], []])
    assert "Not there yet: flatness, paths/optimized-linear-adv-adv, paths/optimized-aligned." in text
    assert "Not there yet: planes/raw-rsgd-rsgd, " in text
    assert "| part-net |" in text
    for file in part.glob("paths/*"):
        file.unlink()
    (part / "distances.json").unlink()
    assert set(verdicts_of(part)) == {"1b"}
    (part / "raw" / "adv.json").unlink()
    assert not verdicts_of(part)


def test_page_says_first_what_holds(tmp_path: Path) -> None:
    mixed = {"rsgd": 1.0, "sgd": 1.0, "adv": 5.0}
    study = read_study(make_up(tmp_path / "data-net", mixed, noise=0.02), FORM)
    text = page(REPORT, [study], [[]])
    headings = [text.index(f"### {words}") for words in ("What holds", "What does not hold", "What so many seeds")]
    assert headings == sorted(headings)
    for finding in findings(study):
        row = text.index(f"| {finding.label}. ")
        place = (HOLDS, FAILS, NOISE).index(finding.verdict)
        assert sum(heading < row for heading in headings) == place + 1
    assert "Again: `ONLY='paths/*' bash examples/toroids/run.sh small data runs data/net`" in text


def test_networks_that_are_no_solutions_are_marked_and_left_out_once(tmp_path: Path) -> None:
    folder = make_up(tmp_path / "data-net", SHARPNESS)
    file = folder / "raw" / "adv.json"
    body = json.loads(file.read_text())
    body["networks"][0] |= {"train_error": 0.2, "test_error": 0.0}  # which turns the mean round
    file.write_text(json.dumps(body))
    study = read_study(folder, FORM)
    assert study.unsolved == ["adv-7"]
    alone = study.solutions_only()
    assert {name for keys in (alone.errors["test"], alone.distances) for key in keys for name in key} == {*NAMES} - {
        "adv-7"
    }
    said = [[one.verdict for one in findings(each)[1].comparisons] for each in (study, alone)]
    assert said == [[HOLDS, NOISE], [HOLDS, HOLDS]]  # of test errors
    text = page(REPORT, [study], [[]])
    assert "Without adv-7, whose training error is above 0.001" in text
    assert re.search(r"^\| ADV \| 3 \| 60 ± 0 \| adv-7 \|", text, re.MULTILINE)


def test_controls_have_rows_and_effects_of_their_own(tmp_path: Path) -> None:
    folder = make_up(tmp_path / "data-net", SHARPNESS)
    own = [
        {"network": f"raw/sgd-small-{k}.st", "train_error": 0.0, "test_error": 0.1, "epochs": 60} for k in (31, 32, 33)
    ]
    (folder / "raw" / "sgd-small.json").write_text(json.dumps({"networks": own}))
    study = read_study(folder, FORM)
    assert sampler_of("sgd-small-31") == "sgd-small"
    found = next(finding for finding in findings(study) if finding.label == "1b")
    assert [str(effect).split(":")[0] for effect in found.effects] == [
        "RSGD less SGD < 0",
        "SGD less ADV < 0",
        "RSGD less SGD-SMALL",
    ]
    assert fmean(study.errors["test"][name,] for name in NAMES[3:6]) == pytest.approx(0.12, rel=0.05)  # sgd's alone
    assert "| SGD-SMALL | 3 |" in page(REPORT, [study], [[]])


def test_paths_walked_both_ways_count_once_as_their_mean(tmp_path: Path) -> None:
    folder = make_up(tmp_path, SHARPNESS)
    file = folder / "paths" / "aligned.json"
    body = json.loads(file.read_text())
    first = body["pairs"][0]
    errors = [0.0, 0.5, 0.3, 0.1, 0.0]
    back = [point | {"train_error": error} for point, error in zip(first["points"], errors, strict=True)]
    body["pairs"].append(
        first
        | {"start": first["end"], "end": first["start"], "points": back, "barrier": {"train": {"max": max(errors)}}}
    )
    file.write_text(json.dumps(body))
    once, pair = first["points"], ("rsgd-1", "rsgd-2")
    curve = read_study(folder, FORM).curves["aligned"][pair]
    assert len(read_study(folder, FORM).curves["aligned"]) == 36
    assert curve.train == pytest.approx([(a["train_error"] + b) / 2 for a, b in zip(once, errors[::-1], strict=True)])
    assert curve.barrier == pytest.approx((first["barrier"]["train"]["max"] + 0.5) / 2)


def test_of_several_midpoints_means_are_shown(tmp_path: Path) -> None:
    folder = make_up(tmp_path, SHARPNESS)
    file = folder / "paths" / "optimized-geodesic-rsgd-rsgd.json"
    body = json.loads(file.read_text())
    pair = body["pairs"][0]
    ends = ({"geodesic": 1.0, "hamming": None}, {"geodesic": 3.0, "hamming": None})
    pair["midpoints"] = [
        {"epochs": k, "train_error": 0.1 * k, "distances": {"start": end, "end": ends[0]}} for k, end in enumerate(ends)
    ]
    file.write_text(json.dumps(body))
    middle = read_study(folder, FORM).bent["geodesic"]["rsgd-1", "rsgd-2"].midpoint
    assert middle == {
        "epochs": 0.5,
        "train_error": 0.05,
        "distances": {"start": {"geodesic": 2.0}, "end": {"geodesic": 1.0}},
    }


def test_lean_is_towards_the_sharper_end() -> None:
    taus = (0.0, 0.25, 0.5, 0.75, 1.0)
    high_at_the_end = Curve(taus, (0.0, 0.1, 0.4, 0.3, 0.0), 0.4)
    assert lean(high_at_the_end) == pytest.approx((0.15 - 0.05) / 0.4)
    assert lean(turned(high_at_the_end)) == pytest.approx(-lean(high_at_the_end))
    sloping = Curve(taus, (0.0, 0.1, 0.2, 0.3, 0.4), 0.4)  # all of it from the ends' own errors
    assert lean(sloping) == pytest.approx(0)


# the scripts


@cache
def printed(settings: str, *studies: str, **variables: str) -> list[str]:
    command = ["bash", str(TOROIDS / "run.sh"), settings, "data", "nowhere", *studies]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"DRY": "1"} | variables
    )
    assert not Path("nowhere").exists()
    return done.stdout.splitlines()


def parse(line: str) -> list[str]:
    """Parse the `landscape` command of a printed line, as the program would; return its words.

    Raises:
        Exception: as the parser does.
    """
    words = shlex.split(line.split("&&")[1].split(">")[0])
    assert words[0] == "landscape"
    build_command(words[1]).make_context(words[1], words[2:])
    return words[1:]


@pytest.mark.parametrize("script", sorted(TOROIDS.glob("*.s[hb]*")), ids=lambda path: path.name)
def test_scripts_are_well_formed(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


@pytest.mark.parametrize(("settings", "studies", "seeds"), [("small", 4, 50), ("paper", 7, 30), ("vgg", 1, 9)])
def test_every_command_of_a_setting_parses(settings: str, studies: int, seeds: int) -> None:
    lines = [line for line in printed(settings) if "landscape " in line]
    assert len({line.split()[1] for line in lines}) == studies
    outputs = [line.split()[1] + "/" + line.split(" && ")[-1].split()[-1] for line in lines]
    assert len(set(outputs)) == len(outputs)
    last = lines[-1].split()[1]  # one study's commands are parsed: it takes long
    own = [parse(line) for line in lines if line.split()[1] == last]
    assert {words[0] for words in own} == {"train", "normalize", "align", "path", "flatness", "distance", "plane"}
    trained = [words for words in own if words[0] == "train"]
    assert all("--resume" in words for words in trained)
    kept = [words for words in trained if not value(words, "--log").startswith("tuning/")]
    own_rows = [words for words in kept if value(words, "--log").startswith("raw/")]
    rows = {Path(value(words, "--log")).stem: words for words in own_rows}
    runs = int(value(own_rows[0], "--runs"))
    used = [int(value(words, "--seed")) + run for words in kept for run in range(int(value(words, "--runs")))]
    assert len(set(used)) == len(used) == seeds
    tried = {int(value(words, "--seed")) + run for words in trained if words not in kept for run in range(2)}
    assert not tried & set(used)
    if settings == "vgg":
        moved = [words for words in own if words[0] in {"path", "flatness", "plane"}]
        assert all("recompute" in words for words in moved)
        return
    assert set(rows) == {"rsgd", "sgd", "adv", "sgd-small", "sgd-old", "sgd-centre"}
    assert {row: value(words, "--algo") for row, words in rows.items() if "-" not in row} == {
        row: row for row in ("rsgd", "sgd", "adv")
    }
    assert rows["sgd-centre"].count("--init") == runs
    assert value(rows["sgd-small"], "--batch-size") == "43"
    assert len({value(words, "--epochs") for row, words in rows.items() if row != "sgd-old"}) == 1
    assert value(rows["sgd-old"], "--epochs") == "1"  # stands for ADV's age, which there is none of yet
    assert sum("--optimize-midpoint" in words for words in own) == {"paper": 18, "small": 29}[settings]
    assert sum(words[0] == "plane" for words in own) == 12


def test_one_file_alone_is_measured() -> None:
    lines = printed("small", "fashion-mnist/mlp", ONLY="paths/optimized-geodesic-*")
    assert sum("--optimize-midpoint" in line for line in lines) == 6
    assert not any(f"landscape {name} " in line for line in lines for name in ("flatness", "distance", "plane"))
    assert any("train --algo rsgd" in line for line in lines)  # what it is measured on


def test_seeds_that_no_pattern_names_are_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.sh"
    own.write_text(f"source '{TOROIDS / 'small.sh'}'\nruns=10\n")
    command = ["bash", str(TOROIDS / "measure.sh"), str(own), "data", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"DRY": "1"})
    assert done.returncode == 2
    assert done.stderr.startswith("the seeds of rsgd, 10 from 1 on, must differ in their last digit alone")


def test_page_names_the_settings_that_a_study_was_measured_with(tmp_path: Path) -> None:
    folder = make_up(tmp_path / "data-net", SHARPNESS)
    assert "Again: `bash examples/toroids/run.sh small data runs data/net`" in whole(REPORT, [read_study(folder, FORM)])
    (folder / "settings").write_text("own.sh\n")
    text = whole(REPORT, [read_study(folder, FORM)])
    assert "`bash examples/toroids/run.sh own.sh data runs data/net`" in text
    assert "`ONLY='@(distances*|paths/optimized-geodesic-*)' bash examples/toroids/run.sh own.sh " in text


def test_patterns_of_families_fit_no_control() -> None:
    line = next(line for line in printed("small", "fashion-mnist/mlp") if "paths/linear" in line)
    patterns = [word for word in parse(line) if word.startswith("raw/")]
    names = ["rsgd-1.st", "rsgd-5.st", "rsgd-1-epoch0.st", "sgd-11.st", "sgd-small-31.st", "sgd-15.st", "adv-21.st"]
    fitting = [name for name in names if any(fnmatch(f"raw/{name}", pattern) for pattern in patterns)]
    assert fitting == ["rsgd-1.st", "rsgd-5.st", "sgd-11.st", "sgd-15.st", "adv-21.st"]


def test_a_wrong_option_does_not_parse() -> None:
    line = next(line for line in printed("vgg") if " train " in line)
    parse(line)
    with pytest.raises(Exception, match=r"(?i)no such option"):
        parse(line.replace("--runs", "--run-count"))
    with pytest.raises(Exception, match=r"(?i)rsgdx"):
        parse(line.replace("--algo rsgd", "--algo rsgdx"))


def tuning(folder: Path, row: str, *, train: list[float], validation: list[float]) -> None:
    errors = zip(train, validation, strict=True)
    body = {"networks": [{"train_error": a, "test_error": b} for a, b in errors]}
    (folder / "tuning").mkdir(parents=True, exist_ok=True)
    (folder / "tuning" / f"{row}.json").write_text(json.dumps(body))


def test_the_choice_is_the_protocols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def chosen(what: str, *more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["choose.py", str(tmp_path), what, *more])
        choose()
        return capsys.readouterr().out.strip()

    tuning(tmp_path, "sgd-0.01", train=[0.001, 0.0], validation=[0.2, 0.2])
    tuning(tmp_path, "sgd-0.05", train=[0.001, 0.001], validation=[0.18, 0.2])
    tuning(tmp_path, "sgd-0.1", train=[0.0, 0.01], validation=[0.1, 0.1])  # no solutions
    tuning(tmp_path, "sgd-small-0.02", train=[0.0, 0.0], validation=[0.01, 0.01])  # another row
    (tmp_path / "tuning" / "sgd-0.5.json").touch()  # diverged
    assert chosen("sgd") == "--lr 0.05"
    tuning(tmp_path, "adv-0.02", train=[0.02, 0.02], validation=[0.3, 0.3])
    tuning(tmp_path, "adv-0.05", train=[0.01, 0.02], validation=[0.4, 0.4])
    head = "seed,phase,epoch,gamma,solution_error\n"
    for rate, lines in {"0.02": "1,adversarial,90,,0\n2,adversarial,70,,0\n", "0.1": "1,adversarial,5,,0.1\n"}.items():
        (tmp_path / "tuning" / f"first-{rate}.csv").write_text(
            head + "1,adversarial,1,,0.9\n" + lines + "1,train,1,,0\n"
        )
    assert chosen("first") == "--adv-lr 0.02"
    assert chosen("adv") == "--lr 0.05 --adv-lr 0.02"
    tuning(tmp_path, "rsgd-0.05", train=[0.0], validation=[0.2])
    tuning(tmp_path, "rsgd-0.05-tenth", train=[0.0], validation=[0.1])
    (tmp_path / "tuning" / "rsgd-0.05.csv").write_text(head + "1,train,1,0.04,\n1,train,2,0.9,\n2,train,1,0.06,\n")
    assert chosen("rsgd") == "--lr 0.05 --gamma-init 0.005"
    (tmp_path / "adv.csv").write_text(head + "1,adversarial,70,,0\n2,adversarial,65,,0\n2,train,59,,0\n2,train,60,,0\n")
    assert age(tmp_path / "adv.csv") == 128
    chosen("record", str(tmp_path / "chosen.json"))
    record = json.loads((tmp_path / "chosen.json").read_text())
    assert record["rows"]["sgd"]["chosen"] == "--lr 0.05"
    assert record["random_labels"]["first-0.02"] == {"error": 0.0, "epochs": 80}


def test_what_is_on_record_is_taken_and_not_tuned_again(tmp_path: Path) -> None:
    tuning(tmp_path / "mnist-mlp", "sgd-0.05", train=[0.0], validation=[0.2])
    record = tmp_path / "mnist-mlp" / "tuning" / "chosen.json"
    record.write_text(json.dumps({"rows": {"sgd": {"chosen": "--lr 0.3"}}}))
    command = [sys.executable, str(TOROIDS / "choose.py"), "mnist-mlp"]
    assert subprocess.check_output([*command, "sgd"], cwd=tmp_path, text=True).strip() == "--lr 0.3"
    missing = subprocess.run([*command, "adv"], cwd=tmp_path, text=True, capture_output=True)
    assert missing.returncode
    assert "no setting of adv" in missing.stderr
    before = record.read_bytes()
    subprocess.run(
        ["bash", str(TOROIDS / "tune.sh"), "small", str(tmp_path / "no data"), str(tmp_path), "mnist/mlp"], check=True
    )  # would fail for want of data
    assert record.read_bytes() == before


def test_page_shows_what_was_tuned_before_anything_is_trained(tmp_path: Path) -> None:
    tried = {"sgd-0.05": {"train_error": 0.0, "validation_error": 0.25}}
    body = {
        "rows": {"sgd": {"chosen": "--lr 0.05", "tried": tried}},
        "random_labels": {"first-0.02": {"error": 0.0, "epochs": 80.4}},
    }
    (tmp_path / "data-net" / "tuning").mkdir(parents=True)
    (tmp_path / "data-net" / "tuning" / "chosen.json").write_text(json.dumps(body))
    text = whole(REPORT, read_studies(tmp_path, FORM))
    assert "| SGD | 0.05 | 0.0000 | 0.2500 | `--lr 0.05` |" in text
    assert "by rate: 0.02: error 0.0000, 80 epochs." in text
    assert "Diverged" not in text
    body["rows"]["adv"] = {"chosen": "--lr 0.1", "tried": {"adv-0.05": tried["sgd-0.05"], "adv-0.1": tried["sgd-0.05"]}}
    (tmp_path / "data-net" / "tuning" / "chosen.json").write_text(json.dumps(body))
    assert "Diverged, and left out: SGD at 0.1." in whole(REPORT, read_studies(tmp_path, FORM))
    assert "Not there yet: raw, flatness, " in text
    assert "### Solutions" not in text


def test_a_tenth_of_each_class_is_held_out() -> None:
    labels = torch.arange(100) % 5
    inputs = torch.arange(100.0)[:, None]
    data = SimpleNamespace(train=Split(inputs, labels), classes=5)
    train, held = held_out(data)  # type: ignore[arg-type]
    assert torch.equal(torch.cat([train.x, held.x]).sort(0).values, inputs)
    assert torch.bincount(held.y).tolist() == [2] * 5
    assert torch.equal(labels[held.x.flatten().long()], held.y)


def sbatch(task: int, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return subprocess.run(
        ["bash", str(TOROIDS / "paper.sbatch")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean | {"DRY": "1", "TASK": str(task)} | variables,
    )


def test_array_has_a_task_for_each_study() -> None:
    text = (TOROIDS / "paper.sbatch").read_text()
    last = int(re.search(r"--array=0-(\d+)", text)[1])  # type: ignore[index]
    assert "#SBATCH --signal=B:TERM@" in text
    seen = []
    for task in range(last + 1):
        done = sbatch(task)
        assert done.returncode == 0, done.stderr
        seen += sorted({line.split()[1] for line in done.stdout.splitlines() if "landscape " in line})
    assert len(seen) == len(set(seen)) == last + 1
    beyond = sbatch(last + 1)
    assert beyond.returncode == 2
    assert "no such study" in beyond.stderr


def test_sigterm_reaches_the_command_and_queues_the_task_again(tmp_path: Path) -> None:
    """With a `landscape` and a `scontrol` of our own, which write down what happens to them."""
    slow = "trap 'sleep 1; echo saved >>$LOG; exit 143' TERM; echo started >>$LOG; sleep 60 & wait"
    for name, body in (("landscape", slow), ("scontrol", 'echo "$@" >>$LOG')):
        script = tmp_path / name
        script.write_text(f"#!/usr/bin/env bash\n{body}\n")
        script.chmod(0o755)
    log = tmp_path / "log"
    (tmp_path / "cifar10-part.safetensors").touch()  # or else it would be drawn of CIFAR-10 first
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(log),
        "RESULTS": str(tmp_path / "results"),
        "DATA_DIR": str(tmp_path),
        "VIRTUAL_ENV": sys.prefix,
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "0",
        "SETTINGS": "vgg",  # which has no stage before training
        "REPOSITORY": str(ROOT),
    }
    started = ["bash", str(TOROIDS / "paper.sbatch")]
    process = subprocess.Popen(started, env=os.environ | variables, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not log.exists() or "started" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        process.kill()
    assert log.read_text().split() == ["started", "saved", "requeue", "7_0"]
