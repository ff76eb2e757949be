"""Networks that are written while training goes on: of chosen epochs, and snapshots."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli.errors import CheckpointError
from landscape_cli.io import checkpoint
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.samplers.streams import initial_params
from tests.support.train_command import TRAIN, stopping_at
from tests.support.training import equal

KEEP = [*TRAIN, "--epochs", "4", "--keep-epochs", "0,1,3"]
SNAPSHOTS = [*TRAIN, "--epochs", "4", "--algo", "snapshot", "--cycles", "2", "--keep-snapshots", "--keep-epochs", "0,2"]
FGE = [*TRAIN, "--epochs", "6", "--algo", "fge", "--fge-start", "0.3", "--cycle-epochs", "2", "--keep-snapshots"]
RSGD = [*TRAIN, "--epochs", "2", "--keep-epochs", "0,1", "--algo", "rsgd", "--replicas", "2", "--keep-replicas"]


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().iterdir()}


def test_networks_of_epochs_are_written(landscape) -> None:
    done = landscape(*KEEP, "-o", "x.st", "--seed", "3")
    assert done.code == 0
    assert done.err.splitlines()[:4] == [
        f"landscape: wrote {name}.st" for name in ("x-epoch0", "x-epoch1", "x-epoch3", "x")
    ]
    row = json.loads(done.out)
    assert row["provenance"]["arguments"]["keep_epochs"] == "0,1,3"
    assert "keep_epochs" not in read_checkpoint("x.st").history[-1]["arguments"]
    assert [each["network"] for each in row["kept"]] == ["x-epoch0.st", "x-epoch1.st", "x-epoch3.st"]
    for each in row["kept"]:
        network = read_checkpoint(each["network"])
        assert {key: each[key] for key in network.metrics} == dict(network.metrics)
        last = dict(network.history[-1])
        assert last.pop("epoch") == each["epoch"]
        assert last == read_checkpoint("x.st").history[-1]
    start = read_checkpoint("x-epoch0.st")
    assert equal(start.params, initial_params(start.model, 3))
    table = landscape(*KEEP, "-o", "y.st", "--seed", "3", "--format", "csv").out.partition("\n")[2]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(each["network"], each["seed"], each["epochs"], float(each["test_loss"])) for each in rows] == [
        ("y.st", "3", "4", row["test_loss"]),
        *((f"y-epoch{kept['epoch']}.st", "3", str(kept["epoch"]), kept["test_loss"]) for kept in row["kept"]),
    ]
    assert [each["epoch"] for each in rows] == ["", "0", "1", "3"]
    assert landscape(*TRAIN, "--epochs", "4", "-o", "z.st", "--seed", "3").code == 0
    assert Path("z.st").read_bytes() == Path("x.st").read_bytes()


@pytest.mark.parametrize(("command", "epochs"), [(SNAPSHOTS, [2, 4]), (FGE, [3, 5])])
def test_snapshots_are_written(landscape, command: list[str], epochs: list[int]) -> None:
    done = landscape(*command, "-o", "x.st")
    assert done.code == 0
    row = json.loads(done.out)
    assert [(each["network"], each["snapshot"], each["epoch"]) for each in row["snapshots"]] == [
        (f"x-snapshot{number}.st", number, epoch) for number, epoch in enumerate(epochs, 1)
    ]
    assert row["epochs"] == epochs[-1]
    assert row["provenance"]["arguments"]["keep_snapshots"] is True
    assert "keep_snapshots" not in read_checkpoint("x.st").history[-1]["arguments"]
    first, last, network = (read_checkpoint(f"x{name}.st") for name in ("-snapshot1", "-snapshot2", ""))
    assert equal(last.params, network.params)
    assert not equal(first.params, last.params)
    assert last.metrics == network.metrics
    assert {key: first.history[-1][key] for key in ("snapshot", "epoch")} == {"snapshot": 1, "epoch": epochs[0]}
    table = landscape(*command, "-o", "x.st", "--force", "--format", "csv").out.partition("\n")[2]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(each["snapshot"], each["epochs"]) for each in rows if each["snapshot"]] == [
        ("1", str(epochs[0])),
        ("2", str(epochs[1])),
    ]
    alone = [word for word in command if word != "--keep-snapshots"]
    done = landscape(*alone, "-o", "y.st")
    assert (done.code, "of 2 snapshots 1 will be thrown away, all but the last: --keep-snapshots" in done.err) == (
        0,
        True,
    )
    assert Path("y.st").read_bytes() == Path("x.st").read_bytes()


def test_what_was_given_is_recorded_where_it_was(landscape) -> None:
    """Zero is something; and what is kept does not belong to how a network was made."""
    assert landscape(*FGE[:-5], "--fge-start", "0", "--cycle-epochs", "6", "--lr-min", "0", "-o", "x.st").code == 0
    arguments = read_checkpoint("x.st").history[-1]["arguments"]
    given = ("fge_start", "cycle_epochs", "lr_min", "cycles", "keep_snapshots", "keep_epochs", "lr_schedule")
    assert {name: arguments[name] for name in given if name in arguments} == {
        "fge_start": 0.0,
        "cycle_epochs": 6,
        "lr_min": 0.0,
    }


def test_runs_write_what_they_would_alone(landscape) -> None:
    assert landscape(*SNAPSHOTS, "--runs", "2", "--seed", "4", "-o", "many-{seed}.st").code == 0
    many = files()
    assert len(many) == 2 * 5
    for seed in (4, 5):
        assert landscape(*SNAPSHOTS, "--seed", seed, "-o", f"alone-{seed}.st").code == 0
    alone = {name: content for name, content in files().items() if name.startswith("alone")}
    assert {name.replace("many", "alone"): content for name, content in many.items()} == alone


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep-epochs", "1,x"], "--keep-epochs takes whole numbers separated by commas, not '1,x'"),
        (["--keep-epochs", "1,,2"], "--keep-epochs takes whole numbers separated by commas"),
        (["--keep-epochs", "1.5"], "--keep-epochs takes whole numbers separated by commas"),
        (["--keep-epochs", ""], "--keep-epochs names no epoch"),
        (["--keep-epochs", "-1"], "--keep-epochs must be a whole number of at least 0"),
        (["--keep-epochs", "2,1,2"], "--keep-epochs names epoch 2 twice"),
        (["--keep-epochs", "0,5"], "--keep-epochs names epoch 5, and training ends with epoch 4"),
        (["--keep-snapshots"], "--keep-snapshots is for --algo snapshot or fge, not sgd"),
        (["--cycles", "2"], "--cycles is for --algo snapshot, not sgd"),
        (["--algo", "snapshot"], "4 epochs are not 5 cycles of as many epochs: give --epochs 5, or other --cycles"),
        (["--algo", "snapshot", "--cycles", "0"], "--cycles must be at least 1"),
        (["--algo", "snapshot", "--cycles", "2", "--lr-min", "0"], "--lr-min is for --algo fge, not snapshot"),
        *(
            (["--algo", algo, *more, "--lr-schedule", schedule], f"--algo {algo} has a schedule of its own")
            for algo, more in (("snapshot", ["--cycles", "2"]), ("fge", ["--fge-start", "0"]), ("swa", []))
            for schedule in ("cosine", "constant", "step")
        ),
        (
            ["--algo", "fge"],
            "of 4 epochs 2 are before the cycles, and the others are no whole cycles of 4: give --epochs 9",
        ),
        (["--algo", "fge", "--cycle-epochs", "3"], "--cycle-epochs must be an even number of epochs, and is 3"),
        (["--algo", "fge", "--fge-start", "1"], "must start at a fraction of the epochs below 1, not at 1.0"),
        (
            ["--algo", "fge", "--fge-start", "0", "--lr-min", "1", "--lr", "0.1"],
            "--lr-min is 1, above",
        ),
        (["--algo", "fge", "--fge-start", "0", "--keep-epochs", "3"], "training ends with epoch 2"),
        (["--keep-epochs", "1", "--log", "x-epoch1.st"], "two outputs are the same file, x-epoch1.st"),
    ],
)
def test_impossible_options(landscape, options: list[str], words: str) -> None:
    done = landscape(*TRAIN, "--epochs", "4", *options, "-o", "x.st", "--checkpoint-every", "1")
    done.check_refused(words, " ".join(options))
    assert not files()


def test_files_in_the_way_are_seen_before_any_work(landscape) -> None:
    Path("x-epoch3.st").write_text("precious")
    landscape(*KEEP, "-o", "x.st").check_refused("x-epoch3.st exists already", "file")
    landscape(*KEEP, "-o", "x.st", "--resume").check_refused(
        "x-epoch3.st exists already, of another training", "resume"
    )
    Path("s-snapshot2.st").mkdir()
    landscape(*SNAPSHOTS, "-o", "s.st", "--force").check_refused("s-snapshot2.st is a directory", "folder")
    assert landscape(*KEEP, "-o", "x.st", "--seed", "9", "--force").code == 0
    assert sorted(path.name for path in Path().glob("x*")) == [
        f"x{name}.st" for name in ("-epoch0", "-epoch1", "-epoch3", "")
    ]
    Path("x.st").unlink()
    landscape(*KEEP, "-o", "x.st", "--resume").check_refused("x-epoch0.st exists already, of another training", "seed")


def test_what_is_read_is_not_written_over(landscape) -> None:
    assert landscape(*TRAIN, "--epochs", "1", "-o", "x-epoch1.st").code == 0
    before = files()
    Path("linked.st").symlink_to("x-epoch1.st")
    again = ["train", "--init", "x-epoch1.st", "--epochs", "2", "--force"]
    words = "is what --init reads, and would be written over: choose another name with -o"
    for more in (["-o", "x-epoch1.st"], ["-o", "linked.st"], ["-o", "x.st", "--keep-epochs", "1"]):
        landscape(*again, *more).check_refused(words, " ".join(more))
    landscape(*again, "-o", "x-epoch1.st", "--resume").check_refused(words, "resumed")
    for name in ("x-epoch1.st", "linked.st"):
        landscape(*again, "-o", "x.st", "--log", name).check_refused(words.replace("-o", "--log"), name)
    own = ["train", "--data", "x-epoch1.st", "-o", "x-epoch1.st", "--force"]
    landscape(*own).check_refused("is what --data reads", "data")
    Path("linked.st").unlink()
    assert files() == before
    assert landscape(*again, "-o", "x.st", "--keep-epochs", "2").code == 0


@pytest.mark.parametrize("command", [SNAPSHOTS, FGE], ids=["snapshot", "fge"])
def test_stopped_after_any_step_it_comes_to_the_same_files(
    landscape, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    command = [*command, "--batch-size", "17", "-o", "x.st", "--log", "x.csv"]
    done = landscape(*command)
    whole, said = files(), json.loads(done.out)
    for step in range(1, 2 * said["epochs"] + 1):
        for name in whole:
            Path(name).unlink()
        with monkeypatch.context() as patch:
            stopping_at(patch, signal.SIGTERM, step)
            assert landscape(*command, "--checkpoint-every", "9").code == 143
        stopped = files()
        assert "x.st.resume" in stopped
        assert all(whole[name] == content for name, content in stopped.items() if name.endswith(".st"))
        resumed = landscape(*command, "--checkpoint-every", "9", "--resume")
        assert resumed.code == 0
        assert files() == whole
        assert json.loads(resumed.out) == said


class Killed(Exception):
    """The end of the process, as far as one can be had without ending it."""


def killing(patch: pytest.MonkeyPatch, number: int, *, before: bool) -> None:
    """End the process as it writes its nth checkpoint, before or after that is there."""
    plain: Callable[..., None] = checkpoint.write_checkpoint
    count = 0

    def write(*arguments: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        if not before or count != number:
            plain(*arguments, **named)
        if count == number:
            raise Killed

    patch.setattr("landscape_cli.cli.training.writer.write_checkpoint", write)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("command", [SNAPSHOTS, RSGD], ids=["snapshot", "rsgd"])
def test_killed_between_taking_and_writing_it_comes_to_the_same_files(
    landscape, monkeypatch: pytest.MonkeyPatch, command: list[str], before: bool
) -> None:
    command = [*command, "--runs", "2", "-o", "{seed}.st"]
    done = landscape(*command)
    whole, said = files(), json.loads(done.out)
    for number in range(1, len(whole) + 1):
        for name in whole:
            Path(name).unlink()
        with monkeypatch.context() as patch:
            killing(patch, number, before=before)
            assert landscape(*command, "--checkpoint-every", "2").code == 1
        written = [content for name, content in files().items() if name.endswith(".st")]
        assert len(written) == number - before
        assert landscape(*command, "--checkpoint-every", "2", "--resume").code == 0
        assert files() == whole
    again = landscape(*command, "--resume")
    assert (again.code, "finished already" in again.err) == (0, True)
    for row in said["networks"]:
        del row["epochs"]
    assert json.loads(again.out)["networks"] == said["networks"]


def test_without_a_state_training_begins_anew_and_goes_over_its_own_files(
    landscape, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGTERM, 8)
        assert landscape(*KEEP, "-o", "x.st").code == 143
    assert sorted(files()) == ["x-epoch0.st", "x-epoch1.st"]
    left = files()
    landscape(*KEEP, "-o", "x.st").check_refused("x-epoch0.st exists already", "again")
    assert landscape(*KEEP, "-o", "x.st", "--resume").code == 0
    assert left.items() <= files().items()
    assert len(files()) == 4


def test_what_is_past_and_not_there_cannot_be_had(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*KEEP, "-o", "x.st", "--checkpoint-every", "1"]
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGTERM, 13)
        assert landscape(*command).code == 143
    gone = Path("x-epoch1.st").read_bytes()
    Path("x-epoch1.st").unlink()
    words = "x-epoch1.st is not there, and x.st.resume stands after epoch 1: put it back"
    landscape(*command, "--resume").check_refused(words, "gone")
    other = [*TRAIN, "--epochs", "4", "--keep-epochs", "0,2", "-o", "x.st", "--resume"]
    landscape(*other).check_refused("x-epoch2.st is not there", "another list")
    Path("x-epoch1.st").write_bytes(gone)
    assert landscape(*command, "--resume").code == 0
    assert sorted(files()) == ["x-epoch0.st", "x-epoch1.st", "x-epoch3.st", "x.st"]


def test_epochs_that_are_not_reached_are_named(landscape) -> None:
    done = landscape(
        *TRAIN, "--epochs", "60", "--until-error", "0.2", "--lr", "0.1", "--keep-epochs", "0,1,60", "-o", "x.st"
    )
    assert done.code == 0
    ended = json.loads(done.out)["epochs"]
    assert f"landscape: not written: x-epoch60.st, as seed 0 ended with epoch {ended}" in done.err.splitlines()
    assert sorted(files()) == ["x-epoch0.st", "x-epoch1.st", "x.st"]
    lost = landscape(*KEEP, "--lr", "1e30", "-o", "y.st")
    assert lost.code == 2
    assert "not written: y-epoch1.st, y-epoch3.st, as seed 0 diverged in epoch 1" in lost.err
    assert lost.err.endswith("so no network was written for it but those on the way: lower --lr\n")
    assert sorted(path.name for path in Path().glob("y*")) == ["y-epoch0.st"]


def test_a_disk_that_refuses_leaves_the_state(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Callable[..., None] = checkpoint.write_checkpoint

    def write(path: Path, *arguments: Any, **named: Any) -> None:
        if path.name == "x-epoch3.st":
            raise CheckpointError(f"cannot write {path}: No space left on device")
        plain(path, *arguments, **named)

    command = [*KEEP, "-o", "x.st", "--checkpoint-every", "2"]
    with monkeypatch.context() as patch:
        patch.setattr("landscape_cli.cli.training.writer.write_checkpoint", write)
        refused = landscape(*command)
    assert refused.code == 2
    assert "No space left on device (the state of training is safe in x.st.resume" in refused.err
    assert landscape(*command, "--resume").code == 0
    assert landscape(*KEEP, "-o", "y.st").code == 0
    for name in ("", "-epoch0", "-epoch1", "-epoch3"):
        assert Path(f"x{name}.st").read_bytes() == Path(f"y{name}.st").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(landscape) -> None:
    Path("locked").mkdir(mode=0o500)
    landscape(*KEEP, "-o", "locked/x.st").check_refused("nothing can be written into locked", "locked")
