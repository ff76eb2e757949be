"""`path --kind connector`: its options, and what it does."""
