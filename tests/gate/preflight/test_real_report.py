"""A report of the gate itself, and the database on which its last revision is pending."""

from __future__ import annotations

import json
import sys

from app.cli import main
from tests.gate.projects import script, write_project

A1 = """
op.execute("CREATE DOMAIN amount AS integer")
op.execute("CREATE TABLE orders (id serial PRIMARY KEY, total amount, note text)")
op.execute("CREATE VIEW totals AS SELECT total FROM orders")
"""
B2 = """
op.execute("ALTER DOMAIN amount ADD CONSTRAINT positive CHECK (VALUE > 0)")
op.drop_column("orders", "note")
op.create_index("ix_orders_total", "orders", ["total"])
"""


def test_a_report_says_what_is_pending_assumed_locked_and_proved(server, blank_database, tmp_path, monkeypatch, capsys):
    drop = 'op.execute("DROP TABLE orders CASCADE")\nop.execute("DROP DOMAIN amount")'
    place = write_project(tmp_path / "shop", {"a1": script("a1", None, A1, drop), "b2": script("b2", "a1", B2)})
    monkeypatch.chdir(place)
    verified = ["--base", "none", "--fail-on", "never", "--select", "populated-upgrade", "--output", "json:r.json"]
    monkeypatch.setenv("OVERPROOF_DATABASE_URL", server.maintenance.url())
    assert main(["verify", "--quiet", *verified, "--", sys.executable, "-m", "alembic", "upgrade", "head"]) == 0
    with blank_database.connect() as connection, connection.cursor() as cursor:
        for line in A1.strip().splitlines():
            cursor.execute(line.removeprefix('op.execute("').removesuffix('")'))
        cursor.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a1')")
        cursor.execute("INSERT INTO orders (total) SELECT n FROM generate_series(-2, 500) AS n; ANALYZE orders")
    capsys.readouterr()

    status = main(["preflight", blank_database.url(), "--report", "r.json", "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert (status, [each["code"] for each in printed["reasons"]]) == (1, ["assumption-broken"])
    assert printed["drift"]["state"] == "none"
    (b2,) = printed["pending"]
    assert [(each["sql"], each["rows"]) for each in b2["assumptions"]] == [
        ("SELECT * FROM orders WHERE NOT (total > 0) LIMIT 10", 3)
    ]
    assert [(each["table"], each["scanned"], each["rows"]) for each in b2["tables"]] == [("public.orders", True, 503)]
