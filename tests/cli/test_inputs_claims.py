"""What checkpoints claim is checked: that they are normalised, which data they were trained on, each key once."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from landscape_cli.io.checkpoint import read_checkpoint, write_checkpoint
from tests.conftest import Outcome

Landscape = Callable[..., Outcome]
TRAIN = (
    "--data",
    "hmm",
    "--hmm-latent",
    "5",
    "--hmm-dim",
    "7",
    "--hmm-test",
    "20",
    "--epochs",
    "1",
    "--batch-size",
    "5",
)


@pytest.fixture
def networks(made: Callable[..., None]) -> list[str]:
    """Two normalised networks."""
    made("train", "--model", "mlp", "--hidden", "5,4", *TRAIN, "--runs", "2", "-o", "{seed}.st")
    made("normalize", "0.st", "1.st", "--out-dir", "n")
    return ["n/0.st", "n/1.st"]


def change(path: str, **tensors: float) -> str:
    """Write a copy of a network, tensors of which are multiplied, and which says of itself what it did."""
    network = read_checkpoint(path)
    params = dict(network.params)
    for name, factor in tensors.items():
        params[name.replace("_", ".")] = params[name.replace("_", ".")] * factor
    write_checkpoint("a lie.st", replace(network, params=params), force=True)
    return "a lie.st"


def test_normalized_and_not(landscape: Landscape, networks: list[str]) -> None:
    """In whichever layer, whichever command uses it; the command to run mends it."""
    true, other = networks
    wrong = "says that it is normalised, and is not"
    for tensors in (
        {"fc1_weight": 1.01},
        {"fc2_weight": 0.5},
        {"fc3_weight": 1.1},
        {"fc1_weight": -3.0},
        {"fc3_weight": 0},
    ):
        false = change(other, **tensors)
        for command in (
            ("path", true, false, "--kind", "geodesic"),
            ("path", true, false, "--align", "cosine"),
            ("distance", true, false, "--no-functions"),
            ("align", true, false, "-o", "c.st"),
            ("align", false, true, "-o", "c.st"),
            ("path", true, false, "--kind", "connector", "--epochs", "1"),
            ("flatness", false, "--kind", "radial"),
        ):
            done = landscape(*command)
            done.check_refused(wrong, f"{command} {tensors}")
    false = change(other, fc1_weight=1.01)
    done = landscape("path", true, false, "--kind", "geodesic")
    advice = shlex.split(done.err.strip().partition("run this first: landscape ")[2])
    assert advice == ["normalize", "a lie.st", "-o", "FILE"]
    assert landscape(*[word.replace("FILE", "mended.st") for word in advice]).code == 0
    assert landscape("path", true, "mended.st", "--kind", "geodesic", "--points", "3").code == 0


def test_true_claims_pass(landscape: Landscape, networks: list[str]) -> None:
    assert landscape("normalize", "0.st", "-o", "kept.st", "--keep-last-layer").code == 0
    assert landscape("align", networks[0], networks[1], "-o", "aligned.st").code == 0
    for other in ("kept.st", "aligned.st", networks[1]):
        done = landscape("distance", networks[0], other, "--no-functions")
        assert done.code == 0, done.err
        assert json.loads(done.out)["pairs"][0]["geodesic"] is not None
    assert landscape("distance", "0.st", change("0.st", fc1_weight=2), "--no-functions").code == 0  # claims nothing


def test_binary_claims(landscape: Landscape) -> None:
    done = landscape("train", "--model", "binary-mlp", "--hidden", "5", *TRAIN, "--runs", "2", "-o", "{seed}.st")
    assert done.code == 0, done.err
    assert landscape("normalize", "0.st", "1.st", "--out-dir", "n").code == 0
    assert landscape("align", "n/0.st", "n/1.st", "-o", "a.st").code == 0
    landscape("align", "n/0.st", change("n/1.st", fc1_weight=2), "-o", "b.st").check_refused("and is not", "latents")


@pytest.mark.parametrize("digest", ["0" * 64, [1], {}, 5], ids=str)
def test_generated_data(landscape: Landscape, networks: list[str], digest: object) -> None:
    network = read_checkpoint("0.st")
    changed = dict(network.data) | {"sha256": digest}
    write_checkpoint("other.st", replace(network, data=changed))
    for command in (
        ("path", "0.st", "other.st", "--points", "2"),
        ("path", "other.st", "0.st", "--points", "2"),
        ("train", "--init", "other.st", "--epochs", "1", "-o", "new.st"),
    ):
        done = landscape(*command)
        assert done.code == 0, done.err
        assert "warning: the data generated here are not those that other.st records" in done.err, command
    done = landscape("path", "0.st", "1.st", "--points", "2")
    assert (done.code, "generated here" in done.err) == (0, False)


@pytest.mark.parametrize("key", ["model", "history", "metrics", "data", "normalized"])
def test_keys_that_occur_twice(landscape: Landscape, networks: list[str], key: str) -> None:
    """In what metadata hold, as in the header itself."""
    content = Path(networks[0]).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    value = header["__metadata__"][key]
    at = value.index("{") + 1
    header["__metadata__"][key] = f'{value[:at]}"twice":1,"twice":2{"" if value[at] == "}" else ","}{value[at:]}'
    text = json.dumps(header).encode()
    Path("twice.st").write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    landscape("distance", "twice.st", networks[1]).check_refused("a key occurs twice", key)
