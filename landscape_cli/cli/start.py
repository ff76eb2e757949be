"""Where the program begins: signals and streams are put in order before anything that takes time is imported."""

from landscape_cli.cli.signals import SIGNALS_OF_THIS_PROCESS

SIGNALS_OF_THIS_PROCESS.start()  # while this module is imported: a script has no earlier line of ours


def main() -> None:
    """Run the program and exit, as `landscape_cli.cli.app.main` does."""
    from landscape_cli.cli.collection import collect_later, collect_no_more
    from landscape_cli.cli.stdout import open_streams

    collect_later()
    open_streams()
    from landscape_cli.cli.app import main as run

    try:
        run()
    finally:
        collect_no_more()
