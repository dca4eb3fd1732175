"""What an error says. One SQLSTATE stands for many causes, so a cause is read from the words, and not known without.

PostgreSQL's words are English here, as they are on the throwaway server. On a server that speaks another language
nothing is explained beyond what it says itself.
"""

from __future__ import annotations

import re

from app.gate.postgres import sqlstates
from app.gate.postgres.missing import explain_missing
from app.gate.recording.model import Failure


def failure_detail(failure: Failure) -> str | None:
    """The statement that failed, and what PostgreSQL says beyond the message."""
    fields = {"DETAIL": failure.detail, "HINT": failure.hint, "CONTEXT": failure.context}
    said = [f"{name}:  {text.strip()}" for name, text in fields.items() if text and text.strip()]
    return "\n".join([*([failure.sql.strip()] if failure.sql else []), *said]) or None


def is_missing(failure: Failure) -> bool:
    """Whether something that a migration creates does not exist."""
    states = (sqlstates.UNDEFINED_TABLE, sqlstates.UNDEFINED_COLUMN, sqlstates.UNDEFINED_OBJECT)
    return failure.sqlstate in states and bool(_MISSING.search(failure.message))


# A role is the server's, and an operator class or a parameter is nothing that a revision forgot to create.
_MISSING = re.compile(
    r"^(?!role )(?!text search |access method |language |tablespace |server ).*\bdoes not exist\b", re.IGNORECASE
)


def exists_already(failure: Failure) -> bool:
    """Whether something that is to be created exists."""
    return failure.sqlstate in sqlstates.EXISTS_ALREADY and "already exists" in failure.message


def explain(failure: Failure) -> str | None:
    """What PostgreSQL's words mean for a migration, and what to do. None where they are all that is known."""
    if failure.raised_in is not None:
        return _BY_PLACE.get(failure.raised_in)
    if failure.sqlstate is None:
        return None
    for state, pattern, help_ in _BY_WORDS:
        if failure.sqlstate == state and re.search(pattern, failure.message, re.IGNORECASE):
            return help_
    return explain_missing(failure.message)


_AUTOCOMMIT = """Run it outside the transaction:

    with op.get_context().autocommit_block():
        ..."""
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_WORDS = (
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot create index on partitioned table .* concurrently",
        (
            "Build the index of each partition concurrently, create the index ON ONLY the partitioned table, and attach the "
            "others to it."
        ),
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot drop partitioned index .* concurrently",
        (
            "Drop it without CONCURRENTLY: nothing is read or written, but reads and writes wait while the statement waits "
            "for the queries that are running. With a short lock_timeout it gives up instead, and can be tried again."
        ),
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"USING INDEX is not supported on partitioned tables",
        (
            "Add the constraint to each partition, with an index that was built concurrently. Then add it ON ONLY the "
            "partitioned table, and attach the indexes of the partitions to its index."
        ),
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot add NOT VALID foreign key",
        (
            "Before PostgreSQL 18, add the foreign key to each partition (NOT VALID), validate each in the next revision, and "
            "then add it to the partitioned table, which takes those over without a scan."
        ),
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^unique constraint on partitioned table must include",
        (
            "Each partition has an index of its own, so PostgreSQL can only tell that rows differ within one: add the columns of "
            "the partition key to the unique key, or make the key unique in each partition."
        ),
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot alter type of a column used by a view or rule",
        "Drop the view before the change, and create it again after it, with its grants and its indexes.",
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot alter type of a column used by a generated column",
        (
            "Drop the generated column before the change, and add it again after it: PostgreSQL computes its values again, and "
            "rewrites the table for it if they are stored."
        ),
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot alter type of a column used (by|in) a trigger|^cannot alter type of a column used in a policy",
        "Drop what uses the column before the change, and create it again after it.",
    ),
    (
        sqlstates.FEATURE_NOT_SUPPORTED,
        r"^cannot alter (composite )?type .* because column .* uses it",
        "A composite type cannot change while a column has it. Create another type, and change the column to it.",
    ),
    (
        sqlstates.DATATYPE_MISMATCH,
        r"^default for column .* cannot be cast automatically",
        (
            "USING converts rows, and no default. Drop the default before the change of type, with "
            "op.alter_column(…, server_default=None), and set the new one after it."
        ),
    ),
    (
        sqlstates.INVALID_TABLE_DEFINITION,
        r"^cannot (drop columns from|change (name|data type|collation) of) view",
        (
            "CREATE OR REPLACE VIEW can only add columns at the end. DROP VIEW first, and create it again, with its grants and "
            "with the views that read it."
        ),
    ),
    (
        sqlstates.DEPENDENT_OBJECTS_STILL_EXIST,
        r"^cannot drop .* because other objects depend on it",
        (
            "Drop what PostgreSQL names first, and create again what is still needed, in another form and with its grants. CASCADE drops "
            "all of it without a word."
        ),
    ),
    (
        sqlstates.SYNTAX_ERROR,
        r"^cannot insert multiple commands into a prepared statement",
        "The driver prepares each statement, so it takes one at a time: write an op.execute() for each.",
    ),
    (sqlstates.ACTIVE_SQL_TRANSACTION, r"cannot run inside a transaction block", _AUTOCOMMIT),
    (
        sqlstates.UNSAFE_NEW_ENUM_VALUE_USAGE,
        r"^unsafe use of new value",
        f"A new label of an enum can be used only after a commit. {_AUTOCOMMIT}",
    ),
    (
        sqlstates.DUPLICATE_OBJECT,
        r'^type ".*" already exists',
        (
            "It was already created before. A type that several tables share is created once: "
            "postgresql.ENUM(…, create_type=False), and .create(op.get_bind(), checkfirst=True) where it is first needed."
        ),
    ),
    (
        sqlstates.DUPLICATE_TABLE,
        r'^relation ".*" already exists',
        "An earlier revision, or env.py itself (metadata.create_all), has already created it.",
    ),
    (
        sqlstates.LOCK_NOT_AVAILABLE,
        r"lock",
        "Another connection held the lock: does the script open a second one?",
    ),
    (
        sqlstates.UNDEFINED_OBJECT,
        r'^role ".*" does not exist',
        (
            "Roles are created for a whole server, outside of the migrations, and the gate's has none but its own. Create it "
            "with --prepare, or have the script check pg_roles first."
        ),
    ),
)
_NOT_ALEMBIC_S = (
    "autocommit_block() ends Alembic's transaction, and there is none: the connection was in a transaction that Alembic did "
    "not begin. A statement before context.configure() in env.py begins one: commit it there, before Alembic is configured:\n\n"
    "    connection.commit()\n    context.configure(connection=connection, ...)\n\n"
    "So does `with connection.begin():` or `with engine.begin() as connection:` around it: use engine.connect(), and let "
    "`with context.begin_transaction():` around context.run_migrations() begin and commit it."
)
_BY_PLACE = {"alembic.runtime.migration.autocommit_block": _NOT_ALEMBIC_S}
