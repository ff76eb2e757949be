"""The study of binary networks: its verdicts and its page on made-up results, and its scripts without running them."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from binary.findings import FORM, findings, hardly_changed
from binary.report import REPORT, again_of
from binary.solutions import on_what_is_left
from study.figures import draw_series
from study.page import Series, barriers, page, section, whole
from study.readings import Study, read_studies, read_study
from study.verdicts import FAILS, HOLDS, NOISE

ROOT = Path(__file__).parent.parent.parent
BINARY = ROOT / "examples" / "binary"

SHARPNESS = {"rsgd": 1.0, "sgd": 2.0, "adv": 5.0}
REVERSED = {"rsgd": 5.0, "sgd": 2.0, "adv": 1.0}
NAMES = [f"{sampler}-{3 * place + seed}" for place, sampler in enumerate(SHARPNESS) for seed in (1, 2, 3)]


def make_up(
    folder: Path,
    sharpness: dict[str, float] = SHARPNESS,
    *,
    size: float = 1.0,
    aligned: float = 0.3,
    bent: float = 0.01,
    noise: float = 0.01,
) -> Path:
    """Write results of networks whose energies, barriers and distances grow with a sharpness, and some noise.

    Args:
        folder: of the study.
        sharpness: of each sampler's networks.
        size: what all of them are divided by.
        aligned: barriers between aligned networks, in parts of those as trained; distances are 0.8 of theirs.
        bent: barriers with optimised midpoints, in parts of those.
        noise: relative.
    """
    source = random.Random(0)

    def of(name: str) -> float:
        return sharpness[name.split("-")[0]] / size

    def noisy(value: float) -> float:
        return value * (1 + noise * source.gauss(0, 1))

    def write(name: str, body: dict[str, Any]) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(body | {"provenance": {"versions": {"python": "3"}}}))

    for sampler in SHARPNESS:
        own = [name for name in NAMES if name.startswith(f"{sampler}-")]
        reports = [
            {"network": f"raw/{name}.st", "train_error": 0.0, "test_error": noisy(0.1 + 0.01 * of(name))}
            for name in own
        ]
        write(f"raw/{sampler}.json", {"networks": reports})
    levels = [
        {
            "network": f"raw/{name}.st",
            "local_energy": [{"flip": p, "train_energy": noisy(p * of(name))} for p in (0.05, 0.1)],
        }
        for name in NAMES
    ]
    write("flatness.json", {"networks": levels})
    pairs = list(combinations(NAMES, 2))
    heights = {"raw": 0.01, "aligned": 0.01 * aligned}
    once = {pair: noisy(1.0) for pair in pairs}  # the noise of a pair is that of its networks, aligned or not
    for kind in FORM.kinds:
        for prefix, factor in (("", 1.0), ("optimized-", bent)):
            measured = []
            for a, b in pairs:
                height = once[a, b] * factor * heights[kind] * of(a) * of(b)
                points = [{"tau": k / 4, "train_error": height * part} for k, part in enumerate((0, 0.5, 1, 0.5, 0))]
                entry: dict[str, Any] = {"start": f"raw/{a}.st", "end": f"raw/{b}.st", "points": points}
                entry["barrier"] = {"train": {"max": height}}
                distances = {end: {"hamming_fraction": noisy(0.1)} for end in ("start", "end")}
                middle = {"midpoint": {"epochs": 3, "train_error": 0.0, "distances": distances}}
                measured.append(entry | middle if prefix else entry)
            write(f"paths/{prefix}{kind}{'-all' if prefix else ''}.json", {"pairs": measured})
    for name, part in (("distances", 0.8), ("distances-unaligned", 1.0)):
        rows = [
            {
                "a": f"raw/{a}.st",
                "b": f"raw/{b}.st",
                "hamming_fraction": part * once[a, b] * (0.2 + 0.01 * (of(a) + of(b))),
                "cosine": 0.5,
                "test_disagreement": 0.1,
            }
            for a, b in pairs
        ]
        write(f"{name}.json", {"pairs": rows})
    corners = [{"network": f"raw/{name}.st", "x": x, "y": y} for name, x, y in (("rsgd-1", 0, 0), ("rsgd-2", 1, 1))]
    grid = [{"train_error": 0.1 * k} for k in range(4)]
    write("planes/rsgd-raw.json", {"networks": corners, "x": [0, 1], "y": [0, 1], "points": grid})
    return folder


def verdicts_of(folder: Path) -> dict[str, str]:
    return {finding.label: finding.verdict for finding in findings(read_study(folder, FORM))}


def series_of(studies: list[Study]) -> list[Series]:
    assert REPORT.series is not None
    return REPORT.series(studies)


def spoil(folder: Path, *names: str, error: float = 0.0017) -> Path:
    """Write that networks of a study err on their training set."""
    for sampler in SHARPNESS:
        file = folder / "raw" / f"{sampler}.json"
        body = json.loads(file.read_text())
        for network in body["networks"]:
            if Path(network["network"]).stem in names:
                network["train_error"] = error
        file.write_text(json.dumps(body))
    return folder


def grown(folder: Path, *sizes: float, name: str = "hmm-{}-committee") -> list[Study]:
    """Return studies of networks which are so many times larger, in the order of their folders' names."""
    places = range(1, len(sizes) + 1)
    made = [
        make_up(folder / name.format(100 * place), size=size, noise=0.003)
        for place, size in zip(places, sizes, strict=True)
    ]
    return [read_study(one, FORM) for one in made]


def test_planted_findings_hold(tmp_path: Path) -> None:
    deep = verdicts_of(make_up(tmp_path / "mnist-parity-mlp-51"))
    assert set(deep) == {"1a", "1b", "2a", "2b", "4a", "4b", "5", "6a", "6b"}
    assert set(deep.values()) == {HOLDS}
    shallow = verdicts_of(make_up(tmp_path / "hmm-801-committee", aligned=0.98))
    assert set(shallow) == {"1a", "1b", "2a", "2b", "4a", "4b", "5", "6c"}
    assert set(shallow.values()) == {HOLDS}
    assert set(verdicts_of(make_up(tmp_path / "hmm-801-perceptron"))) == {"1a", "1b", "2a", "2b", "4a", "4b", "5"}


def test_reversed_findings_do_not_hold(tmp_path: Path) -> None:
    orders = verdicts_of(make_up(tmp_path / "fashion-mnist-mlp3", REVERSED))
    assert {label for label, said in orders.items() if said == FAILS} == {"1a", "1b", "2a", "2b", "5"}
    worse = verdicts_of(make_up(tmp_path / "fashion-mnist-conv", aligned=1.2, bent=1.2))
    assert {label for label, said in worse.items() if said == FAILS} == {"4a", "4b", "6a"}
    shallow = verdicts_of(make_up(tmp_path / "hmm-801-committee", aligned=0.5))
    assert {label for label, said in shallow.items() if said == FAILS} == {"6c"}


def test_equal_samplers_are_within_noise(tmp_path: Path) -> None:
    equal = verdicts_of(make_up(tmp_path / "fashion-mnist-mlp3", dict.fromkeys(SHARPNESS, 2.0), noise=0))
    assert {equal[label] for label in ("1a", "1b", "2a", "2b", "5")} == {NOISE}


@pytest.mark.parametrize(
    ("change", "expected"), [(0.0, HOLDS), (0.09, HOLDS), (-0.09, HOLDS), (0.2, FAILS), (-0.2, FAILS)]
)
def test_a_change_either_way_matters(change: float, expected: str) -> None:
    before = {("rsgd-1", "rsgd-2"): 1.0, ("rsgd-1", "rsgd-3"): 1.001, ("rsgd-2", "rsgd-3"): 0.999}
    drop = {pair: change * height for pair, height in before.items()}
    assert hardly_changed("", before, drop).verdict == expected


def test_sizes_are_compared(tmp_path: Path) -> None:
    (series,) = series_of(grown(tmp_path, 1.0, 1.5, 3.0))
    assert (series.name, series.sizes) == ("hmm-N-committee", (100, 200, 300))
    assert {finding.label: finding.verdict for finding in series.findings} == dict.fromkeys(
        ("6d", "6e", "6f", "6g"), HOLDS
    )
    (shrunk,) = series_of(grown(tmp_path / "shrunk", 3.0, 1.5, 1.0))
    assert {finding.verdict for finding in shrunk.findings} == {FAILS}
    (same,) = series_of(grown(tmp_path / "same", 1.0, 1.0))
    assert {finding.verdict for finding in same.findings} == {NOISE}
    assert all(len(finding.comparisons) == 6 for finding in series.findings)


def test_order_of_sizes_is_that_of_numbers(tmp_path: Path) -> None:
    names = ("mnist-parity-mlp-1001", "mnist-parity-mlp-51", "fashion-mnist-mlp3", "hmm-801-committee")
    studies = [read_study(make_up(tmp_path / name), FORM) for name in names]
    (series,) = series_of(studies)
    assert (series.name, series.sizes) == ("mnist-parity-mlp-N", (51, 1001))


def test_page_says_what_was_found(tmp_path: Path) -> None:
    studies = grown(tmp_path, 1.0, 2.0)
    series = series_of(studies)
    text = page(REPORT, studies, [[], []], series, [[("some.png", "A figure.")]])
    told = sum(len(findings(study)) for study in studies) + len(series[0].findings)
    assert len(re.findall(r"\*\*(?:holds|does not hold|within noise)\*\*", text)) == 2 * told
    assert "![A figure.](figures/some.png)" in text
    assert "p = 0.05: RSGD" in text
    for line in text.splitlines():
        assert not line.startswith("| ") or line.endswith(" |")


def test_the_figure_of_a_series(tmp_path: Path) -> None:
    """Those of each study are drawn as the toroids' are."""
    studies = grown(tmp_path, 1.0, 2.0)
    (series,) = series_of(studies)
    draw_series(series, tmp_path)
    assert (tmp_path / "hmm-N-committee.png").stat().st_size > 1000
    links = re.findall(r"\]\((figures/.*?)\)", whole(REPORT, studies))
    assert len(links) == 2 * 4 + 1
    assert "figures/hmm-N-committee.png" in links


def test_committed_page_is_what_the_committed_results_give() -> None:
    results = BINARY / "results"
    text = (results / "report.md").read_text()
    assert whole(REPORT, read_studies(results, FORM)) == text
    assert all((results / link).exists() for link in re.findall(r"\]\((figures/.*?)\)", text))


def test_what_is_left_on_solutions_alone_is_said(tmp_path: Path) -> None:
    """ADV's networks are none: what findings say of the two others holds or not, as was planted."""
    sharp = [name for name in NAMES if name.startswith("adv")]
    for sharpness, said in ((SHARPNESS, HOLDS), (REVERSED, FAILS)):
        folder = make_up(tmp_path / said / "mnist-parity-mlp-51", sharpness)
        study = read_study(spoil(folder, *sharp), FORM)
        left = {one.label: one.verdict for one in on_what_is_left(study.solutions_only())}
        ordered, lowered = ("1a", "1b", "2a", "2b", "5"), ("4a", "6a", "6b")
        expected = dict.fromkeys(ordered, said) | dict.fromkeys(lowered, HOLDS)
        assert left == {f"{label}, RSGD and SGD": verdict for label, verdict in expected.items()}
        text = "\n\n".join(section(REPORT, study, findings(study), []))
        assert "### On solutions alone\n\nWithout adv-7, adv-8, adv-9, whose training error is above 0.001" in text
        assert all(f"| {label} | " in text for label in left)


def test_where_each_sampler_has_solutions_findings_are_whole(tmp_path: Path) -> None:
    folder = make_up(tmp_path / "mnist-parity-mlp-51")
    assert "On solutions alone" not in "".join(section(REPORT, read_study(folder, FORM), [], []))
    study = read_study(spoil(folder, "adv-7"), FORM)
    left = [one.label for one in on_what_is_left(study.solutions_only())]
    assert [label for label in left if "SGD" not in label] == sorted(verdicts_of(folder))
    none = read_study(spoil(folder, *NAMES), FORM)
    assert "nothing is left" in "".join(section(REPORT, none, findings(none), []))


def test_sizes_are_compared_on_solutions_alone(tmp_path: Path) -> None:
    studies = grown(tmp_path, 1.0, 1.5, 3.0)
    assert "On solutions alone" not in series_of(studies)[0].table
    sharp = [name for name in NAMES if name.startswith("adv")]
    spoil(tmp_path / "hmm-100-committee", *sharp)
    (series,) = series_of([read_study(tmp_path / study.name, FORM) for study in studies])
    assert "Without the networks whose training error is above 0.001, 3 at N = 100:" in series.table
    assert "**holds** (5 of 5 hold, 0 within noise, none reversed)" in series.table
    assert all(len(finding.comparisons) == 6 for finding in series.findings)


def test_pairs_are_counted_of_the_kinds_that_were_measured(tmp_path: Path) -> None:
    folder = make_up(tmp_path / "mnist-parity-mlp-51")
    (folder / "paths" / "optimized-raw-all.json").unlink()
    bent = folder / "paths" / "optimized-aligned-all.json"
    pairs = json.loads(bent.read_text())["pairs"]
    bent.write_text(json.dumps({"pairs": [one for one in pairs if one["end"].startswith("raw/sgd")]}))
    rows = [line.removeprefix("| ").split(" | ")[:2] for line in barriers(read_study(folder, FORM)).splitlines()[4:]]
    assert dict(rows) == {
        "RSGD–RSGD": "3",
        "RSGD–SGD": "9",
        "SGD–SGD": "3",
        "RSGD–ADV": "9",
        "SGD–ADV": "9",
        "ADV–ADV": "3",
    }
    fewer = [one for one in pairs if (one["start"], one["end"]) == ("raw/rsgd-1.st", "raw/sgd-4.st")]
    bent.write_text(json.dumps({"pairs": fewer}))
    assert "| RSGD–SGD | 1/9 |" in barriers(read_study(folder, FORM))


# the scripts


def dry(command: str) -> list[str]:
    """The lines that a command would run."""
    done = subprocess.run(
        ["bash", "-c", command], check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"DRY": "1"}
    )
    return [line for line in done.stdout.splitlines() if line.startswith("cd ")]


def remade(command: str, folder: Path) -> str:
    """The page on what a command writes, of the results that are committed, in an empty folder."""
    for file in [f"{line.split()[1]}/{line.split()[-1]}" for line in dry(command)]:
        there, here = BINARY / "results" / file, folder / file
        if there.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(there)
    return whole(REPORT, read_studies(folder, FORM))


@pytest.mark.parametrize("heading", ["hmm-N-committee", "mnist-parity-mlp-51"])
def test_each_table_is_made_again_by_its_command(heading: str, tmp_path: Path) -> None:
    text = (BINARY / "results" / "report.md").read_text()
    own = next(part for part in text.split("\n## ") if part.startswith(f"{heading}\n"))
    tables = re.findall(r"^(### [^#]*?)\n\nAgain: `(.*)`$", own, re.MULTILINE)
    assert len(tables) == (1 if "-N-" in heading else 4)
    for place, (made, command) in enumerate(tables):
        assert made in remade(command, tmp_path / str(place))
    made, command = tables[-1]
    less = re.sub(r"[|]paths/[^)]*", "", command)
    assert made not in remade(less, tmp_path / "less")


def test_commands_name_studies_as_the_settings_do() -> None:
    names = {folder.parent.name for folder in BINARY.glob("results/*/raw")}
    studies = [Study(FORM, name, {}, {}, {}, {}, {}, {}, {}, {}, []) for name in names]
    settings = (BINARY / "small.sh").read_text().split("studies=(")[1].split(")")[0]
    assert {again_of([study], "*").split()[-1] for study in studies} == set(settings.split())
    first, second = studies[:2]
    others = again_of([first, replace(second, settings="own.sh")], "*").split(" && ")
    assert ["run.sh own.sh data runs" in command for command in others] == [False, True]


@pytest.mark.parametrize(("runs", "corners", "third"), [(2, 2, True), (3, 3, False), (5, 3, False)])
def test_planes_are_of_networks_that_there_are(runs: int, corners: int, third: bool, tmp_path: Path) -> None:
    settings = tmp_path / "own.sh"
    seeds = "first_seed=([rsgd]=1 [sgd]=11 [adv]=21 [sgd-old]=31)"
    settings.write_text(f"{(BINARY / 'small.sh').read_text()}\nruns={runs}\n{seeds}\n")
    command = f"ONLY='planes/*' bash {BINARY / 'run.sh'} {settings} data nowhere hmm-801/committee"
    planes = [parse(line) for line in dry(command) if "landscape plane" in line]
    assert len(planes) == 6
    for words in planes:
        assert sum(word.endswith(".st") for word in words) == corners
        assert ("--third" in words) == third


@cache
def printed(*studies: str) -> list[str]:
    command = ["bash", str(BINARY / "run.sh"), "small", "data", "nowhere", *studies]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"DRY": "1"})
    assert not Path("nowhere").exists()
    return done.stdout.splitlines()


def parse(line: str) -> list[str]:
    """Parse the `landscape` command of a printed line, as the program would; return its words.

    Raises:
        Exception: as the parser does.
    """
    from landscape_cli.cli.app import build_command

    words = shlex.split(line.split("&&")[1].split(">")[0])
    assert words[0] == "landscape"
    build_command(words[1]).make_context(words[1], words[2:])
    return words[1:]


@pytest.mark.parametrize(
    "script", sorted([*BINARY.glob("*.sh"), BINARY.parent / "study" / "stages.sh"]), ids=lambda path: path.name
)
def test_scripts_are_well_formed(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_every_command_parses() -> None:
    lines = [line for line in printed() if "landscape " in line]
    commands = [parse(line) for line in lines]
    assert {words[0] for words in commands} == {"train", "align", "path", "flatness", "distance", "plane"}
    outputs = [line.split()[1] + "/" + line.split(" && ")[-1].split()[-1] for line in lines]
    assert len(set(outputs)) == len(outputs)
    studies = {line.split()[1] for line in lines}
    assert len(studies) == 11
    for study in studies:
        own = [words for line, words in zip(lines, commands, strict=True) if line.split()[1] == study]
        trained = [words for words in own if words[0] == "train"]
        assert [words[words.index("--algo") + 1] for words in trained] == ["rsgd", "adv", "sgd", "sgd"]
        seeds = [int(words[words.index("--seed") + 1]) for words in trained]
        assert len({seed + run for seed in seeds for run in range(3)}) == 12
        sizes = {words[words.index("--batch-size") + 1] if "--batch-size" in words else "128" for words in trained}
        assert len(sizes) == 1
        assert sum(words[0] == "plane" for words in own) == 6
        moved = [words for words in own if "--optimize-midpoint" in words]
        by_adam = "adam" in trained[0]
        assert len(moved) == 6
        assert all(("--momentum" in words) != by_adam for words in moved)  # else by Adam, as the networks were
        assert len({tuple(words[words.index("--model") : words.index("--data-dir")]) for words in trained}) == 1
        measured = {words[words.index("--data") + 1] for words in own if words[0] != "train" and "--data" in words}
        assert measured == (set() if study.startswith("hmm") else {"measured.safetensors"})


def test_studies_are_what_their_names_say() -> None:
    models = {line.split()[1]: line for line in printed() if "train --algo sgd" in line}
    assert "--model committee --data hmm --hmm-dim 801 " in models["hmm-801-committee"]
    assert "--hidden 101,101 --data mnist --train-size 10000 --task parity " in models["mnist-parity-mlp-101"]
    measured = [line for line in printed() if "subset.py" in line]
    assert any("cd mnist-parity-mlp-51 " in line and "subset.py' mnist:parity data 10000" in line for line in measured)
    assert any("cd fashion-mnist-conv " in line and "subset.py' fashion-mnist data" in line for line in measured)
    assert {line.split()[1] for line in printed("hmm-801/committee") if line.startswith("cd ")} == {"hmm-801-committee"}
