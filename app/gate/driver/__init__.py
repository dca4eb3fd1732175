"""What runs inside the target: injected into the project's upgrade command, and steered by the gate.

This folder goes to the front of the command's `PYTHONPATH`, so that Python imports our `sitecustomize` when it starts,
the way `ddtrace-run` does it. The gate imports nothing of it, apart from `protocol` for its type checker. The code runs
in the project's interpreter: Python 3.8 or newer, the standard library, Alembic 1.8 or newer, SQLAlchemy 1.4 to 2.1,
and nothing of `app`.
"""
