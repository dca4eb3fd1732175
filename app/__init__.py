"""Overproof: proves an Alembic migration on a real PostgreSQL, and remembers what it proved.

The package has two parts. `app.gate` runs a project's migrations on a throwaway server and judges what PostgreSQL did;
everything else is a service that stores the verdicts.
"""

__version__ = "0.1.0"
