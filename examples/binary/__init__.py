"""The paper's study of binary networks."""
