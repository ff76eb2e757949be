"""Runs a list of `landscape` commands in one folder, and records what each did: `run_commands.py LIST FOLDER`.

The checkout comes from PYTHONPATH; of it only `landscape_cli.cli.app.main` and `python -m landscape_cli` are used.
A command is a process of its own, forked from one that has imported torch already. FOLDER/work is where they run;
FOLDER/records/NNN holds the `stdout`, `stderr` and `done.json` of command NNN, and under `files` what it wrote.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import save_file

PACKAGES = (
    "landscape_cli.cli.app",
    "matplotlib.figure",
    "pydantic.type_adapter",
    "scipy.optimize",
    "torch._inductor.standalone_compile",
    "torch._dynamo",
)
"""What commands import; done once, before they are forked."""
LIMIT = 300.0
"""Seconds after which a command counts as hung."""
STOP_AT = 4
"""Lines in its log after which SIGTERM is sent to a command that is to be stopped."""

NETS = '''"""Networks of the user's, as those of `--model nets:NAME`."""

import torch
from torch import nn


def make(width=12, depth=1, act="ReLU"):
    layers = [nn.Flatten()]
    for k in range(depth):
        layers += [nn.Linear(27 if k == 0 else width, width), getattr(nn, act)()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def broken():
    raise ValueError("two\\nlines")


def nothing():
    return None


class Normed(nn.Sequential):
    def __init__(self, width=6):
        first = [nn.Conv2d(3, width, 2), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(4 * width, width)]
        super().__init__(*first, nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 4))


class Attention(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.embed = nn.Linear(9, width)
        self.layer = nn.TransformerEncoderLayer(width, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        return self.head(self.layer(self.embed(x.flatten(2))).mean(1))


class Plain(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(27, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


class NoRule(Plain):
    def forward(self, x):
        x = torch.fft.fft(self[2](self[1](self[0](x)))).real
        return self[5](self[4](self[3](x)))


class Unused(Plain):
    def __init__(self):
        super().__init__()
        self.spare = nn.Parameter(torch.zeros(3, 2))


class Branch(Plain):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else super().forward(2 * x)


class Random(Plain):
    def forward(self, x):
        return super().forward(x + torch.rand_like(x))


class InPlace(Plain):
    def forward(self, x):
        with torch.no_grad():
            self[1].weight.mul_(0.9)
        return super().forward(x)


class Dict(Plain):
    def forward(self, x):
        return {"logits": super().forward(x)}
'''


class Rubbish:
    """What an honest file of weights never holds."""


def make_inputs() -> None:
    """Write what the commands read into the current folder: data, networks of others, and rubbish."""
    Path("nets.py").write_text(NETS)
    for name, shape, classes, count in (
        ("vectors", (6,), 3, 90),
        ("small", (3, 3, 3), 4, 80),
        ("images", (3, 8, 8), 4, 64),
        ("large", (3, 32, 32), 4, 24),
    ):
        source = torch.Generator().manual_seed(len(name))
        y = torch.arange(count) % classes
        x = torch.rand(count, *shape, generator=source) + 0.2 * y.view(-1, *[1] * len(shape))
        split = count * 2 // 3
        data = {"x_train": x[:split], "y_train": y[:split], "x_test": x[split:], "y_test": y[split:]}
        save_file(data, f"{name}.safetensors")
    sys.path.insert(0, ".")
    import nets  # type: ignore[import-not-found]

    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        for name in ("Normed", "Attention", "NoRule", "Unused", "Branch", "Random", "InPlace", "Dict"):
            torch.save(getattr(nets, name)().state_dict(), f"{name.lower()}{seed}.pt")
        torch.save({"state_dict": {f"module.{k}": v for k, v in nets.make().state_dict().items()}}, f"mlp{seed}.pth")
        save_file(nets.make(act="Tanh").state_dict(), f"tanh{seed}.safetensors")
    sys.path.remove(".")
    state = nets.make().state_dict()
    torch.save({"weights": state, "more": Rubbish()}, "code.pt")
    torch.save([state], "list.pt")
    torch.save(state | {"3.bias": torch.full((4,), float("nan"))}, "nan.pt")
    torch.save(state | {"3.bias": torch.ones(4).half()}, "mixed.pt")
    Path("half.pt").write_bytes(Path("mlp1.pth").read_bytes()[:1000])
    Path("text.st").write_text("not a checkpoint\n")
    Path("empty.st").touch()
    Path("taken.st").write_text("precious")
    Path("taken.json").write_text("{}")


def folder_state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what tells whether a file has been written since."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {
        str(path.relative_to(folder)): (status.st_mtime_ns, status.st_size, status.st_ino)
        for path in files
        for status in [path.stat()]
    }


def fork(arguments: list[str], streams: tuple[int, int]) -> int:
    """Begin a command in a process that has imported its packages already; return the process."""
    child = os.fork()
    if not child:
        _become(arguments, streams)
    return child


def _become(arguments: list[str], streams: tuple[int, int]) -> NoReturn:
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        sys.argv = ["landscape", *arguments]
        from landscape_cli.cli.app import main

        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_for(child: int, log: Path | None) -> int:
    """Return a process's exit code; with a log, stop it once that has a few lines."""
    begun = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if log is not None and log.exists() and log.read_bytes().count(b"\n") >= STOP_AT:
            os.kill(child, signal.SIGTERM)
            log = None
        if time.monotonic() - begun > LIMIT:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def run(step: dict[str, Any], record: Path) -> None:
    """Run one command and record it."""
    arguments, kind = step["arguments"], step["kind"]
    before = folder_state(Path())
    with (record / "stdout").open("wb") as out, (record / "stderr").open("wb") as errors:
        if kind == "process":
            command = [sys.executable, "-m", "landscape_cli", *arguments]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors).pid
        else:
            child = fork(arguments, (out.fileno(), errors.fileno()))
        log = Path(arguments[arguments.index("--log") + 1]) if kind == "stopped" else None
        code = wait_for(child, log)
    after = folder_state(Path())
    for name in (name for name in after if after[name] != before.get(name)):
        (record / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, record / "files" / name)
    (record / "done.json").write_text(json.dumps({"code": code, "removed": sorted({*before} - {*after})}))


def main() -> None:
    """Run the list, each command after the one before."""
    steps, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]).resolve()
    for module in PACKAGES:
        with contextlib.suppress(ImportError):  # what one checkout does without, or another version of torch
            importlib.import_module(module)
    (folder / "work").mkdir(parents=True)
    os.chdir(folder / "work")
    make_inputs()
    for number, step in enumerate(steps):
        record = folder / "records" / f"{number:03}"
        record.mkdir(parents=True)
        if step["kind"] == "shell":
            subprocess.run(["bash", "-ec", step["line"]], check=True)
        else:
            run(step, record)


if __name__ == "__main__":
    main()
