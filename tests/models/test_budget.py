"""Small files take little memory and time, whatever they say: what they could not fill is not built."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import landscape_cli
from landscape_cli.errors import ModelError
from landscape_cli.models import budget, build_model, create_model
from landscape_cli.models.budget import FREE, Budget, ModelTooLargeError
from landscape_cli.network import MOST_INPUTS, ModelSpec

ROOT = Path(landscape_cli.__file__).parents[1]
IMAGE, FLAT = [3, 32, 32], [3]
HUGE = 10**8
MODELS: dict[str, tuple[str, dict[str, Any], list[int], int]] = {
    "resnet20 width": ("resnet20", {"width": HUGE}, IMAGE, 10),
    "resnet20 less width": ("resnet20", {"width": 20000}, IMAGE, 10),
    "resnet20 inputs": ("resnet20", {"width": 1, "blocks": 1}, [3, 4000, 4000], 10),
    "inputs beyond counting": ("resnet20", {"width": 1, "blocks": 1}, [3, 10**30, 10**30], 10),
    "many sizes": ("mlp", {"hidden": []}, [1] * 100000, 2),
    "mlp layers": ("mlp", {"hidden": [1] * 100000}, FLAT, 2),
    "mlp width": ("mlp", {"hidden": [HUGE, HUGE]}, FLAT, 2),
    "mlp overflow": ("mlp", {"hidden": [10**30]}, FLAT, 2),
    "outputs": ("mlp", {"hidden": [2]}, FLAT, 10**10),
    "lenet hidden": ("lenet", {"hidden": 10**9}, IMAGE, 2),
    "lenet filters": ("lenet", {"filters": [10**6, 10**6]}, IMAGE, 2),
    "vgg16 width": ("vgg16", {"width": HUGE}, IMAGE, 2),
    "vgg16 hidden": ("vgg16", {"width": 1, "hidden": [10] * 100000}, IMAGE, 2),
    "committee": ("committee", {"hidden": 10**10}, FLAT, 1),
    "binary-mlp": ("binary-mlp", {"hidden": [3] * 100000}, FLAT, 1),
    "binary-conv": ("binary-conv", {"filters": [10**7, 10**7]}, IMAGE, 2),
    "wedges": ("wedges", {"dim": 10**12}, [1], 2),
    "torchvision outputs": ("torchvision:squeezenet1_1", {"num_classes": 10**9}, [3, 64, 64], 10),
    "torchvision width": ("torchvision:resnet50", {"width_per_group": 10**7}, [3, 64, 64], 1000),
    "torchvision float": ("torchvision:mobilenet_v2", {"width_mult": 1e5}, [3, 64, 64], 1000),
    "torchvision blocks": (
        *("torchvision:mobilenet_v2", {"inverted_residual_setting": [[1, 8, 10**9, 1]]}, [3, 64, 64], 1000),
    ),
    "torchvision tables": ("torchvision:swin_t", {"window_size": [300, 300]}, [3, 64, 64], 1000),
}
RUN = """
import json, resource, sys, time
import torch
from landscape_cli.cli.app import main
torch.set_num_threads(1)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for command in json.load(sys.stdin):
    before, start = peak(), time.process_time()
    try:
        main(command)
    except SystemExit as stop:
        code = stop.code
    print("\\n@", code, int((peak() - before) / 1024), round(time.process_time() - start), flush=True)
    print("@@@", file=sys.stderr, flush=True)
"""


def write_file(path: Path, tensors: Mapping[str, list[int]], metadata: Mapping[str, str], *, sparse: bool) -> None:
    """Write a safetensors file of zeros; a sparse one takes no room."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in tensors.items():
        begin, end = end, end + 4 * int(torch.Size(shape).numel())
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if sparse:
            file.truncate(8 + len(text) + end)
        else:
            file.write(bytes(end))


def metadata_of(
    name: str, arguments: Mapping[str, Any], shape: list[int], outputs: int, data: Any = None
) -> dict[str, str]:
    model = {"name": name, "arguments": arguments, "input_shape": shape, "outputs": outputs}
    values = {"model": model, "data": data or {}, "history": [], "metrics": {}}
    return {"format": "landscape/1"} | {key: json.dumps(value) for key, value in values.items()}


def test_small_files(tmp_path: Path) -> None:
    """Each is refused in one line, quickly, with little memory; one process tries all, so that the peak is theirs."""
    commands: dict[str, list[str]] = {}
    for case, (name, arguments, shape, outputs) in MODELS.items():
        path = tmp_path / f"{case}.st"
        write_file(path, {"a": [100], "b": [3, 3]}, metadata_of(name, arguments, shape, outputs), sparse=False)
        commands[case] = ["normalize", str(path), "-o", str(tmp_path / "out.st")]
    large = {"a": [3 << 26], "b": [3 << 26], "c": [3 << 26], "d": [3 << 26]}
    write_file(tmp_path / "sparse.st", large, metadata_of("mlp", {"hidden": [2]}, FLAT, 1), sparse=True)
    write_file(tmp_path / "foreign.safetensors", large, {"format": "pt"}, sparse=True)
    commands["sparse"] = ["distance", str(tmp_path / "sparse.st"), str(tmp_path / "sparse.st")]
    named = ["--model", "mlp?hidden=[2]&outputs=1", "--input-shape", "3"]
    commands["sparse, foreign"] = ["normalize", str(tmp_path / "foreign.safetensors"), *named, "-o", "x.st"]
    commands["sparse data"] = ["train", "--data", str(tmp_path / "sparse.st")]
    torch.save({"a": torch.ones(3)}, tmp_path / "deflated.pt")
    with zipfile.ZipFile(tmp_path / "deflated.pt", "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data/1", bytes(300 << 20))
    commands["deflated"] = ["normalize", str(tmp_path / "deflated.pt"), *named, "-o", "x.st"]
    net = {"fc1.weight": [2, 3], "fc1.bias": [2], "fc2.weight": [1, 2], "fc2.bias": [1]}
    sizes = {"latent": 5, "dim": 3, "patterns": 10, "test_patterns": 10, "nonlinearity": "sign"}
    for key, size in {"patterns": 3 * 10**8, "test_patterns": 10**30, "latent": 10**9, "dim": 10**18}.items():
        hmm = sizes | {key: size}
        data = {"name": "hmm", "directory": "", "train_size": None, "seed": 0, "hmm": hmm}
        write_file(tmp_path / f"{key}.st", net, metadata_of("mlp", {"hidden": [2]}, FLAT, 1, data), sparse=False)
        commands[f"hmm {key}"] = ["path", str(tmp_path / f"{key}.st"), str(tmp_path / f"{key}.st")]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(list(commands.values())),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = [line[2:].split() for line in done.stdout.splitlines() if line.startswith("@")]
    messages = done.stderr.split("@@@\n")
    assert len(figures) == len(commands), done.stderr
    for case, (code, megabytes, seconds), message in zip(commands, figures, messages, strict=False):
        assert (code, message.count("\n")) == ("2", 1), (case, message)
        assert int(megabytes) < 500, (case, megabytes, message)
        assert int(seconds) < 10, (case, seconds, message)


def test_both_sizes_are_said() -> None:
    with pytest.raises(ModelError, match=r"2,700,000,000 numbers.* hold 7 in all"):
        build_model(ModelSpec("resnet20", {"width": HUGE}, (3, 32, 32), 10), {"x": torch.ones(7)})
    with pytest.raises(ModelError, match=r"far more tensors than the 1 "):
        build_model(ModelSpec("mlp", {"hidden": [1] * 100000}, (3,), 10), {"x": torch.ones(7)})
    with pytest.raises(ModelError, match=f"{MOST_INPUTS:,}"):
        ModelSpec("mlp", {}, (MOST_INPUTS + 1,), 2)


def test_budget_counts_before_it_makes() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for make in (
        lambda: torch.zeros(1 << 40),
        lambda: torch.ones(1 << 16).outer(torch.ones(1 << 16)),
        lambda: torch.arange(1 << 33),
        lambda: torch.rand(1 << 33, generator=torch.Generator()),
        lambda: nn.BatchNorm1d(FREE + 1),
        lambda: [torch.zeros(FREE) for _ in range(100)],
        lambda: torch.ones(3).repeat(1 << 30),
    ):
        with pytest.raises(ModelTooLargeError), Budget({"x": torch.ones(3)}):
            make()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 << 20


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("resnet20", {"width": 2}, (3, 32, 32)),
        ("mlp", {"hidden": [1] * 500}, (3,)),
        ("vgg16", {"width": 2}, (3, 32, 32)),
        ("wedges", {"wedges": 3000, "dim": 50, "short": 3}, (1,)),
        ("torchvision:swin_t", {"num_classes": 2}, (3, 32, 32)),
        ("torchvision:mobilenet_v3_small", {"num_classes": 3}, (3, 32, 32)),
    ],
)
def test_models_of_their_own_size_are_built(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    spec = ModelSpec(name, arguments, shape, 2)
    start = time.process_time()
    params = dict(create_model(spec, seed=0).state_dict())
    built = build_model(spec, params)
    assert built.state_dict().keys() == params.keys()
    assert time.process_time() - start < 30


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("mlp", {"hidden": [40, 40]}, (30,)),
        ("resnet20", {"width": 4}, (3, 32, 32)),
        ("torchvision:swin_t", {"num_classes": 2}, (3, 32, 32)),
    ],
)
def test_what_is_allowed_grows_with_what_is_given(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """Models that are larger than what is always allowed, as that is made next to nothing here."""
    spec = ModelSpec(name, arguments, shape, 2)
    params = dict(create_model(spec, seed=0).state_dict())
    for constant in ("FREE", "FREE_IN_ALL", "FREE_CALLS"):
        monkeypatch.setattr(budget, constant, 1)
    assert build_model(spec, params).state_dict().keys() == params.keys()
    least = min(params, key=lambda key: params[key].numel())
    with pytest.raises(ModelTooLargeError):
        build_model(spec, {least: params[least]})
