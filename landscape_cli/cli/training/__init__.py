"""What `landscape train` needs beside the command itself: options, outputs, resumption, log."""
