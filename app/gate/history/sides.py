"""The two sides of a rebase: the scripts in the working tree, and those of the ref onto which they are moved."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.gate.history.git_base import does_other_things
from app.gate.history.place import Place, UnreadableScript, parse, place_in
from app.gate.history.rebasing import CannotRebase
from app.gate.history.repository import Repository
from app.gate.history.scripts import digest_content


@dataclass(frozen=True)
class Folders:
    """Where the scripts of one history are."""

    paths: tuple[Path, ...]
    is_recursive: bool = False


@dataclass(frozen=True)
class Script:
    path: Path  # relative to the repository's root, where it comes from Git
    source: bytes
    tree: ast.Module
    place: Place


@dataclass(frozen=True)
class Sides:
    """One history as it is here and at the ref. All by revision."""

    own: Mapping[str, Script]  # here alone
    merged: Mapping[str, Script]  # at the ref
    is_start: bool  # where the two parted, there was no revision yet
    edited: Sequence[Path]  # merged scripts that the branch has changed
    removed: Sequence[str]  # paths of merged scripts that it has taken away


def read_sides(root: Path, folders: Folders, commit: str, parted: str) -> Sides:
    """`commit`: that of the ref; `parted`: the newest one that it and HEAD have in common. Raises CannotRebase."""
    here = _by_revision(_on_disk(root, folders))
    there = _at(root, folders, commit)
    before = _at(root, folders, parted) if parted != commit else there
    _refuse_namesakes(here, there, before)
    edited = [
        script.path
        for revision, script in here.items()
        if revision in before
        and all(_does_other_things(script, other) for other in (before[revision], there.get(revision)) if other)
    ]
    return Sides(
        own={name: script for name, script in here.items() if name not in there and name not in before},
        merged=there,
        is_start=not before,
        edited=sorted(edited),
        removed=sorted(str(before[name].path) for name in before.keys() & there.keys() - here.keys()),
    )


def _does_other_things(script: Script, other: Script) -> bool:
    return does_other_things(other.source.decode("utf-8", "replace"), script.source.decode("utf-8", "replace"))


def _on_disk(root: Path, folders: Folders) -> Iterator[Script]:
    for folder in folders.paths:
        for path in sorted(folder.rglob("*.py") if folders.is_recursive else folder.glob("*.py")):
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            try:
                source = path.read_bytes()
                tree = parse(source)
            except OSError as error:
                raise CannotRebase(f"{shown} cannot be read: {error.strerror}") from error
            except UnreadableScript as error:
                raise CannotRebase(f"{shown} cannot be read: {error}: correct it first") from error
            if (place := place_in(tree)) is not None:
                yield Script(path, source, tree, place)


def _by_revision(scripts: Iterable[Script]) -> dict[str, Script]:
    found: dict[str, Script] = {}
    for script in scripts:
        other = found.setdefault(script.place.revision, script)
        if other is not script:
            raise CannotRebase(
                f"{other.path.name} and {script.path.name} have the same revision, {script.place.revision}: give yours another id, and"
                " name that in the down_revision of what follows it"
            )
    return found


def _at(root: Path, folders: Folders, commit: str) -> dict[str, Script]:
    """What Python cannot read there is left out: it is not the branch's to correct."""
    inside = [str(each.relative_to(root)) for each in folders.paths if each.is_relative_to(root)]
    found = {}
    for path, text in Repository(root).read_files(commit, inside, ".py", is_recursive=folders.is_recursive):
        try:
            tree = parse(text)
        except UnreadableScript:
            continue
        if (place := place_in(tree)) is not None:
            found[place.revision] = Script(Path(path), text.encode(), tree, place)
    return found


def _refuse_namesakes(here: Mapping[str, Script], there: Mapping[str, Script], before: Mapping[str, Script]) -> None:
    """Raises CannotRebase if both sides have made a revision of the same id, as with ids that are numbers."""
    for revision in sorted(here.keys() & there.keys() - before.keys()):
        one, other = here[revision], there[revision]
        if digest_content(one.tree) != digest_content(other.tree):
            raise CannotRebase(
                f"{one.path.name} here and {other.path.name} there are two revisions of one id, {revision}: give yours another id, and"
                " name that in the down_revision of what follows it"
            )
