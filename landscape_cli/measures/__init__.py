"""From networks to numbers: paths, planes, flatness, distances."""
