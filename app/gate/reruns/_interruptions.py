"""Upgrades that commit half way, killed and run again: between two of their statements, and inside a statement that
commits between its own phases."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.gate.postgres.quoting import quote
from app.gate.recording.model import Definition, Direction, Interruption, Key, Snapshot, Statement, Step
from app.gate.reruns._bystander import bystander
from app.gate.reruns._revisions import Outcome
from app.gate.reruns._second_upgrades import survive_step
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

# Each failure costs one more run of the command up to the revision, and older revisions have been applied by now.
INTERRUPTED_REVISIONS = 5
_INSIDE_A_REVISION = 10  # statements of one revision that are cancelled half way: each costs it a run up and down

# DROP INDEX CONCURRENTLY commits between its phases too, and can be run again after each.
_COMMITS_BETWEEN_PHASES = re.compile(
    r"\A\s*(CREATE\s+(UNIQUE\s+)?INDEX|REINDEX|ALTER\s+TABLE\b.*\bDETACH\s+PARTITION)\b.*\bCONCURRENTLY\b",
    re.IGNORECASE | re.DOTALL,
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Point:
    """Where an upgrade is killed: before a statement, or inside it."""

    statement: int  # its number, from 0
    is_inside: bool = False


def points_of_interruption(walk: Walk) -> dict[str, list[Point]]:
    """Where a kill leaves half of a revision: {"b2": [before its second statement, inside its second statement]}.

    Of the revisions that commit half way, only the newest are taken.
    """
    committing = [
        (name, trip.up)
        for name in walk.plan
        if (trip := walk.trips.get(name)) and trip.up and not (trip.up.failure or trip.up.transactional)
    ]
    points = {name: _points(up) for name, up in committing[-INTERRUPTED_REVISIONS:]}
    return {name: numbers for name, numbers in points.items() if numbers}


def _points(up: Step) -> list[Point]:
    """Those between two statements first: what fails there fails inside the next one too."""
    between, inside = [], []
    is_half_committed = False
    for number, statement in enumerate(up.statements):
        # A statement outside a transaction has committed what came before it.
        if number and (is_half_committed or not statement.transactional):
            between.append(Point(number))
        if not statement.transactional and _COMMITS_BETWEEN_PHASES.match(_COMMENTS.sub(" ", statement.sql)):
            inside.append(Point(number, is_inside=True))
        is_commit = statement.sql.lstrip()[:6].upper() == "COMMIT"
        is_half_committed = is_half_committed or is_commit or not statement.transactional
    return between + inside[:_INSIDE_A_REVISION]


@dataclass(frozen=True)
class InterruptedUpgrade:
    """Kills the upgrade of a revision at each of its points, and runs it again."""

    walk: Walk
    points: dict[str, list[Point]]  # by revision, those that are left
    is_of_applied: bool = False

    def run(self, revision: str, client: DriverClient) -> Outcome:
        points = self.points[revision]
        while points:
            if not self._interrupt(revision, points, client):
                return Outcome.NOT_DONE if points else Outcome.DATABASE_SPOILED
        return Outcome.DONE

    def _interrupt(self, revision: str, points: list[Point], client: DriverClient) -> bool:
        """Interrupt the upgrade at the first of the points. False if the database is left in another state."""
        point = points.pop(0)
        before = client.read_schema()
        if point.is_inside:
            if not self._cancel_inside(revision, point.statement, client):
                return False
        else:
            client.interrupt_upgrade(revision, point.statement)
        second_up = survive_step(client, revision, Direction.UPGRADE)
        invalid = _invalid_indexes(client.read_schema(before)) if second_up.failure is None else {}
        left = tuple(sorted(set(invalid) - set(_invalid_indexes(before)) - self._left_invalid(revision)))
        if second_up.failure is not None or left:
            self._note(revision, point, second_up, left)
            # A revision that fails after one point usually fails after the next: one finding is enough.
            points.clear()
        if second_up.failure is None and client.commit_step(revision, Direction.DOWNGRADE).failure is not None:
            return False
        if second_up.failure is not None or left:
            _clear_away(client, before)
        return client.read_schema(before) == before and not _has_half_detached(client)

    def _cancel_inside(self, revision: str, number: int, client: DriverClient) -> bool:
        """Cancel a statement of the upgrade while it waits for another session. False if it did not wait."""
        backend = client.pause_upgrade(revision, number)
        if backend is None:
            return False
        # Begun now and not before, it is in the way of nothing but this statement.
        with bystander(client.database, self._statements(revision)[number].sql) as other:
            return client.cancel_paused_upgrade(backend, lambda: other.blocks(backend))

    def _note(self, revision: str, point: Point, second_up: Step, left: tuple[Key, ...]) -> None:
        statements = self._statements(revision)
        at = statements[point.statement if point.is_inside else point.statement - 1]
        interruption = Interruption(at.sql, at.line, second_up.failure, point.is_inside, left)
        self.walk.note(revision, interruptions=(interruption,))

    def _statements(self, revision: str) -> tuple[Statement, ...]:
        up = self.walk.trips[revision].up
        return up.statements if up is not None else ()

    def _left_invalid(self, revision: str) -> set[Key]:
        """The indexes that are invalid after the revision where nothing is killed, such as one ON ONLY a parent."""
        up = self.walk.trips[revision].up
        changes = up.changes if up is not None else ()
        return {each.key for each in changes if each.after is not None and _is_invalid(each.after)}

    def give_up(self, revision: str, reason: Exception) -> None:
        """Note nothing: an upgrade that was killed on purpose and cannot be reached again shows nothing."""


def _clear_away(client: DriverClient, before: Snapshot) -> None:
    """Drop the indexes that a cancelled build has left, so that the database can serve other revisions."""
    left = _invalid_indexes(client.read_schema(before)).keys() - _invalid_indexes(before).keys()
    with client.database.connect() as connection, connection.cursor() as cursor:
        for key in left:
            cursor.execute(f"DROP INDEX IF EXISTS {quote(key.schema)}.{quote(key.name)}")


def _has_half_detached(client: DriverClient) -> bool:
    """Whether a partition is still being detached (inhdetachpending, PostgreSQL 14), which its definition does not
    show."""
    with client.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE to_jsonb(i) @> '{\"inhdetachpending\": true}')"
        )
        (answer,) = cursor.fetchone() or (False,)
        return bool(answer)


def _invalid_indexes(schema: Snapshot) -> dict[Key, Definition]:
    return {key: each for key, each in schema.objects.items() if key.kind == "index" and _is_invalid(each)}


def _is_invalid(definition: Definition) -> bool:
    return definition.get("valid") is False
