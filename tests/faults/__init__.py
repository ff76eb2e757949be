"""Every call that changes a file made to fail, and programs killed: `python -m tests.faults --help`."""
