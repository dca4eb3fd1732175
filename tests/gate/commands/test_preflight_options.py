"""`overproof preflight` without a server: its options, where its report is from, what it prints, and in which history it looks."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from app.cli import main
from app.gate.commands import preflight
from app.gate.commands._record import RecordFailed
from app.gate.preflight.judge import Evidence, as_json, reasons_of
from app.gate.preflight.plan import make_plan
from app.gate.preflight.schema import Drift
from app.gate.preflight.text import lines_of
from app.gate.report.model import Report
from app.gate.reporters.json import render
from tests.gate.preflight.pending import report
from tests.gate.preflight.reports import write
from tests.gate.preflight.test_judge import LOOK, evidence

URL = "postgresql://ann@host/shop"
COMMIT = "5f0c2b7d9e41" + "0" * 28


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "OVERPROOF_RECORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")


def gathered(monkeypatch: pytest.MonkeyPatch, found: Evidence | psycopg2.Error) -> list[Any]:
    """What the look at the database was given: its limits, and then the report and the age of a lock."""
    given: list[Any] = []

    def live_database(database: object, *limits: float) -> nullcontext[None]:
        given.extend(limits)
        return nullcontext()

    def gather(live: object, of: Report, arguments: argparse.Namespace, longest_s: float) -> Evidence:
        given.extend([of, longest_s])
        if isinstance(found, psycopg2.Error):
            raise found
        return found

    monkeypatch.setattr(preflight, "live_database", live_database)
    monkeypatch.setattr(preflight, "_gather", gather)
    return given


GO, NO = evidence(), evidence(drift=Drift(why_unknown=None), plan=make_plan(report(), ["zz"]))


@pytest.mark.parametrize(
    ("found", "status"),
    [(GO, 0), (NO, 1), (evidence(drift=Drift(why_unknown="why")), 2)],
    ids=["go", "no", "unknown"],
)
def test_it_prints_what_was_found_and_ends_with_the_answer(tmp_path, monkeypatch, capsys, found, status):
    given = gathered(monkeypatch, found)
    words = ["preflight", URL, "--report", write(report(), tmp_path)]

    assert main(words) == status
    assert capsys.readouterr().out == "".join(f"{line}\n" for line in lines_of(found, reasons_of(found)))
    assert given == [60.0, 5.0, report(), 5.0]

    assert main([*words, "--json"]) == status
    assert capsys.readouterr().out == f"{json.dumps(as_json(found, reasons_of(found)), indent=1, ensure_ascii=False)}\n"


def test_the_limits_are_seconds(tmp_path, monkeypatch, capsys):
    given = gathered(monkeypatch, GO)
    words = ["preflight", URL, "--report", write(report(), tmp_path)]

    assert main([*words, "--timeout", "7", "--lock-timeout", "0.5", "--lock-age", "9"]) == 0
    assert given == [7.0, 0.5, report(), 9.0]

    for option in ("--timeout", "--lock-timeout", "--lock-age"):
        assert main([*words, option, "soon"]) == 2
        assert capsys.readouterr().err == f"overproof: {option}: is a number of seconds above 0, not 'soon'\n"


def test_a_database_that_cannot_be_read_is_one_line(tmp_path, monkeypatch, capsys):
    gathered(monkeypatch, psycopg2.Error("it went away"))

    assert main(["preflight", URL, "--report", write(report(), tmp_path)]) == 2
    assert capsys.readouterr() == ("", "overproof: the database could not be read: it went away\n")


def test_what_is_missing_is_said_with_what_to_type(capsys):
    assert main(["preflight"]) == 2
    assert capsys.readouterr().err == (
        "overproof: no database given: overproof preflight postgresql://user@host/name --report FILE, or set DATABASE_URL\n"
    )

    assert main(["preflight", URL]) == 2
    assert capsys.readouterr().err == (
        "overproof: no report given: add --report FILE, or set OVERPROOF_RECORD to take it from the record\n"
    )


TRUSTED, OTHER = {"id": "2", "trusted": True}, {"id": "3"}


@pytest.mark.parametrize(
    ("runs", "chosen"), [([OTHER, TRUSTED, {**TRUSTED, "id": "1"}], "2"), ([OTHER, {"id": "4"}], "3")]
)
def test_the_newest_report_that_is_trusted_is_taken_else_the_newest(monkeypatch, runs, chosen):
    given, asked = gathered(monkeypatch, GO), []

    def ask(destination: Any, method: str, path: str, **query: Any) -> dict[str, Any]:
        asked.append((method, path, query))
        return {"items": runs} if path == "/runs" else json.loads(render(report()))

    monkeypatch.setattr(preflight, "ask", ask)
    record = ["--record", "https://h/api/v1/projects/shop", "--commit", COMMIT]

    assert main(["preflight", URL, *record]) == 0

    assert asked == [
        ("GET", "/runs", {"query": {"commit": COMMIT, "limit": "50"}}),
        ("GET", f"/runs/{chosen}/report", {}),
    ]
    assert given[2] == report()


NONE = f"the record has no report on the commit {COMMIT}: run overproof verify --submit on it"
UNREADABLE = f"the report on {COMMIT} could not be read from the record"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"items": []}, NONE),
        ({}, f"{UNREADABLE}: the answer is not that of a record"),
        ({"items": 7}, f"{UNREADABLE}: the answer is not that of a record"),
        ({"items": [7]}, f"{UNREADABLE}: the answer is not that of a record"),
        ({"items": [{}]}, f"{UNREADABLE}: the answer is not that of a record"),
        (RecordFailed("it is down"), f"{UNREADABLE}: it is down"),
    ],
)
def test_a_record_that_has_none_or_does_not_answer_is_one_line(monkeypatch, capsys, answer, line):
    def ask(*words: object, **query: object) -> Any:
        if isinstance(answer, RecordFailed):
            raise answer
        return answer

    monkeypatch.setattr(preflight, "ask", ask)
    monkeypatch.setenv("OVERPROOF_RECORD", "https://h/api/v1/projects/shop")

    assert main(["preflight", URL, "--commit", COMMIT]) == 2
    assert capsys.readouterr() == ("", f"overproof: {line}\n")


@pytest.mark.parametrize(
    ("revisions", "table", "at"),
    [
        ({"public.v": ["a1"]}, "public.v", ["a1"]),
        ({"other.v": ["x1"], "public.v": ["b2", "a1"]}, "public.v", ["b2", "a1"]),
        ({"other.v": None, "public.v": ["a1"]}, "public.v", ["a1"]),
        ({"other.v": ["x1"], "public.v": None}, "other.v", None),
        ({"a.v": ["x1"], "b.v": ["x2", "x1"]}, "a.v", ["x1", "x2"]),
        ({"public.v": []}, "public.v", []),
        ({}, None, []),
    ],
)
def test_the_history_is_looked_for_in_each_of_alembics_tables(revisions, table, at):
    assert preflight._find_place(replace(LOOK, revisions=revisions), report()) == (table, at)


def test_the_locks_that_matter_are_those_of_all_revisions_that_were_tried():
    wanted = preflight.wanted_locks(make_plan(report(), ["a1"]))

    assert {table: sorted(modes) for table, modes in wanted.items()} == {
        "public.orders": ["AccessExclusiveLock", "ShareLock"],
        "public.gone": [],
    }
