"""The cache of the base: used where it fits, rebuilt where it does not, and never trusted blindly."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from app.gate.base_cache import MAX_BACKUPS, BaseCache, Manifest, WalkStart, with_base_cache
from app.gate.errors import CannotVerify
from app.gate.history import scripts
from app.gate.history.scripts import Script
from app.gate.recorder import _build_base, record
from app.gate.recording.model import Allowance, Body, Recording
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
        base_cache = BaseCache(target(self.branch), "main", self.cache)

        def record_with(base_backup: Path | None) -> list[Recording]:
            with throwaway_server(base_backup=base_backup) as server:
                return record(target(self.branch), server, base_ref="main", base_cache=base_cache)

        (recording,) = with_base_cache(base_cache, record_with)
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
