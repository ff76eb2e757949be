"""The study of the second paper: subspaces, widths, connectors, ensembles, and the surrogate."""
