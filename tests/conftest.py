from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from landscape_cli.cli.app import main


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
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = stop.value.code
        return Outcome(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run
