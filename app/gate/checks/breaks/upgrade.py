"""One upgrade as seen by code that knows the schema before it, and what makes that code fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from app.gate.checks.support.inheritance import parents_of
from app.gate.checks.support.locks import upgrades
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Key, Recording, Revision, Step
from app.gate.recording.names import full_name
from app.gate.recording.running import RefusedStatement
from app.gate.report.verdict import Severity

IN_TWO_RELEASES = "Split the change over two releases: first make the code and the schema work with both forms, then remove the old one."


@dataclass(frozen=True)
class Break:
    """One change that makes older code fail, or that takes away what it may rely on."""

    change: Change
    words: str  # a sentence without its full stop
    severity: Severity = Severity.WARNING
    advice: str = IN_TWO_RELEASES
    refusal: RefusedStatement | None = None  # of the running code, by which it is proved


@dataclass(frozen=True)
class Upgrade:
    """One upgrade of a branch."""

    revision: Revision
    step: Step
    recording: Recording
    new_in_branch: frozenset[Key]  # objects that earlier revisions of the branch created: older code knows none of them

    @cached_property
    def unknown_tables(self) -> set[str]:
        """The tables that older code does not know: created by this revision, or by another one of the branch."""
        created = {each.key for each in self.step.changes if each.before is None}
        return {full_name(key) for key in created | self.new_in_branch if key.kind in TABLE_KINDS}

    @cached_property
    def created(self) -> set[str]:
        return {full_name(each.key) for each in self.step.changes if each.before is None}

    @cached_property
    def dropped(self) -> set[str]:
        return {full_name(each.key) for each in self.step.changes if each.after is None}

    @cached_property
    def schemas_gone(self) -> set[Key]:
        return {each.key for each in self.step.changes if each.after is None and each.key.kind == "schema"}

    @cached_property
    def before_and_after(self) -> Mapping[Key, Change]:
        return {each.key: each for each in self.step.changes}

    @cached_property
    def schema(self) -> Mapping[Key, Definition] | None:
        """The schema after it. None if the walk did not get to its head, from which it is worked out."""
        if self.recording.head is None:
            return None
        objects = dict(self.recording.head.objects)
        for trip in reversed(self.recording.trips):
            if trip.revision == self.step.revision:
                break
            if trip.up is not None and trip.up.failure is None:
                _undo(objects, trip.up.changes)
        return objects

    def of_parents(self, key: Key) -> Iterator[Key]:
        """What a column or a constraint is called in the tables from which its own has inherited it, to any depth."""
        if not key.table or (key.kind, key.name) not in self._repeated:
            return
        own = Key("table", key.schema, key.table)
        change = self.before_and_after.get(own)
        table = change.after if change is not None else (self.schema or {}).get(own)
        for parent in parents_of(table or {}):
            schema, _, name = parent.rpartition(".")
            inherited = Key(key.kind, schema or key.schema, key.name, name)
            yield inherited
            yield from self.of_parents(inherited)

    @cached_property
    def _repeated(self) -> set[tuple[str, str]]:
        """The kinds and names of what has changed in several tables alike."""
        names = Counter((each.key.kind, each.key.name) for each in self.step.changes)
        return {name for name, count in names.items() if count > 1}

    @property
    def schema_before(self) -> Mapping[Key, Definition] | None:
        if self.schema is None:
            return None
        objects = dict(self.schema)
        _undo(objects, self.step.changes)
        return objects


def upgrades_of_branch(recording: Recording) -> Iterator[Upgrade]:
    """The upgrades that are judged."""
    is_branch = not all(each.is_new for each in recording.graph.revisions)
    new: set[Key] = set()
    for revision, step, _ in upgrades(recording):
        yield Upgrade(revision, step, recording, frozenset(new))
        if is_branch:
            renamed = {each.after for each in step.renamed if each.before not in new}
            new.update(each.key for each in step.changes if each.before is None and each.key not in renamed)


def _undo(objects: dict[Key, Definition], changes: Iterable[Change]) -> None:
    for change in changes:
        if change.before is None:
            objects.pop(change.key, None)
        else:
            objects[change.key] = change.before
