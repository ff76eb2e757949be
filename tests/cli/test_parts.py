"""`--part`, `--merge` and `--resume`: the bytes of one process, whoever has measured what; and what is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.io.records import digest
from landscape_cli.sharing.journal import Journal, line_of
from tests.cli.test_app import TRAIN

EPOCHS = ["--align", "cosine", "--epochs", 1, "--midpoint-out", "m-{start}-{end}.st", "--force"]
COMMANDS = {
    "path": ["path", "[12].st", "3.st", "--pairs", "all", "--points", 3, "--align", "cosine"],
    "plane": ["plane", "1.st", "2.st", "--third", "random", "--grid", 3, "--loss"],
    "points": ["path", "1.st", "2.st", "--points", 4, "--from", -0.5, "--loss"],
    "midpoint": [*["path", "[12].st", "3.st", "--pairs", "all", "--optimize-midpoint", "--points", 3], *EPOCHS],
    "line": ["path", "1.st", "--direction", "gradient", "--range", "auto", "--points", 3, "--precision", "bf16"],
    "around": ["plane", "[12].st", "3.st", "--directions", "pca", "--grid", 3, "--loss", "--precision", "bf16"],
    "energy": ["flatness", "1.st", "2.st", "--sigma", "0.1,0.3", "--samples", 2, "--test"],
    "radial": ["flatness", "1.st", "2.st", "--kind", "radial", "--samples", 2, "--angles", "5,10"],
    "curvature": ["flatness", "1.st", "2.st", "--kind", "curvature", "--density", "--density-steps", 3],
    "distance": ["distance", "1.st", "2.st", "3.st", "--align", "cosine", "--matrix", "cosine"],
}


@pytest.fixture
def networks(made: Callable[..., None]) -> None:
    for seed in (1, 2, 3):
        made(*TRAIN, "--seed", seed, "-o", f"{seed}.st")


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("name", COMMANDS)
def test_parts_merged_are_the_whole_also_as_csv_and_picture(landscape: Callable[..., Any], name: str) -> None:
    command = COMMANDS[name]
    picture = ["--plot"] if name == "energy" else []
    assert landscape(*command, "-o", "whole.json", *picture, *["w.svg"] * len(picture)).code == 0
    for k in (1, 2):
        assert landscape(*command, "--part", f"{k}/2", "-o", f"part-{k}.json").code == 0
    parts = ["part-2.json", "part-1.json"]  # in any order
    merged = landscape(command[0], "--merge", *parts, "-o", "merged.json", *picture, *["m.svg"] * len(picture))
    assert merged.code == 0
    assert Path("merged.json").read_bytes() == Path("whole.json").read_bytes()
    if picture:
        assert Path("m.svg").read_bytes() == Path("w.svg").read_bytes()
        tables = [landscape(*words, "--format", "csv").out for words in (command, [command[0], "--merge", *parts])]
        assert tables[0] == tables[1] != ""
        done = landscape(command[0], "--merge", *parts, "--no-comment", "-o", "bare.csv")
        assert done.code == 0
        assert (
            "# "
            + json.dumps(json.loads(Path("bare.csv.meta.json").read_text())["provenance"])
            + "\n"
            + Path("bare.csv").read_text()
            == tables[0]
        )


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(("name", "kills"), [("plane", 3), ("points", 2), ("midpoint", 2), ("distance", 2)])
def test_interrupted_and_resumed_it_comes_to_the_same(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, kills: int
) -> None:
    command = [word for word in COMMANDS[name] if word != "--force"]
    assert landscape(*command, "-o", "whole.json").code == 0
    written = {path: path.read_bytes() for path in Path().glob("m-*")}
    for path in written:
        path.unlink()
    journal = Path("r.json.resume")
    measured, rng = 0, random.Random(5)

    def cut(values: Any) -> None:
        """Write values, and be killed on the way to the next ones, at any byte."""
        nonlocal measured
        content = journal.read_bytes()
        line = line_of(values)
        journal.write_bytes(content + line[: rng.randrange(1, len(line))])
        measured += 1
        raise KeyboardInterrupt

    for _ in range(kills):
        with monkeypatch.context() as patched:
            patched.setattr("landscape_cli.sharing.journal.Journal.keep", lambda _, values: cut(values))
            assert landscape(*command, "-o", "r.json", "--resume").code == 130
        assert journal.exists()
        assert not Path("r.json").exists()
    assert measured == kills
    assert landscape(*command, "-o", "r.json", "--resume").code == 0
    assert Path("r.json").read_bytes() == Path("whole.json").read_bytes()
    assert {path: path.read_bytes() for path in Path().glob("m-*")} == written
    assert not journal.exists()


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(("name", "kills"), [("plane", 20), ("points", 5)])
def test_killed_and_resumed_it_comes_to_the_same(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, kills: int
) -> None:
    command = [*COMMANDS[name], *(["--grid", 5] if name == "plane" else ["--points", 9])]
    assert landscape(*command, "-o", "whole.json").code == 0
    monkeypatch.setattr(Evaluator, "together", lambda *_: 1)  # a line a network
    keep, journal = Journal.keep, Path("r.json.resume")

    def keep_and_wait(self: Journal, values: Any) -> None:
        keep(self, values)
        time.sleep(60)

    for kill in range(kills):
        process = os.fork()
        if not process:
            monkeypatch.setattr(Journal, "keep", keep_and_wait)
            landscape(*command, "-o", "r.json", "--resume")
            os._exit(0)
        while not journal.exists() or journal.read_bytes().count(b"\n") < kill + 2:
            assert os.waitpid(process, os.WNOHANG) == (0, 0)
            time.sleep(0.005)
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
    assert not Path("r.json").exists()
    assert landscape(*command, "-o", "r.json", "--resume").code == 0
    assert Path("r.json").read_bytes() == Path("whole.json").read_bytes()
    assert not list(Path().glob("*resume*"))


@pytest.mark.usefixtures("networks")
def test_what_is_kept_is_not_measured_again(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    command = COMMANDS["plane"]
    assert landscape(*command, "-o", "whole.json").code == 0
    with monkeypatch.context() as patched:
        patched.setattr("landscape_cli.cli.reports.plane.write_plane", lambda *_, **__: 1 / 0)
        assert landscape(*command, "-o", "r.json", "--resume").code == 1
    monkeypatch.setattr("landscape_cli.evaluation.evaluator.Evaluator.evaluate", lambda *_: 1 / 0)
    done = landscape("plane", "1.st", "2.st", "--third", "random", "--grid", 3, "-o", "r.json", "--resume")
    done.check_refused("arguments.loss is True there, and False here", "other options")
    assert landscape(*command, "-o", "r.json", "--resume").code == 0
    assert Path("r.json").read_bytes() == Path("whole.json").read_bytes()


@pytest.mark.usefixtures("networks")
def test_what_was_kept_goes_when_the_same_is_measured_without(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["plane", "1.st", "2.st", "--third", "random", "--grid", 2]
    journal = Path("r.json.resume")
    with monkeypatch.context() as patched:
        patched.setattr("landscape_cli.cli.reports.plane.write_plane", lambda *_, **__: 1 / 0)
        assert landscape(*command, "-o", "r.json", "--resume").code == 1
    kept = journal.read_bytes()
    assert landscape(*command, "--seed", 1, "-o", "r.json").code == 0
    assert journal.read_bytes() == kept  # of another measurement
    assert landscape(*command, "-o", "r.json", "--force").code == 0
    assert not journal.exists()


@pytest.mark.usefixtures("networks")
def test_resuming_replaces_nothing_but_its_own_result(landscape: Callable[..., Any]) -> None:
    command, picture = COMMANDS["distance"], COMMANDS["plane"]

    def check_kept(file: str, *arguments: object) -> None:
        before = Path(file).read_bytes()
        done = landscape(*arguments)
        assert (done.code, f"error: {file} exists already" in done.err, done.out) == (2, True, ""), done.err
        assert Path(file).read_bytes() == before

    for form in ("json", "csv"):
        out = Path(f"r.{form}")
        again = [*command, "-o", str(out), "--resume"]
        assert landscape(*again).code == 0
        whole = out.read_bytes()
        done = landscape(*again)
        assert (done.code, f"{out} is complete already" in done.err) == (0, True)
        Path(f".{out}.resume.lock").touch()  # as a kill at the very end leaves it
        assert landscape(*again).code == 0
        assert not list(Path().glob(".*"))
        check_kept(str(out), *command, "--seed", 3, "-o", out, "--resume")
        out.write_text("precious")
        check_kept(str(out), *again)
        assert landscape(*again, "--force").code == 0
        assert out.read_bytes() == whole
    assert landscape(*command, "--part", "1/2", "-o", "p.json").code == 0
    check_kept("p.json", *command, "--part", "2/2", "-o", "p.json", "--resume")
    assert landscape(*command, "--part", "1/2", "-o", "p.json", "--resume").code == 0
    Path("x.svg").write_text("precious")
    drawn = [*picture, "-o", "x.json", "--plot", "x.svg", "--resume"]
    check_kept("x.svg", *drawn)
    assert landscape(*picture, "-o", "x.json").code == 0  # as after a kill between result and picture
    Path("x.svg").unlink()
    assert landscape(*drawn).code == 0
    assert Path("x.svg").exists()


@pytest.mark.usefixtures("networks")
def test_what_was_changed_is_refused(landscape: Callable[..., Any]) -> None:
    command = COMMANDS["plane"]
    assert landscape(*command, "--part", "1/1", "-o", "p.json").code == 0
    text = Path("p.json").read_text()
    content = json.loads(text)
    content["values"]["0"][0][0] += 1
    Path("p.json").write_text(json.dumps(content))
    landscape("plane", "--merge", "p.json").check_refused("p.json is not as it was written", "part")
    Path("p.json").write_text(text)
    landscape("plane", "--merge", "p.json", "p.json").check_refused("p.json is named twice", "twice")


@pytest.mark.usefixtures("networks")
def test_parts_that_make_no_whole_are_refused(landscape: Callable[..., Any]) -> None:
    command = COMMANDS["plane"]
    for k in (1, 2, 3):
        assert landscape(*command, "--part", f"{k}/3", "-o", f"{k}.json").code == 0
    assert landscape(*command, "--part", "3/3", "--seed", 4, "-o", "seed.json").code == 0
    assert landscape(*command, "--part", "2/2", "-o", "halves.json").code == 0
    assert landscape("plane", "1.st", "3.st", *command[3:], "--part", "3/3", "-o", "other.json").code == 0
    assert landscape(*command, "-o", "whole.json").code == 0
    for files, words in (
        (["1.json", "2.json"], "missing part 3/3"),
        (["1.json", "2.json", "3.json", "2.json"], "2.json is named twice"),
        (["1.json", "2.json", "seed.json"], "seed is 0 here"),
        (["1.json", "2.json", "other.json"], "b is 3.st there, and 2.st here"),
        (["1.json", "halves.json"], "of is 2 there, and 3 here"),
        (["whole.json"], "whole.json is no partial result"),
        (["1.st"], "1.st is no result"),
        (["nowhere.json"], "cannot read nowhere.json"),
    ):
        done = landscape("plane", "--merge", *files)
        if words == "seed is 0 here":
            words = "seed is 4 there, and 0 here"
        done.check_refused(words, str(files))
    landscape("flatness", "--merge", "1.json").check_refused("is of 'plane', not of flatness", "command")
    told = "--grid: with --merge the parts have settled what is measured, so leave it out"
    landscape("plane", "--merge", "1.json", "--grid", 3).check_refused(told, "an option of measuring")
    done = landscape("plane", "--merge", "1.json", "--nonsense")
    assert (done.code, "--nonsense" in done.err, "settled" in done.err) == (2, True, False)
    content = json.loads(Path("2.json").read_text())
    content["values"][next(iter(content["values"]))] = [[1, 0, 1.0]]
    del content["digest"]
    Path("2.json").write_text(json.dumps(content | {"digest": digest(content)}))
    landscape("plane", "--merge", "1.json", "2.json", "3.json").check_refused("2.json is damaged: ", "which part")
    for options, words in (
        (["--part", "4/3"], "--part takes which part and of how many"),
        (["--part", "0/3"], "--part takes"),
        (["--part", "1/3", "--plot", "p.png"], "--plot draws the whole"),
        (["--part", "1/3", "-o", "p.csv"], "a CSV has the whole"),
        (["--resume"], "name one with -o"),
    ):
        landscape(*command, *options).check_refused(words, str(options))


HOSTILE: list[tuple[list[Any], Any]] = [
    (["values", "4"], [[1, 0, "NaN"], [1, 0, 1.0]]),
    (["values", "4"], [[1, 0, 1.0]]),
    (["values", "4"], None),
    (["values", "4"], [[1 << 80, 0, 1.0], [1, 0, 1.0]]),
    (["values"], []),
    (["frame"], {}),
    (["frame", "xs"], [0.0]),
    (["frame", "xs"], "0"),
    (["frame", "corners"], [[0.0, 0.0]]),
    (["frame", "names"], ["a"]),
    (["frame", "third"], "x\x1b[31m"),
    (["frame", "splits"], {}),
    (["frame", "splits", "train", "samples"], 0),
    (["provenance"], None),
    (["partial", "of"], 10**12),
    (["partial", "part"], 1.5),
    (["partial", "format"], "landscape/part/9"),
]


@pytest.mark.usefixtures("networks")
def test_hostile_parts_are_refused_in_one_line(landscape: Callable[..., Any]) -> None:
    assert landscape(*COMMANDS["plane"], "--part", "1/1", "-o", "good.json").code == 0
    good = json.loads(Path("good.json").read_text())
    assert landscape("plane", "--merge", "good.json").code == 0
    for path, value in HOSTILE:
        content = json.loads(json.dumps(good))
        part = content
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
        del content["digest"]
        content["digest"] = digest(content)
        Path("bad.json").write_text(json.dumps(content))
        done = landscape("plane", "--merge", "bad.json")
        assert done.code == 2, (path, value, done.err)
        assert done.out == ""
        assert done.err.count("\n") == 1, done.err
        assert "\x1b" not in done.err
