"""Someone may do more or less than before.

Catches
    Privileges that are gone: by a REVOKE, or because a view, a table or a function was dropped and created again
    without its grants. Privileges that every role has now (GRANT … TO PUBLIC). Row security that is switched on, off,
    or forced on the owner, and policies that are created, dropped or changed on tables that are in use. A function that
    runs with its owner's rights from now on (SECURITY DEFINER), or that is created so and open to every role. A new
    owner.

Why it hurts
    A role that loses a privilege gets `permission denied` as soon as the upgrade commits, and row security without a
    fitting policy hides every row without an error. A role that gains one can read or change what was meant for others,
    and no error shows that.

How to fix
    Replace a view or a function in its place, which keeps its grants::

        op.execute("CREATE OR REPLACE VIEW open_orders AS SELECT id, status, total FROM orders")

    Where it has to be dropped, grant again what it had, in the same revision::

        op.execute("DROP VIEW open_orders")
        op.execute("CREATE VIEW open_orders AS SELECT id, status FROM orders")
        op.execute("GRANT SELECT ON open_orders TO app")

    Grant to the roles that need it, and not to every role::

        op.execute("GRANT SELECT ON orders TO app")

    Close a function that runs with its owner's rights, and set its search_path, or its caller can put other objects
    in the place of those that it names::

        op.execute(
            "CREATE FUNCTION next_number() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
            " SET search_path = pg_catalog, pg_temp AS 'SELECT 1 + count(*) FROM public.orders'"
        )
        op.execute("REVOKE EXECUTE ON FUNCTION next_number() FROM PUBLIC")

    If it is intended, say so::

        # overproof: allow access-change: reports are read by the role reporting alone since 4.2

Stays quiet when
    The revision creates the object, and gives every role no more than PostgreSQL does by default. A policy is replaced
    by the same one under another name, or is on a table without row security. What a role gains that is named is a
    notice: the GRANT says so itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.access import AccessChange, Schemas, Turn, access_changes
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import execute
from app.gate.checks.support.statements import first_word, mentions
from app.gate.checks.support.subjects import together
from app.gate.recording.model import Change, Recording, Statement, Step
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, indented

_CODE_LINES = 12


def examine(recording: Recording) -> Iterator[Finding]:
    schemas = SchemaHistory.of(recording)
    for revision, step, new_in_branch in upgrades(recording):
        by_turn: dict[Turn, list[AccessChange]] = {}
        for found in access_changes(Schemas(step, recording.head, new_in_branch)):
            by_turn.setdefault(found.turn, []).append(found)
        for turn, changes in by_turn.items():
            yield _finding(revision.revision, step, turn, changes, schemas)


def _finding(revision: str, step: Step, turn: Turn, found: Sequence[AccessChange], schemas: SchemaHistory) -> Finding:
    """One for all that happened in the same way: a loop over tables is one cause."""
    first = found[0]
    statement = _statement(step, first.change)
    message = first.words[0].upper() + first.words[1:]
    if len(found) > 1:
        message += f" (and {counted(len(found) - 1, 'more such change')})"
    objects = {full_name(each.change.key) for each in found}
    return Finding(
        f"{message}.",
        f"{turn} {together(each.subject for each in found)}",
        revision=revision,
        object=objects.pop() if len(objects) == 1 else None,
        detail=bulleted(each.words for each in found)
        if len(found) > 1
        else statement.sql.strip()
        if statement
        else None,
        help=_help(turn, found, schemas.after(revision)),
        line=statement.line if statement else None,
        severity=Severity.NOTICE if turn is Turn.WIDENED else None,
    )


def _statement(step: Step, change: Change) -> Statement | None:
    """The statement that changed the access: one about access that names the object, else one that makes it."""
    about_access = [each for each in step.statements if first_word(each) in ("GRANT", "REVOKE", "ALTER", "DO")]
    naming = [each for each in step.statements if mentions(each, change.key.name)]
    both = [each for each in about_access if each in naming]
    return next(iter([*both, *reversed(naming), *about_access]), None)


def _help(turn: Turn, found: Sequence[AccessChange], schema: Schema) -> str:
    text = _HELP[turn]
    if turn is not Turn.LOST:
        return text
    lines = [execute(schema.unqualified(each.code)) for each in found if each.code]
    if len(lines) > _CODE_LINES:
        lines = [*lines[:_CODE_LINES], f"# … and {len(lines) - _CODE_LINES} more"]
    return f"{text}:\n\n{indented(chr(10).join(lines))}" if lines else f"{text}."


_HELP = {
    Turn.LOST: "What is dropped and created again has no grants: CREATE OR REPLACE keeps them. If code that runs still needs it, "
    "grant it in the same revision",
    Turn.TO_PUBLIC: "Every role of the server has it, those of the future too. Grant to the roles that need it.",
    Turn.WIDENED: "If that is more than the role needs, grant less.",
    Turn.ROW_SECURITY: "Rows that no policy allows are hidden without an error, and writes to them fail. Make sure that the policies "
    "allow what running code does, as the roles as which it connects.",
    Turn.DEFINER: "Have only the roles run it that need to (REVOKE EXECUTE ON FUNCTION … FROM PUBLIC), and set its search_path "
    "(SET search_path = pg_catalog, pg_temp), or its caller can put objects in the place of those that it names.",
    Turn.OWNER: "Only its owner, a member of that role, or a superuser may change it from now on, further migrations too.",
}

CHECK = Check(id="access-change", severity=Severity.WARNING, examine=examine)
