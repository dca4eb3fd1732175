"""Names that are longer than PostgreSQL keeps (NAMEDATALEN): it cuts them, and says so in a NOTICE that few people see.

https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.gate.checks.base import Finding
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.naming import noun
from app.gate.checks.support.subjects import named, together
from app.gate.recording.model import Change, Recording, Statement, Step
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, listed

KEPT_BYTES = 63

_COMMENTS_AND_LITERALS = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_LONG_NAMES = re.compile(r'"(?P<quoted>(?:[^"]|""){16,})"|(?P<bare>\w{16,})')


def names_cut(recording: Recording) -> Iterator[Finding]:
    """The names that new revisions give longer than PostgreSQL keeps them: one finding for each revision."""
    for revision, step, _ in upgrades(recording):
        if cut := list(_cut_names(step)):
            yield _finding(revision.revision, cut)


def _finding(revision: str, cut: Sequence[CutName]) -> Finding:
    return Finding(
        f"{revision} applies, but PostgreSQL keeps only the first {KEPT_BYTES} bytes of a name: "
        f"{listed([noun(each.change) for each in cut])}.",
        together(f"cut {named(each.change.key)}" for each in cut),
        revision=revision,
        object=full_name(cut[0].change.key),
        detail=bulleted(f"{each.written} is now {each.change.key.name}" for each in cut),
        help="Choose shorter names. Two that begin alike are one name for PostgreSQL, and a query of the catalog for the whole "
        "name finds nothing.",
        line=cut[0].statement.line,
        severity=Severity.NOTICE,
    )


@dataclass(frozen=True)
class CutName:
    """An object whose name a statement gives longer than it is."""

    change: Change
    written: str
    statement: Statement


def _cut_names(step: Step) -> Iterator[CutName]:
    """The objects that a step has created or renamed under a name that was cut."""
    candidates = {
        each.key.name.partition("(")[0]: each
        for each in step.changes
        if each.before is None and KEPT_BYTES - 4 < len(each.key.name.partition("(")[0].encode()) <= KEPT_BYTES
    }
    for statement in step.statements if candidates else ():
        for written in _long_names(statement.sql):
            change = candidates.pop(_cut(written), None)
            if change is not None:
                yield CutName(change, written, statement)


def _long_names(sql: str) -> Iterator[str]:
    for found in _LONG_NAMES.finditer(_COMMENTS_AND_LITERALS.sub(" ", sql)):
        name = found["quoted"].replace('""', '"') if found["quoted"] else found["bare"].lower()
        if len(name.encode("utf-8", "replace")) > KEPT_BYTES:
            yield name


def _cut(name: str) -> str:
    """What PostgreSQL keeps: no half of a character."""
    return name.encode("utf-8", "replace")[:KEPT_BYTES].decode("utf-8", "ignore")
