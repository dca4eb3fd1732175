"""Descent in a graph of revisions: heads, ancestors, and which heads are a fork by accident."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


class Branches:
    """`parents` and `labels` are by revision, and all parents are among them. `depends_on` is not descent."""

    def __init__(self, parents: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[str]]) -> None:
        self._parents = parents
        self._labels = labels
        self._ancestors: dict[str, frozenset[str]] = {}
        followed = {parent for each in parents.values() for parent in each}
        self.heads = tuple(revision for revision in parents if revision not in followed)

    def ancestors(self, revision: str) -> frozenset[str]:
        """The revision itself and all from which it descends."""
        if revision not in self._ancestors:
            found, left = {revision}, [revision]
            while left:
                new = [each for each in self._parents.get(left.pop(), ()) if each not in found]
                found.update(new)
                left += new
            self._ancestors[revision] = frozenset(found)
        return self._ancestors[revision]

    def common_ancestors(self, revisions: Iterable[str]) -> frozenset[str]:
        return frozenset.intersection(*map(self.ancestors, revisions))

    def labels_of(self, revision: str) -> frozenset[str]:
        """Its branch labels, and those of its ancestors."""
        return frozenset(label for each in self.ancestors(revision) for label in self._labels.get(each, ()))

    def collide(self, one: str, other: str) -> bool:
        """Whether two heads fork from one revision, and neither is on a branch with a separate label.

        One label is enough: Alembic's manual has a labelled branch in parallel with the main line, which has none.
        """
        return bool(self.common_ancestors([one, other])) and self.labels_of(one) == self.labels_of(other)
