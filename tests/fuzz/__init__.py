"""Files and command lines mutated at random: `python -m tests.fuzz --help`."""
