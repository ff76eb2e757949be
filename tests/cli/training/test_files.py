"""Where networks go, and whether they may."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from landscape_cli.io.checkpoint import read_checkpoint
from tests.support.train_command import SHORT, log_of, stopping_at


def test_runs_need_names(landscape) -> None:
    done = landscape(*SHORT, "--runs", "2", "-o", "x.st")
    assert done.code == 2
    assert "'x-{seed}.st'" in done.err
    assert not list(Path().iterdir())
    assert landscape(*SHORT, "--seed", "7", "-o", "one-{seed}.st").code == 0
    assert Path("one-7.st").exists()
    Path("y-1.st").touch()
    done = landscape(*SHORT, "--runs", "2", "-o", "y-{seed}.st")
    assert done.code == 2
    assert "y-1.st exists already" in done.err
    assert not Path("y-0.st").exists()


def test_replicas_are_kept(landscape) -> None:
    done = landscape(*SHORT, "--algo", "rsgd", "--replicas", "2", "--keep-replicas", "-o", "c.st", "--log", "c.csv")
    assert done.code == 0
    centre, *replicas = (read_checkpoint(name).params for name in ("c.st", "c-replica1.st", "c-replica2.st"))
    assert not Path("c-replica3.st").exists()
    for key, tensor in centre.items():
        mean = (replicas[0][key].double() + replicas[1][key].double()) / 2
        assert torch.allclose(tensor.double(), mean, atol=1e-6)
        assert not torch.equal(replicas[0][key], replicas[1][key])
    row = log_of("c.csv")[-1]
    distance = sum(float((replicas[0][key] - centre[key]).double().square().sum()) for key in centre) ** 0.5
    assert float(row["replica1_distance"]) == pytest.approx(distance, rel=1e-4)
    assert float(row["solution_error"]) == pytest.approx(read_checkpoint("c.st").metrics["train_error"])
    assert landscape(*SHORT, "--keep-replicas", "-o", "d.st").code == 2


@pytest.mark.parametrize("algo", ["sgd", "rsgd"])
def test_without_a_name_networks_go_to_their_sampler_and_seed(landscape, algo: str) -> None:
    done = landscape(*SHORT, "--algo", algo, "--seed", "4")
    assert done.code == 0
    assert f"landscape: wrote {algo}-4.st\n" in done.err
    assert "warning: no solution, by a training error above 0.001: " in done.err
    assert json.loads(done.out)["network"] == f"{algo}-4.st"
    assert [path.name for path in Path().iterdir()] == [f"{algo}-4.st"]
    assert landscape(*SHORT, "--algo", algo, "--seed", "4", "-o", "named.st").code == 0
    assert Path("named.st").read_bytes() == Path(f"{algo}-4.st").read_bytes()


def test_runs_without_a_name_are_a_file_each(landscape) -> None:
    done = landscape(*SHORT, "--algo", "rsgd", "--runs", "3", "--seed", "4", "--keep-replicas", "--replicas", "2")
    assert done.code == 0
    written = {f"rsgd-{seed}{replica}.st" for seed in (4, 5, 6) for replica in ("", "-replica1", "-replica2")}
    assert {path.name for path in Path().iterdir()} == written
    assert all(f"wrote {name}" in done.err for name in written)


def test_without_a_name_no_file_is_replaced_unasked(landscape) -> None:
    Path("sgd-1.st").write_text("precious")
    done = landscape(*SHORT, "--runs", "2")
    assert done.code == 2
    assert "sgd-1.st exists already: choose another name, or pass --force" in done.err
    assert [path.name for path in Path().iterdir()] == ["sgd-1.st"]
    assert Path("sgd-1.st").read_text() == "precious"
    assert landscape(*SHORT, "--runs", "2", "--force").code == 0
    assert read_checkpoint("sgd-1.st").metrics


def test_without_a_name_training_is_resumed(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*SHORT, "--algo", "rsgd", "--runs", "2", "--checkpoint-every", "1"]
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGTERM, 5)
        assert landscape(*command).code == 143
    assert [path.name for path in Path().iterdir()] == ["rsgd-0..1.st.resume"]
    refused = landscape(*command)
    assert (refused.code, "rsgd-0..1.st.resume is left of a training" in refused.err) == (2, True)
    assert landscape(*command, "--resume").code == 0
    assert {path.name for path in Path().iterdir()} == {"rsgd-0.st", "rsgd-1.st"}
    again = landscape(*command, "--resume")
    assert (again.code, "rsgd-0.st is finished already" in again.err) == (0, True)


def test_the_smallest_call(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    """`landscape train --algo rsgd` gets past everything that is checked, and trains what it says by default."""
    seen = []

    def stop(spec: object, data: object, sampler: object, **more: object) -> None:
        seen.append((spec, sampler))
        raise KeyboardInterrupt

    monkeypatch.setattr("landscape_cli.samplers.training.train", stop)
    assert landscape("train", "--algo", "rsgd", "-q").code == 130
    [(spec, sampler)] = seen
    assert (spec.name, type(sampler).__name__) == ("mlp", "RSGD")
