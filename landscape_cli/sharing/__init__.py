"""One measurement as many items, shared between processes, parts and attempts."""
