"""The statements of the previous release, kept as it sent them, and run on the schema of the next one.

In a rolling deployment the database is upgraded while the previous release still runs. So what that release does must
work on the new schema. Its code is not here any more, and a clone in CI may have no history: what is kept is what it
sent to PostgreSQL for the requests of `tests/scenario.py` and for `overproof prune`, with the number of rows that each
statement gave.

Before a migration that changes or takes away something is written, run `python -m tests.previous_release.record NAME`
with the code that is to go on running, and add NAME with the revision on which it must work to `test_statements.py`.
"""
