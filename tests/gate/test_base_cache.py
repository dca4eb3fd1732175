"""The schema at the base, base_cache from run to run: used when it fits, made anew when it does not, and never trusted blindly."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.gate.base_cache import BaseCache, with_base_cache
from app.gate.history import allowances as scripts
from app.gate.recorder import _build_base, record
from app.gate.recording.model import Allowance, Recording
from app.gate.reruns import results as attempts
from app.gate.server.throwaway import throwaway_server
from app.gate.target.runner import TargetRunner
from app.gate.walk.plan import RecordingPlan
from tests.gate.history.test_git_base import B2, branch, versions
from tests.gate.projects import script, target

__all__ = ["branch"]

C3 = script("c3", "b2", "op.add_column('orders', sa.Column('c', sa.Text))", "op.drop_column('orders', 'c')")
Verify = Callable[[], tuple[Recording, bool]]


@pytest.fixture
def verify(
    processes: None, branch: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Verify:
    """Verifies the branch; gives the recording, and whether the base had to be built."""
    cache = tmp_path_factory.mktemp("cache")
    (versions(branch) / "c3.py").write_text(C3)
    built = []
    build = _build_base

    def build_and_note(runner: TargetRunner, plan: RecordingPlan) -> object:
        built.append(runner)
        return build(runner, plan)

    monkeypatch.setattr("app.gate.recorder._build_base", build_and_note)
    monkeypatch.setattr("app.gate.reruns.schedule.add_all", lambda jobs, walks, *rest: {0: attempts.RerunResults()})

    def run() -> tuple[Recording, bool]:
        built.clear()
        base_cache = BaseCache(target(branch), "main", cache)

        def record_with(image: Path | None) -> list[Recording]:
            with throwaway_server(image=image) as server:
                return record(target(branch), server, base_ref="main", base_cache=base_cache)

        (recording,) = with_base_cache(base_cache, record_with)
        return recording, bool(built)

    run.cache = cache  # type: ignore[attr-defined]
    return run


def test_the_second_run_starts_from_what_the_first_one_kept(verify: Verify) -> None:
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


def test_an_edited_base_is_built_anew(verify: Verify, branch: Path) -> None:
    verify()
    (versions(branch) / "b2.py").write_text(B2.replace("sa.Text", "sa.String"))

    _, was_built = verify()

    assert was_built


@pytest.mark.parametrize("ending", ["tar", "json", "target.json"])
def test_a_damaged_file_is_built_anew(verify: Verify, ending: str) -> None:
    verify()
    for path in verify.cache.glob(f"*.{ending}"):  # type: ignore[attr-defined]
        content = path.read_bytes()
        path.write_bytes(content[:1000] + b"!" + content[1001:] if ending == "tar" else content[:-3])

    recording, was_built = verify()

    assert was_built
    assert recording.trips[0].second_up is not None


@pytest.mark.parametrize("fact", ["digest", "walks", "database"])
def test_a_base_that_is_not_what_it_says_is_built_anew(verify: Verify, fact: str) -> None:
    verify()
    for path in verify.cache.glob("*.json"):  # type: ignore[attr-defined]
        facts = json.loads(path.read_text())
        if fact in facts:
            facts[fact] = [["1.0", "1.0", ["a1"]]] if fact == "walks" else "postgres"
            path.write_text(json.dumps(facts))

    recording, was_built = verify()

    assert was_built
    assert recording.trips[0].second_up is not None


def test_only_the_scripts_of_the_branch_are_parsed_again(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = verify()
    parsed = []
    parse = scripts.parse_allowances

    def parse_and_note(text: str) -> tuple[Allowance, ...]:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(scripts, "parse_allowances", parse_and_note)

    second, _ = verify()

    assert parsed == [C3]
    assert second.graph == first.graph
