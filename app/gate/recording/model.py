"""What the gate observed: plain data, no behaviour. Checks judge from this alone.

One `Recording` is one walk through one Alembic history. `serialization.py` stores it as JSON, so that a check can be
developed and tested on recordings, without a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.gate.recording.failure import Failure
from app.gate.recording.objects import (  # noqa: F401 - for readers of a recording, they are part of this
    TABLE_KINDS,
    Change,
    Definition,
    Key,
    Rename,
    Snapshot,
)
from app.gate.recording.other_history import OtherHistory
from app.gate.recording.running import RecordedStatements, RunningCode

COMMAND_FAILED = "CommandFailed"  # the `error` of a command that ended with a failure


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one step, and what PostgreSQL did for it.

    Tables are named "schema.table". Those that the revision itself created are left out: no session waits for them.
    """

    sql: str
    duration_ms: float
    line: int | None = None  # in the revision's script
    locks: Mapping[str, frozenset[str]] = field(default_factory=dict)  # newly taken: "public.orders" -> {"ShareLock"}
    rewrites: tuple[str, ...] = ()  # tables whose storage was replaced
    scans: tuple[str, ...] = ()  # tables read from end to end
    index_builds: tuple[str, ...] = ()  # tables on which an index was built or rebuilt
    written: Mapping[str, int] = field(default_factory=dict)  # rows inserted, updated or deleted by table
    updated: Mapping[str, int] = field(default_factory=dict)  # rows updated, which are among those
    transactional: bool = True  # False inside an autocommit block
    lock_timeout_ms: int | None = None  # in force as it ran: 0 waits for ever, None was not observed


class Direction(StrEnum):
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True)
class Step:
    """One revision, once, in one direction."""

    revision: str
    direction: Direction
    duration_ms: float
    transactional: bool = True  # False if the script ended the transaction, as an autocommit block does
    statements: tuple[Statement, ...] = ()
    changes: tuple[Change, ...] = ()  # against the schema before the step
    failure: Failure | None = None
    renamed: tuple[Rename, ...] = ()  # objects that are called otherwise since, also where nothing else differs
    refused: tuple[Failure, ...] = ()  # to the ordinary role, and repeated with a superuser's rights
    swallowed: tuple[Failure, ...] = ()  # errors of PostgreSQL after which the script continued


class LossKind(StrEnum):
    TABLE_DROPPED = "table dropped"
    ROWS_DELETED = "rows deleted"
    COLUMN_DROPPED = "column dropped"
    VALUES_REMOVED = "values removed"  # NULL now
    VALUES_TRUNCATED = "values truncated"
    VALUES_ROUNDED = "values rounded"
    VALUES_MERGED = "values merged"  # different ones became the same
    VALUES_CHANGED = "values changed"
    HOSTS_CUT_OFF = "hosts cut off"  # of network addresses


@dataclass(frozen=True)
class Loss:
    """Values that were in a table and can no longer be found."""

    table: str  # "public.orders", its name before the upgrade
    column: str | None  # None where whole rows are gone
    kind: LossKind
    count: int  # rows that are affected
    total: int  # rows before the upgrade
    old: str | None = None  # one of the values, as an example
    new: str | None = None  # the same value afterwards
    key: tuple[str, ...] = ()  # the columns of the table's primary key


@dataclass(frozen=True)
class RefusedInsert:
    """An ordinary INSERT, which leaves to their defaults the columns that have one, after an upgrade over rows; or an
    UPDATE or a DELETE of the row.

    Before the upgrade it was accepted, or there was no such table.
    """

    table: str  # "public.orders", its name after the upgrade
    failure: Failure
    column: str | None = None  # whose default is the cause
    sequence: str | None = None  # of the column, as SQL: "public.orders_id_seq"
    next_value: int | None = None  # that the column's sequence gives
    highest_value: int | None = None  # that is in the column already
    verb: str = "INSERT"  # or "UPDATE", "DELETE"


class RowKind(StrEnum):
    """The rows over which an upgrade is tried."""

    EDGE_CASES = "edge cases"  # NULLs, duplicates and extreme values among ordinary ones
    ORDINARY = "ordinary"
    OWN = "own"  # only the project's, from overproof_rows/


@dataclass(frozen=True)
class Populated:
    """An upgrade over rows in the older tables that it touches, and the downgrade after it.

    It is tried with edge cases first, as far as the schema before the upgrade allows them. If that fails, with ordinary
    rows, which also obey the rules that the upgrade adds (a new CHECK, a new foreign key). If `step` failed with
    ordinary rows, it fails with any; if it failed with edge cases, it passed with ordinary rows.
    """

    step: Step
    rows: RowKind  # those with which `step` ran
    tables: Mapping[str, int] = field(default_factory=dict)  # how many rows each held before `step`
    lost_upwards: tuple[Loss, ...] = ()  # after the upgrade, of what was there before it
    lost_downwards: tuple[Loss, ...] = ()  # after the downgrade, of what was there before the upgrade
    down_failure: Failure | None = None  # of the downgrade after `step`
    down_rows: RowKind | None = None  # over which that fails: if over ordinary ones, over any
    # Of upgrades over hostile rows, each of which breaks one rule that the upgrade adds, and none before it.
    assumptions: tuple[Failure, ...] = ()
    refused_inserts: tuple[RefusedInsert, ...] = ()


@dataclass(frozen=True)
class FailureInHistory:
    """An upgrade that fails over rows from before earlier revisions, and passes over those that come just before it."""

    failure: Failure
    tables: Mapping[str, str | None] = field(default_factory=dict)  # with rows -> the revision after which they came
    in_one_go: tuple[str, ...] = ()  # the revisions before it in the same transaction, where that is the reason


@dataclass(frozen=True)
class Interruption:
    """A second upgrade that fails, or leaves invalid indexes, where the first was killed and part of it was
    committed."""

    after: str  # the last statement that ran
    line: int | None  # of that statement, in the revision's script
    failure: Failure | None  # None if it succeeds
    is_inside: bool = False  # the statement itself was cancelled half way
    invalid: tuple[Key, ...] = ()  # the indexes that are invalid after it, and are not where nothing is killed


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A revision up, down and up again. What was not tried is None, and `skipped_because` says why."""

    revision: str
    up: Step | None = None
    down: Step | None = None
    second_up: Step | None = None  # with rows in the tables, unless these made it fail
    left_behind: tuple[Change, ...] = ()  # schema after the downgrade, against the schema before the upgrade
    second_up_differences: tuple[
        Change, ...
    ] = ()  # schema after the second upgrade, against the schema after the first
    interruptions: tuple[Interruption, ...] = ()
    skipped_because: str | None = None
    populated: Populated | None = None  # None too where the revision touches no older table
    tables_without_rows: Mapping[str, str] = field(default_factory=dict)  # table that could not be filled -> why
    in_history: FailureInHistory | None = None
    fails_alone: Failure | None = None  # of the upgrade, unless it is in one run of the command with those before it
    rows_failure: Failure | None = None  # why overproof_rows/<revision>.sql, the project's own rows, did not load


class Evidence(StrEnum):
    """What a recording has beyond the walk; each costs time. Named like the field of the recording."""

    LOCKS = "locks"  # of each statement, and rewrites, scans, index builds and rows written
    POPULATED = "populated"
    INTERRUPTIONS = "interruptions"
    DRIFT = "drift"
    MODELS = "models"
    OFFLINE = "offline"
    WHOLE_COMMAND = "whole_command"
    CONCURRENT = "concurrent"  # and `whole_command`, where that is in doubt
    UNREGISTERED = "unregistered"
    RUNNING = "running"
    TOO_EARLY = "too_early"  # of `running`, also where nothing breaks
    OTHER_HISTORY = "other_history"  # with --same-schema-as


ALL_EVIDENCE = frozenset(Evidence)


@dataclass(frozen=True)
class Allowance:
    """`# overproof: allow <check>: <reason>` in a revision's script."""

    check: str
    reason: str  # may be empty, which is itself a finding
    line: int


class Body(StrEnum):
    """What a function of a script consists of, judging by its source text."""

    PRESENT = "present"
    EMPTY = "empty"
    MISSING = "missing"  # the script has no such function
    RAISES = "raises"  # it only raises NotImplementedError


@dataclass(frozen=True)
class Revision:
    """One script of the history."""

    revision: str
    path: str  # relative to the repository's root where it lies in one
    down_revisions: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    branch_labels: tuple[str, ...] = ()
    message: str = ""
    sha256: str = ""
    content_digest: str = ""  # of what the script does: see `digest_content`
    upgrade_line: int | None = None
    downgrade_line: int | None = None
    upgrade_body: Body = Body.PRESENT
    downgrade_body: Body = Body.PRESENT
    is_new: bool = True  # not on the base branch
    allowances: tuple[Allowance, ...] = ()


class GraphProblemKind(StrEnum):
    MISSING_PARENT = "missing-parent"
    DUPLICATE = "duplicate"
    CYCLE = "cycle"
    LABEL_IN_USE = "label-in-use"  # by another revision, as a label or as its id
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class GraphProblem:
    """Why Alembic cannot read the history."""

    kind: GraphProblemKind
    message: str
    revision: str | None = None
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Graph:
    """The revisions on disk. `heads` are those that `alembic upgrade head` would find."""

    revisions: tuple[Revision, ...] = ()  # parents before children
    heads: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    problems: tuple[GraphProblem, ...] = ()
    refusal: str | None = None  # Alembic's message, if the command's target could not be resolved


@dataclass(frozen=True)
class Drift:
    """One operation that autogenerate would still write."""

    operation: str  # as text: "add column orders.note"
    object: str  # "public.orders.note"
    kind: str = "differs"  # "add-column": Alembic's own name for it


@dataclass(frozen=True)
class UnregisteredModel:
    """A table class that is not in the metadata that Alembic sees."""

    module: str
    name: str
    table: str
    path: str
    line: int | None = None


@dataclass(frozen=True)
class AlternativePath:
    """A way to head other than the walk (offline SQL, two concurrent upgrades), and its result."""

    failures: tuple[Failure, ...] = ()
    differences: tuple[Change, ...] = ()  # against the schema at head after the walk


@dataclass(frozen=True)
class Divergence:
    """What a branch did to the revisions of its base, besides adding to them. Each is (revision, path)."""

    ref: str  # as the user named it: "origin/main"
    commit: str  # from which the branch starts
    edited: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    inserted_below: tuple[tuple[str, str], ...] = ()  # new revisions that one of the base's comes after
    is_env_as_it_was: bool = False  # env.py does what it did there
    is_start: bool = True  # the walk starts from its schema; False where nothing is new, and all of it is walked
    # Forks that merging makes: a new revision, its parent, what follows that on the base since the branch was made, and
    # the head there.
    forks: tuple[tuple[str, str, str, str], ...] = ()


# Why one walk did not observe something, where another walk of the same command did: not shown to users.
CONTINUED_BY_A_LATER_WALK = "the command continues with this history after it"
TRIED_WITH_THE_LAST_WALK = "tried together with the last history that the command upgrades"


@dataclass(frozen=True)
class Recording:
    """One walk through one history.

    What could not be observed is None; `not_observed` has the reason, by field name.
    """

    script_location: str
    postgres: str
    alembic: str
    sqlalchemy: str
    graph: Graph
    trips: tuple[RoundTrip, ...] = ()  # in the order of the walk
    schema_digests: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # revision -> before and after it
    start: Snapshot | None = None  # the schema before the first of them
    head: Snapshot | None = None
    models: Snapshot | None = None  # the schema that the models create
    model_failure: Failure | None = None  # why the models' own CREATE statements failed
    drift: tuple[Drift, ...] | None = None
    hidden: tuple[str, ...] = ()  # what include_object or include_name hide from autogenerate: "public.orders"
    unregistered: tuple[UnregisteredModel, ...] | None = None
    whole_command: AlternativePath | None = None  # where another path gave reason to doubt it
    offline: AlternativePath | None = None
    concurrent: AlternativePath | None = None
    refused_before_alembic: str | None = (
        None  # what the command was refused before it reached Alembic, until it was a superuser's
    )
    running: RunningCode | None = None  # what the base's models show; None: which code runs is not known
    recorded: RecordedStatements | None = None  # with --statements
    other_history: OtherHistory | None = None
    nondeterministic: tuple[Change, ...] = ()  # between two runs of the same command; no attempt has them
    has_metadata: bool = True
    base: Divergence | None = None  # with --base
    env_path: str | None = None  # of env.py, relative to the repository's root where it lies in one
    not_observed: Mapping[str, str] = field(default_factory=dict)

    def get_revision(self, revision: str) -> Revision:
        """The script of that revision. Raises KeyError."""
        for each in self.graph.revisions:
            if each.revision == revision:
                return each
        raise KeyError(revision)
