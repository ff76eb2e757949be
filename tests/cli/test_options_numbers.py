"""Numbers that people do not write as numbers, and numbers beyond all use, are refused before any work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from landscape_cli.arguments import decimal_number, whole_number
from landscape_cli.cli import console
from landscape_cli.cli.training import files
from landscape_cli.io import atomic
from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture

BILLION = str(10**9)


@pytest.mark.parametrize(
    "command",
    [
        f"plane a b c --grid {BILLION}",
        f"path a b --points {BILLION}",
        f"path a b --orders {BILLION}",
        f"flatness a --samples {BILLION}",
        f"flatness a --kind radial --samples {BILLION}",
        f"flatness a --kind curvature --trace-samples {BILLION}",
        f"flatness a --kind curvature --density --density-steps {BILLION}",
        f"align a b --orders {BILLION} --method weight -o c.st",
        f"align a b --samples {BILLION} --method activation -o c.st",
        f"path a b --kind connector --centres {BILLION}",
        f"train --algo rsgd --replicas {BILLION}",
        f"train --algo adv --adv-copies {BILLION}",
        f"train --algo snapshot --cycles {BILLION}",
        f"train --runs {BILLION}",
        "train --runs 9223372036854775808",
        "train --epochs 9223372036854775808",
        f"train --hmm-latent {'9' * 30}",
        f"train --train-size {'9' * 5000}",
        "plane a b c --grid 1_000",
        "path a b --points ５",
        "path a b --points ٣",
        "train --lr 1_0.5",
        "train --lr ５",
        "train --hidden 1_0",
        "flatness a --sigma 0.1,1_0",
        "flatness a --kind radial --angles ５",
        "path a b --input-shape 3,1_0",
        "train --algo rsgd --gamma-init 1_0",
        "train --device cuda:99999999999999999999",
        "train --device cuda:１",
    ],
)
def test_refused(landscape, command: str) -> None:
    start = time.process_time()
    done = landscape(*command.split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert "internal" not in done.err
    assert len(done.err) < 400
    assert time.process_time() - start < 10
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "text", ["1_0", "５", "0x10", "1e3_0", "", " ", "--1", "1 0", "\t1", "1\n", "nan0", "infin", "1e", "e5", "."]
)
def test_no_numbers(text: str) -> None:
    for read in (whole_number, decimal_number):
        with pytest.raises(ValueError, match="no"):
            read(text)


@pytest.mark.parametrize("text", ["1", "+1.5", "-.5", "1.", "1e-3", "2E+4", "inf", "-Infinity", "NaN", " 7 "])
def test_numbers(text: str) -> None:
    assert repr(decimal_number(text)) == repr(float(text))


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    "command",
    [
        "path 1.st 2.st --points 10000000",
        "flatness 1.st --samples 9000000",
        "flatness n.st --kind radial --samples 9000000",
        "plane 1.st 2.st n.st --grid 3162",
    ],
)
def test_products_of_allowed_numbers_are_bounded_too(landscape, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    assert landscape("normalize", "1.st", "-o", "n.st").code == 0
    monkeypatch.setattr(console, "MOST_NETWORKS", 10**6)
    start = time.process_time()
    done = landscape(*command.split())
    assert (done.code, done.out) == (2, ""), done.err
    assert "networks would be evaluated" in done.err
    assert time.process_time() - start < 20


@pytest.mark.usefixtures("trained")
def test_long_work_says_its_size_at_the_start(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "MANY_NETWORKS", 25)
    done = landscape("plane", "1.st", "2.st", "--third", "random", "--grid", "5")
    assert "plane: 28 networks, 2,324 samples in all" in done.err
    assert "networks" not in landscape("plane", "1.st", "2.st", "--third", "random", "--grid", "5", "-q").err
    assert "in all" not in landscape("plane", "1.st", "2.st", "--third", "random", "--grid", "4").err


def test_a_folder_is_tried_once_for_all_files(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []
    monkeypatch.setattr(atomic, "check_takes_files", lambda folder, **_: tried.append(folder))
    Path("here").mkdir()
    Path("here/b-7.st").touch()
    runs = [*TRAIN, "--epochs", "1", "--runs", "20", "--seed", "0", "-o", "here/b-{seed}.st"]
    landscape(*runs).check_refused("here/b-7.st exists already", "runs")
    assert tried == []
    Path("here/b-7.st").unlink()
    landscape(*runs, "--init", "no.st").check_refused("no.st", "runs")
    assert tried == [Path("here")]


def test_what_memory_cannot_hold_is_refused_with_both_sizes(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "check_room_for", lambda *_, **__: None)  # the disk is asked first
    wide = ["train", "--model", "mlp", "--hidden", "3000,3000"]
    for more in (["--runs", "20000"], ["--algo", "rsgd", "--replicas", "20000"]):
        done = landscape(*wide, *more, "-o", "{seed}.st")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert "GB, and this machine has" in done.err
    copies = landscape(*TRAIN, "--hmm-dim", "100000", "--algo", "adv", "--adv-copies", "100000", "-o", "x.st")
    assert (copies.code, "--adv-copies" in copies.err) == (2, True), copies.err
