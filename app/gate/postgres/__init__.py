"""Facts from PostgreSQL's manual: locks, SQLSTATEs, quoting. Nothing in here connects to a server."""
