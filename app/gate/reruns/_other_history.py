"""The history of another commit, run with that commit's code: whether it ends where the project's own ends.

One database after the other, since a history may create roles, of which the server has only one set:

1. The command with the code of that commit, on an empty database: its schema, its rows, its heads.
2. That database is marked as being at the heads of the project's own history, as `alembic stamp --purge` would, and the
   project's command is run on it, which should do nothing.
3. The project's command on an empty database: its schema and its rows, compared with those of 1.
4. Only where rows differ: both once more. What differs between two runs of each history, such as a time, is no
   difference between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.gate.errors import CannotVerify, CommandExited
from app.gate.history.checkout import Checkout, check_out
from app.gate.history.git_base import read_revisions_at
from app.gate.history.paths import repository_root
from app.gate.history.repository import Commit, GitFailed
from app.gate.postgres.quoting import identifier, literal
from app.gate.recording.model import Change, Failure, Snapshot
from app.gate.recording.other_history import OtherHistory
from app.gate.reruns._pool import JobPool
from app.gate.reruns._whole_command import run_undriven
from app.gate.reruns.results import RerunResults
from app.gate.rows.seeds import Seeds, compare_seeds, differing, read_seeds, varying_columns
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.target.runner import TargetRunner, align_schema, check_database, read_schema
from app.gate.walk.state import Walk


def run_other_history(
    commit: Commit, walks: Sequence[Walk], pool: JobPool, runner: TargetRunner, results: RerunResults
) -> None:
    """Run the history of that commit, and compare. Raises CannotVerify: it was asked for by name."""
    with check_out(repository_root(runner.target.directory), commit.id, runner.server.supervisor) as checkout:
        results.other_history = _Comparison(commit, walks, pool, runner, checkout).run()


@dataclass(frozen=True)
class _End:
    """Where a history ends."""

    schema: Snapshot
    seeds: Mapping[str, Seeds]
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Comparison:
    commit: Commit
    walks: Sequence[Walk]
    pool: JobPool
    runner: TargetRunner
    checkout: Checkout

    def run(self) -> OtherHistory:
        heads = tuple(sorted({head for walk in self.walks for head in walk.arrival.graph.heads}))
        there, failure, changes = self._run_there()
        with self.runner.blank_database() as database:
            here = self._run_here(database)
            aligned = align_schema(there.schema, here.schema, database)
        differences = difference(there.schema, aligned)
        in_meaning = {each.key for each in difference(there.schema, aligned, same_history=False)}
        varying: Mapping[str, frozenset[str]] = {}
        if _to_be_compared(there, here, differences):
            varying = self._varying(there, here)
        comparable = [_less(each.seeds, _tables_of(differences)) for each in (there, here)]
        return OtherHistory(
            ref=self.commit.ref,
            commit=self.commit.id,
            heads_there=there.heads,
            heads_here=heads,
            gone=self._find_gone(),
            differences=tuple(each for each in differences if each.key in in_meaning),
            only_names=tuple(each for each in differences if each.key not in in_meaning),
            seeds=tuple(compare_seeds(*comparable, ignored=varying, numbered=_numbered(here.schema))),
            varying=tuple(sorted(f"{table}.{column}" for table, columns in varying.items() for column in columns)),
            failure_after_stamp=failure,
            changes_after_stamp=changes,
        )

    def _find_gone(self) -> tuple[str, ...]:
        here = {revision for walk in self.walks for revision in walk.arrival.revisions}
        folders = {path.parent for walk in self.walks for path in walk.arrival.paths.values()}
        try:
            there = read_revisions_at(self.commit.id, self.checkout.root, sorted(folders))
        except GitFailed as error:
            raise CannotVerify(f"{self._asked}: {error}") from error
        return tuple(sorted(set(there) - here))

    def _run_there(self) -> tuple[_End, Failure | None, tuple[Change, ...]]:
        """Where that history ends, and what the project's command does to such a database once it is stamped."""
        with self.runner.blank_database() as database:
            end = self._upgrade_there(database)
            self._stamp(database)
            failure = run_undriven(self.runner, database)
            return end, failure, difference(end.schema, self._schema(database))

    def _upgrade_there(self, database: Database) -> _End:
        """Run the command with that commit's code. Raises CannotVerify."""
        runner = self.runner
        runner.prepare(database)
        tables: set[tuple[str, str]] = set()
        with runner.process(database, checkout=self.checkout) as process:
            try:
                while (session := process.next_session(runner.patience_s)) is not None:
                    check_database(session, database, process)
                    table = session.handshake["version_table"]
                    tables.add((session.handshake["version_table_schema"] or "public", table))
                    session.request("run_whole")
                status = runner.wait(process, database)
            except (CommandExited, TimeoutError) as error:
                raise CannotVerify(f"{self._asked}: its command did not end: {process.last_words()}") from error
            words = process.last_words()
        if status != 0 or not tables:
            self.pool.retry_alone()
            what = f"ended with status {status}" if status else "never reached Alembic"
            raise CannotVerify(f"{self._asked}: its command {what}: {words}")
        heads = [_read_heads(database, *table) for table in sorted(tables)]
        if not any(heads):
            raise CannotVerify(f"{self._asked}: its command has run no revision")
        return self._read_end(database, heads)

    def _run_here(self, database: Database) -> _End:
        self.runner.prepare(database)
        failure = run_undriven(self.runner, database)
        if failure is not None:
            self.pool.retry_alone()
            raise CannotVerify(f"the command fails on an empty database: {failure.message}")
        return self._read_end(database, [])

    def _read_end(self, database: Database, heads: Sequence[Sequence[str]]) -> _End:
        schema = self._schema(database)
        with database.connect(autocommit=False) as connection:
            seeds = read_seeds(connection, schema)
        return _End(schema, seeds, tuple(sorted({head for each in heads for head in each})))

    def _schema(self, database: Database) -> Snapshot:
        schema = read_schema(database)
        for walk in self.walks:
            schema = walk.arrival.without_version_table(schema)
        return schema

    def _stamp(self, database: Database) -> None:
        with database.connect() as connection, connection.cursor() as cursor:
            for walk in self.walks:
                place = ".".join(identifier(each) for each in walk.arrival.version_table.split(".", 1))
                heads = ", ".join(f"({literal(head)})" for head in walk.arrival.graph.heads)
                cursor.execute(f"SELECT to_regclass({literal(place)}) IS NOT NULL")
                if cursor.fetchall() == [(True,)] and heads:
                    cursor.execute(f"DELETE FROM {place}; INSERT INTO {place} (version_num) VALUES {heads}")

    def _varying(self, there: _End, here: _End) -> dict[str, frozenset[str]]:
        """The columns that have other values in each run of either history."""
        with self.runner.blank_database() as database:
            of_there = varying_columns(there.seeds, self._upgrade_there(database).seeds)
        with self.runner.blank_database() as database:
            of_here = varying_columns(here.seeds, self._run_here(database).seeds)
        found = {table: of_there[table] & of_here[table] for table in of_there.keys() & of_here.keys()}
        return {table: columns for table, columns in found.items() if columns}

    @property
    def _asked(self) -> str:
        return f"--same-schema-as {self.commit.ref} cannot be tried"


def _to_be_compared(there: _End, here: _End, differences: Sequence[Change]) -> list[str]:
    tables = _tables_of(differences)
    return differing(_less(there.seeds, tables), _less(here.seeds, tables))


def _tables_of(differences: Sequence[Change]) -> set[str]:
    """The tables that have other columns: it would be said twice that their rows differ."""
    found = set()
    for change in differences:
        if change.key.kind == "table" and None in (change.before, change.after):
            found.add(f"{change.key.schema}.{change.key.name}")
        if change.key.kind == "column":
            found.add(f"{change.key.schema}.{change.key.table}")
    return found


def _less(seeds: Mapping[str, Seeds], tables: set[str]) -> dict[str, Seeds]:
    return {name: each for name, each in seeds.items() if name not in tables}


def _numbered(schema: Snapshot) -> dict[str, frozenset[str]]:
    """By table, the columns that a sequence numbers."""
    found: dict[str, set[str]] = {}
    for key, definition in schema.objects.items():
        if key.kind == "column":
            default = str(definition.get("default") or "")
            if definition.get("identity") or default.startswith("nextval("):
                found.setdefault(f"{key.schema}.{key.table}", set()).add(key.name)
    return {table: frozenset(columns) for table, columns in found.items()}


def _read_heads(database: Database, schema: str, table: str) -> list[str]:
    """The revisions that Alembic's table has."""
    place = f"{identifier(schema)}.{identifier(table)}"
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT to_regclass({literal(place)}) IS NOT NULL")
        if cursor.fetchall() != [(True,)]:
            return []
        cursor.execute(f"SELECT version_num FROM {place} ORDER BY 1")
        return [str(revision) for (revision,) in cursor]
