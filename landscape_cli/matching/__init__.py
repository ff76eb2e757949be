"""Matching the hidden units of one network to those of another (SPEC 3): what `align` is made of."""
