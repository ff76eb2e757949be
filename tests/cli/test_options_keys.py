"""`--key`: one for all files, or one for each."""

from __future__ import annotations

import json

import torch

from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

SPEC = ModelSpec("mlp", {"hidden": [4], "bias": True}, (3,), 2)
HOW = ["--model", "mlp?hidden=[4]&outputs=2", "--input-shape", "3"]


def test_one_for_each_of_the_files(landscape) -> None:
    """Also of one file twice; one alone is recorded as it always was; an empty one is no key."""
    first, second = (create_model(SPEC, seed=seed).state_dict() for seed in (0, 1))
    torch.save({"model": first, "ema": second}, "a.pt")
    distance = ["distance", "a.pt", "a.pt", *HOW, "--no-functions", "--format", "json"]
    for keys in (["ema"], ["model", "ema"]):
        found = json.loads(landscape(*distance, *(word for key in keys for word in ("--key", key))).out)
        assert found["provenance"]["arguments"]["key"] == (keys if len(keys) > 1 else keys[0])
        assert (found["pairs"][0]["euclidean"] == 0) is (len(keys) == 1)
    landscape(*distance, "--key", "").check_refused("--key names an entry of the file, and is empty", "empty")
    landscape(*distance, *["--key", "ema"] * 3).check_refused("given 3 times for 2 files", "three")
