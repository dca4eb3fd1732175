"""Test rows: which tables need them, which values PostgreSQL accepts, and what an upgrade made of them.

No rule about values is written here that PostgreSQL could check itself: candidates are tried in one DO block on the migration's own
connection, and what is refused is replaced."""
