"""Statements that PostgreSQL refused to an ordinary role, and after which the upgrade continued as a superuser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.gate.checks.base import Finding
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.script import python
from app.gate.postgres.extensions import is_of_hosted_extension
from app.gate.recording.model import Failure, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, indented


def needs_of_superuser(recording: Recording) -> Iterator[Finding]:
    """One finding for each revision that applies only as a superuser."""
    if recording.refused_before_alembic is not None:
        yield Finding(
            f"The command reaches Alembic only as a superuser, which no user of a hosted database is: {recording.refused_before_alembic}.",
            "superuser before-alembic",
            path=recording.env_path,
            help=_OTHERWISE,
            severity=Severity.WARNING,
        )
    for revision, step, _ in upgrades(recording):
        refused = different(each for each in step.refused if not is_of_hosted_extension(each.sql or ""))
        if refused:
            yield _superuser_finding(revision.revision, refused)


def _superuser_finding(revision: str, refused: Sequence[Failure]) -> Finding:
    more = f" (and {counted(len(refused) - 1, 'more statement')})" if len(refused) > 1 else ""
    advice = dict.fromkeys(_advice(each) for each in refused)
    return Finding(
        f"{revision} applies only as a superuser, which no user of a hosted database is: {failure_reason(refused[0])}{more}.",
        "superuser",
        revision=revision,
        detail=refusals(refused),
        help="\n\n".join(list(advice)[:3]),
        line=refused[0].line,
        severity=Severity.WARNING,
    )


def different(failures: Iterator[Failure] | Sequence[Failure]) -> list[Failure]:
    """The failures, each statement once."""
    return list({(each.sql or each.message): each for each in reversed(list(failures))}.values())[::-1]


def refusals(failures: Sequence[Failure]) -> str:
    if len(failures) == 1:
        return (failures[0].sql or failures[0].message).strip()
    return bulleted(f"{' '.join((each.sql or '').split())}: {failure_reason(each)}" for each in failures)


# What to do instead, by what the statement asks for: the words of PostgreSQL may be in any language.

_NAME = r'("(?:[^"]|"")+"|[\w$]+)'
_NEW_OWNER = re.compile(
    rf"\bOWNER\s+TO\s+{_NAME}|\bAUTHORIZATION\s+{_NAME}|\ASET\s+(?:\w+\s+)?ROLE\s+{_NAME}", re.IGNORECASE
)
_SYSTEM_TRIGGERS = re.compile(r"\b(DIS|EN)ABLE\s+(REPLICA\s+|ALWAYS\s+)?TRIGGER\b", re.IGNORECASE)
_EXTENSION = re.compile(r"\A\s*CREATE\s+EXTENSION\b", re.IGNORECASE)
_PUBLICATION = re.compile(r"\bPUBLICATION\b.*\b(?:ALL\s+TABLES|TABLES\s+IN\s+SCHEMA)\b", re.IGNORECASE | re.DOTALL)
_FILES = re.compile(r"\A\s*COPY\b", re.IGNORECASE)
_REPLICATION_ROLE = re.compile(r"\bsession_replication_role\b", re.IGNORECASE)


def _advice(failure: Failure) -> str:
    sql = failure.sql or ""
    if owner := _NEW_OWNER.search(sql):
        role = next(name for name in owner.groups() if name)
        code = f"op.execute({python(f'GRANT {role} TO CURRENT_USER')})"
        return (
            f"PostgreSQL lets only members of {role} give it something, and {role} needs CREATE on the schema:"
            f"\n\n{indented(code)}"
        )
    if _SYSTEM_TRIGGERS.search(sql):
        return (
            "ALL includes the triggers of foreign keys. Insert parents before children and leave the triggers on; or disable "
            "the table's own triggers alone: DISABLE TRIGGER USER."
        )
    if _REPLICATION_ROLE.search(sql):
        return (
            "Insert parents before children and leave triggers and foreign keys on; or disable a table's own triggers: "
            "ALTER TABLE … DISABLE TRIGGER USER."
        )
    if _EXTENSION.match(sql):
        return (
            "Have the server's administrator create the extension, and keep CREATE EXTENSION IF NOT EXISTS, which asks for "
            "no rights once it is there."
        )
    if _PUBLICATION.search(sql):
        return "Name the tables of the publication: their owner may add them (CREATE PUBLICATION … FOR TABLE …)."
    if _FILES.match(sql):
        return "Send the data through the connection: COPY … FROM STDIN."
    return _OTHERWISE


_OTHERWISE = "Do it without: or have the server's administrator do it before the upgrade, and let the revision check that it is done."
