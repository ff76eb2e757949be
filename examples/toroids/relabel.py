"""Relabel the hidden units of networks at random: python examples/toroids/relabel.py NETWORK... FOLDER.

Each network, FOLDER/NAME.st, computes what it did: only the order of its units is another, drawn by the network's place
in the list. Prints the files as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from landscape_cli import build_model, permute, random_permutations, read_network, trace_symmetry, write_checkpoint


def relabel(file: Path, folder: Path, seed: int) -> Path:
    """Write a network with its units in a random order; return the file."""
    network = read_network(file)
    symmetry = trace_symmetry(build_model(network.model, network.params), torch.zeros(2, *network.model.input_shape))
    order = random_permutations(symmetry, generator=torch.Generator().manual_seed(seed))
    written = folder / file.name
    write_checkpoint(written, replace(network, params=permute(network.params, symmetry, order)), force=True)
    return written


if __name__ == "__main__":
    *names, into = sys.argv[1:]
    print(json.dumps([str(relabel(Path(name), Path(into), seed)) for seed, name in enumerate(names, 1)]))
