"""The project whose migrations are verified: its command, the process in which it runs, the session with the driver.

Nothing is installed into the project. The driver is put at the front of PYTHONPATH, waits for the import of Alembic,
and takes over where Alembic would run the revisions.
"""
