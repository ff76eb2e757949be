"""The paper's study of continuous networks."""
