"""Names of other programs' files, matched with a model's."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from landscape_cli.errors import ModelError
from landscape_cli.models.naming import WRAPPERS, match_names

SHAPES = {"encoder.0.weight": (3, 2), "encoder.0.bias": (3,), "encoder.1.weight": (3,), "head.weight": (4, 3)}
MODEL = {name: torch.zeros(shape) for name, shape in SHAPES.items()}


def state(names: list[str] | dict[str, str]) -> dict[str, Tensor]:
    """Return a file that has the model's tensors under these names, in the model's order or by its names."""
    theirs = names if isinstance(names, dict) else dict(zip(MODEL, names, strict=True))
    return {there: MODEL[name] for name, there in theirs.items()}


def wrapped(name: str, drawn: random.Random) -> str:
    """Return a name with wrappers' names in it."""
    parts = name.split(".")
    for _ in range(drawn.randrange(3)):
        parts.insert(drawn.randrange(len(parts)), drawn.choice(sorted(WRAPPERS)))
    return ".".join(parts)


@pytest.mark.parametrize("seed", range(30))
def test_wrappers_and_prefixes(seed: int) -> None:
    """Any prefix, wrappers anywhere, on either side; other tensors beside the model are told apart."""
    drawn = random.Random(seed)
    modules = {module: wrapped(module, drawn) for module in ("encoder.0", "encoder.1", "head")}
    prefix = drawn.choice(["", "model.", "net.backbone.", "module.", "_orig_mod.model.", "model._orig_mod."])
    theirs = {name: name for name in MODEL}
    for module, there in modules.items():
        theirs = {name: there + t[len(module) :] if t.startswith(module) else t for name, t in theirs.items()}
    theirs = {name: prefix + there for name, there in theirs.items()}
    ours = {name: wrapped(name.rpartition(".")[0], drawn) + "." + name.rpartition(".")[2] for name in MODEL}
    beside = ["criterion.weight", "acc.tp"] if prefix else []
    file = state(theirs) | {name: torch.zeros(5) for name in beside}
    match = match_names({ours[name]: tensor for name, tensor in MODEL.items()}, file)
    assert match.theirs == {ours[name]: theirs[name] for name in MODEL}
    assert sorted(match.beside) == sorted(beside)
    assert not match.rivals
    assert match.renamed(file).keys() == set(ours.values())


def test_what_lies_inside_the_prefix_is_not_left_out() -> None:
    for prefix in ("", "model."):
        file = state([prefix + name for name in MODEL]) | {f"{prefix}extra": torch.ones(1)}
        match = match_names(MODEL, file)
        assert not match.beside
        assert f"{prefix}extra" in match.renamed(file)
    del file["model.head.weight"]
    assert "head.weight" not in match_names(MODEL, file).theirs


def test_buffers_that_the_model_does_not_keep() -> None:
    file = state([f"model.{name}" for name in MODEL]) | {"model.encoder.ids": torch.ones(1)}
    assert match_names(MODEL, file, unsaved=["encoder.ids"]).beside == ("model.encoder.ids",)


@pytest.mark.parametrize("theirs", ["", "model."])
def test_modules_that_the_file_lacks_in_front(theirs: str) -> None:
    """As of a network within a wrapper, or in a file that holds a base model's names."""
    bare = {name: theirs + name.removeprefix("encoder.") for name in MODEL}
    assert match_names(MODEL, state(bare)).theirs == bare
    whole = {f"bert.{name}": tensor for name, tensor in MODEL.items()}
    match = match_names(whole, state([theirs + name for name in MODEL]))
    assert match.theirs == match.owners == {f"bert.{name}": theirs + name for name in MODEL}


def test_owners_names_undo_conventions() -> None:
    """A base model's file lacks a prefix that its owner's `state_dict` has; old names are new there."""
    ours = {f"bert.{name}": tensor for name, tensor in MODEL.items()} | {"classifier.bias": torch.ones(2)}
    names = [f"bert.{name}" for name in MODEL]
    match = match_names(ours, state([name.removeprefix("bert.") for name in names]))
    assert match.owners == dict(zip(names, names, strict=True))
    old = {name: name.replace("1.weight", "1.gamma") for name in MODEL}
    assert match_names(MODEL, state(old)).owners == {name: name for name in MODEL}


def test_names_that_the_owner_ignores() -> None:
    file = state(list(MODEL)) | {"encoder.0.attn.bias": torch.ones(1)}
    assert match_names(MODEL, file, ignored=[r"attn\.bias"]).beside == ("encoder.0.attn.bias",)
    assert not match_names(MODEL, file, ignored=["other"]).beside


def test_old_names() -> None:
    theirs = {name: name for name in MODEL} | {
        "encoder.1.weight": "encoder.1.gamma",
        "encoder.0.bias": "encoder.0.beta",
    }
    assert match_names(MODEL, state(theirs)).theirs == theirs
    custom = {"gamma": torch.ones(2), "weight": torch.ones(2)}
    assert match_names(custom, custom).theirs == {name: name for name in custom}


@pytest.mark.parametrize(("old", "new"), [("weight_g", "original0"), ("weight_v", "original1")])
def test_both_forms_of_weight_norm(old: str, new: str) -> None:
    names = f"a.{old}", f"a.parametrizations.weight.{new}"
    for ours, theirs in (names, names[::-1]):
        assert match_names({ours: torch.ones(2)}, {theirs: torch.ones(2)}).theirs == {ours: theirs}


def test_several_networks() -> None:
    """The trained one counts rather than an average; of equals the user must choose."""
    file = state([f"teacher.{name}" for name in MODEL]) | state([f"student.{name}" for name in MODEL])
    match = match_names(MODEL, file)
    assert (match.prefix, match.rivals) == ("student.", ("teacher",))
    with pytest.raises(ModelError, match=r"under first, second: choose one with `key=` first"):
        match_names(MODEL, state([f"second.{n}" for n in MODEL]) | state([f"first.{n}" for n in MODEL]))
    plain = state(list(MODEL)) | state([f"copy.{name}" for name in MODEL])
    assert match_names(MODEL, plain).prefix == ""


def test_shapes_tell_networks_apart() -> None:
    other = {f"a.{name}": torch.zeros(9) for name in MODEL}
    assert match_names(MODEL, other | state([f"b.{name}" for name in MODEL])).prefix == "b."


def test_another_models_file_has_no_prefix() -> None:
    assert match_names(MODEL, {"other.head.weight": torch.ones(4, 3), "other.z": torch.ones(1)}).prefix == ""


@pytest.mark.parametrize("names", [["x", "y", "z", "w"], ["a.b", "a.c", "a.d", "a..e"], ["", ".", "..", "module"]])
def test_nothing_in_common(names: list[str]) -> None:
    file = state(names)
    match = match_names(MODEL, file)
    assert not match.theirs
    assert match.renamed(file).keys() == file.keys()
    assert not match_names(MODEL, {}).theirs
    assert not match_names({}, file).theirs
