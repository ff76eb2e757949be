"""What the library says reaches the terminal in the command line's words, and is kept back when asked."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import landscape_cli
from landscape_cli.cli.app import COMMANDS, build_command
from landscape_cli.cli.console import in_options, listen
from landscape_cli.errors import LandscapeWarning, Remark

PACKAGE = Path(landscape_cli.__file__).parent
PYTHON_ALONE = {"b", "basis", "c", "paths"}
"""Parameters that messages name where no command line leads to."""


def test_parameters_are_shown_as_options() -> None:
    assert (
        in_options("name the data with `data=`, or lower `learning_rate=`")
        == "name the data with --data, or lower --lr"
    )
    assert (
        in_options("give `input_shape=` 3,32,32, `model_name=`, `form=`")
        == "give --input-shape 3,32,32, --model, --format"
    )
    assert in_options("`data` is no option, nor is data=") == "`data` is no option, nor is data="


def test_parameters_that_messages_name_are_options() -> None:
    """What files, data and models say is read on the command line, so it has to be an option there."""
    options = {option for name in COMMANDS for parameter in build_command(name).params for option in parameter.opts}
    for folder in ("io", "data", "models"):
        for path in (PACKAGE / folder).glob("*.py"):
            for name in set(re.findall(r"`(\w+)=`", path.read_text())) - PYTHON_ALONE:
                assert in_options(f"`{name}=`") in options, (path, name)


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_are_lines(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    with warnings.catch_warnings():
        listen(quiet=quiet)
        for _ in range(2):  # each time, not once a place
            warnings.warn("see `data=`", LandscapeWarning, stacklevel=1)
            warnings.warn("good to know", Remark, stacklevel=1)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("of others, or never to be missed", UserWarning, stacklevel=1)
    captured = capsys.readouterr()
    ours = ["landscape: warning: see --data", "landscape: good to know"]
    assert captured.err.splitlines() == [
        *([] if quiet else ours * 2),
        "landscape: warning: of others, or never to be missed",
    ]
    assert captured.out == ""
