"""Data sets as tensors in memory, and how inputs are prepared."""
