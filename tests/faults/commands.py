"""Every command that writes, on the fuzzer's files."""

from __future__ import annotations

from tests.fuzz.corpus import MLP, PLANE, resumed

SAFE = ["--checkpoint-every", "1", "--log", "out.csv"]
TRAIN = [*MLP, "--epochs", "3", "--seed", "5"]
RUNS = [*TRAIN, "--algo", "rsgd", "--replicas", "2", "--runs", "3"]
CONNECTOR = ["path", "a.st", "b.st", "n.st", "--kind", "connector", "--points", "2", "--epochs", "1"]
COMMANDS: dict[str, list[str]] = {
    "train": [*TRAIN, "-o", "out.st"],
    "train-log": [*TRAIN, *SAFE, "-o", "out.st"],
    "train-epochs": [*TRAIN, *SAFE, "--keep-epochs", "0,1", "-o", "out.st"],
    "train-snapshots": [*TRAIN, *SAFE, "--algo", "snapshot", "--cycles", "3", "--keep-snapshots", "-o", "out.st"],
    "train-adv": [*TRAIN, *SAFE, "--algo", "adv", "--adv-epochs", "1", "-o", "out.st"],
    "train-subspace": [*TRAIN, *SAFE, "--subspace-dim", "9", "-o", "out.st"],
    "train-fge": [
        *TRAIN,
        *SAFE,
        "--algo",
        "fge",
        "--epochs",
        "4",
        "--cycle-epochs",
        "2",
        "--keep-snapshots",
        "-o",
        "out.st",
    ],
    "train-runs": [*RUNS, "-o", "out-{seed}.st"],
    "train-runs-log": [*RUNS, *SAFE, "--keep-epochs", "1", "--keep-replicas", "-o", "out-{seed}.st"],
    "train-anew": [*TRAIN, *SAFE, "--resume", "-o", "out.st"],
    "train-resumed": resumed("sgd"),
    "train-resumed-runs": resumed("rsgd"),
    "normalize": ["normalize", "a.st", "-o", "out.st"],
    "normalize-many": ["normalize", "a.st", "b.st", "--out-dir", "out/deep"],
    "align": ["align", "n.st", "m.st", "-o", "out.st", "--permutations", "out.json"],
    "align-many": ["align", "a.st", "b.st", "n.st", "--out-dir", "out", "--permutations", "out/out.json"],
    "exported": ["normalize", "a.st", "-o", "out.st", "--export", "out.pt"],
    "averaged": [
        *("align", "n.st", "m.st", "a.st", "--out-dir", "out", "--average-out", "out-mean.st"),
        *("--export", "out-{name}.pt"),
    ],
    "merged": [
        *("path", "a.st", "b.st", "--points", "2", "--network-at", "0.2,0.5", "--network-out", "out-{tau}.st"),
        *("-o", "out.json", "--plot", "out.svg"),
    ],
    "train-exported": [*RUNS, "-o", "out-{seed}.st", "--export", "out-{seed}.pt"],
    "distance": ["distance", "a.st", "b.st", "-o", "out.csv"],
    "ensemble": ["distance", "a.st", "b.st", "--ensemble", "-o", "out.json"],
    "path": ["path", "a.st", "b.st", "--points", "2", "-o", "out.json", "--plot", "out.svg"],
    "path-csv": ["path", "a.st", "b.st", "--points", "2", "-o", "out.csv"],
    "path-printed": ["path", "a.st", "b.st", "--points", "2"],
    "midpoint": [
        *("path", "a.st", "b.st", "--points", "2", "--optimize-midpoint", "--epochs", "1", "--midpoint-out", "out.st"),
        *("-o", "out.json"),
    ],
    "midpoints": [
        *("path", "a.st", "b.st", "n.st", "--pairs", "all", "--points", "2", "--optimize-midpoint", "--epochs", "1"),
        *("--midpoint-out", "out-{start}-{end}.st"),
    ],
    "connector": [*CONNECTOR, "--connector-out", "out-{vertex}.st", "-o", "out.json", "--plot", "out.png"],
    "plane": ["plane", "a.st", "b.st", "n.st", "--grid", "2", "-o", "out.json", "--plot", "out.png"],
    "part": [*PLANE, "--part", "1/2", "-o", "out.json"],
    "merge": ["plane", "--merge", "part-1.json", "part-2.json", "-o", "out.json", "--plot", "out.svg"],
    "measured-resumed": [*PLANE, "--resume", "-o", "out.json"],
    "plot": ["plot", "path.json", "-o", "out.svg"],
    "flatness": ["flatness", "a.st", "b.st", "--samples", "1", "-o", "out.json", "--plot", "out.svg"],
    "radial": ["flatness", "a.st", "--kind", "radial", "--samples", "1", "-o", "out.csv", "--plot", "out.svg"],
    "curvature": ["flatness", "a.st", "--kind", "curvature", "-o", "out.json"],
}
