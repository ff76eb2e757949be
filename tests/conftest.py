from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from landscape_cli.cli.app import main
from landscape_cli.user_code import imports

if not torch.cuda.is_available():
    # PyTorch's own keeps, for a GPU that may come, the stack that it was called from: a millisecond a call.
    torch.manual_seed = torch.default_generator.manual_seed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plantings", type=int, default=30, metavar="N", help="how many a kind of network is tried with")
    parser.addoption("--gpu", default="cuda", metavar="DEVICE", help="what tests marked gpu take for one, as cpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "gpu" in getattr(item, "fixturenames", ()):
            item.add_marker("gpu")


@pytest.fixture
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A GPU, without which the test is skipped: what is computed there is compared with the CPU."""
    device = torch.device(request.config.getoption("--gpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with torch.backends.cudnn.flags(
        enabled=True, deterministic=True, allow_tf32=True
    ):  # as PyTorch has it, but for the same bytes
        yield device


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    def check_refused(self, words: str, case: str) -> None:
        """Check that the command was refused: by one line that holds these words, and no result."""
        assert (self.code, self.out, self.err.count("\n")) == (2, "", 1), (case, self.err)
        assert self.err.startswith("landscape: error: "), (case, self.err)
        assert words in self.err, (case, self.err)


@pytest.fixture
def landscape(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Run the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        imports._finder.users.clear()  # every command is a process of its own
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = stop.value.code
        return Outcome(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


_MADE: dict[tuple[object, ...], dict[str, bytes]] = {}


@pytest.fixture
def made(landscape: Callable[..., Outcome]) -> Callable[..., None]:
    """Run a command that writes files; where the same was run before on the same files, put there what it wrote."""

    def contents() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}

    def run(*arguments: object) -> None:
        before = contents()
        there = tuple((name, hashlib.sha256(content).digest()) for name, content in before.items())
        key = (*map(str, arguments), there)
        if key not in _MADE:
            done = landscape(*arguments)
            assert done.code == 0, done.err
            _MADE[key] = {name: content for name, content in contents().items() if before.get(name) != content}
        for name, content in _MADE[key].items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content)

    return run
