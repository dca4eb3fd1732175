"""What a statement did, as the gate is told of it."""

from __future__ import annotations

import pytest

from app.gate.driver.overproof_driver.effects import INDEXES, TABLES, Relation, StatementEffects, milliseconds


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("0", 0), ("7", 7), ("5ms", 5), ("2s", 2_000), ("3min", 180_000), ("2h", 7_200_000), ("1d", 86_400_000),
        (None, None), ("", None), ("s", None), ("2 s", None), ("2sec", None), ("-1", None),
    ],
)  # fmt: skip
def test_a_time_is_read_as_postgresql_prints_it(setting: str | None, expected: int | None) -> None:
    assert milliseconds(setting) == expected


def test_a_statement_that_did_nothing_has_an_empty_message() -> None:
    assert StatementEffects("SELECT 1", "2s").to_message() == {}


def test_what_a_statement_did_is_told_in_order_and_less_what_is_empty() -> None:
    effects = StatementEffects("ALTER …", "2s")
    effects.add_lock("public.b", "ShareLock")
    effects.add_lock("public.a", "RowExclusiveLock")
    effects.add_lock("public.a", "AccessShareLock")
    effects.rewrites = {"public.b", "public.a"}
    effects.scans = {"public.c", "public.b", "public.emptied"}
    effects.index_builds = {"public.d", "public.c", "public.emptied"}
    effects.emptied = {"public.emptied"}
    effects.written = {"public.a": 3}
    effects.updated = {"public.a": 2}

    assert effects.to_message() == {
        "locks": {"public.b": ["ShareLock"], "public.a": ["AccessShareLock", "RowExclusiveLock"]},
        "lock_timeout_ms": 2000,
        "rewrites": ["public.a", "public.b"],
        "scans": ["public.b", "public.c"],
        "index_builds": ["public.c", "public.d"],
        "written": {"public.emptied": 0, "public.a": 3},
        "updated": {"public.a": 2},
    }


def test_a_table_that_was_emptied_is_neither_scanned_nor_indexed_but_written() -> None:
    effects = StatementEffects("TRUNCATE a", None)
    effects.emptied = effects.scans = effects.index_builds = {"public.a"}

    assert effects.to_message() == {"written": {"public.a": 0}}


def test_a_timeout_is_told_with_locks_alone_and_where_it_is_known() -> None:
    effects = StatementEffects("LOCK a", "unknown")
    effects.add_lock("public.a", "ShareLock")

    assert effects.to_message() == {"locks": {"public.a": ["ShareLock"]}}


@pytest.mark.parametrize(
    ("kind", "has_storage"), [("r", True), ("m", True), ("p", False), ("i", False), ("t", False), ("f", False)]
)
def test_a_relation_is_what_the_catalog_says(kind: str, has_storage: bool) -> None:
    relation = Relation((1, kind, "shop", "orders", 7, 9, "t"))

    assert (relation.kind, relation.name, relation.owner, relation.filenode) == (kind, "shop.orders", 7, 9)
    assert (relation.is_temporary, relation.is_new) == (True, False)
    assert relation.has_storage_of_its_own is has_storage
    assert Relation((1, kind, "shop", "orders", 7, 9, None), is_new=True).is_new
    assert (kind in TABLES, kind in INDEXES) == (kind in "rpmf", kind == "i")
