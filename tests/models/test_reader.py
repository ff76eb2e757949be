"""Files of other programs, as those write them, read as networks of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from landscape_cli.errors import CheckpointError, ModelError, Remark
from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from landscape_cli.io.origin import Origin
from landscape_cli.models import build_model, create_model
from landscape_cli.models.reader import NetworkReader, read_network
from landscape_cli.network import ModelSpec, WholeInputs

SPEC = ModelSpec("mlp", {"hidden": [4], "bias": True}, (3,), 2)
MODEL = "mlp?hidden=[4]&outputs=2"
STATE = create_model(SPEC, seed=0).state_dict()


def read(path: Path, model: str = MODEL) -> Checkpoint:
    return read_network(path, model=model, input_shape=(3,))


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in STATE.items()}


def check_same(network: Checkpoint) -> None:
    assert network.params.keys() == STATE.keys()
    assert all(torch.equal(network.params[name], STATE[name]) for name in STATE)
    build_model(network.model, network.params)


def test_lightning(tmp_path: Path) -> None:
    """The module's own prefix; a criterion and metrics beside it are named, and left out."""
    beside = {"criterion.weight": torch.ones(2), "train_acc.tp": torch.zeros((), dtype=torch.int64)}
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "2.5",
        "state_dict": prefixed("model._orig_mod.") | beside,
        "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [{"state": {0: {"step": torch.ones(())}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": {"lr": 0.1},
    }
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.warns(Remark, match=r"begin with 'model\._orig_mod\.': criterion\.weight, train_acc\.tp$"):
        network = read(tmp_path / "a.ckpt")
    check_same(network)
    assert network.origin == Origin("state_dict", {"": "model._orig_mod."})


def test_origin_is_kept_and_absent_where_it_says_nothing(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert read(tmp_path / "a.safetensors").origin is None
    save_file(prefixed("net."), tmp_path / "b.safetensors")
    network = read(tmp_path / "b.safetensors")
    check_same(network)
    write_checkpoint(tmp_path / "b.st", network)
    assert read_checkpoint(tmp_path / "b.st").origin == network.origin == Origin(names={"": "net."})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net.fc1.bias": None}, r"prefix 'net\.' do not fit the model \(missing: fc1\.bias\): 3 of 4 names"),
        ({"net.more": torch.ones(1)}, r"not in the model: net\.more\): 4 of 4 names"),
        (
            {"net.fc1.bias": torch.ones(9)},
            r"wrong shape: fc1\.bias is \(9,\), expected.*: is it of another arch",
        ),
        ({"net.fc1.bias": torch.ones(4, dtype=torch.int64)}, r"wrong type: fc1\.bias"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, change: dict[str, Tensor | None], message: str) -> None:
    """Another architecture is suspected only where shapes differ."""
    tensors = {name: tensor for name, tensor in (prefixed("net.") | change).items() if tensor is not None}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=message) as error:
        read(tmp_path / "a.safetensors")
    assert ("another architecture" in str(error.value)) == ("wrong shape" in message)


def test_a_key_for_each_file(tmp_path: Path) -> None:
    """Two networks of one file are two arguments; files of landscape's own take none."""
    other = {name: tensor + 1 for name, tensor in STATE.items()}
    file, plain, own = tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.st"
    torch.save({"model": STATE, "ema": other}, file)
    torch.save(STATE, plain)
    write_checkpoint(own, Checkpoint(STATE, SPEC, {}))

    def firsts(paths: list[Path], *keys: str) -> list[bool]:
        networks, _ = NetworkReader(MODEL, (3,), keys).read_all(paths)
        return [torch.equal(network.params["fc1.weight"], STATE["fc1.weight"]) for network in networks]

    assert firsts([file, own, file], "model", "ema") == [True, True, False]
    assert firsts([file, file, plain], "ema", "model", "") == [False, True, True]
    assert firsts([file, file], "ema") == [False, False]
    for paths, keys in (([file, plain], ["model", "ema", ""]), ([file, own], ["ema", "ema"]), ([own], ["ema"])):
        with pytest.raises(CheckpointError, match=r"given \d times for \d files|leave it out"):
            firsts(paths, *keys)


def test_a_file_that_does_not_say_which_numbers_it_takes_is_of_the_same_model(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.st" for k in range(3)]
    for path, inputs in zip(paths, (None, WholeInputs(0, 3), WholeInputs(0, 4)), strict=True):
        write_checkpoint(path, Checkpoint(STATE, replace(SPEC, inputs=inputs), {}))
    for pair in (paths[:2], paths[1::-1]):
        assert len(NetworkReader().read_all(pair)[0]) == 2
    with pytest.raises(ModelError, match="only networks of one model"):
        NetworkReader().read_all(paths[1:])


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is a folder, and holds none of model"):
        read(tmp_path)
