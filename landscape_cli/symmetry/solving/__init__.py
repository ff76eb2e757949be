"""From what a run said to the groups of a symmetry."""
