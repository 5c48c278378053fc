"""What ran, where, for whom, how it ended: written by the tasks themselves, kept in SQLite or PostgreSQL."""
