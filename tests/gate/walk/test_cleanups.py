"""Which statements of earlier revisions may have corrected rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.gate.recording.model import Direction, RoundTrip, Statement, Step
from app.gate.walk._cleanups import find_cleanups, may_change_rows
from tests.gate.checks.builders import revision
from tests.gate.projects import script


def walk_of(place: Path, **upgrades: str) -> Any:
    """A walk to the last of these revisions, of which none was run."""
    graph, paths, last = [], {}, None
    for name, upgrade in upgrades.items():
        paths[name] = place / f"{name}.py"
        paths[name].write_text(script(name, last, upgrade))
        graph.append(revision(name, last))
        last = name
    revisions = {each.revision: each for each in graph}
    arrival = SimpleNamespace(revisions=revisions, graph=SimpleNamespace(revisions=graph), paths=paths)
    return SimpleNamespace(arrival=arrival, trips={})


def test_they_are_the_texts_in_the_scripts_of_revisions_that_were_not_run(tmp_path: Path) -> None:
    walk = walk_of(
        tmp_path,
        a1="op.execute('UPDATE orders SET total = 0 WHERE total < 0'); op.execute('DELETE FROM lines')",
        b2="op.execute(sa.text('DELETE FROM shop.orders WHERE note IS NULL')); op.execute('DROP TABLE orders_old')",
        c3="op.execute('UPDATE orders SET total = 9')",
        d4="op.execute('UPDATE orders SET total = 10')",
    )

    assert find_cleanups(walk, "c3", ["shop.orders"]) == [
        "UPDATE orders SET total = 0 WHERE total < 0",
        "DELETE FROM shop.orders WHERE note IS NULL",
    ]


def test_of_a_revision_that_was_run_they_are_what_it_executed(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="op.execute('UPDATE orders SET total = 1')", b2="pass")
    executed = [Statement(sql, 1.0) for sql in ("UPDATE orders SET note = '100%%'", "ALTER TABLE orders ADD x text")]
    walk.trips["a1"] = RoundTrip("a1", up=Step("a1", Direction.UPGRADE, 1.0, statements=tuple(executed)))

    assert find_cleanups(walk, "b2", ["public.orders"]) == ["UPDATE orders SET note = '100%'"]


def test_where_sqlalchemy_writes_them_the_source_stands_for_them(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="op.execute(orders.update().where(orders.c.total < 0).values(total=0))", b2="pass")

    [source] = find_cleanups(walk, "b2", ["public.orders"])

    assert source.startswith("def upgrade():")
    assert find_cleanups(walk, "b2", ["public.lines"]) == []


@pytest.mark.parametrize(
    ("upgrade", "may_change"),
    [
        ("op.execute('UPDATE orders SET a = 1')", True),
        ("op.execute('delete from orders')", True),
        ("op.execute('MERGE INTO orders …')", True),
        ("op.drop_column('orders', 'café')", False),
    ],
)
def test_a_script_may_change_rows_if_it_says_so_or_cannot_be_read(
    tmp_path: Path, upgrade: str, may_change: bool
) -> None:
    walk = walk_of(tmp_path, a1=upgrade)
    walk.arrival.paths["a1"].write_bytes(b"# \xff\n" + script("a1", None, upgrade).encode())

    assert may_change_rows(walk, "a1") is may_change
    assert may_change_rows(walk, "z9") is True
    walk.arrival.paths["a1"].unlink()
    assert may_change_rows(walk, "a1") is True


def executed(walk: Any, revision: str, *statements: Statement) -> None:
    walk.trips[revision] = RoundTrip(revision, up=Step(revision, Direction.UPGRADE, 1.0, statements=statements))


def test_only_the_latest_of_many_are_taken(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="pass", b2="pass")
    executed(walk, "a1", *[Statement(f"UPDATE orders SET a = {n}", 1.0) for n in range(25)])

    assert find_cleanups(walk, "b2", ["public.orders"]) == [f"UPDATE orders SET a = {n}" for n in range(5, 25)]


def test_what_locked_a_table_of_the_same_name_in_another_schema_is_none(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="pass", b2="pass")
    lock = frozenset({"RowExclusiveLock"})
    executed(
        walk,
        "a1",
        Statement("UPDATE orders SET a = 1", 1.0, locks={"tenant.orders": lock}),
        Statement("UPDATE orders SET a = 2", 1.0, locks={"tenant.orders": lock, "public.orders": lock}),
        Statement("UPDATE orders SET a = 3", 1.0, locks={"tenant.lines": lock}),
    )

    assert find_cleanups(walk, "b2", ["public.orders"]) == [f"UPDATE orders SET a = {n}" for n in (2, 3)]


def test_a_script_that_cannot_be_read_or_has_no_upgrade_has_none(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="op.execute('UPDATE orders SET a = 1')", b2="pass", c3="pass", d4="pass")
    walk.arrival.paths["b2"].write_text("def upgrade(:\n    'UPDATE orders SET a = 2'")
    walk.arrival.paths["c3"].write_text("def downgrade():\n    'UPDATE orders SET a = 3'")

    assert find_cleanups(walk, "d4", ["public.orders"]) == ["UPDATE orders SET a = 1"]
    del walk.arrival.paths["a1"]
    assert find_cleanups(walk, "d4", ["public.orders"]) == []
