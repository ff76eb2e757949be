"""What networks are held against, on the command line: the owner's loss and error in every command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.io.checkpoint import read_checkpoint
from tests.support.objectives import KINDS, ObjectiveCase, hinge, make_case, request_of

SAID = {"language": "dense --class-axis -1", "pixels": "dense --ignore-index 255", "mask": "dense"}
SAID |= {"multilabel": "multilabel", "regression": "regression", "number": "regression"}
SAID |= {"hinge": "tests.support.objectives:hinge", "text": "classification"}
MEASURED = ["text", "language", "pixels", "regression", "multilabel", "hinge"]


def command(text: str, name: str) -> list[str]:
    """Return the words of a command on two foreign files of a kind, with its data and objective."""
    shape = ",".join(map(str, KINDS[name].shape))
    more = f"--data d.safetensors --preprocess none --objective {SAID[name]} --model {request_of(name)}"
    return [*text.split(), *more.split(), "--input-shape", shape, "--format", "json", "-q"]


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> tuple[str, list[ObjectiveCase]]:
    """Return a kind, and two networks of it in a.pt and b.pt, with data of both splits."""
    name = request.param
    made = [make_case(name, 23, seed) for seed in (0, 1)]
    tensors = {
        f"{part}_{split}": tensor
        for split, case in zip(("train", "test"), made, strict=True)
        for part, tensor in zip("xy", case.split, strict=True)
    }
    save_file(tensors, "d.safetensors")
    for file, case in zip("ab", made, strict=True):
        torch.save(dict(case.params), f"{file}.pt")
    return name, made


def check(found: dict[str, Any], case: ObjectiveCase, params: Any = None) -> None:
    """Check the columns of a network against its owner's loop on the training set."""
    loss, error = case.by_hand(params)
    assert found["train_error"] == (None if math.isnan(error) else pytest.approx(error))
    assert found["train_loss"] == pytest.approx(loss, rel=1e-4)
    assert ("train_r2" in found) is (case.kind.objective.name == "regression")


@pytest.mark.parametrize("cases", MEASURED, indirect=True)
def test_paths_planes_and_flatness_are_those_of_a_plain_loop(landscape: Callable[..., Any], cases: Any) -> None:
    name, (first, second) = cases
    quantity = "loss" if math.isnan(first.by_hand()[1]) else "error"
    plot = "--plot p.png --force" if name == "regression" else ""
    written = "--network-at 0.5 --network-out m.st --force"
    path = json.loads(landscape(*command(f"path a.pt b.pt --points 3 --loss {plot} {written}", name)).out)
    said = SAID[name].split()[0]
    assert (read_checkpoint("m.st").objective or {"name": "classification"})["name"] == said
    middle = {key: (value + second.params[key]) / 2 for key, value in first.params.items()}
    for point, params in zip(path["points"], (None, middle, second.params), strict=True):
        check(point, first, params)
    highest = max(point[f"train_{quantity}"] for point in path["points"])
    assert path["barrier"]["train"]["max"] == highest
    assert path.get("quantity", "error") == quantity
    plane = json.loads(landscape(*command(f"plane a.pt --third random --grid 2 --loss {plot}", name)).out)
    check(plane["networks"][0], first)
    flatness = landscape(*command(f"flatness a.pt --samples 2 --sigma 0,0.5 {plot}", name))
    [network] = json.loads(flatness.out)["networks"]
    assert network.get("quantity", "error") == quantity
    assert network[f"train_{quantity}"] == pytest.approx(plane["networks"][0][f"train_{quantity}"])
    still, moved = network["local_energy"]
    assert still["train_energy"] == 0
    assert ("train_r2" in moved) is (name == "regression")
    if name == "regression":
        variance = network["train_loss"] / (1 - network["train_r2"])
        losses = [network["train_loss"] + draw for draw in moved["train_draws"]]
        assert moved["train_r2"] == pytest.approx(sum(1 - loss / variance for loss in losses) / 2)
        turned = landscape(*command("flatness a.pt --kind radial --angles 0.2 --samples 2", name)).out
        [profile] = json.loads(turned)["networks"][0]["profiles"]
        assert profile["train_r2"] == pytest.approx([1 - profile["train"]["mean"][0] / variance])


@pytest.mark.parametrize("cases", MEASURED, indirect=True)
def test_what_is_normalized_and_aligned_is_the_same_function(landscape: Callable[..., Any], cases: Any) -> None:
    """Without a word of the objective: nothing is measured."""
    name, (case, _) = cases
    model = f"--model {request_of(name)} --input-shape {','.join(map(str, KINDS[name].shape))} -q"
    landscape(*f"normalize a.pt b.pt --out-dir n --keep-last-layer {model}".split())
    landscape(*f"align n/a.st n/b.st -o c.st --model {request_of(name)} -q".split())
    check_same = torch.allclose(case.outputs(), case.outputs(read_checkpoint("n/a.st").params), atol=1e-4)
    assert check_same
    b = make_case(name, 23, 1).params
    assert torch.allclose(case.outputs(b), case.outputs(read_checkpoint("c.st").params), atol=1e-4)
    assert (read_checkpoint("c.st").model.inputs is not None) is KINDS[name].tokens
    shown = landscape(*f"distance n/a.st c.st --no-functions --model {request_of(name)} --format csv -q".split()).out
    assert "geodesic" in shown


@pytest.mark.parametrize("cases", ["language", "pixels", "multilabel"], indirect=True)
def test_networks_disagree_about_single_decisions(landscape: Callable[..., Any], cases: Any) -> None:
    name, (first, second) = cases
    [row] = json.loads(landscape(*command("distance a.pt b.pt --ensemble", name)).out)["pairs"]
    outputs, y = (first.outputs(), first.outputs(second.params)), first.split.y
    decided = [each >= 0 if name == "multilabel" else each.argmax(-1 if name == "language" else 1) for each in outputs]
    counted = y != KINDS[name].objective.ignore_index if name != "multilabel" else torch.ones_like(y).bool()
    expected = float((decided[0] != decided[1])[counted].double().mean())
    assert row["train_disagreement"] == pytest.approx(expected)


@pytest.mark.parametrize("cases", ["hinge"], indirect=True)
def test_a_loss_of_ones_own_takes_arguments(landscape: Callable[..., Any], cases: Any) -> None:
    """Its error takes none; a checkpoint says them, and who reads it has to."""
    name, (case, _) = cases
    words = command("path a.pt b.pt --points 2 --loss --network-at 0 --network-out m.st", name)
    said = f"{SAID[name]}?margin=2.5"
    asked = [said if word == SAID[name] else word for word in words]
    [row] = json.loads(landscape(*asked).out)["networks"]
    assert row["train_error"] == pytest.approx(case.by_hand()[1])
    assert row["train_loss"] == pytest.approx(float(hinge(case.outputs(), case.split.y, margin=2.5).mean()), rel=1e-5)
    assert read_checkpoint("m.st").objective == {"name": said}
    again = [*["distance", "m.st", "m.st", "--data", "d.safetensors", "-q", "--model"], request_of(name)]
    landscape(*again).check_refused(f"add --objective '{said}'", "unsaid")
    wrong = [word.replace("margin", "width") for word in asked]
    landscape(*wrong, "--force").check_refused("unexpected keyword argument 'width'", "unknown")
    wrong = [f"{said}&margin=1" if word == said else word for word in asked]
    landscape(*wrong, "--force").check_refused("--objective", "twice")


@pytest.mark.parametrize("cases", ["regression"], indirect=True)
def test_what_is_not_defined_is_refused_in_one_line(landscape: Callable[..., Any], cases: Any) -> None:
    """Also what does not go together."""
    train = "train --data d.safetensors -o x.st"
    rows = "normalize a.pt -o x.st --input-shape 5 --model tests.support.objectives:rows?outputs=2"
    for text, words in {
        "distance a.pt b.pt": "no decisions: compare their weights alone, with --no-functions",
        "distance a.pt b.pt --ensemble": "--no-functions",
        "path a.pt b.pt --class-axis 1": "--class-axis is for --objective dense",
        "path a.pt b.pt --optimize-midpoint --until-error 0.1": "has no error for training",
        f"{train} --objective regression --until-error 0.1": "leave out --until-error",
        f"{train} --objective regression --algo adv": "and --algo adv",
        f"{train} --objective dense": "whole numbers",
        train: "name the --objective",
        f"{train} --objective l2": "unknown objective 'l2': choose classification",
        f"{train} --objective none.of:these": "no module 'none'",
        f"{train} --objective regression --task parity": "one label a sample",
        f"{rows} --input-dtype int64": "--input-dtype goes with --input-range",
        f"{rows} --input-range 5,5": "holds no numbers",
        f"{rows} --model-output x": "no output 'x' by --model-output",
    }.items():
        words_of = command(text, "regression") if text.startswith(("distance", "path")) else text.split()
        landscape(*words_of).check_refused(words, text)


def test_checkpoints_say_what_they_were_trained_for(landscape: Callable[..., Any]) -> None:
    for name in ("number", "text"):
        tensors = {
            f"{part}_{split}": tensor
            for k, split in enumerate(("train", "test"))
            for part, tensor in zip("xy", make_case(name, 20, k).split, strict=True)
        }
        save_file(tensors | {"y_train": tensors["y_train"]}, f"{name}.safetensors")
    train = "train --epochs 2 --batch-size 8 --hidden 5 --model mlp -q --data"
    for algo in ("sgd", "rsgd", "sam", "swa", "snapshot"):
        more = "--cycles 1" if algo == "snapshot" else ""
        landscape(*f"{train} number.safetensors --objective regression --algo {algo} {more} -o {algo}.st".split())
    network = read_checkpoint("sgd.st")
    assert network.objective == {"name": "regression"}
    assert network.metrics["train_error"] is None
    assert network.model.outputs == 1
    landscape(*["normalize", "sgd.st", "sam.st", "--out-dir", "n", "--keep-last-layer", "-q"])
    path = json.loads(landscape(*["path", "n/sgd.st", "n/sam.st", "--points", "2", "--format", "json", "-q"]).out)
    assert path["points"][0]["train_loss"] == pytest.approx(network.metrics["train_loss"], rel=1e-4)
    assert path["points"][0]["train_r2"] == pytest.approx(network.metrics["train_r2"], rel=1e-4)
    landscape(*f"{train} number.safetensors --init sgd.st -o on.st".replace("--hidden 5 --model mlp", "").split())
    assert read_checkpoint("on.st").objective == {"name": "regression"}
