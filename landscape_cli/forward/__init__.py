"""Running a model on tensors that are not its own, and reading its outputs."""
