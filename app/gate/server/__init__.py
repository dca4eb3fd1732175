"""A PostgreSQL server to run migrations on: an embedded one, or one that the user names.

A throwaway server and not a staging database, because a proof must start from nothing, may destroy everything, and has
to observe PostgreSQL without interference from other sessions.
"""
