"""`python -m landscape_cli`: the same program as the `landscape` console script."""

import os
import sys

if __name__ == "__main__":
    # As for the console script, the current folder, which Python has put first, is left alone; but where it is what
    # the package itself comes from.
    asked = getattr(sys.flags, "safe_path", False) or os.path.isdir("landscape_cli")
    if sys.path[:1] == [os.getcwd()] and not asked:
        del sys.path[0]

    from landscape_cli.cli.start import main

    main()
