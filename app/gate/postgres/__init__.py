"""What PostgreSQL's manual says, as data: locks, SQLSTATEs, quoting. Nothing in here talks to a server."""
