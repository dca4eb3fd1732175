"""What the gate and the driver say to each other: the requests by their names, and what their answers consist of.

Each message is one JSON object on one line. The gate sends `{"do": "step", "revision": "b2", …}` and receives one
answer to it. Three messages come without a request: the handshake, when the driver has connected; `Paused`, in the
middle of a step; and `LateTables`, as the command ends.

It is for type checkers alone. The gate imports nothing of the driver, which runs in another interpreter, and the driver
has to start quickly there. That may be Python 3.8, hence the base classes where a later `typing` has `NotRequired`.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union

Request = Literal[
    "prepare",
    "empty",
    "step",
    "begin_rollback_only",
    "roll_back",
    "commit",
    "query",
    "execute",
    "ask",
    "script",
    "fingerprints",
    "creation",
    "create_models",
    "drift",
    "hidden",
    "unregistered",
    "offline",
    "model_statements",
]
# The last request of a walk: how `run_migrations` ends.
Ending = Literal["run_whole", "run_concurrently", "skip", "finish", "stamp", "stop"]
# What `run_concurrently`, and a step that pauses, wait for.
Continue = Literal["continue"]


class Fault(TypedDict):
    """The answer to any request in which the driver itself failed."""

    fault: str
    traceback: str


class Unsupported(TypedDict):
    """In place of the handshake: the project's Alembic or SQLAlchemy is too old."""

    unsupported: str


class _Failure(TypedDict):
    error: str  # "psycopg2.errors.UndefinedTable"
    message: str
    sqlstate: str | None
    sql: str | None  # the statement that failed
    line: int | None  # in the revision's script


class ErrorFields(TypedDict, total=False):
    """What PostgreSQL says next to the message of an error, less what it leaves out. The names do not depend on the
    language of the message, the texts do."""

    table: str  # "public.orders"
    column: str
    constraint: str
    detail: str
    hint: str
    context: str  # the statements and functions that were running, innermost first


class Failure(_Failure, ErrorFields, total=False):
    """An error of a script, of the database or of Alembic."""

    raised_in: str  # the function, of an error without words: "alembic.runtime.migration.autocommit_block"


class Failed(TypedDict):
    """In place of an answer: what was asked for could not be done."""

    failure: Failure


class _Handshake(TypedDict):
    pid: int
    python: str
    alembic: str
    sqlalchemy: str
    dialect: str
    as_sql: bool  # offline mode: Alembic prints SQL
    version_table: str
    version_table_schema: str | None
    script_location: str | None
    directory: str
    engine: (
        str | None
    )  # which of several, where env.py tells scripts apart by engine as Alembic's multidb template does


class Handshake(_Handshake, total=False):
    """What the driver sends first. The database and the backend are those of an online PostgreSQL."""

    database: str
    backend: str  # the process id of the server's session


class Revision(TypedDict):
    """A script, as Alembic reads it."""

    revision: str
    down_revisions: list[str]
    depends_on: list[str]
    branch_labels: list[str]
    message: str
    path: str


class _HistoryError(TypedDict):
    error: str
    message: str


class HistoryError(_HistoryError, total=False):
    """Why Alembic cannot read the history."""

    path: str | None
    line: int | None


class _History(TypedDict):
    locations: list[str]
    revisions: list[Revision]  # parents before children
    heads: list[str]
    bases: list[str]
    plan: list[str]  # revisions, in the order in which the command would apply them
    refusal: str | None  # why Alembic refuses to plan what the command asks for
    error: HistoryError | None


class History(_History, total=False):
    """The scripts and the plan. Without the last three where the history or the plan cannot be read."""

    is_upgrade: bool
    is_stamp: bool  # the command marks the database with a revision and runs no script
    stamped: list[str]  # the revisions with which it does so


class Prepared(History):
    """The history, and the state of the database."""

    warnings: list[str]
    is_transactional: bool
    is_per_migration: bool  # env.py has each revision in a separate transaction
    current: list[str]
    has_metadata: bool
    start_s: float  # processor time that the command has taken so far


PrepareAnswer = Union[Prepared, Failed]  # failed: Alembic cannot begin on this database


class EmptiedAnswer(TypedDict):
    plan: list[str]  # revisions that bring the emptied database to the heads, in their order


EmptyDatabaseAnswer = Union[EmptiedAnswer, Failed]


class Effects(TypedDict, total=False):
    """What one statement did to tables that are older than the step, less what is empty. Tables are named
    "schema.table"."""

    locks: dict[str, list[str]]  # newly taken: "public.orders" -> ["ShareLock"]
    rewrites: list[str]
    scans: list[str]
    index_builds: list[str]
    written: dict[str, int]  # rows inserted, updated or deleted by table
    updated: dict[str, int]  # rows updated, which are among those
    lock_timeout_ms: int  # in force as the locks were taken


class _Statement(TypedDict):
    sql: str
    duration_ms: float
    line: int | None
    transactional: bool


class Statement(_Statement, Effects, total=False):
    """One statement of a step."""


class StepAnswer(TypedDict, total=False):
    """One revision in one direction. Without a failure, `commits` or `stopped`, the step was taken."""

    statements: list[Statement]
    duration_ms: float
    transactional: bool
    failure: Failure
    commits: bool  # the script wants to commit in the rollback-only transaction
    stopped: bool  # before the statement that was asked for
    value: Any  # of the query that was to run after the step
    refused: list[Failure]  # to the ordinary role, and repeated with a superuser's rights
    swallowed: list[Failure]  # errors of the database after which the script continued


class Paused(TypedDict):
    """Comes before the answer to a step, in front of the statement that was named. The driver waits for one more
    message before it runs that."""

    backend: str  # SQLAlchemy connects again after a step that was stopped


class RollBackAnswer(TypedDict):
    undone: bool  # False if something in the transaction was committed after all


class ValueAnswer(TypedDict):
    value: Any


AskAnswer = Union[ValueAnswer, Failed]  # failed: PostgreSQL refused


class Done(TypedDict):
    """Nothing to report."""


EmptyAnswer = Union[Done, Failed]


class FingerprintsAnswer(TypedDict):
    models: dict[str, tuple[str, list[str]]]  # "public.orders" -> its model's fingerprint, and the enums in it


class CreationAnswer(TypedDict):
    statements: list[str] | None  # None if it takes more than SQL


class Operation(TypedDict):
    """What autogenerate would do: "add column public.orders.note", to what: "public.orders.note", and its kind:
    "add-column"."""

    operation: str
    object: str
    kind: str


class Differences(TypedDict):
    """What autogenerate would still write."""

    operations: list[Operation]
    waived: list[str]  # objects of operations that a hook of the project's took out again
    refused: list[str]  # tables of which the project's filters left something out


class Drift(Differences):
    """What autogenerate would still write, and whether it can be believed."""

    is_stale: bool  # a script has changed the metadata in this process


DriftAnswer = Union[Drift, Failed]


class HiddenAnswer(TypedDict):
    tables: list[str]
    entities: list[str]  # registered with alembic_utils, which compares them: "public.touch", without arguments


class UnregisteredModel(TypedDict):
    """A table's class that Alembic does not know."""

    module: str
    name: str
    path: str
    line: int | None
    table: str


class UnregisteredAnswer(TypedDict):
    models: list[UnregisteredModel]


class ModelColumn(TypedDict):
    type: str  # as the model has it: "VARCHAR(20)"
    labels: list[str]  # of an enum
    is_optional: bool  # NULL where the code gives it no value


class ModelTable(TypedDict):
    """A table, as the models map it."""

    name: str  # "public.orders"
    model: str  # the class: "shop.models.Order"; "" of a table without one
    columns: dict[str, ModelColumn]
    keys: list[list[str]]  # unique ones


class ModelStatement(TypedDict):
    """What an ORM sends for a model."""

    model: str
    table: str
    tables: list[str]  # all that it names
    action: str  # "SELECT", "INSERT", "INSERT of the required columns", "UPDATE", "DELETE", "ON CONFLICT", "JOIN"
    columns: list[str]  # that it is about
    sql: list[list[str]]  # pieces, [SQL]; in between, places for values: ["new", "note"], or ["label", "paid"]


class ModelStatementsAnswer(TypedDict):
    tables: list[ModelTable]
    count: int  # of all tables, also of those that were not asked for
    statements: list[ModelStatement]
    search_path: str
    strays: list[str]  # imported files that are not of the commit that is checked out


class OfflineFailure(Failure, total=False):
    """With the revision in which it arose."""

    revision: str | None


class _OfflineAnswer(TypedDict):
    pieces: list[tuple[str | None, str]]  # the revision, if it is of one, and the text


class OfflineAnswer(_OfflineAnswer, total=False):
    """The SQL that Alembic would print, in its order."""

    failure: OfflineFailure


class VersionReached(TypedDict):
    """Follows on `run_concurrently` once the revision was read. The driver waits for one more message before it
    continues."""

    reached_version: bool


class LateTables(TypedDict):
    """The last message: tables that the command has added to the metadata since Alembic was done."""

    late: list[str]
