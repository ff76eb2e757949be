"""A check of symmetries that does not know how they were found: from a model's outputs alone."""
