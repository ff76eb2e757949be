"""Lines and planes through one network on the command line."""
