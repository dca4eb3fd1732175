"""Statements that were recorded in production, and that the new schema refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.gate.checks.base import Finding
from app.gate.checks.breaks.upgrade import IN_TWO_RELEASES, Upgrade
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.subjects import cause
from app.gate.recording.running import RefusedStatement
from app.gate.wording import bulleted, counted

_SHOWN = 10
_LONGEST = 300  # characters of a statement


def recorded_statements(upgrade: Upgrade) -> Iterator[Finding]:
    """One finding for each error of PostgreSQL's, with the statements that meet it from this revision on."""
    recorded = upgrade.recording.recorded
    by_cause: dict[str, list[RefusedStatement]] = {}
    for each in recorded.refused if recorded is not None else ():
        if each.revision == upgrade.step.revision:
            by_cause.setdefault(cause(each.failure), []).append(each)
    for code, refused in sorted(by_cause.items()):
        yield _finding(upgrade, code, refused)


def _finding(upgrade: Upgrade, code: str, refused: Sequence[RefusedStatement]) -> Finding:
    first = refused[0].failure
    more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    are = "is" if len(refused) == 1 else "are"
    return Finding(
        f"{counted(len(refused), 'statement')} that production was sent {are} refused after {upgrade.step.revision}:"
        f" {failure_reason(first)}{more}.",
        f"recorded statements {code}",
        revision=upgrade.step.revision,
        object=first.table,
        detail=_list(refused),
        help=f"{IN_TWO_RELEASES} If no code sends these any more, take them out of the file, or say so in the script:"
        "\n\n    # overproof: allow breaking-change: <why>",
    )


def _list(refused: Sequence[RefusedStatement]) -> str:
    return bulleted((f"{failure_reason(each.failure)}: {_shortened(each.sql)}" for each in refused), _SHOWN)


def _shortened(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
