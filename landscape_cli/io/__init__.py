"""Files: whole or not at all, and suspicious of what they hold."""
