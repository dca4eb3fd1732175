"""Which revisions of a branch get which parents, so that they come after those of another ref. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from app.gate.errors import CannotVerify
from app.gate.history.branches import Branches
from app.gate.history.place import Place
from app.gate.history.reparenting import Change, new_parents
from app.gate.wording import listed


class CannotRebase(CannotVerify):
    """Why nothing is changed, in one line, with what to do."""


@dataclass(frozen=True)
class Rebase:
    """What is to be done in one history."""

    changes: Mapping[str, Change]  # by revision, parents before children; empty: nothing to do
    targets: Sequence[str]  # the heads onto which the branch's revisions are moved
    stays: Sequence[str]  # first revisions that start a labelled branch on purpose


def plan_rebase(own: Mapping[str, Place], merged: Mapping[str, Place], ref: str, *, is_start: bool) -> Rebase:
    """`own`: the revisions of the branch; `merged`: those of the ref. `is_start`: whether there was no revision yet
    where the two parted. Raises CannotRebase."""
    return _Planner(own, merged, ref, is_start).plan()


class _Planner:
    def __init__(self, own: Mapping[str, Place], merged: Mapping[str, Place], ref: str, is_start: bool) -> None:
        self._own, self._merged, self._ref, self._is_start = own, merged, ref, is_start
        self._line = branches_of(merged)
        followed = {parent for place in own.values() for parent in place.parents}
        self._open_heads = frozenset(self._line.heads) - followed
        self._changes: dict[str, Change] = {}
        self._stays: list[str] = []

    def plan(self) -> Rebase:
        reached: dict[str, frozenset[str]] = {}  # by own revision: the merged heads that will be below it
        for revision in _parents_first(self._own):
            place = self._own[revision]
            below = frozenset[str]().union(*(reached[each] for each in place.parents if each in self._own))
            targets = self._targets(place)
            change = _change(targets, below)
            reached[revision] = below.union(each for each in targets.values() if each is not None)
            if change:
                self._changes[revision] = change
        self._refuse_forks_of_its_own()
        onto = dict.fromkeys(to for each in self._changes.values() for to in each.values() if to is not None)
        return Rebase(self._changes, tuple(onto), self._stays)

    def _targets(self, place: Place) -> dict[str | None, str | None]:
        """For each of its parents that is not the branch's own, the head that takes its place."""
        if not place.is_literal:
            raise CannotRebase(
                f"the down_revision of {place.revision} is not written in its script as a text: write it there"
            )
        parents: Sequence[str | None] = place.parents or (None,)
        targets: dict[str | None, str | None] = {}
        for parent in parents:
            if parent in self._own:
                continue
            target = self._target(place, parent)
            if target is not None and target != parent and target in self._open_heads:
                if place.labels and not any(each in self._own for each in place.parents):
                    self._stays.append(place.revision)
                    return {}
                targets[parent] = target
            elif parent is not None:
                targets[parent] = parent
        return targets

    def _target(self, place: Place, parent: str | None) -> str | None:
        if parent is None:
            return self._target_of_first(place)
        if parent not in self._merged:
            raise CannotRebase(
                f"{place.revision} follows {parent}, which is neither in {self._ref} nor here: bring the branch that has it up to"
                " date first"
            )
        heads = [head for head in self._line.heads if parent in self._line.ancestors(head)]
        if len(heads) > 1:
            labels = self._line.labels_of(parent)
            heads = [head for head in heads if self._line.labels_of(head) == labels] or heads
        return self._only(heads, f"that follow {parent}")

    def _target_of_first(self, place: Place) -> str | None:
        """Of a revision with no parent: a history of its own, unless both sides have begun one."""
        if not self._merged or place.labels:
            return None
        if not self._is_start:
            raise CannotRebase(
                f"{place.revision} has no down_revision, and {self._ref} has revisions since before the branch: set it to"
                f" {listed(self._line.heads)} if {place.revision} comes after them, or give it branch_labels if it starts another"
                " history"
            )
        return self._only(self._line.heads, "")

    def _only(self, heads: Sequence[str], which: str) -> str:
        if len(heads) == 1:
            return heads[0]
        raise CannotRebase(
            " ".join(filter(None, [self._ref, f"has {len(heads)} heads", which]))
            + f": {listed(heads)}: join them there first (alembic merge), or set down_revision by hand"
        )

    def _refuse_forks_of_its_own(self) -> None:
        """Raises CannotRebase if two heads of the branch would still be a fork."""
        after = dict(self._merged)
        for revision, place in self._own.items():
            change = self._changes.get(revision, {})
            after[revision] = Place(revision, new_parents(place.parents, change), place.labels)
        branches = branches_of(after)
        heads = [head for head in branches.heads if head in self._own]
        for one, other in combinations(heads, 2):
            if branches.collide(one, other):
                raise CannotRebase(
                    f"the branch's own revisions have two heads, {one} and {other}: put one of them after the other"
                    f' (down_revision = "{one}"), or join them (alembic merge {one} {other})'
                )


def branches_of(places: Mapping[str, Place]) -> Branches:
    """Parents that are not among the places are left out."""
    parents = {name: [each for each in place.parents if each in places] for name, place in places.items()}
    return Branches(parents, {name: place.labels for name, place in places.items()})


def _change(targets: Mapping[str | None, str | None], below: frozenset[str]) -> Change:
    """A head that is already below the revision is not joined once more."""
    moved = {parent: target for parent, target in targets.items() if parent != target}
    return {parent: None if target in below else target for parent, target in moved.items()}


def _parents_first(own: Mapping[str, Place]) -> Iterator[str]:
    done: set[str] = set()
    left = dict(own)
    while left:
        ready = [name for name, place in left.items() if all(each in done for each in place.parents if each in own)]
        if not ready:
            raise CannotRebase(
                f"{listed(sorted(left))} follow each other in a circle: correct their down_revision first"
            )
        for name in ready:
            done.add(name)
            del left[name]
            yield name
