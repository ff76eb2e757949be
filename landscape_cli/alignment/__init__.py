"""Choosing the permutation and signs of hidden units that match a reference network."""
