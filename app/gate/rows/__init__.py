"""Test rows: which tables need them, which values PostgreSQL accepts, and what an upgrade does to them.

No rule about values is written here that PostgreSQL can check itself: candidates are tried in one DO block on the
migration's own connection, and a row that is refused is tried with others.
"""
