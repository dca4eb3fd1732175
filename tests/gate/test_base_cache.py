"""The cache of the base: used where it fits, rebuilt where it does not, and never trusted blindly."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from app.gate import base_cache
from app.gate.base_cache import MAX_BACKUPS, BaseCache, Manifest, WalkStart, cache_directory, with_base_cache
from app.gate.errors import CannotVerify, ServerUnavailable, StaleBaseCache
from app.gate.history import scripts
from app.gate.history.scripts import Script
from app.gate.recorder import _build_base, record
from app.gate.recording.model import Allowance, Body, Key, Recording
from app.gate.reruns.results import RerunResults
from app.gate.server.throwaway import throwaway_server
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan
from tests.gate.history.test_git_base import B2, branch, versions, write_branch
from tests.gate.projects import script, target

__all__ = ["branch"]

C3 = script("c3", "b2", "op.add_column('orders', sa.Column('c', sa.Text))", "op.drop_column('orders', 'c')")


class Verify:
    """Verifies a branch. Returns the recording, and whether the base had to be built."""

    def __init__(self, branch: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.branch = branch
        self.cache = cache
        self._built: list[TargetRunner] = []
        build = _build_base

        def build_and_note(runner: TargetRunner, plan: RecordingPlan) -> object:
            self._built.append(runner)
            return build(runner, plan)

        monkeypatch.setattr("app.gate.recorder._build_base", build_and_note)
        monkeypatch.setattr(
            "app.gate.recorder.run_all", lambda walks, *rest: {walk.index: RerunResults() for walk in walks}
        )

    def __call__(self) -> tuple[Recording, bool]:
        self._built.clear()
        cache = BaseCache(target(self.branch), "main", self.cache)

        def record_with(base_backup: Path | None) -> list[Recording]:
            with throwaway_server(base_backup=base_backup) as server:
                return record(target(self.branch), server, base_ref="main", base_cache=cache)

        (recording,) = with_base_cache(cache, record_with)
        return recording, bool(self._built)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A branch, and the cache that its first run has left."""
    place, cache = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cache")
    write_branch(place)
    (versions(place) / "c3.py").write_text(C3)
    with pytest.MonkeyPatch.context() as monkeypatch:
        _, was_built = Verify(place, cache, monkeypatch)()
    assert was_built
    return place, cache


@pytest.fixture
def cached(processes: None, first_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Verifies the branch, beginning with a copy of that cache."""
    place, cache = first_run
    return Verify(place, Path(shutil.copytree(cache, tmp_path / "cache")), monkeypatch)


@pytest.fixture
def verify(
    processes: None, branch: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Verify:
    """Verifies a branch of the test's own, beginning with an empty cache."""
    (versions(branch) / "c3.py").write_text(C3)
    return Verify(branch, tmp_path_factory.mktemp("cache"), monkeypatch)


def test_the_second_run_starts_from_what_the_first_one_cached(verify: Verify) -> None:
    first, was_built = verify()
    second, was_built_again = verify()

    assert (was_built, was_built_again) == (True, False)
    assert [trip.revision for trip in second.trips] == ["c3"]
    assert second.head == first.head
    assert second.trips[0].second_up is not None


def test_another_revision_on_the_branch_uses_it_too(verify: Verify, branch: Path) -> None:
    verify()
    (versions(branch) / "d4.py").write_text(script("d4", "c3"))

    recording, was_built = verify()

    assert not was_built
    assert [trip.revision for trip in recording.trips] == ["c3", "d4"]


def test_an_edited_base_is_rebuilt(verify: Verify, branch: Path) -> None:
    verify()
    (versions(branch) / "b2.py").write_text(B2.replace("sa.Text", "sa.String"))

    _, was_built = verify()

    assert was_built


@pytest.mark.parametrize("ending", ["tar", "manifest", "target.json"])
def test_a_damaged_file_is_replaced(cached: Verify, ending: str) -> None:
    (path,) = cached.cache.glob(f"*.{ending}")
    content = path.read_bytes()
    path.write_bytes(content[:1000] + b"!" + content[1001:] if ending == "tar" else content[:-3])

    recording, was_built = cached()
    _, was_built_again = cached()

    assert (was_built, was_built_again) == (True, False)
    assert recording.trips[0].second_up is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_digest": "of another schema"},
        {"walks": (WalkStart(0, "1.0", "1.0", ("a1",)),)},
        {"walks": ()},
        {"key": "of another base"},
        {"backup_sha256": "of another backup"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_base_that_is_not_what_its_manifest_says_is_rebuilt(cached: Verify, changes: dict[str, object]) -> None:
    (path,) = cached.cache.glob("*.manifest")
    manifest = Manifest.from_text(path.read_text())
    path.write_text(replace(manifest, **changes).to_text())  # type: ignore[arg-type]

    recording, was_built = cached()

    assert was_built
    assert recording.trips[0].second_up is not None


def test_a_manifest_is_read_as_it_was_written() -> None:
    starts = tuple(WalkStart(index, "1.18.0", "2.0.45", ("a1", "b2")) for index in (0, 10, 2))
    unchanged = {0: {"public.orders": "f1"}, 10: {}, 2: {}}
    manifest = Manifest("key", "name", "1234", "5678", starts, (Script("91", "23", 4, None, Body.EMPTY),), unchanged)

    assert Manifest.from_text(manifest.to_text()) == manifest


@pytest.mark.parametrize("text", ["", "{}", "1234\n{}"])
def test_another_text_is_not_a_manifest(text: str) -> None:
    with pytest.raises(ValueError, match="not as it was written"):
        Manifest.from_text(text)


def test_only_the_newest_backups_stay(verify: Verify, branch: Path) -> None:
    cache = verify.cache
    for number in range(MAX_BACKUPS):
        for ending in ("tar", "manifest"):
            path = cache / f"old-{number}.{ending}"
            path.touch()
            os.utime(path, (number, number))

    verify()

    assert {path.name for path in cache.glob("old-*")} == {
        f"old-{number}.{ending}" for number in range(1, MAX_BACKUPS) for ending in ("tar", "manifest")
    }


def test_a_run_that_fails_leaves_no_backup_behind(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = verify.cache

    def fail(*_: object) -> NoReturn:
        assert list(cache.glob("pending-*.tar"))
        raise CannotVerify("the command did not answer")

    monkeypatch.setattr("app.gate.recorder.walk_all", fail)

    with pytest.raises(CannotVerify, match="did not answer"):
        verify()

    assert list(cache.iterdir()) == []


def test_only_the_scripts_of_the_branch_are_parsed_again(cached: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = cached()
    parsed = []
    parse = scripts.parse_allowances

    def parse_and_note(text: str) -> tuple[Allowance, ...]:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(scripts, "parse_allowances", parse_and_note)

    second, _ = cached()

    assert parsed == [C3]
    assert second.graph == first.graph


# The policy, without a server: the file of a backup is made here, and walks are as far as the cache asks.


def walk(index: int = 0, current: tuple[str, ...] = ("b2", "a1"), *, table: str = "orders", **handshake: str) -> Any:
    """A walk that begins at the base, with a new revision and one whose script accepts something."""
    known = Script("sha of a1", "digest", 4, None, Body.EMPTY)
    revisions = [
        SimpleNamespace(**vars(script), is_new=is_new, path=f"migrations/versions/{name}.py")
        for name, script, is_new in (
            ("a1", known, False),
            ("b2", replace(known, sha256="sha of b2", allowances=(Allowance("upgrade", "why", 3),)), False),
            ("c3", replace(known, sha256="sha of c3"), True),
        )
    ]
    said = {"alembic": "1.20", "sqlalchemy": "2.1", "script_location": "migrations", **handshake}
    return SimpleNamespace(
        index=index,
        arrival=SimpleNamespace(handshake=said, current=set(current), graph=SimpleNamespace(revisions=revisions)),
        start=SimpleNamespace(objects={Key("table", "public", table, ""): {}}),
        unchanged=SimpleNamespace(known=None),
    )


EMBEDDED: Any = SimpleNamespace(is_embedded=True, maintenance=None)
DATABASE: Any = SimpleNamespace(name="base")


@pytest.fixture
def project(branch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A branch that adds a revision, and a PostgreSQL 18 of which a backup is a file with a few words."""
    (versions(branch) / "c3.py").write_text(C3)
    monkeypatch.setattr(base_cache, "find_binaries", lambda: SimpleNamespace(major=18, directory=Path("bin")))
    monkeypatch.setattr(base_cache.backup, "take", lambda maintenance, programs, path: path.write_bytes(b"the base"))
    return branch


def cache_of(project: Path, ref: str = "main", **fields: Any) -> BaseCache:
    return BaseCache(replace(target(project), **fields), ref, project / "cache" / "overproof")


def found_for(project: Path, **fields: Any) -> BaseCache:
    cache = cache_of(project, **fields)
    cache.find()
    return cache


def store(project: Path, *walks: Any) -> BaseCache:
    cache = found_for(project)
    assert cache.base_backup is None
    cache.store_pending(EMBEDDED, DATABASE)
    cache.commit(walks or [walk()])
    cache.clean_up()
    return cache


def test_what_one_run_stores_is_what_the_next_one_finds(project: Path) -> None:
    store(project)
    (backup,) = (project / "cache" / "overproof").glob("*.tar")
    os.utime(backup, (0, 0))

    found = found_for(project)

    assert found.base_backup == backup
    assert backup.read_bytes() == b"the base"
    assert backup.parent.stat().st_mode & 0o777 == 0o700
    assert backup.stat().st_mtime > 0  # the ones that are used stay
    assert found.found is not None
    assert (found.found.database, found.start) == ("base", ("a1", "b2"))
    assert list(found.scripts) == ["sha of a1"]
    assert {each.suffix for each in backup.parent.iterdir()} == {".tar", ".manifest", ".json"}


@pytest.mark.parametrize("damaged", [b"the bas3", b""])
def test_a_backup_whose_file_has_changed_is_stale_before_the_first_step(project: Path, damaged: bytes) -> None:
    store(project)
    (backup,) = (project / "cache" / "overproof").glob("*.tar")
    found_for(project).check(walk())
    backup.write_bytes(damaged)

    with pytest.raises(StaleBaseCache):
        found_for(project).check(walk())


def test_a_branch_that_adds_nothing_is_walked_from_the_beginning(project: Path) -> None:
    store(project)
    (versions(project) / "c3.py").write_text("# no revision\n")

    assert found_for(project).found is None


@pytest.mark.parametrize(
    "fields",
    [
        {"command": ("alembic", "upgrade", "heads")},
        {"environment": {"SHOP": "1"}},
        {"options": {"sqlalchemy.echo": "1"}},
        {"files": {Path("shop.ini"): "url={url}"}},
        {"prepare": ("make", "schema")},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_command_that_is_run_in_another_way_has_a_base_of_its_own(project: Path, fields: dict[str, Any]) -> None:
    store(project)

    assert found_for(project, **fields).found is None
    assert found_for(project).found is not None


@pytest.mark.parametrize("name", ["versions/a1.py", "versions/b2.py", "env.py"])
def test_another_text_of_what_makes_the_base_is_another_base(project: Path, name: str) -> None:
    store(project)
    path = project / "migrations" / name
    path.write_text(f"{path.read_text()}\n# edited\n")

    assert found_for(project).found is None


def test_another_postgresql_has_another_base_and_another_new_revision_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(project)
    (versions(project) / "d4.py").write_text(script("d4", "c3"))
    assert found_for(project).found is not None
    monkeypatch.setattr(base_cache, "find_binaries", lambda: SimpleNamespace(major=17, directory=Path("bin")))

    assert found_for(project).found is None


@pytest.mark.parametrize(
    "other",
    [walk(1), walk(current=("a1",)), walk(alembic="1.19"), walk(sqlalchemy="2.0")],
    ids=["index", "current", "alembic", "sqlalchemy"],
)
def test_a_walk_that_begins_elsewhere_finds_the_cache_stale(project: Path, other: Any) -> None:
    store(project)
    cache = found_for(project)

    cache.check(walk())
    with pytest.raises(StaleBaseCache):
        cache.check(other)


def test_another_schema_or_number_of_walks_finds_the_cache_stale(project: Path) -> None:
    store(project)
    cache = found_for(project)

    cache.commit([walk()])
    for walks in ([walk(table="lines")], [walk(), walk(1)]):
        with pytest.raises(StaleBaseCache):
            cache.commit(walks)


def test_several_walks_have_no_start_in_common(project: Path) -> None:
    store(project, walk(), walk(1))
    cache = found_for(project)

    assert cache.found is not None
    assert cache.start is None
    cache.check(walk(1))


def test_a_run_that_never_reached_the_base_stores_nothing(project: Path) -> None:
    stopped = walk()
    stopped.start = None

    store(project, stopped)

    assert found_for(project).found is None
    assert list((project / "cache" / "overproof").iterdir()) == []


@pytest.mark.parametrize("error", [OSError("no space"), ServerUnavailable("gone"), None])
def test_where_no_backup_can_be_taken_there_is_none(
    project: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    def fail(*arguments: object) -> NoReturn:
        raise error or AssertionError("it is not ours")

    monkeypatch.setattr(base_cache.backup, "take", fail)
    cache = cache_of(project)
    elsewhere: Any = SimpleNamespace(is_embedded=False)

    cache.store_pending(EMBEDDED if error else elsewhere, DATABASE)
    cache.commit([walk()])
    cache.clean_up()

    assert found_for(project).found is None


def test_tables_that_are_like_their_models_are_noted_once(project: Path) -> None:
    first = store(project)
    assert (cache_of(project).needs_unchanged, first.needs_unchanged) == (False, True)
    first.note_unchanged({})
    assert found_for(project).needs_unchanged
    first.note_unchanged({0: {"public.orders": "f1"}})

    second = found_for(project)
    second.note_unchanged({0: {"public.orders": "f2"}})

    assert not second.needs_unchanged
    began = walk()
    second.check(began)
    assert began.unchanged.known == {"public.orders": "f1"}
    began.index = 1
    with pytest.raises(StaleBaseCache):
        second.check(began)
    assert began.unchanged.known == {}


@pytest.mark.parametrize("error", [StaleBaseCache(), ServerUnavailable("it does not start")])
def test_what_turns_out_to_be_stale_is_removed_and_the_run_repeated_without(project: Path, error: Exception) -> None:
    store(project)
    runs: list[Path | None] = []

    def run(base_backup: Path | None) -> str:
        runs.append(base_backup)
        if base_backup is not None:
            raise error
        return "done"

    assert with_base_cache(cache_of(project), run) == "done"

    assert [each is None for each in runs] == [False, True]
    assert [path.suffix for path in (project / "cache" / "overproof").iterdir()] == [".json"]


def test_a_run_that_fits_is_run_once_and_what_is_pending_is_removed_in_any_case(project: Path) -> None:
    store(project)
    assert with_base_cache(cache_of(project), lambda base_backup: base_backup is not None)
    cache = cache_of(project, environment={"SHOP": "1"})

    def run(base_backup: Path | None) -> NoReturn:
        assert base_backup is None
        cache.store_pending(EMBEDDED, DATABASE)
        raise CannotVerify("the command did not answer")

    with pytest.raises(CannotVerify):
        with_base_cache(cache, run)

    assert not list(cache.directory.glob("pending-*"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OVERPROOF_CACHE": "~/here", "XDG_CACHE_HOME": "/xdg"}, "/home/ann/here"),
        ({"OVERPROOF_CACHE": "", "XDG_CACHE_HOME": "~/xdg"}, "/home/ann/xdg/overproof"),
        ({"XDG_CACHE_HOME": ""}, "/home/ann/.cache/overproof"),
        ({}, "/home/ann/.cache/overproof"),
    ],
)
def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("OVERPROOF_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ann", **variables}.items():
        monkeypatch.setenv(name, value)

    assert cache_directory() == Path(expected)
