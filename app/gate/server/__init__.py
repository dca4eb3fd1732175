"""A PostgreSQL server to run migrations on: an embedded one, or one that was given.

A throwaway server and not a staging database, because a proof must start from nothing, may destroy everything, and has to
observe what PostgreSQL does without other sessions in the way."""
