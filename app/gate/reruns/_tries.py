"""Statements tried on a database one by one, each rolled back: which ones PostgreSQL refuses, and with which words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so

from app.gate.postgres.quoting import identifier, literal
from app.gate.recording.model import Failure
from app.gate.rows.connection import QueryRefused

# Of the server or of the moment, and not of the statement: see
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SAYS_NOTHING = ("08", "40", "53", "57", "58", "XX")


@dataclass(frozen=True)
class Try:
    """A statement, and what is run before it in the same way."""

    sql: str
    before: str | None = None


_BLOCK = """
DO LANGUAGE plpgsql $overproof$
DECLARE
  try jsonb;
  failure jsonb;
  state text;
  message text;
  detail text;
  hint text;
  of_schema text;
  of_table text;
  of_column text;
  of_constraint text;
  outcomes jsonb DEFAULT '[]';
BEGIN
  SET CONSTRAINTS ALL IMMEDIATE;
  FOR try IN SELECT e.value FROM jsonb_array_elements({tries}::jsonb) WITH ORDINALITY AS e ORDER BY e.ordinality LOOP
    failure = NULL;
    BEGIN
      BEGIN
        IF try ->> 'before' IS NOT NULL THEN
          EXECUTE try ->> 'before';
        END IF;
      EXCEPTION WHEN OTHERS THEN
        NULL; -- the statement itself will show whether that matters
      END;
      EXECUTE try ->> 'sql';
      RAISE EXCEPTION USING ERRCODE = 'OP001';
    EXCEPTION
      WHEN SQLSTATE 'OP001' THEN
        NULL;
      WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
          hint = PG_EXCEPTION_HINT, of_schema = SCHEMA_NAME, of_table = TABLE_NAME, of_column = COLUMN_NAME,
          of_constraint = CONSTRAINT_NAME;
        failure = jsonb_build_array(state, message, detail, hint, of_schema, of_table, of_column, of_constraint);
    END;
    outcomes = outcomes || jsonb_build_array(failure);
  END LOOP;
  PERFORM set_config('overproof.tries', outcomes::text, true);
END $overproof$
"""


@dataclass(frozen=True)
class Session:
    """One transaction on a database, for test rows and tries; to be rolled back."""

    connection: Connection

    def begin(self, search_path: str | None = None, role: str | None = None) -> None:
        """Begin as that role, where the connection's own may be a superuser."""
        with self.connection.cursor() as cursor:
            if role is not None:
                cursor.execute(f"SET LOCAL ROLE {identifier(role)}")
            if search_path is not None:
                cursor.execute("SELECT set_config('search_path', %s, true)", [search_path])
            cursor.execute("SET LOCAL statement_timeout = '60s'")

    def ask(self, sql: str, *before: str) -> str:
        """The only value of a query, after some statements. Raises QueryRefused, with all of them undone."""
        with self.connection.cursor() as cursor:
            cursor.execute("SAVEPOINT overproof_ask")
            try:
                for statement in before:
                    cursor.execute(statement)
                cursor.execute(sql)
                ((value,),) = cursor.fetchall()
            except psycopg2.Error as error:
                cursor.execute("ROLLBACK TO SAVEPOINT overproof_ask")
                raise QueryRefused(Failure(type(error).__name__, str(error).strip(), error.pgcode)) from error
            cursor.execute("RELEASE SAVEPOINT overproof_ask")
            return str(value)

    def try_all(self, tries: Sequence[Try]) -> list[Failure | None]:
        """What PostgreSQL refuses; None for what it accepts. Raises QueryRefused if that cannot be found out."""
        if not tries:
            return []
        described = literal(json.dumps([{"sql": each.sql, "before": each.before} for each in tries]))
        block = _BLOCK.replace("{tries}", described)
        outcomes = json.loads(self.ask("SELECT current_setting('overproof.tries')", block))
        return [_failure(each, outcome) for each, outcome in zip(tries, outcomes, strict=True)]


def _failure(tried: Try, said: Sequence[str] | None) -> Failure | None:
    if said is None or said[0][:2] in _SAYS_NOTHING:
        return None
    state, message, detail, hint, schema, table, column, constraint = (each or None for each in said)
    return Failure(
        "PostgresError",
        message or "",
        state,
        sql=tried.sql,
        table=f"{schema}.{table}" if schema and table else None,
        column=column,
        constraint=constraint,
        detail=detail,
        hint=hint,
    )
