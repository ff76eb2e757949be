"""What one run of a model says about its symmetries."""
