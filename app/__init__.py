"""Overproof: proves an Alembic migration on a real PostgreSQL, and remembers what it proved.

Two faces share this package. `app.gate` runs a project's migrations on a throwaway server and judges
what PostgreSQL did; everything beside it is a service that keeps the verdicts.
"""

__version__ = "0.1.0"
