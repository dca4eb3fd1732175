"""The code for what PostgreSQL refused, where there is another way to the same."""

from __future__ import annotations

import re

from app.gate.checks.support import fix_code
from app.gate.checks.support.concurrently import Index, build, constrain, drop
from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import execute
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import TABLE_KINDS, Change, Failure
from app.gate.recording.names import full_name, table_of
from app.gate.wording import indented, listed

_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_PLACE = rf"(?:{_NAME}\s*\.\s*)?{_NAME}"
_CREATE_INDEX = re.compile(
    rf"\s*CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>{_NAME})\s+ON\s+"
    rf"(?P<table>{_PLACE})\s*(?P<body>(?:USING\b|\().*)",
    re.IGNORECASE | re.DOTALL,
)
_DROP_INDEX = re.compile(
    rf"\s*DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?(?P<name>{_PLACE})\s*;?\s*", re.IGNORECASE
)
_FOREIGN_KEY = re.compile(
    rf"\s*ALTER\s+TABLE\s+(?P<table>{_PLACE})\s+ADD\s+CONSTRAINT\s+(?P<name>{_NAME})\s+(?P<rule>FOREIGN\s+KEY\b.*?)\s+NOT\s+VALID\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_RETYPE = re.compile(
    rf"\s*ALTER\s+TABLE\s+(?:ONLY\s+)?(?P<table>{_PLACE})\s+ALTER\s+(?:COLUMN\s+)?(?P<column>{_NAME})\s+(?:SET\s+DATA\s+)?TYPE\b.*",
    re.IGNORECASE | re.DOTALL,
)


def another_way(failure: Failure, schema: Schema) -> str | None:
    """Text with code that does what the statement that failed was to do. `schema` is the one before it."""
    sql = failure.sql or ""
    if failure.sqlstate != sqlstates.FEATURE_NOT_SUPPORTED:
        return None
    if found := _CREATE_INDEX.match(sql):
        table = _find_table(found["table"], schema)
        if table is not None and schema.is_partitioned(table):
            index = Index(table, unquoted(found["name"]), found["body"].rstrip(" ;\n"), bool(found["unique"]))
            return indented(build(index, schema))
    if found := _DROP_INDEX.fullmatch(sql):
        name = unquoted(found["name"]).rpartition(".")[2]
        for key, definition in schema.objects.items():
            if key.kind == "index" and key.name == name and schema.is_partitioned(table_of(key)):
                return indented(drop(Change(key, definition, None), schema))
    if found := _FOREIGN_KEY.fullmatch(sql):
        table = _find_table(found["table"], schema)
        if table is not None and schema.is_partitioned(table):
            steps = constrain(table, unquoted(found["name"]), found["rule"], schema)
            now, later = indented("\n".join(steps.now)), indented("\n".join(steps.later))
            return f"{now}\n\nThen, in the next revision:\n\n{later}"
    if found := _RETYPE.fullmatch(sql):
        table = _find_table(found["table"], schema)
        if table is not None and schema.views_on(table, unquoted(found["column"])):
            lines = fix_code.between_views(table, unquoted(found["column"]), [execute(sql.strip().rstrip(";"))], schema)
            return indented("\n".join(lines))
    return None


_NO_SUCH_CONSTRAINT = re.compile(r'^constraint "(?P<name>.+)" of relation "(?P<table>.+)" does not exist$')


def constraints_there(failure: Failure, schema: Schema) -> str | None:
    """What the constraints are called of a table that has none of the name which was to be dropped."""
    found = _NO_SUCH_CONSTRAINT.match(failure.message)
    if found is None or failure.sqlstate != sqlstates.UNDEFINED_OBJECT:
        return None
    there = {
        key.name: str(definition.get("type"))
        for key, definition in schema.objects.items()
        if key.kind == "constraint" and key.table == found["table"]
    }
    if not there:
        return None
    primary = next((name for name, kind in there.items() if kind == "primary key"), None)
    if found["name"] == "PRIMARY" and primary is not None:
        return f"PRIMARY is MySQL's name of a primary key. PostgreSQL's, of {found['table']}, is {primary}."
    names = listed([f"{name} ({kind})" for name, kind in sorted(there.items())], 9)
    return f"{found['table']} has {names}. If one of them is meant, name it; if it has another name in other databases, look first."


def _find_table(name: str, schema: Schema) -> str | None:
    """The table that a statement names, if there is one of that name alone."""
    given = unquoted(re.sub(r"\s*\.\s*", ".", name))
    found = [
        full_name(key)
        for key in schema.objects
        if key.kind in TABLE_KINDS and (full_name(key) == given or ("." not in given and key.name == given))
    ]
    return found[0] if len(found) == 1 else next((each for each in found if each.split(".")[0] in schema.implied), None)
