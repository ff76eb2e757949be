"""Code of the user's: named on the command line, imported for that alone, and run with its failures made one line."""
