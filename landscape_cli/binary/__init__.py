"""Binary networks: layers of signs, and evaluating them in whole numbers."""
