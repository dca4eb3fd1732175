"""No row is tried that the older schema refuses, also where the downgrade has left its rule out."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Change, RowKind, Step
from app.gate.rows.older_rules import find_older_rules
from app.gate.rows.steps import RolledBack
from app.gate.rows.trial import RowsTrial, TrialResult
from tests.gate.checks.builders import altered, key, removed
from tests.gate.lines import Bench
from tests.gate.rows.test_steps import Script

T = "CREATE TABLE t (id integer PRIMARY KEY, note text, total numeric(10,2), other integer)"
OTHERS = "CREATE TABLE others (id integer PRIMARY KEY)"


def over_rows(bench: Bench, upgrade: str, *left_behind: Change) -> TrialResult:
    bench.run(T)
    script = Script(bench, upgrade)
    rules = find_older_rules(left_behind)
    trial = RowsTrial(frozenset({"public.t"}), ())
    return trial.run(RolledBack(bench.line, script.upgrade, script.downgrade, older_rules=rules))


def constraint(kind: str, definition: str, **more: Any) -> Change:
    return removed(key("constraint", "rule", "t"), type=kind, definition=definition, **more)


NO_LONGER_UNIQUE = altered(
    key("index", "ix_note", "t"),
    {"unique": True, "definition": "USING btree (note)"},
    {"definition": "USING btree (note)"},
)
NULLABLE = altered(key("column", "note", "t"), {"type": "text", "nullable": False}, {"type": "text", "nullable": True})


@pytest.mark.parametrize(
    ("upgrade", "lost"),
    [
        ("ALTER TABLE t ADD UNIQUE (note)", NO_LONGER_UNIQUE),
        ("CREATE UNIQUE INDEX ON t (note, total)", constraint("unique", "UNIQUE (note)")),
        ("ALTER TABLE t ADD UNIQUE (note)", constraint("unique", "UNIQUE (note) DEFERRABLE INITIALLY DEFERRED")),
        ("ALTER TABLE t ALTER note SET NOT NULL", NULLABLE),
        ("ALTER TABLE t ADD CHECK (strpos(note, 'x') = 0)", constraint("check", r"CHECK (note ~~ '100\%'::text)")),
        ("ALTER TABLE t ADD FOREIGN KEY (other) REFERENCES others", constraint("foreign key", "FOREIGN KEY (other) REFERENCES others(id)")),
    ],
    ids=["unique index", "unique", "deferred", "NOT NULL", "check", "foreign key"],
)  # fmt: skip
def test_what_the_older_schema_refuses_fails_no_upgrade(bench: Bench, upgrade: str, lost: Change) -> None:
    bench.run(OTHERS)

    result = over_rows(bench, upgrade, lost)

    assert result.populated is not None
    assert (result.populated.rows, result.populated.step.failure) == (RowKind.EDGE_CASES, None)
    assert result.populated.assumptions == ()
    assert isinstance(result.second_up, Step)


def test_rows_keep_to_a_foreign_key_that_was_lost(bench: Bench) -> None:
    bench.run("CREATE TABLE shops (id uuid PRIMARY KEY)")
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, shop_id uuid NOT NULL)")
    lost = removed(
        key("constraint", "rule", "t"), type="foreign key", definition="FOREIGN KEY (shop_id) REFERENCES shops(id)"
    )
    script = Script(bench, "ALTER TABLE t DROP shop_id", "ALTER TABLE t ADD shop_id uuid")

    steps = RolledBack(bench.line, script.upgrade, script.downgrade, older_rules=find_older_rules([lost]))
    result = RowsTrial(frozenset({"public.t"}), ()).run(steps)

    assert result.populated is not None
    assert [loss.column for loss in result.populated.lost_upwards] == ["shop_id"]
    assert bench.run("SELECT conname FROM pg_constraint WHERE contype = 'f'") == []


def test_what_the_older_schema_allows_fails_it_all_the_same(bench: Bench) -> None:
    result = over_rows(bench, "CREATE UNIQUE INDEX ON t (total)", NO_LONGER_UNIQUE)

    assert result.populated is not None
    assert result.populated.step.failure is not None


def test_the_rules_are_gone_again_before_the_upgrade(bench: Bench) -> None:
    same = "DO $$ BEGIN IF (SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass) <> 1 THEN RAISE 'changed'; END IF; END $$"

    result = over_rows(bench, same, NO_LONGER_UNIQUE, NULLABLE)

    assert result.populated is not None
    assert result.populated.step.failure is None


@pytest.mark.parametrize(
    "change",
    [
        constraint("foreign key", "FOREIGN KEY (other) REFERENCES gone(id)"),
        removed(key("index", "ix", "gone"), unique=True, definition="USING btree (note)"),
        constraint("check", "CHECK (false)", validated=False),
        altered(key("index", "ix", "t"), {"unique": True, "definition": "x", "comment": "a"}, {"unique": True, "definition": "x"}),
    ],
    ids=["what it needs is gone", "its table is gone", "it was not valid", "another comment"],
)  # fmt: skip
def test_a_rule_that_cannot_be_brought_back_or_is_not_lost_stops_nothing(bench: Bench, change: Change) -> None:
    result = over_rows(bench, "SELECT 1", change)

    assert result.populated is not None
    assert result.populated.tables.get("public.t", 0) > 0
