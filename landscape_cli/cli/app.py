"""The `landscape` program: its commands, its exit codes, and the one place where errors become messages."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperGroup

from landscape_cli import __version__
from landscape_cli.cli.console import in_options, listen
from landscape_cli.cli.groups import Command, grouped
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.cli.signals import INTERRUPTED, SIGNALS_OF_THIS_PROCESS, TERMINATED, Terminated
from landscape_cli.cli.stdout import leave_stdout, writing_stdout
from landscape_cli.cli.streams import unfailing_stderr
from landscape_cli.errors import LandscapeError, escaped, one_line, said_by, shortened
from landscape_cli.user_code.imports import line_of_users

OURS, USERS, NO_READER = 1, 2, 141
COMPLETION = {"--install-completion", "--show-completion"}
"""Options that typer has for shells that complete what is typed."""
COMPLETES = "_LANDSCAPE_COMPLETE"
"""The variable in which such a shell asks."""
# typer's own errors of usage, under whichever name this version of typer keeps them
UsageProblem = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
COMMANDS = {
    "train": "Train a network to a solution of a chosen kind.",
    "normalize": "Remove the scale symmetry.",
    "align": "Remove the permutation symmetry.",
    "distance": "Measure how far apart networks are.",
    "path": "Measure the error along the path between two networks.",
    "plane": "Measure the error in the plane through three networks.",
    "flatness": "Measure flatness: as local energy, or by the angle that all units may turn.",
    "plot": "Draw saved results, one or several.",
}
"""The commands, each a function of its name in a module of its name."""


class CommandGroup(TyperGroup):
    """The program: of its commands, only the one that is called is imported and built."""

    def __init__(self, **attributes: Any) -> None:
        """Take note of the commands' names, in which typer looks for those that a mistaken one may have meant."""
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS, cast("Any", None))

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, which leave alone what nobody gave: typer imports pydantic to find that it is None."""
        options = super().get_params(ctx)
        for option in options:
            if "process_value" not in vars(option):
                process = partial(_process_what_is_given, option.process_value)
                setattr(option, "process_value", process)  # noqa: B010 - a method for mypy
        return options

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; None if there is none of this name."""
        return build_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called, and its arguments: with --merge another takes them."""
        name, command, rest = super().resolve_command(ctx, args)
        merges = "--merge" in rest and command is not None and any(param.name == "merge" for param in command.params)
        RANKS_OF_THIS_PROCESS.check_shares(str(name), merges=merges)
        return name, build_merge(str(name)) if merges else command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _process_what_is_given(process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """Convert what was given."""
    return None if value is None else process(context, value)


@cache
def build_command(name: str) -> Any:
    """Return a command as typer runs it, built once: that takes longer than many a command."""
    return _built(name, getattr(import_module(f"landscape_cli.cli.commands.{name}"), name))


@cache
def build_merge(name: str) -> Any:
    """Return what a command is with --merge."""
    from landscape_cli.cli.parts import merge_command

    return _built(name, merge_command(name))


def _built(name: str, function: Callable[..., None]) -> Any:
    program = typer.Typer(add_completion=False, rich_markup_mode=None)
    program.command(name, short_help=COMMANDS[name], context_settings=SETTINGS, cls=Command)(grouped(function))
    return typer.main.get_command(program)


app = typer.Typer(
    name="landscape",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"landscape {__version__}")
        try:
            import torch
        except ImportError:
            raise typer.Exit from None
        device = "cuda" if torch.cuda.is_available() else "cpu"
        print(f"torch {torch.__version__}, device {device}, threads {torch.get_num_threads()}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version, and torch's, the device and threads.",
        ),
    ] = False,
) -> None:
    """Measure neural-network loss landscapes from saved checkpoints, with the symmetries removed first.

    \b
    What feeds what:
      train, or networks of your own -> normalize -> align -> path, plane, flatness, distance -> plot

    \b
    Examples:
      landscape train --algo sgd --model mlp --data hmm --seed 1 -o a.st
      landscape train --algo sgd --model mlp --data hmm --seed 2 -o b.st
      landscape normalize a.st b.st --out-dir normal
      landscape align normal/a.st normal/b.st -o b_aligned.st
      landscape path normal/a.st b_aligned.st --kind geodesic | jq .barrier
    """  # noqa: D301 - \b keeps the help's lines as they are


@unfailing_stderr()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0; 1 our fault; 2 the user's; 130 Ctrl-C; 143 SIGTERM; 141 without a reader."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    signals, ranks = SIGNALS_OF_THIS_PROCESS, RANKS_OF_THIS_PROCESS
    try:
        try:
            signals.begin()
            ranks.begin()
            listen(quiet=False)
            result = app(argv, prog_name="landscape", standalone_mode=False, complete_var=COMPLETES)
            if sys.stdout is not None:
                with writing_stdout():
                    sys.stdout.flush()
            if result == INTERRUPTED:  # newer versions of typer catch Ctrl-C themselves
                raise KeyboardInterrupt
            ranks.finish()
        finally:
            signals.end()
        code = result if isinstance(result, int) else 0
    except BaseException as error:  # the boundary: whatever happened becomes one line and an exit code
        completes = COMPLETES in os.environ or not COMPLETION.isdisjoint(argv[:1])
        code = ranks.fail(partial(_report, error, debug="--debug" in argv, completes=completes))
    signals.will_exit(code)
    sys.exit(code)


def _report(error: BaseException, *, debug: bool, completes: bool) -> int:
    """Print what a person needs to know of an error; return the exit code: what completes ends as others fail."""
    leave_stdout()
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):  # typer's, rich's exits
        return NO_READER
    if isinstance(error, SystemExit):
        if completes and isinstance(error.code, int):  # typer's, which has said what is wrong
            return error.code and USERS
        if isinstance(error.code, int) and error.code:  # click's, where nobody reads on
            return error.code
        return _fail("code of the model ended the program (SystemExit): remove that from the model", USERS)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if debug:
        text = "".join(traceback.format_exception(error))
        print(*map(escaped, text.splitlines()), sep="\n", file=sys.stderr)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(str(error), file=sys.stderr)
        return USERS
    if isinstance(error, UsageProblem):
        message = _usage_message(error)
        return _fail(message, USERS) if message else USERS
    return _fail(*_message_and_code(error))


def _message_and_code(error: BaseException) -> tuple[str, int]:
    """Return what to say of an error that a command ended with, and the exit code."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted", INTERRUPTED
    if isinstance(error, Terminated):
        return "terminated", TERMINATED
    if isinstance(error, LandscapeError):
        return in_options(str(error)), error.exit_code
    name, said, line = type(error).__name__, one_line(error), line_of_users(error)
    if isinstance(error, MemoryError) or name == "OutOfMemoryError" or "can't allocate" in said_by(error):
        return "out of memory: use fewer networks, a smaller data set, or another --device", OURS
    if line:
        return f"your code failed: {name}{f': {said}' if said else ''} ({line})", USERS
    if isinstance(error, OSError):
        return f"{error.strerror or said}{f': {error.filename}' if error.filename else ''}", USERS
    return f"internal error, please report it: {name}: {said} (--debug shows where)", OURS


def _usage_message(error: BaseException) -> str:
    """Return what is wrong with how a command was called, and where to read how it is; empty if nothing is said."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "landscape"
    message = getattr(error, "format_message", lambda: str(error))()
    # without words of the validator's, which are not ours
    message = message.removeprefix("Invalid value: ").replace(": Value error, ", ": ").removesuffix(".")
    if _is_settled(context, getattr(error, "option_name", None)):
        message = f"{message}: with --merge the parts have settled what is measured, so leave it out"
    return f"{message} (see '{where} --help')" if message else ""


def _is_settled(context: Any, option: str | None) -> bool:
    """Tell whether an option that there is not is one of the same command without --merge."""
    name = getattr(context, "info_name", None)
    return name in COMMANDS and any(option in parameter.opts for parameter in build_command(name).params)


def _fail(message: str, code: int) -> int:
    print(f"landscape: error: {shortened(escaped(' '.join(message.split())))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
