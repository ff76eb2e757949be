"""Errors and losses of many networks, batch-norm statistics, and the proof that two networks compute the same."""
