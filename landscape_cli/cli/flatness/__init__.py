"""What the kinds of flatness are to `landscape flatness`: their options, and how they measure."""
