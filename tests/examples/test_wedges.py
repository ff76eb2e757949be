"""The second paper's study: its verdicts and its page on made-up results, and its scripts without running them."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shlex
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from study.page import overview
from study.verdicts import FAILS, HOLDS, NOISE
from wedges.findings import findings, read_study
from wedges.report import page
from wedges.subspaces import PART, read_curves

ROOT = Path(__file__).parent.parent.parent
WEDGES = ROOT / "examples" / "wedges"

DIMS = (4, 16, 64, 256, 1024)
ANGLES = tuple(float(angle) for angle in range(5, 65, 5))
WIDTHS = {
    "narrow": 20.0,
    "lr_low": 28.0,
    "batch_large": 31.0,
    "base": 33.0,
    "decay_some": 36.0,
    "batch_small": 37.0,
    "lr_high": 41.0,
    "dropout": 41.0,
    "decay_more": 44.0,
    "wide": 45.0,
}
ENSEMBLES = {"independent": 0.45, "short": 0.4, "snapshot": 0.0, "fge": 0.002, "swa": 0.001, "fork": -0.001}
FINDINGS = {"7", "8a", "8b", "8c", "8d", "8e", "9a", "9b", "9c", "9d", "9e", "10a", "10b", "11a", "11b", "11c", "11d"}


class Results:
    """Writes made-up results of a study: numbers with some noise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._source = random.Random(0)

    def noisy(self, value: float) -> float:
        return value * (1 + 0.01 * self._source.gauss(0, 1))

    def write(self, name: str, body: dict[str, Any], **arguments: Any) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(body | {"provenance": {"versions": {"python": "3"}, "arguments": arguments}}))

    def networks(self, name: str, seeds: range, rows: dict[str, Any], **arguments: Any) -> None:
        """Write what training reports: a row for each seed, numbers with noise."""
        networks = [
            {"network": f"{name}-{seed}.st"}
            | {key: self.noisy(value) if isinstance(value, float) else value for key, value in rows.items()}
            for seed in seeds
        ]
        self.write(f"{name}.json", {"networks": networks}, **arguments)


def make_up(
    folder: Path,
    *,
    fall: float = 0.55,
    ease: float = 1.0,
    widths: dict[str, float] = WIDTHS,
    gradient: float = 3.0,
    height: float = 0.03,
    aligned: float = 0.1,
    cost: float = 0.0,
    points: tuple[float, float] = (1.3, 0.97),
    excess: dict[str, float] = ENSEMBLES,
    fork: float = 0.5,
) -> Path:
    """Write results of networks by which every finding holds, unless something is changed.

    Args:
        folder: of the study.
        fall: by which factor the error falls from one dimension to the next.
        ease: by which factor it is lower in the wider networks.
        widths: angular widths.
        gradient: the growth of the error along the gradient, in parts of that in random directions.
        height: the largest error on a connector.
        aligned: the same once aligned, in parts of it.
        cost: by how much the test error on it exceeds the solutions'.
        points: largest training and mean test error when trained on points, in parts of those of vertices alone.
        excess: of the mean of weights over the members, in test error, by kind of ensemble.
        fork: gain and disagreement of forks, in parts of those of independent networks.
    """
    made = Results(folder)
    for width, weights in (("64", 55050), ("256", 269322)):
        for place, dim in enumerate(DIMS):
            error = 0.15 + 0.7 * fall**place * (ease if width == "256" else 1)
            rows = {"train_error": error - 0.1, "test_error": error, "subspace": {"dim": dim, "of": weights}}
            made.networks(f"subspaces/w{width}d{dim}", range(1, 6), rows)
        made.networks(f"subspaces/w{width}full", range(1, 6), {"train_error": 0.0, "test_error": 0.15})
    for arm, angle in widths.items():
        make_up_arm(made, arm, angle, gradient)
    made.networks("connectors/solution", range(31, 43), {"train_error": 0.001, "test_error": 0.16})
    for size, sets, objectives in ((3, 4, ("vertices", "connector")), (4, 3, ("vertices",))):
        for number in range(1, sets + 1):
            for kind, scale in (("trained", 1.0), ("aligned", aligned)):
                for on in objectives:
                    train, test = (1.0, 1.0) if on == "vertices" else points
                    name = f"connectors/m{size}-{kind}-{on}-{number}.json"
                    make_up_connector(made, name, size, height * scale * train, (0.16 + cost) * test)
    for arm, more in excess.items():
        for kind in ("trained", "aligned") if arm in {"independent", "short"} else ("trained",):
            for number in (1, 2, 3):
                part = fork if arm == "fork" else 1.0
                make_up_ensemble(made, f"ensembles/{arm}-{kind}-{number}.json", more * (kind == "trained"), part)
    return folder


def make_up_arm(made: Results, arm: str, angle: float, gradient: float) -> None:
    """Write networks whose error grows in proportion to the angle, to 0.1 at their angular width."""
    seeds = range(21, 26)
    made.networks(f"widths/{arm}", seeds, {"train_error": 0.0, "test_error": 0.17}, lr=0.03, hidden=arm)
    directions = {"random": 1.0} | ({"-gradient": 0.8 * gradient, "+gradient": 1.2 * gradient} if arm == "base" else {})
    turned = []
    for seed in seeds:
        width = made.noisy(angle)
        profiles = [
            {
                "direction": name,
                "angles": list(ANGLES),
                "train": {"mean": [factor * 0.1 * turn / width for turn in ANGLES]},
            }
            for name, factor in directions.items()
        ]
        reached = width if width <= ANGLES[-1] else None
        own = {"profiles": profiles, "width": {"growth": 0.1, "angle": reached, "standard_error": 0.1}}
        turned.append({"network": f"widths/{arm}-{seed}.st"} | own)
    made.write(f"widths/{arm}-radial.json", {"networks": turned})
    for metric in ("euclidean", "relative"):
        networks = [
            {"network": f"widths/{arm}-{seed}.st", "eigenvalues": [30.0], "trace": {"mean": 0.5, "standard_error": 0.1}}
            for seed in seeds
        ]
        made.write(f"widths/{arm}-{metric}.json", {"networks": networks})


def make_up_connector(made: Results, name: str, size: int, train: float, test: float) -> None:
    """Write a connector of so many solutions."""
    solution = {"trained": False, "train_error": 0.0, "test_error": 0.16}
    body = {
        "networks": [f"connectors/solution-{k}.st" for k in range(size)],
        "vertices": [solution] * size + [{"trained": True, "train_error": 0.0, "test_error": 0.9}],
        "connector": {
            "train": {"max": made.noisy(train), "mean": train / 2},
            "test": {"max": 0.2, "mean": test + made.noisy(0.001)},
        },
        "before": {"train": {"max": made.noisy(0.4), "mean": 0.2}},
        "simplex": {"train": {"max": made.noisy(0.45), "mean": 0.2}},
    }
    made.write(name, body)


def make_up_ensemble(made: Results, name: str, excess: float, part: float) -> None:
    """Write what is measured of a group of networks."""
    member = made.noisy(0.17)
    test = {
        "error": member - 0.002,
        "weights_error": member + excess + made.noisy(0.001),
        "member_error": {"mean": member, "least": member},
        "member_loss": 0.9,
        "loss": 0.9 - made.noisy(0.09 * part),
        "normalised_disagreement": made.noisy(0.32 * part),
        "kl": 0.1,
    }
    made.write(name, {"ensemble": {"networks": ["a", "b"], "test": test, "wedges": [["a"], ["b"]]}})


def make_up_surrogate(folder: Path, *, far: float = 1.0, zero: float = 1e-12, star: float = 1e-4) -> Path:
    """Write results of the surrogate by which every finding holds, unless something is changed.

    Args:
        folder: of the study.
        far: the least loss on planes below the threshold, in parts of the formula's.
        zero: the same above it.
        star: the largest loss on a trained star, in parts of the lines'.
    """
    made = Results(folder)
    dims, planes = (0, 25, 50, 100, 150), []
    for short in (50, 100):
        for wedges in (1, 100):
            for plane in range(10):
                formula = [math.sqrt(max(short - size, 0)) for size in dims]
                losses = [made.noisy(far * value) if value else zero for value in formula]
                own = {"short": short, "wedges": wedges, "landscape": 0, "plane": plane}
                planes.append(own | {"radius": math.sqrt(500), "losses": losses})
    made.write("exact.json", {"dim": 500, "dims": dims, "planes": planes})
    made.networks("subspaces/d50", range(1, 4), {"train_loss": 7.0})
    for landscape in range(3):
        names = [f"solutions/landscape{landscape}-{k}.st" for k in range(1, 4)]
        pairs = [
            {"start": a, "end": b, "points": [{"train_loss": 0.0}, {"train_loss": made.noisy(3.4)}]}
            for k, a in enumerate(names)
            for b in names[:k]
        ]
        made.write(f"solutions/landscape{landscape}.json", {}, model="wedges?dim=1000&threshold=0.0693147181")
        made.write(f"stars/lines-{landscape}.json", {"pairs": pairs})
        for size in (2, 3):
            for on, part in (("vertices", 0.6), ("connector", star)):
                heights = {"loss": {"train": {"max": made.noisy(3.4 * part)}}}
                body = {"networks": names[:size], "connector": heights}
                made.write(f"stars/m{size}-{on}-{landscape}.json", body)
    return folder


def verdicts_of(folder: Path) -> dict[str, str]:
    return {finding.label: finding.verdict for finding in findings(read_study(folder))}


def failing(folder: Path) -> set[str]:
    return {label for label, said in verdicts_of(folder).items() if said == FAILS}


def test_planted_findings_hold(tmp_path: Path) -> None:
    networks = verdicts_of(make_up(tmp_path / "mlp"))
    assert networks.pop("12d") == "no verdict"
    assert set(networks) == FINDINGS | {"12c"}
    assert set(networks.values()) == {HOLDS}
    surrogate = verdicts_of(make_up_surrogate(tmp_path / "surrogate"))
    assert surrogate == {"10c": HOLDS, "12a": HOLDS, "12b": HOLDS, "12d": "no verdict"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fall": 1.1}, {"7", "12c"}),
        ({"ease": 0.1}, {"7"}),
        ({"gradient": 0.5}, {"12c"}),
        ({"height": 0.2}, {"9a", "9b", "9e", "12c"}),
        ({"aligned": 1.2}, {"9b", "9c", "9e"}),
        ({"cost": 0.03}, {"9d", "9e"}),
        ({"points": (0.8, 1.05)}, {"10a", "10b"}),
        ({"excess": ENSEMBLES | {"fge": 0.05}}, {"11a"}),
        ({"excess": ENSEMBLES | {"independent": 0.05}}, {"11b"}),
        ({"fork": 1.5}, {"11c", "11d"}),
    ],
)
def test_what_is_otherwise_does_not_hold(tmp_path: Path, change: dict[str, Any], expected: set[str]) -> None:
    assert failing(make_up(tmp_path, **change)) == expected


@pytest.mark.parametrize(
    ("arm", "angle", "expected"),
    [
        ("lr_high", 30.0, "8a"),
        ("wide", 30.0, "8b"),
        ("decay_some", 30.0, "8c"),
        ("batch_small", 30.0, "8d"),
        ("dropout", 30.0, "8e"),
    ],
)
def test_a_width_out_of_order_does_not_hold(tmp_path: Path, arm: str, angle: float, expected: str) -> None:
    assert failing(make_up(tmp_path, widths=WIDTHS | {arm: angle})) == {expected}


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"far": 1.3}, {"12a"}), ({"far": 0.7}, {"12a"}), ({"zero": 1e-3}, {"12a"}), ({"star": 0.7}, {"10c", "12b"})],
)
def test_another_surrogate_does_not_hold(tmp_path: Path, change: dict[str, Any], expected: set[str]) -> None:
    assert failing(make_up_surrogate(tmp_path, **change)) == expected


def test_losses_of_stars_are_shown_as_distances(tmp_path: Path) -> None:
    found = read_study(make_up_surrogate(tmp_path)).surrogate
    assert found is not None
    assert list(found.stars[2].lines.values()) == pytest.approx([0.34] * 3, rel=0.05)


def test_equal_networks_are_within_noise(tmp_path: Path) -> None:
    found = verdicts_of(make_up(tmp_path, widths=dict.fromkeys(WIDTHS, 33.0), points=(1.0, 1.0), fork=1.0))
    assert HOLDS not in {found[label] for label in ("8a", "8b", "8c", "8d", "10a", "10b", "11c")}
    assert {found["10b"], found["11c"]} == {NOISE}


def test_d90_lies_between_dimensions_or_is_all_weights(tmp_path: Path) -> None:
    small, large = read_curves(make_up(tmp_path / "reached") / "subspaces")
    assert (small.weights, large.weights) == (55050, 269322)
    assert small.target == pytest.approx(1 - PART * 0.85, abs=0.01)
    assert all(256 < dim < 1024 for dim in small.d90.values())
    assert not small.unreached
    far = make_up(tmp_path / "far", fall=0.95)
    (missed, _) = read_curves(far / "subspaces")
    assert set(missed.d90.values()) == {float(missed.weights)}
    assert len(missed.unreached) == 5
    assert "D is counted as their d90" in page([read_study(far)], [[]])


def test_a_width_beyond_all_angles_counts_as_the_largest_and_is_named(tmp_path: Path) -> None:
    study = read_study(make_up(tmp_path, widths=WIDTHS | {"wide": 80.0}))
    assert set(study.arms["wide"].angles.values()) == {60.0}
    assert verdicts_of(tmp_path)["8b"] == HOLDS
    assert "wide: wide-21, wide-22" in page([study], [[]])


def test_networks_that_are_no_solutions_are_named(tmp_path: Path) -> None:
    folder = make_up(tmp_path)
    Results(folder).networks("connectors/solution", range(31, 34), {"train_error": 0.04, "test_error": 0.2})
    assert "above 0.005: solution-31, solution-32, solution-33" in page([read_study(folder)], [[]])


def test_stages_that_were_not_run_are_left_out(tmp_path: Path) -> None:
    folder = make_up(tmp_path)
    for file in [*(folder / "ensembles").iterdir(), *(folder / "widths").iterdir()]:
        file.unlink()
    assert set(verdicts_of(folder)) == {label for label in FINDINGS if label[:-1] in {"", "9", "10"}} | {"12d"}


def test_findings_are_listed_by_number(tmp_path: Path) -> None:
    found = findings(read_study(make_up(tmp_path)))
    labels = re.findall(r"^\| (\d+\w?)\. ", overview("", ["net"], [found]), re.MULTILINE)
    assert labels[0] == "7"
    assert labels[-2:] == ["12c", "12d"]
    assert labels.index("9e") < labels.index("10a")


def test_page_says_what_was_found(tmp_path: Path) -> None:
    studies = [read_study(make_up(tmp_path / "mlp")), read_study(make_up_surrogate(tmp_path / "surrogate"))]
    text = page(studies, [[("some.png", "A figure.")], []])
    assert text.count("**holds**") == 2 * (len(FINDINGS) + 1 + 3)  # in the overview, and in each study's table
    assert "![A figure.](figures/some.png)" in text
    for finding in findings(studies[0]):
        assert re.search(r"\[(paper|the workshop|ours|restored)", finding.claim), finding.claim
    for line in text.splitlines():
        assert not line.startswith("| ") or line.endswith(" |")


def test_report_writes_page_and_figures(tmp_path: Path) -> None:
    make_up(tmp_path / "data-mlp")
    make_up_surrogate(tmp_path / "surrogate-wedges")
    (tmp_path / "data-mlp" / "connectors" / "m3-aligned-vertices-1.png").write_bytes(b"drawn by path" * 100)
    command = [sys.executable, str(WEDGES / "report.py"), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "data-mlp  9a  holds" in done.stdout
    links = re.findall(r"\]\((figures/.*?)\)", (tmp_path / "report.md").read_text())
    assert len(links) == 6
    assert "The first set of three, aligned" in (tmp_path / "report.md").read_text()
    assert all((tmp_path / link).stat().st_size > 1000 for link in links)
    refused = subprocess.run([*command[:2], str(tmp_path / "nowhere")], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "usage" in refused.stderr


# the scripts


@cache
def printed(settings: str, script: str = "run.sh", *studies: str) -> list[str]:
    command = ["bash", str(WEDGES / script), settings, "data", "nowhere", *studies]
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


@pytest.mark.parametrize("script", sorted(WEDGES.glob("*.s[hb]*")), ids=lambda path: path.name)
def test_scripts_are_well_formed(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize(("settings", "studies"), [("small", 2), ("lenet", 1), ("paper", 5)])
def test_every_command_of_a_setting_parses(settings: str, studies: int) -> None:
    lines = [line for line in printed(settings) if "landscape " in line]
    for line in lines:
        parse(line)
    outputs = [line.split()[1] + "/" + line.split(" && ")[-1].split()[-1] for line in lines]
    assert len(set(outputs)) == len(outputs)
    assert len({line.split()[1] for line in lines}) == studies


def test_a_wrong_option_does_not_parse() -> None:
    line = next(line for line in printed("small") if "--subspace-dim" in line)
    with pytest.raises(Exception, match=r"(?i)no such option: --subspace-dims"):
        parse(line.replace("--subspace-dim", "--subspace-dims"))
    connector = next(line for line in printed("small") if "--kind connector" in line)
    with pytest.raises(Exception, match=r"(?i)complexes"):
        parse(connector.replace("--shape complex", "--shape complexes"))


@pytest.mark.parametrize("settings", ["small", "lenet", "paper"])
def test_what_is_measured_was_trained_before(settings: str) -> None:
    """Every network that a command reads is one that a command above it writes."""
    written: dict[str, set[str]] = {}
    for line in printed(settings):
        if " train " not in line and " path " not in line and " flatness " not in line and " distance " not in line:
            continue
        study, words = line.split()[1], shlex.split(line.split("&&")[1].split(">")[0])
        there = written.setdefault(study, set())
        if words[1] == "train":
            first, runs, name = (words[words.index(flag) + 1] for flag in ("--seed", "--runs", "-o"))
            files = {name.format(seed=int(first) + run) for run in range(int(runs))}
            read = {word for flag, word in pairwise(words) if flag == "--init"}
            kept = {stem.removesuffix(".st") for stem in files}
            there |= files
            if "--keep-epochs" in words:
                epochs = words[words.index("--keep-epochs") + 1].split(",")
                there |= {f"{stem}-epoch{epoch}.st" for stem in kept for epoch in epochs}
            if "--keep-snapshots" in words:
                there |= {f"{stem}-snapshot{number}.st" for stem in kept for number in range(1, 5)}
        else:
            read = {word for word in words if word.endswith(".st") and "{" not in word and "*" not in word}
            assert read or "*" in line
        assert read <= there


def test_seeds_of_the_arms_that_are_compared_do_not_meet() -> None:
    """Independent networks, snapshots, FGE, SWA, forks: no two runs of a study have one seed."""
    for settings in ("small", "paper"):
        seeds: dict[str, list[int]] = {}
        for line in printed(settings, "ensembles.sh"):
            if " train " in line:
                words = shlex.split(line)
                first, runs = (int(words[words.index(flag) + 1]) for flag in ("--seed", "--runs"))
                seeds.setdefault(words[1], []).extend(range(first, first + runs))
        assert all(len(set(own)) == len(own) for own in seeds.values())


def test_sets_of_solutions_are_disjoint() -> None:
    lines = [line for line in printed("small", "connectors.sh") if "--kind connector" in line]
    for size, sets in ((3, 4), (4, 3)):
        for kind in ("trained-vertices", "aligned-vertices"):
            own = [line for line in lines if f"'connectors/m{size}-{kind}-" in line]
            ends = [re.findall(r"connectors/solution-\d+\.st", line) for line in own]
            assert [len(each) for each in ends] == [size] * sets
            assert len({end for each in ends for end in each}) == 12


def test_each_stage_can_be_run_alone() -> None:
    stages = ("subspaces", "widths", "connectors", "ensembles", "surrogate")
    parts = [printed("small", f"{stage}.sh") for stage in stages]
    assert all(parts)
    assert [line for part in parts for line in part] == printed("small")


def test_lenet_has_connectors_alone() -> None:
    assert printed("lenet") == printed("lenet", "connectors.sh")


def test_named_studies_alone() -> None:
    lines = printed("paper", "run.sh", "cifar10/resnet20")
    assert {line.split()[1] for line in lines if "landscape " in line} == {"cifar10-resnet20"}


def test_array_has_a_task_for_each_study() -> None:
    text = (WEDGES / "paper.sbatch").read_text()
    last = int(re.search(r"--array=0-(\d+)", text)[1])  # type: ignore[index]
    assert "#SBATCH --signal=B:TERM@" in text
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    seen: list[str] = []
    for task in range(last + 2):
        done = subprocess.run(
            ["bash", str(WEDGES / "paper.sbatch")],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=clean | {"DRY": "1", "TASK": str(task)},
        )
        assert done.returncode == (2 if task > last else 0), done.stderr
        seen += sorted({line.split()[1] for line in done.stdout.splitlines() if "landscape " in line})
    assert len(seen) == len(set(seen)) == last + 1
