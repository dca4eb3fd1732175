"""What runs inside the target: injected into the project's own upgrade command, steered by the recorder.

This folder goes to the front of the command's `PYTHONPATH`, so that Python imports our `sitecustomize` when it starts, the way
`ddtrace-run` does it. Nothing here is imported by the gate itself. The code runs in a stranger's interpreter: Python 3.8 or newer,
the standard library, Alembic 1.8 or newer, SQLAlchemy 1.4 to 2.1, and nothing of `app`.
"""
