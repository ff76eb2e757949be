"""Where `landscape train` writes to: plain state_dicts, in place of checkpoints or beside them."""

from __future__ import annotations

from pathlib import Path

import torch

from landscape_cli import read_checkpoint
from landscape_cli.models.registry import create_model
from tests.cli.test_app import TRAIN


def test_plain_state_dicts(landscape) -> None:
    """They hold what checkpoints hold, load strictly, and a training that goes on writes those that are missing."""
    names = ["-o", "r-{seed}.st", "--export", "e-{seed}.pt"]
    done = landscape(*TRAIN, "--runs", "2", *names)
    assert done.code == 0, done.err
    for seed in (0, 1):
        network, state = read_checkpoint(f"r-{seed}.st"), torch.load(f"e-{seed}.pt", weights_only=True)
        assert all(torch.equal(state[name], tensor) for name, tensor in network.params.items())
        create_model(network.model, seed=9).load_state_dict(state, strict=True)
    content = Path("e-1.pt").read_bytes()
    assert landscape(*TRAIN, "--seed", "1", "-o", "plain.pth").code == 0
    assert Path("plain.pth").read_bytes() == content
    assert landscape(*TRAIN, "--seed", "1", "-o", "one.st").code == 0
    assert Path("one.st").read_bytes() == Path("r-1.st").read_bytes()
    Path("e-1.pt").unlink()
    Path("e-0.pt").write_bytes(b"mine")
    done = landscape(*TRAIN, "--runs", "2", *names, "--resume")
    assert (Path("e-1.pt").read_bytes(), Path("e-0.pt").read_bytes()) == (content, b"mine"), done.err
    assert done.code == 2, done.err
    assert done.err.endswith("e-0.pt exists already, of another network: choose another name, or --force\n")
    Path("e-0.pt").unlink()
    Path(".e-0.pt.abcdefgh.tmp").touch()
    for _ in range(2):
        assert landscape(*TRAIN, "--runs", "2", *names, "--resume").code == 0
    assert sorted(path.name for path in Path().glob("*e-*")) == ["e-0.pt", "e-1.pt"]


def test_refused(landscape) -> None:
    for case, (options, words) in {
        "resume": (["-o", "a.pt", "--resume"], "--resume does not go with -o a.pt"),
        "state": (["-o", "a.pt", "--checkpoint-every", "1"], "--checkpoint-every does not go with -o a.pt"),
        "twice": (["-o", "a.pt", "--export", "b.pt"], "--export does not go with -o a.pt"),
        "one file": (["--runs", "2", "--export", "b.pt"], "tell them apart by {seed} in --export"),
        "suffix": (["-o", "a.st", "--export", "b.st"], "must end in .pt"),
        "same file": (["-o", "a.safetensors", "--export", "a.safetensors"], "two outputs are the same file"),
    }.items():
        landscape(*TRAIN, *options).check_refused(words, case)
    assert not list(Path().iterdir())
