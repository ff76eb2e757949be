"""The seven commands: each parses, calls the library, writes."""
