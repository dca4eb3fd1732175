"""How a file of SQL that others have labelled becomes revisions, and the page about peers."""

from __future__ import annotations

import re
from pathlib import Path

from app.gate.checks.registry import CHECKS as OF_THE_GATE
from tests.bench.peers import PAGE
from tests.bench.peers_corpus import LabelledFile, prerequisites, split_statements, split_transactions


def test_statements_are_split_outside_of_strings_and_comments() -> None:
    sql = "SELECT ';'; -- a; b\nSELECT $$ one; two $$; /* c; */ SELECT 1"

    assert list(split_statements(sql)) == ["SELECT ';'", "SELECT $$ one; two $$", "SELECT 1"]


def test_a_copy_from_a_file_of_the_server_is_left_out() -> None:
    assert list(split_statements("COPY orders FROM '/tmp/orders.csv'; SELECT 1")) == ["SELECT 1"]


def test_one_transaction_is_one_revision_in_alembics_own() -> None:
    (part,) = split_transactions("BEGIN; ALTER TABLE a ADD b int; ALTER TABLE a ADD c int; COMMIT;")

    assert part.statements == ["ALTER TABLE a ADD b int", "ALTER TABLE a ADD c int"]
    assert not part.autocommit


def test_several_transactions_are_a_revision_each() -> None:
    first, second = split_transactions(
        "BEGIN; SET LOCAL lock_timeout = '1s'; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT;"
    )

    assert first.statements == ["SET LOCAL lock_timeout = '1s'", "SELECT 1"]
    assert second.statements == ["SELECT 2"]


def test_statements_in_a_row_that_refuse_transactions_share_an_autocommit_block() -> None:
    before, builds, after = split_transactions(
        "SET lock_timeout = '1s'; ALTER TABLE a ADD b int;"
        "DROP INDEX CONCURRENTLY IF EXISTS i; SET lock_timeout = '2s'; CREATE INDEX CONCURRENTLY i ON a (b);"
        "ALTER TABLE a ADD c int"
    )

    assert before.statements == ["SET lock_timeout = '1s'", "ALTER TABLE a ADD b int"]
    assert builds.autocommit
    assert builds.statements == [
        "SET lock_timeout = '1s'",
        "DROP INDEX CONCURRENTLY IF EXISTS i",
        "SET lock_timeout = '2s'",
        "CREATE INDEX CONCURRENTLY i ON a (b)",
    ]
    assert after.statements == ["SET lock_timeout = '2s'", "ALTER TABLE a ADD c int"]


def test_a_constraint_is_validated_in_a_revision_of_its_own() -> None:
    added, validated = split_transactions(
        "ALTER TABLE a ADD CONSTRAINT k CHECK (b > 0) NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT k"
    )

    assert added.statements == ["ALTER TABLE a ADD CONSTRAINT k CHECK (b > 0) NOT VALID"]
    assert validated.statements == ["ALTER TABLE a VALIDATE CONSTRAINT k"]


def test_a_file_meets_the_tables_that_it_names_without_what_it_adds() -> None:
    made = "; ".join(prerequisites(_file("ALTER TABLE orders ADD COLUMN region text")))

    assert "CREATE TABLE orders (id" in made
    assert " region " not in made
    assert "CREATE TABLE users" not in made


def test_each_table_that_a_file_makes_is_left_to_it() -> None:
    made = prerequisites(_file("CREATE TABLE sessions (id int); INSERT INTO users DEFAULT VALUES"))

    assert any(statement.startswith("CREATE TABLE users") for statement in made)
    assert not any("sessions" in statement for statement in made)


def test_the_page_about_peers_names_checks_that_there_are() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().partition("## On labelled")[0].splitlines() if " | " in line]
    named = {name for row in rows for name in re.findall(r"`([a-z]+(?:-[a-z]+)*)`", row[2].partition(": see ")[0])}

    assert named <= {check.id for check in OF_THE_GATE} | _NO_CHECKS


_NO_CHECKS = {"json", "require-concurrent-partition-detach"}


def _file(sql: str) -> LabelledFile:
    return LabelledFile("x01", Path("unsafe/x01.sql"), "dangerous", (), 17, sql)
