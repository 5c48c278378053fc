"""Log entries: kept, written by tasks, filtered."""
