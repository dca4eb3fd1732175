"""The files of the base cache, and what its key is made of: without a server."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate import base_cache as module
from app.gate.base_cache import (
    MAX_BACKUPS,
    BaseCache,
    Manifest,
    WalkStart,
    _PendingBackup,
    _sha256_of,
    _Sources,
    _start_of,
    _Store,
    cache_directory,
    with_base_cache,
)
from app.gate.errors import CannotVerify, ServerUnavailable, StaleBaseCache
from app.gate.history.scripts import Script
from app.gate.recording.model import Allowance, Body, Snapshot
from app.gate.recording.serialization import digest
from app.gate.target.target import Target
from app.gate.walk.state import Walk
from tests.gate.checks.builders import key, revision
from tests.gate.history.test_git_base import versions, write_branch
from tests.gate.projects import script, target
from tests.gate.walk.walks import arrival, walk

START = WalkStart(0, "1.20.1", "2.1.9", ("a1", "b2"))
SCHEMA = Snapshot({key("table", "orders"): {}})
MANIFEST = Manifest("k" * 64, "base", "0" * 64, digest(SCHEMA), (START,))


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OVERPROOF_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/anna")
    assert cache_directory() == Path("/home/anna/.cache/overproof")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/caches")
    assert cache_directory() == Path("/home/anna/caches/overproof")
    monkeypatch.setenv("OVERPROOF_CACHE", "~/of-overproof")
    assert cache_directory() == Path("/home/anna/of-overproof")


# The files.


@pytest.fixture
def store(tmp_path: Path) -> _Store:
    return _Store(tmp_path / "cache")


def stored(store: _Store, content: bytes = b"backup", manifest: Manifest = MANIFEST) -> Manifest:
    store.directory.mkdir(exist_ok=True)
    made = store.directory / "pending.tar"
    made.write_bytes(content)
    manifest = replace(manifest, backup_sha256=_sha256_of(made) or "")
    store.add(manifest, made)
    return manifest


def names(store: _Store) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


def test_a_backup_is_stored_with_its_manifest_under_the_beginning_of_its_key(store: _Store) -> None:
    manifest = stored(store)

    assert names(store) == [f"{'k' * 32}.manifest", f"{'k' * 32}.tar"]
    assert store.read(manifest.key) == manifest
    assert store.backup(manifest.key).read_bytes() == b"backup"


def test_one_that_was_used_is_younger(store: _Store) -> None:
    manifest = stored(store)
    os.utime(store.backup(manifest.key), (1, 1))

    store.read(manifest.key)

    assert store.backup(manifest.key).stat().st_mtime > 1


@pytest.mark.parametrize("damaged", ["manifest", "no tar", "no manifest", "another key"])
def test_what_is_damaged_is_removed(store: _Store, damaged: str) -> None:
    manifest = stored(store)
    ending = damaged.removeprefix("no ")
    path = store.directory / f"{'k' * 32}.{ending}"
    if damaged == "another key":
        store.write(replace(manifest, key="k" * 32 + "another"))
    elif ending == damaged:
        path.write_text("damaged")
    else:
        path.unlink()

    assert store.read(manifest.key) is None
    assert names(store) == []


def test_the_oldest_backups_are_removed(store: _Store) -> None:
    for number in range(MAX_BACKUPS + 2):
        made = stored(store, manifest=replace(MANIFEST, key=f"{number}" * 64))
        os.utime(store.backup(made.key), (number, number))

    assert {each[0] for each in names(store)} == {str(number) for number in range(2, MAX_BACKUPS + 2)}
    assert len(names(store)) == 2 * MAX_BACKUPS


def test_the_sources_of_a_target_are_read_as_they_were_written(store: _Store) -> None:
    sources = _Sources(("/shop/versions", "/shop/more"), "/shop/env.py")
    assert store.read_sources("t") is None

    store.directory.mkdir()
    store.write_sources("t", sources)

    assert names(store) == ["t.target.json"]
    assert store.read_sources("t") == sources
    for text in ("", "[]", "{}", '{"folders": 1, "env": "x"}'):
        (store.directory / "t.target.json").write_text(text)
        assert store.read_sources("t") is None


# When a backup is used.


def cache(place: Path = Path("/shop"), **fields: Any) -> BaseCache:
    return BaseCache(target(place), "main", **{"directory": Path("/cache"), **fields})


def started(index: int = 0, **fields: Any) -> Walk:
    return walk(arrives=arrival(index=index, current=("b2", "a1")), start=SCHEMA, **fields)


def test_what_was_found_says_where_the_server_and_the_walk_start() -> None:
    known = replace(MANIFEST, scripts=(Script("91", "23", 4, None, Body.EMPTY),))
    found, none = cache(found=known), cache()

    assert found.base_backup == Path("/cache") / f"{'k' * 32}.tar"
    assert found.scripts == {"91": known.scripts[0]}
    assert found.start == ("a1", "b2")
    assert (none.base_backup, none.scripts, none.start) == (None, {}, None)
    assert cache(found=replace(MANIFEST, walks=(START, START))).start is None


def test_unchanged_tables_are_noted_once() -> None:
    known = replace(MANIFEST, unchanged={})
    states: list[dict[str, Any]] = [{}, {"found": MANIFEST}, {"_made": MANIFEST}, {"found": known}]

    assert [cache(**each).needs_unchanged for each in states] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("of", ["found", "_made"])
def test_they_are_written_into_the_manifest(store: _Store, of: str) -> None:
    store.directory.mkdir()
    noted = {0: {"public.orders": "f1"}}

    def written(manifest: Manifest | None, unchanged: Any) -> list[str]:
        fields: dict[str, Any] = {"directory": store.directory, of: manifest}
        cache(**fields).note_unchanged(unchanged)
        return names(store)

    assert written(None, noted) == []
    assert written(MANIFEST, {}) == []
    assert written(replace(MANIFEST, unchanged={1: {}}), noted) == []
    (name,) = written(MANIFEST, noted)
    assert Manifest.from_text((store.directory / name).read_text()) == replace(MANIFEST, unchanged=noted)


def test_a_walk_that_begins_in_another_way_makes_the_cache_stale() -> None:
    known = replace(MANIFEST, unchanged={0: {"public.orders": "f1"}})
    first, second = started(), started(1)

    cache(found=known).check(first)
    with pytest.raises(StaleBaseCache):
        cache(found=known).check(second)
    assert (first.unchanged.known, second.unchanged.known) == ({"public.orders": "f1"}, {})
    cache(found=MANIFEST).check(first)
    assert first.unchanged.known == {}
    fresh = started(1)
    cache().check(fresh)
    assert fresh.unchanged.known == {}
    assert _start_of(started(3)) == WalkStart(3, "1.20.1", "2.1.9", ("a1", "b2"))


def test_the_schema_at_the_start_has_to_be_the_one_that_was_cached() -> None:
    found = cache(found=MANIFEST)

    found.commit([started()])
    found.commit([walk(start=None)])
    for walks in ([started(), started(1)], [walk(start=Snapshot({}))]):
        with pytest.raises(StaleBaseCache):
            found.commit(walks)


def test_a_run_without_the_cache_follows_one_with_a_stale_one(store: _Store, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = stored(store)
    ran: list[Path | None] = []

    def ran_with(*ends: Exception | None) -> Any:
        of = cache(directory=store.directory)
        monkeypatch.setattr(BaseCache, "find", lambda self: setattr(self, "found", store.read(manifest.key)))
        left = list(ends)
        ran.clear()

        def run(path: Path | None) -> str:
            ran.append(path)
            if end := left.pop(0):
                raise end
            return "recorded"

        return with_base_cache(of, run)

    path = store.backup(manifest.key)
    assert (ran_with(None), ran) == ("recorded", [path])
    with pytest.raises(CannotVerify, match="no"):
        ran_with(CannotVerify("no"))
    assert path.exists()
    for end in (StaleBaseCache(), ServerUnavailable("damaged")):
        stored(store)
        assert (ran_with(end, None), ran) == ("recorded", [path, None])
        assert not path.exists()
    assert (ran_with(None), ran) == ("recorded", [None])


def test_a_backup_that_was_not_committed_is_removed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseCache, "find", lambda self: None)
    pending = tmp_path / "pending.tar"
    pending.touch()
    of = cache(_pending=_PendingBackup(pending, "base", "0"))

    with pytest.raises(CannotVerify):
        with_base_cache(of, lambda path: (_ for _ in ()).throw(CannotVerify("no")))

    assert not pending.exists()


# What the key is made of.


@pytest.fixture
def project(processes: None, tmp_path: Path) -> Path:
    write_branch(tmp_path / "shop")
    place = tmp_path / "shop"
    (versions(place) / "c3.py").write_text(script("c3", "b2"))
    return place


def committed(place: Path, directory: Path, **fields: Any) -> BaseCache:
    """What a run has stored, whose walk begins at the base."""
    directory.mkdir(exist_ok=True)
    pending = directory / "pending.tar"
    pending.write_bytes(b"backup")
    old = [
        replace(revision(name), path=f"migrations/versions/{name}.py", is_new=False, sha256=name)
        for name in ("a1", "b2")
    ]
    allowed = replace(old[1], revision="z9", sha256="z9", allowances=(Allowance("upgrade", "", 1),))
    new = replace(revision("c3"), path="migrations/versions/c3.py")
    arrives = arrival(*old, allowed, new, handshake={"script_location": "migrations"}, current=("b2",))
    of = BaseCache(
        target(place), "main", directory, _pending=_PendingBackup(pending, "base", _sha256_of(pending) or "")
    )
    of.commit([walk(arrives=arrives, start=SCHEMA)])
    return of


def found(place: Path, directory: Path, of: Target | None = None) -> Manifest | None:
    cache = BaseCache(of or target(place), "main", directory)
    cache.find()
    return cache.found


def test_what_is_committed_is_found_by_the_next_run(project: Path, tmp_path: Path) -> None:
    committed(project, tmp_path / "cache")

    manifest = found(project, tmp_path / "cache")

    assert manifest is not None
    assert (manifest.database, manifest.schema_digest, manifest.unchanged) == ("base", digest(SCHEMA), None)
    assert manifest.walks == (WalkStart(0, "1.20.1", "2.1.9", ("b2",)),)
    assert [each.sha256 for each in manifest.scripts] == ["a1", "b2"]
    (sources,) = (tmp_path / "cache").glob("*.target.json")
    assert json.loads(sources.read_text()) == {
        "folders": [str(versions(project))], "env": str(project / "migrations" / "env.py")
    }  # fmt: skip


@pytest.mark.parametrize("path", ["migrations/versions/b2.py", "migrations/env.py"])
def test_another_base_is_not_found(project: Path, tmp_path: Path, path: str) -> None:
    committed(project, tmp_path / "cache")
    (project / path).write_text((project / path).read_text() + "\n# another\n")

    assert found(project, tmp_path / "cache") is None
    assert list((tmp_path / "cache").glob("*.tar"))


def test_another_revision_of_the_branch_is_no_other_base(project: Path, tmp_path: Path) -> None:
    committed(project, tmp_path / "cache")
    (versions(project) / "c3.py").write_text(script("c3", "b2", "op.execute('SELECT 1')"))
    (versions(project) / "d4.py").write_text(script("d4", "c3"))
    (versions(project) / "no_revision.py").write_text("")

    assert found(project, tmp_path / "cache") is not None


def test_a_branch_that_adds_nothing_starts_from_nothing(project: Path, tmp_path: Path) -> None:
    committed(project, tmp_path / "cache")
    (versions(project) / "c3.py").unlink()

    assert found(project, tmp_path / "cache") is None


def test_each_thing_that_the_schema_may_follow_from_has_a_key_of_its_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = project / "migrations" / "env.py"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o1.py").write_text(script("o1", None))

    def key_of(sources: _Sources | None = None, **fields: Any) -> str:
        of = BaseCache(replace(target(project), **fields), "main", tmp_path)
        sources = sources or _Sources((str(versions(project)),), str(env))
        return of._key(sources, of._read_scripts(sources))

    keys = [
        key_of(),
        key_of(command=("other",)),
        key_of(environment={"A": "b"}),
        key_of(files={Path("a.ini"): "x"}),
        key_of(files={Path("a.ini"): "y"}),
        key_of(options={"a": "b"}),
        key_of(prepare=("make",)),
        key_of(_Sources((str(versions(project)), str(outside)), str(env))),
        key_of(_Sources((str(versions(project)),), str(tmp_path / "no.py"))),
    ]
    monkeypatch.setattr(module, "find_binaries", lambda: SimpleNamespace(major=8))
    keys.append(key_of())

    assert len({*keys}) == len(keys)
    assert key_of(environment={"A": "b", "C": "d"}) == key_of(environment={"C": "d", "A": "b"})
    assert key_of(timeout_s=1.0) == key_of()


def test_a_given_server_is_not_backed_up(tmp_path: Path) -> None:
    of = cache(directory=tmp_path / "cache")

    of.store_pending(cast(Any, SimpleNamespace(is_embedded=False)), cast(Any, None))

    assert (of._pending, (tmp_path / "cache").exists()) == (None, False)
