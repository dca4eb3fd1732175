"""What older code relies on without naming it: actions of foreign keys, writes that nothing refuses, data in a view. Tried on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks import breaking_change, not_validated, table_rewrite
from app.gate.checks.base import Check, Finding
from app.gate.recording.model import Change, Definition, Key, Snapshot, Step
from app.gate.report.verdict import Severity
from tests.gate.checks.printed import Bench, recorded

THERE = """
    CREATE TABLE orders (id int PRIMARY KEY, status text);
    CREATE TABLE items (
        id int PRIMARY KEY, plain int, cascading int, emptied int, moved int,
        CONSTRAINT fk_plain FOREIGN KEY (plain) REFERENCES orders,
        CONSTRAINT fk_cascading FOREIGN KEY (cascading) REFERENCES orders ON DELETE CASCADE,
        CONSTRAINT fk_emptied FOREIGN KEY (emptied) REFERENCES orders ON DELETE SET NULL,
        CONSTRAINT fk_moved FOREIGN KEY (moved) REFERENCES orders ON UPDATE CASCADE
    );
    CREATE TABLE archive (id int REFERENCES orders ON DELETE CASCADE, day date) PARTITION BY RANGE (day);
    CREATE TABLE archive_1 PARTITION OF archive DEFAULT;
    CREATE VIEW open_orders AS SELECT id FROM orders;
    CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM orders;
    CREATE MATERIALIZED VIEW later AS SELECT count(*) FROM orders WITH NO DATA;
    CREATE DOMAIN mail AS text; CREATE TABLE users (mail mail);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
    CREATE TRIGGER guard BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse();
"""
REPLACE = "ALTER TABLE items DROP CONSTRAINT fk_{0}, ADD CONSTRAINT {1} FOREIGN KEY ({0}) REFERENCES orders {2}"
FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ {} $$;"
TRIGGER = "CREATE TRIGGER t {} ON orders FOR EACH ROW EXECUTE FUNCTION f()"
WARNING, NOTICE = Severity.WARNING, Severity.NOTICE

BREAKS = {
    "no cascade": (REPLACE.format("cascading", "fk_cascading", ""), WARNING, "no longer has ON DELETE CASCADE"),
    "no cascade, by another name": (REPLACE.format("cascading", "fk", ""), WARNING, "no longer has ON DELETE CASCADE"),
    "no cascade, not valid": (REPLACE.format("cascading", "fk", "NOT VALID"), WARNING, "no longer has ON DELETE"),
    "refused at once": (REPLACE.format("cascading", "fk", "ON DELETE RESTRICT"), WARNING, "no longer has ON DELETE"),
    "NULL no longer": (REPLACE.format("emptied", "fk", ""), WARNING, "no longer has ON DELETE SET NULL"),
    "deleted in place of NULL": (REPLACE.format("emptied", "fk", "ON DELETE CASCADE"), WARNING, "in place of SET NULL"),
    "NULL in place of deleted": (REPLACE.format("cascading", "fk", "ON DELETE SET NULL"), NOTICE, "stay without it"),
    "deleted in place of refused": (REPLACE.format("plain", "fk", "ON DELETE CASCADE"), NOTICE, "which was refused"),
    "NULL in place of refused": (REPLACE.format("plain", "fk", "ON DELETE SET NULL"), NOTICE, "stay without it"),
    "keys that no longer follow": (REPLACE.format("moved", "fk", ""), WARNING, "no longer has ON UPDATE CASCADE"),
    "no key with its cascade": ("ALTER TABLE items DROP CONSTRAINT fk_cascading", NOTICE, "rows of items stay when older code"),
    "of a partitioned table": ("ALTER TABLE archive DROP CONSTRAINT archive_id_fkey", NOTICE, "rows of archive stay when"),
    "refusing trigger": (
        FUNCTION.format("BEGIN RAISE EXCEPTION 'no'; END") + TRIGGER.format("BEFORE INSERT OR DELETE"),
        WARNING, "refuses each INSERT and DELETE of older code on orders",
    ),
    "trigger that calls an older function": (
        "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse()", WARNING, "refuses each UPDATE",
    ),
    "trigger that refuses some": (
        FUNCTION.format("BEGIN IF NEW.id < 0 THEN RAISE 'no %', NEW.id; END IF; RETURN NEW; END") + TRIGGER.format("BEFORE INSERT"),
        NOTICE, "may refuse what older code writes",
    ),
    "refusing trigger of a column": (
        FUNCTION.format("BEGIN RAISE 'no'; END") + TRIGGER.format("BEFORE UPDATE OF status"), NOTICE, "may refuse what",
    ),
    "trigger that skips": (
        FUNCTION.format("BEGIN RETURN NULL; END") + TRIGGER.format("BEFORE DELETE"), WARNING, "each DELETE of older code on orders does nothing",
    ),
    "rule that skips": ("CREATE RULE r AS ON DELETE TO orders DO INSTEAD NOTHING", WARNING, "each DELETE of older code on orders does nothing"),
    "rule that skips some": (
        "CREATE RULE r AS ON DELETE TO orders WHERE old.id > 3 DO INSTEAD NOTHING", NOTICE, "something else is done",
    ),
    "rule that does something else": (
        "CREATE RULE r AS ON DELETE TO orders DO INSTEAD UPDATE orders SET status = 'gone' WHERE id = old.id", NOTICE, "something else",
    ),
    "view without data": ("REFRESH MATERIALIZED VIEW counts WITH NO DATA", WARNING, "counts holds no data"),
    "view made again without data": (
        "DROP MATERIALIZED VIEW counts; CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM orders WITH NO DATA",
        WARNING, "counts holds no data",
    ),
    "domain that is not NULL": ("ALTER DOMAIN mail SET NOT NULL", NOTICE, "mail is now NOT NULL"),
    "domain with a rule": ("ALTER DOMAIN mail ADD CONSTRAINT at CHECK (VALUE LIKE '%@%')", NOTICE, "at on mail is new"),
}  # fmt: skip
QUIET = {
    "the same key by another name": REPLACE.format("cascading", "fk", "ON DELETE CASCADE"),
    "a key that is renamed": "ALTER TABLE items RENAME CONSTRAINT fk_cascading TO fk",
    "a key without an action that goes": "ALTER TABLE items DROP CONSTRAINT fk_plain",
    "RESTRICT in place of NO ACTION": REPLACE.format("plain", "fk", "ON DELETE RESTRICT"),
    "trigger that raises a notice": FUNCTION.format("BEGIN RAISE NOTICE 'RAISE EXCEPTION'; RETURN NEW; END /* RAISE */")
    + TRIGGER.format("BEFORE INSERT"),
    "trigger after the row": FUNCTION.format("BEGIN RETURN NULL; END") + TRIGGER.format("AFTER INSERT"),
    "trigger in the place of another": "DROP TRIGGER guard ON users;"
    "CREATE TRIGGER guards BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse()",
    "trigger of a new table": "CREATE TABLE new (id int);"
    "CREATE TRIGGER t BEFORE INSERT ON new FOR EACH ROW EXECUTE FUNCTION refuse()",
    "trigger of TRUNCATE": "CREATE TRIGGER t BEFORE TRUNCATE ON orders EXECUTE FUNCTION refuse()",
    "rule that does more": "CREATE RULE r AS ON DELETE TO orders DO ALSO DELETE FROM items",
    "rule by which a view is written": "CREATE RULE r AS ON DELETE TO open_orders DO INSTEAD DELETE FROM orders WHERE id = old.id",
    "view that is refreshed": "REFRESH MATERIALIZED VIEW counts",
    "view that had no data": "DROP MATERIALIZED VIEW later; CREATE MATERIALIZED VIEW later AS SELECT 1::bigint AS count WITH NO DATA",
    "domain without a rule": "ALTER DOMAIN mail SET DEFAULT ''",
}


@pytest.fixture(scope="module")
def there(bench: Bench) -> Snapshot:
    """The schema before each upgrade, which is rolled back."""
    bench.reset(THERE)
    return bench.snapshot()


def _upgraded(bench: Bench, there: Snapshot, sql: str, check: Check = breaking_change.CHECK) -> list[Finding]:
    step = bench.step(f'op.execute("""{sql}""")', keep=False)
    return _found(bench, there, step, check)


def _found(bench: Bench, there: Snapshot, step: Step, check: Check) -> list[Finding]:
    walked = recorded(step, there, bench.major)
    return list(check.examine(replace(walked, head=Snapshot(_after(there, step.changes)))))


def _after(there: Snapshot, changes: tuple[Change, ...]) -> dict[Key, Definition]:
    objects = dict(there.objects)
    for change in changes:
        objects.pop(change.key, None)
        if change.after is not None:
            objects[change.key] = change.after
    return objects


@pytest.mark.parametrize(("sql", "severity", "said"), BREAKS.values(), ids=BREAKS)
def test_older_code_may_rely_on_it(sql: str, severity: Severity, said: str, bench: Bench, there: Snapshot) -> None:
    [finding] = _upgraded(bench, there, sql)

    assert said in finding.message
    assert (finding.severity or Severity.WARNING) is severity


@pytest.mark.parametrize("sql", QUIET.values(), ids=QUIET)
def test_older_code_does_not_mind(sql: str, bench: Bench, there: Snapshot) -> None:
    assert [each.message for each in _upgraded(bench, there, sql) if "has another query" not in each.message] == []


def test_a_view_without_data_at_head_is_refreshed_without_a_further_finding(bench: Bench, there: Snapshot) -> None:
    left = _upgraded(bench, there, "REFRESH MATERIALIZED VIEW counts WITH NO DATA", not_validated.CHECK)
    [finding] = [each for each in left if each.object == "public.counts"]

    step = bench.step(str(finding.help).partition("\n\n")[2].replace("counts", "later"), keep=False)

    assert _found(bench, there, step, table_rewrite.CHECK) == []
    assert "public.later" not in {each.object for each in _found(bench, there, step, not_validated.CHECK)}
