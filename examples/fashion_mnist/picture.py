"""Draw the README's picture from this study's results: python examples/fashion_mnist/picture.py [FILE.png]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
PATHS = {
    "linear": ("as trained, straight", "tab:gray"),
    "aligned": ("aligned, straight", "tab:blue"),
    "geodesic": ("normalized and aligned, geodesic", "tab:red"),
}
PAIRS = {"RSGD": "rsgd-1_rsgd-2", "SGD": "sgd-1_sgd-2", "ADV": "adv-1_adv-2"}


def main(file: Path) -> None:
    """Draw the train error along three paths between two solutions, for each sampler."""
    figure = Figure(figsize=(10, 3.3), layout="constrained")
    axes = figure.subplots(1, len(PAIRS), sharey=True)
    for ax, (sampler, pair) in zip(axes, PAIRS.items(), strict=True):
        for kind, (label, color) in PATHS.items():
            points = json.loads((HERE / "results" / "paths" / f"{pair}_{kind}.json").read_text())["points"]
            ax.plot([p["tau"] for p in points], [p["train_error"] for p in points], ".-", color=color, label=label)
        ax.set(title=f"between two {sampler} solutions", xlabel="τ", ylim=(0, 0.55))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("train error")
    axes[0].legend(frameon=False, loc="upper left")
    figure.savefig(file, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "docs" / "path.png")
