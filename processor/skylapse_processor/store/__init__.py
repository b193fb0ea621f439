"""What the processor keeps: pictures and films as files, everything known of them in one SQLite catalogue."""
