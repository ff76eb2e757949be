"""`python -m landscape_cli`: the same program as the `landscape` console script."""

from landscape_cli.cli.start import main

if __name__ == "__main__":
    main()
