"""Offline mode: what the command prints with `--sql`, and the schema that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg2

from app.gate.postgres.statements import is_cluster_wide
from app.gate.recording.model import COMMAND_FAILED, Failure, Snapshot
from app.gate.server.database import Database
from app.gate.target.runner import TargetRunner, align_schema, read_schema

_REFUSES_SQL = ("--sql", "unrecognized arguments", "no such option", "unexpected extra argument", "usage:")


@dataclass(frozen=True)
class OfflineSql:
    """The SQL that the command prints, in pieces, each with its revision; or why there is none."""

    pieces: Sequence[tuple[str | None, str]] = ()
    failure: Failure | None = None
    not_supported: str | None = None  # why the command has no offline mode

    @property
    def stays_in_database(self) -> bool:
        """Whether all of it can be run next to other runs: no statement is about the whole server, by its SQL text."""
        is_whole = self.failure is None and self.not_supported is None
        return is_whole and not any(is_cluster_wide(piece) for _, piece in self.pieces)

    @property
    def is_command_failure(self) -> bool:
        """Whether the command itself failed, and not a revision."""
        return self.failure is not None and self.failure.error == COMMAND_FAILED


def print_offline_sql(runner: TargetRunner, start: Sequence[str]) -> OfflineSql:
    """Have the command print the SQL for a database at those revisions."""
    pieces: list[tuple[str | None, str]] = []
    with runner.database() as database, runner.process(database, "--sql") as process:
        while (session := process.next_session()) is not None:
            if not session.handshake["as_sql"]:
                return OfflineSql(not_supported="the command does not take --sql")
            answer = session.request("offline", runner.target.timeout_s, start=list(start))
            pieces += answer["pieces"]
            if failure := answer.get("failure"):
                return OfflineSql(failure=Failure(**failure))
            session.request("skip")
        status = process.wait(runner.target.timeout_s)
        if not process.sessions or status != 0:
            words = process.last_words()
            if not process.sessions and any(sign in process.output().lower() for sign in _REFUSES_SQL):
                return OfflineSql(not_supported="the command does not take --sql")
            return OfflineSql(failure=Failure(COMMAND_FAILED, words))
    return OfflineSql(pieces)


def run_offline_sql(printed: OfflineSql, runner: TargetRunner, like: Snapshot | None = None) -> Snapshot | Failure:
    """The schema that the SQL makes, with the words of the one that it is `like` for definitions that mean the same."""
    with runner.database() as database:
        if failure := _run(printed.pieces, database):
            return failure
        schema = read_schema(database)
        return schema if like is None else align_schema(like, schema, database)


def _run(pieces: Sequence[tuple[str | None, str]], database: Database) -> Failure | None:
    """Run the SQL as psql would, up to the first error, after the BEGIN that env.py prints before it calls Alembic."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for revision, piece in [*pieces, (None, "COMMIT")]:
            is_begin = piece.strip().upper() == "BEGIN;"
            if _is_comment(piece) or (is_begin and _is_in_transaction(connection)):
                continue
            try:
                cursor.execute(piece)
            except psycopg2.Error as error:
                message = str(error).strip().splitlines()[0]
                name = f"{type(error).__module__}.{type(error).__qualname__}"
                said = error.diag
                return Failure(
                    name,
                    message,
                    sqlstate=error.pgcode,
                    sql=piece,
                    revision=revision,
                    detail=said.message_detail,
                    hint=said.message_hint,
                    context=said.context,
                )
    return None


def _is_in_transaction(connection: psycopg2.extensions.connection) -> bool:
    return connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE


def _is_comment(piece: str) -> bool:
    return all(not line.strip() or line.strip().startswith("--") for line in piece.splitlines())
