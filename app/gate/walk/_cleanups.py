"""What earlier revisions did to rows: statements by which a later rule may hold for all of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from app.gate.recording.model import Statement
from app.gate.walk.state import Walk

_MOST = 20  # the latest of them
_CHANGES_ROWS = re.compile(r"\s*(?:UPDATE|DELETE\s+FROM|MERGE|WITH)\b", re.IGNORECASE)
_MAY_CHANGE_ROWS = re.compile(r"update|delete|merge", re.IGNORECASE)
_BY_SQLALCHEMY = re.compile(r"\b(?:update|delete)\(")


def find_cleanups(walk: Walk, revision: str, tables: Collection[str]) -> list[str]:
    """The statements of revisions before that one which change or delete rows of those tables, in their order.

    Of a revision that was not run, as those of the base, they are the texts in its script, and the source of `upgrade`
    where SQLAlchemy writes the statements.
    """
    names = {table.rpartition(".")[2].lower() for table in tables}
    found = [
        sql
        for earlier in _before(walk, revision)
        for sql in _statements(walk, earlier, frozenset(tables))
        if names & set(re.findall(r"\w+", sql.lower()))
    ]
    return found[-_MOST:]


def may_change_rows(walk: Walk, revision: str) -> bool:
    """Whether the revision's upgrade is one whose statements `find_cleanups` may return, judging by its script."""
    path = walk.arrival.paths.get(revision)
    try:
        return path is None or _MAY_CHANGE_ROWS.search(path.read_text("utf-8", "replace")) is not None
    except OSError:
        return True


def _before(walk: Walk, revision: str) -> Iterator[str]:
    """The revision's ancestors, parents first: the graph has them in that order."""
    known = walk.arrival.revisions
    wanted, ahead = set(), [revision]
    while ahead:
        each = known.get(ahead.pop())
        for parent in (*each.down_revisions, *each.depends_on) if each is not None else ():
            if parent not in wanted:
                wanted.add(parent)
                ahead.append(parent)
    return (each.revision for each in walk.arrival.graph.revisions if each.revision in wanted)


def _statements(walk: Walk, revision: str, tables: Collection[str]) -> list[str]:
    trip = walk.trips.get(revision)
    if trip is not None and trip.up is not None:
        executed = (statement for statement in trip.up.statements if not _is_of_namesakes(statement, tables))
        return [sql for sql in (each.sql.replace("%%", "%") for each in executed) if _CHANGES_ROWS.match(sql)]
    path = walk.arrival.paths.get(revision)
    try:
        source = path.read_text("utf-8") if path is not None else ""
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return []
    body = next((each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "upgrade"), None)
    if body is None:
        return []
    constants = (each.value for each in ast.walk(body) if isinstance(each, ast.Constant))
    texts = [each for each in constants if isinstance(each, str) and _CHANGES_ROWS.match(each)]
    written = ast.get_source_segment(source, body) or ""
    return [*texts, written] if _BY_SQLALCHEMY.search(written) else texts


def _is_of_namesakes(statement: Statement, tables: Collection[str]) -> bool:
    """Whether what a statement locked are tables of the same names in other schemas, as those of other tenants."""
    names = {table.rpartition(".")[2] for table in tables}
    alike = {table for table in statement.locks if table.rpartition(".")[2] in names}
    return bool(alike) and not alike & set(tables)
