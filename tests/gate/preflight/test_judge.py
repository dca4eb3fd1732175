"""Each reason against going, and what is said beside it, from evidence that is written down by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.gate.preflight.assumptions import AssumptionRun
from app.gate.preflight.judge import Evidence, answer_of, as_json, notes_of, reasons_of
from app.gate.preflight.look import Holder, Look, OlderTransaction, Server, Slot
from app.gate.preflight.plan import Plan, make_plan, unknown_plan
from app.gate.preflight.schema import Drift
from app.gate.preflight.text import lines_of
from app.gate.recording.model import Change, Key, Snapshot
from app.gate.report.model import JudgedEntry
from app.gate.report.verdict import Verdict
from app.gate.snapshot.sizes import Size
from tests.gate.preflight.pending import A1, B2, C3, INDEX, LINES, NOTE, ORDERS, SQL, report, revision
from tests.gate.preflight.reports import assumes

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

LOOK = Look(
    Server("shop", "18.6", "reader", is_standby=False, sees_sessions=True),
    NOW,
    {"public.alembic_version": ["a1"]},
    {"public.alembic_version": "owner"},
    {"public.orders": Size(12_000, 2**30), "public.small": Size(None, 8192)},
    schema=Snapshot({ORDERS: {}}),
)


def evidence(plan: Plan | None = None, **fields: Any) -> Evidence:
    of_look = {name: fields.pop(name) for name in [*fields] if name in Look.__dataclass_fields__ and name != "holders"}
    given: dict[str, Any] = {"drift": Drift(), "answers": (), "holders": (), "migrator": "owner", **fields}
    return Evidence(replace(LOOK, **of_look), plan or make_plan(report(), ["a1"]), **given)


def said(of: Evidence) -> list[tuple[str, str, str, str, str | None]]:
    return [(each.code, str(each.answer), each.sentence, each.clears, each.revision) for each in reasons_of(of)]


def test_nothing_is_in_the_way() -> None:
    assert reasons_of(evidence()) == []
    assert notes_of(evidence()) == [("While it is rewritten a table takes its room twice, and as much WAL: orders (1 GB). Free disk"
                                    " space cannot be read by SQL.")]  # fmt: skip
    assert answer_of([]) == "go"


# The report and the revisions.


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"verdict": Verdict.ERROR, "reason": "no server"},
            ("report-error", "unknown", "The report could verify nothing: no server.", "Run overproof verify again.", None),
        ),
        (
            {"verdict": Verdict.ERROR},
            ("report-error", "unknown", "The report could verify nothing: it does not say why.", "Run overproof verify again.", None),
        ),
        (
            {"verdict": Verdict.FAIL},
            ("report-failed", "no", "The report failed.", "Fix what it found, and run overproof verify again.", None),
        ),
    ],
)  # fmt: skip
def test_a_report_that_is_no_proof(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert said(evidence(make_plan(report(**fields), ["a1"]))) == [expected]


def test_a_revision_that_cannot_be_read_and_one_that_the_report_does_not_have() -> None:
    unreadable = evidence(unknown_plan(report()), revisions={"public.alembic_version": None, "shop.other": ["a1"]})
    missing = evidence(make_plan(report(), ["zz", "a1"]))

    assert said(unreadable) == [
        (
            "revision-unreadable",
            "unknown",
            "The role reader may not read alembic_version, so it is not known at which revision the database is.",
            "GRANT SELECT ON alembic_version TO reader.",
            None,
        )
    ]
    assert said(evidence(revisions={"public.alembic_version": None})) == []
    assert said(missing) == [
        (
            "revision-missing",
            "no",
            "The database is at zz, which the report does not have: the upgrade would fail.",
            "Deploy a version that has zz.",
            "zz",
        )
    ]
    assert said(evidence(make_plan(report(revisions=[]), ["zz"]))) == []


@pytest.mark.parametrize(
    ("judged", "names"), [(["a1", "b2"], "c3 is"), (["a1"], "b2 and c3 are"), (["a1", "b2", "c3"], None)]
)
def test_a_revision_that_was_not_tried(judged: list[str], names: str | None) -> None:
    of = evidence(make_plan(report(judged=JudgedEntry(revisions=judged)), ["a1"]))

    expected = (
        "revision-not-tried",
        "unknown",
        f"{names} pending, and the report did not try what that means for rows and locks.",
        "Run overproof verify with --base and the commit that is deployed, or with --base none.",
        None,
    )
    assert said(of) == ([expected] if names else [])


def test_a_report_without_a_verdict_says_nothing_of_what_was_not_tried() -> None:
    of = evidence(make_plan(report(verdict=Verdict.ERROR, judged=JudgedEntry()), ["a1"]))

    assert [code for code, *_ in said(of)] == ["report-error"]


# The schema.

LATER = Change(NOTE, None, {"type": "text"})
OTHER = Change(INDEX, {}, None)


def test_the_schema_is_another_one() -> None:
    one, two = evidence(drift=Drift([LATER])), evidence(drift=Drift([LATER, OTHER]))

    clears = "Undo what was changed by hand, or make a revision of it; --accept-drift goes all the same."
    assert said(one) == [
        (
            "drift",
            "no",
            "The schema is not the one that was proved for a1: column public.orders.note is new.",
            clears,
            None,
        )
    ]
    assert said(two)[0][2] == (
        "The schema is not the one that was proved for a1: column public.orders.note is new, and 1 more difference."
    )
    assert said(evidence(drift=Drift([LATER]), accepts_drift=True)) == []
    assert said(replace(one, plan=make_plan(report(), [])))[0][2].startswith(
        "The schema is not the one that was proved for an empty database: "
    )


def test_it_is_not_known_whether_the_schema_is_another_one() -> None:
    of = evidence(drift=Drift(why_unknown="it broke"))

    assert said(of) == [
        (
            "drift-unknown",
            "unknown",
            "It is not known whether the schema is the one that was proved for a1: it broke.",
            "Try again.",
            None,
        )
    ]
    assert said(evidence(drift=Drift(why_unknown="it broke", clears="Wait.")))[0][3] == "Wait."
    assert [code for code, *_ in said(replace(of, plan=make_plan(report(), ["zz"])))] == ["revision-missing"]
    untried = make_plan(report(judged=JudgedEntry(revisions=["a1"])), ["a1"])
    assert [code for code, *_ in said(replace(of, plan=untried))] == ["revision-not-tried"]
    assert said(replace(of, plan=unknown_plan(report()))) == []


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({NOTE: {}}, [("b2", "b2 makes column public.orders.note, which is there already.", "Drop column public.orders.note, or stamp the revision that made it.")]),
        (
            {INDEX: {"valid": False}},
            [
                (
                    "c3",
                    "c3 makes index public.ix_note, which is there already and INVALID: a CREATE INDEX CONCURRENTLY was interrupted.",
                    "Drop index public.ix_note, or stamp the revision that made it.",
                )
            ],
        ),
        ({LINES: {}}, []),
    ],
)  # fmt: skip
def test_what_a_pending_revision_makes_is_there_already(
    there: dict[Key, Any], expected: list[tuple[str, str, str]]
) -> None:
    of = evidence(schema=Snapshot(there))

    assert said(of) == [("object-exists", "no", sentence, clears, name) for name, sentence, clears in expected]
    assert said(replace(of, look=replace(of.look, schema=None))) == []


def test_of_a_table_that_is_there_already_its_columns_are_not_named() -> None:
    column = Key("column", "public", "id", "lines")
    extension, schema = Key("extension", "", "citext", ""), Key("schema", "", "shop", "")
    b2, c3 = revision("b2", "a1", made=[column, LINES, extension, schema]), revision("c3", "b2", made=[LINES])
    plan = make_plan(report(revisions=[A1, b2, c3]), ["a1"])

    found = said(evidence(plan, schema=Snapshot({LINES: {}, column: {}, extension: {}, schema: {}})))

    assert [(code, sentence) for code, _, sentence, _, _ in found] == [
        ("object-exists", "b2 makes table public.lines, which is there already.")
    ]


def test_an_extension_is_not_there() -> None:
    assert said(evidence(unavailable=["vector"])) == [
        (
            "extension-unavailable",
            "no",
            "A pending revision creates the extension vector, which the server does not have.",
            "Install vector on the server.",
            None,
        )
    ]


# The rows.


def run(
    rows: int | None = None, reason: str | None = "it broke", sql: str | None = SQL, **fields: Any
) -> AssumptionRun:
    return AssumptionRun(assumes("b2", sql), rows, reason, **fields)


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (run(0), None),
        (run(1), "1 row of orders.note breaks what"),
        (run(2), "2 rows of orders.note break what"),
        (run(9), "9 rows of orders.note break what"),
        (run(10), "at least 10 rows of orders.note break what"),
        (run(1)._replace(finding=assumes("b2", SQL, object=None)), "1 row of rows breaks what"),
    ],
)
def test_rows_break_what_a_revision_assumes(each: AssumptionRun, expected: str | None) -> None:
    sentence = f"b2 would fail: {expected} it assumes. b2 fails where a row is in its way"
    reason = ("assumption-broken", "no", sentence, f"Correct what this gives: {SQL}", "b2")

    assert said(evidence(answers=[each])) == ([reason] if expected else [])


@pytest.mark.parametrize(
    ("each", "clears"),
    [
        (run(is_later=True, is_locked=True), "Upgrade to the revision before b2, and run preflight again."),
        (run(is_locked=True, sql=None), "Wait until that is over, and run preflight again."),
        (run(sql=None), "Look at them by hand: b2 fails where a row is in its way"),
        (run(), "Run preflight as a role that may read them, or with a longer --timeout."),
    ],
)
def test_it_is_not_known_whether_rows_break_what_a_revision_assumes(each: AssumptionRun, clears: str) -> None:
    sentence = "It is not known whether b2 fails over the rows of orders.note: it broke."

    assert said(evidence(answers=[each])) == [("assumption-unknown", "unknown", sentence, clears, "b2")]


# Locks, owners, and what else a reader should know.

HOLDER = Holder(
    "public.orders", ("ShareLock", "RowShareLock"), "3/7", 42, None, "app", "web", "idle in transaction", NOW, 90.0,
    is_autovacuum=False, waits=False,
)  # fmt: skip
BEHIND = ": the upgrade would wait for it, and all other queries behind the upgrade."


@pytest.mark.parametrize(
    ("holder", "sentence", "clears"),
    [
        (
            HOLDER,
            ("Process 42 of app (web) holds ShareLock and RowShareLock on orders, in a transaction of 90 s, since"
            f" 2026-11-22 12:00:00 UTC, idle in transaction{BEHIND}"),
            "Wait until that is over, or end it.",
        ),
        (
            replace(HOLDER, user=None, application=None, state=None, waits=True, modes=("ShareLock",)),
            f"Process 42 waits for ShareLock on orders, in a transaction of 90 s, since 2026-11-22 12:00:00 UTC{BEHIND}",
            "Wait until that is over, or end it.",
        ),
        (
            replace(HOLDER, since=None, modes=("ShareLock",)),
            f"Process 42 of app (web) holds ShareLock on orders, for more than 5 s (since when is not visible to this role){BEHIND}",
            "Wait until that is over, or end it.",
        ),
        (
            replace(HOLDER, pid=None, name="gid", age_s=None, modes=("ShareLock",)),
            ("The prepared transaction gid of app holds ShareLock on orders, for more than 5 s (since when is not visible to this"
            f" role){BEHIND}"),
            "Commit it or roll it back: ROLLBACK PREPARED 'gid'.",
        ),
    ],
)  # fmt: skip
def test_a_lock_is_held(holder: Holder, sentence: str, clears: str) -> None:
    assert said(evidence(holders=[holder], longest_s=5.0)) == [("lock-held", "no", sentence, clears, None)]


def test_who_holds_locks_is_not_known() -> None:
    assert said(evidence(holders=None)) == [
        (
            "locks-unknown",
            "unknown",
            "The role reader may not see who holds locks.",
            "GRANT pg_read_all_stats TO reader, and SELECT on pg_locks and pg_stat_activity.",
            None,
        )
    ]


def test_a_table_belongs_to_another_role() -> None:
    assert said(evidence(owners={("public", "orders"): "boss"})) == [
        (
            "owned-by-other",
            "no",
            "b2 changes orders, which belongs to boss: owner may not.",
            "ALTER TABLE orders OWNER TO owner, or GRANT boss TO owner; if another role runs the upgrade, name it with --role.",
            "b2",
        )
    ]


def test_what_a_reader_should_know() -> None:
    of = evidence(
        make_plan(report(), ["a1"]),
        server=replace(LOOK.server, is_standby=True, sees_sessions=False),
        sizes={"public.orders": Size(1, 2**30 - 1)},
        slots=[Slot("old", 2**20, "reserved"), Slot("lost", None, "lost")],
        older=[OlderTransaction(7, "app", None, 3.0)],
        drift=Drift(of_operators=["changes comment of table orders"]),
    )

    assert notes_of(of) == [
        "Not counted as drift: changes comment of table orders.",
        "This is a standby: the locks and the sessions of the primary are not visible here.",
        "The role reader is no member of pg_read_all_stats: since when other roles' sessions hold a lock is not visible to it.",
        "Process 7 of app has a transaction of 3 s: what c3 does CONCURRENTLY waits for it.",
        "The replication slot old is not in use and keeps 1 MB of WAL: what the upgrade writes is kept too.",
    ]
    assert "Process 7" not in " ".join(notes_of(replace(of, plan=make_plan(report(), ["c3"]))))


def test_the_worst_reason_is_the_answer() -> None:
    no, unknown = reasons_of(evidence(unavailable=["x"])), reasons_of(evidence(holders=None))

    assert [answer_of(no), answer_of(unknown), answer_of([*unknown, *no])] == ["no", "unknown", "no"]


# What is said in the end.

WHOLE = evidence(
    make_plan(report(revisions=[A1, B2, C3], judged=JudgedEntry(revisions=["a1", "b2"])), ["a1"]),
    drift=Drift([LATER, OTHER], ["changes comment of table orders"]),
    answers=[run(0, None), run(3, None), AssumptionRun(assumes("c3", None), None, "it broke")],
    holders=[HOLDER],
)


def test_the_answer_for_programs() -> None:
    printed = as_json(WHOLE, reasons_of(WHOLE))

    finding = assumes("b2", SQL)
    assumption = {"sql": SQL, "reason": None, "finding": finding.message, "fingerprint": finding.fingerprint}
    orders = {
        "table": "public.orders", "modes": ["AccessExclusiveLock", "ShareLock"], "rewritten": False, "scanned": False,
        "exists": True, "rows": 12_000, "bytes": 2**30,
    }  # fmt: skip
    of_c3 = [
        {
            "table": "public.gone",
            "modes": [],
            "rewritten": False,
            "scanned": True,
            "exists": False,
            "rows": None,
            "bytes": None,
        },
        {**orders, "modes": [], "rewritten": True, "scanned": True},
    ]
    by_hand = {
        "sql": None,
        "rows": None,
        "state": "unknown",
        "reason": "it broke",
        "finding": assumes("c3", None).message,
    }
    assert printed == {
        "format": "overproof-preflight/1",
        "answer": "no",
        "database": "shop",
        "postgres": "18.6",
        "role": "reader",
        "standby": False,
        "taken_at": "2026-11-22T12:00:00Z",
        "revisions": {"public.alembic_version": ["a1"]},
        "reasons": [
            {"code": code, "answer": answer, "sentence": sentence, "clears": clears, "revision": of}
            for code, answer, sentence, clears, of in said(WHOLE)
        ],
        "pending": [
            {
                "revision": "b2",
                "message": "do b2",
                "tried": True,
                "tables": [orders],
                "assumptions": [{"state": "holds", "rows": 0, **assumption}, {"state": "broken", "rows": 3, **assumption}],
            },
            {
                "revision": "c3",
                "message": "do c3",
                "tried": False,
                "tables": of_c3,
                "assumptions": [{**by_hand, "fingerprint": assumes("c3", None).fingerprint}],
            },
        ],
        "drift": {
            "state": "drifted",
            "reason": None,
            "differences": ["column public.orders.note is new", "index public.ix_note is gone"],
            "of_operators": ["changes comment of table orders"],
        },
        "locks": [
            {
                "table": "public.orders", "modes": ("ShareLock", "RowShareLock"), "transaction": "3/7", "pid": 42, "name": None,
                "user": "app", "application": "web", "state": "idle in transaction", "since": "2026-11-22T12:00:00+00:00",
                "age_s": 90.0, "is_autovacuum": False, "waits": False,
            }
        ],
        "notes": ["Not counted as drift: changes comment of table orders."],
    }  # fmt: skip
    unknown = as_json(replace(WHOLE, plan=unknown_plan(report()), holders=None, drift=Drift(why_unknown="why")), [])
    assert (unknown["answer"], unknown["pending"], unknown["locks"]) == ("go", None, [])
    assert unknown["drift"] == {"state": "unknown", "reason": "why", "differences": [], "of_operators": ()}
    assert as_json(evidence(), [])["drift"]["state"] == "none"


def test_the_answer_for_a_terminal() -> None:
    reasons = reasons_of(WHOLE)

    assert list(lines_of(WHOLE, reasons)) == [
        "NO: the upgrade should not be run on shop.",
        *(
            line
            for each in reasons
            for line in ("", f"  {each.answer} {each.code}: {each.sentence}", f"    To clear it: {each.clears}")
        ),
        "",
        "Drift:",
        "  column public.orders.note is new",
        "  index public.ix_note is gone",
        "",
        "PostgreSQL 18.6, at revision a1",
        "2 revisions are pending:",
        "  b2 do b2",
        "    locks (AccessExclusiveLock and ShareLock) orders: about 12,000 rows, 1 GB",
        f"    assumption holds: {SQL}",
        f"    assumption broken: {SQL}",
        "  c3 do c3",
        "    scans gone: not there yet",
        "    rewrites and scans orders: about 12,000 rows, 1 GB",
        "    assumption unknown: c3 fails where a row is in its way",
        "Note: Not counted as drift: changes comment of table orders.",
    ]


@pytest.mark.parametrize(
    ("plan", "lines"),
    [
        (make_plan(report(), ["c3"]), ["PostgreSQL 18.6, a standby, at revision c3", "No revision is pending."]),
        (
            unknown_plan(report()),
            [
                "PostgreSQL 18.6, a standby, at a revision that is not known",
                "Which revisions are pending is not known.",
            ],
        ),
        (
            make_plan(report(revisions=[A1]), []),
            ["PostgreSQL 18.6, a standby, at no revision", "1 revision is pending:", "  a1 do a1"],
        ),
    ],
)
def test_the_place_is_said(plan: Plan, lines: list[str]) -> None:
    of = evidence(plan, server=replace(LOOK.server, is_standby=True))

    printed = list(lines_of(of, []))

    assert printed[:2] == ["GO: nothing on shop is in the way of the upgrade.", ""]
    assert printed[2:-1] == lines
    assert printed[-1] == "Note: This is a standby: the locks and the sessions of the primary are not visible here."


def test_a_table_that_was_never_counted_has_a_size_all_the_same() -> None:
    printed = list(lines_of(evidence(sizes={"public.orders": Size(None, 8192)}), []))

    assert "    locks (AccessExclusiveLock and ShareLock) orders: rows never counted, 8 kB" in printed


@pytest.mark.parametrize(("number", "more"), [(1, None), (2, None), (20, None), (21, "  … and 1 more difference")])
def test_so_many_differences_are_shown(number: int, more: str | None) -> None:
    changes = [Change(Key("column", "public", f"c{n:02}", "orders"), None, {"type": "text"}) for n in range(number)]

    printed = list(lines_of(evidence(drift=Drift(changes)), []))

    shown = [line for line in printed if line.endswith(" is new")]
    assert len(shown) == (0 if number == 1 else min(number, 20))
    assert [line for line in printed if "more difference" in line] == ([more] if more else [])
    without_plan = evidence(unknown_plan(report()), drift=Drift(changes))
    assert "Drift:" not in list(lines_of(without_plan, []))
