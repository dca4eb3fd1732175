"""`overproof preflight` on live databases."""

from __future__ import annotations

import json
import secrets
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.gate.preflight import assumptions
from app.gate.preflight.assumptions import _opening as opening
from app.gate.report.model import Report
from app.gate.report.verdict import Verdict
from app.gate.reporters.json import render
from app.gate.server import backup
from app.gate.server._accounts import find_able_account, find_account, make_private_directory
from app.gate.server._cluster import Cluster, start
from app.gate.server._embedded import THROWAWAY_SETTINGS
from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.supervisor.client import Supervisor
from tests.gate.preflight.reports import assumes, prove, step, write

SCHEMA = """
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('a1');
    CREATE TABLE orders (id serial PRIMARY KEY, note text, total integer);
    INSERT INTO orders (note, total) SELECT 'x', n FROM generate_series(1, 500) AS n;
    CREATE VIEW notes AS SELECT note FROM orders;
    ANALYZE orders
"""
B2 = "ALTER TABLE orders ALTER note SET NOT NULL"
NULLS = "SELECT * FROM orders WHERE note IS NULL LIMIT 10"
LOCKS = step("b2", B2, ("public.orders", "AccessExclusiveLock"), scans=["public.orders"])
FAR_AWAY = "a1b2c3d4"


def execute(database: Database, *statements: str) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def live(blank_database: Database) -> Database:
    """A database that is at a1."""
    execute(blank_database, SCHEMA)
    return blank_database


@pytest.fixture
def proved(live: Database) -> Report:
    return prove(live, {"b2": B2}, assumes("b2", NULLS), steps=[LOCKS])


Preflight = Callable[..., tuple[int, Any]]


@pytest.fixture
def preflight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Preflight:
    """The exit status, and what is printed as JSON."""

    def run(database: Database, report: Report, *options: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = main(["preflight", database.url(), "--report", write(report, tmp_path), "--json", *options])
        return status, json.loads(capsys.readouterr().out)

    return run


def codes(printed: Any) -> list[str]:
    return [each["code"] for each in printed["reasons"]]


def test_it_goes_where_nothing_is_in_the_way(live, proved, preflight):
    status, printed = preflight(live, proved)

    assert (status, printed["answer"], printed["reasons"]) == (0, "go", [])
    assert printed["revisions"] == {"public.alembic_version": ["a1"]}
    assert printed["drift"]["state"] == "none"
    (b2,) = printed["pending"]
    assert (b2["revision"], b2["tried"]) == ("b2", True)
    assert b2["tables"] == [
        {
            "table": "public.orders",
            "modes": ["AccessExclusiveLock"],
            "rewritten": False,
            "scanned": True,
            "exists": True,
            "rows": 500,
            "bytes": b2["tables"][0]["bytes"],
        }
    ]
    assert (b2["assumptions"][0]["state"], b2["assumptions"][0]["rows"]) == ("holds", 0)


def test_the_text_says_the_same(live, proved, tmp_path, capsys):
    assert main(["preflight", live.url(), "--report", write(proved, tmp_path)]) == 0

    assert capsys.readouterr().out.splitlines()[:6] == [
        f"GO: nothing on {live.name} is in the way of the upgrade.",
        "",
        f"PostgreSQL {proved.postgres}, at revision a1",
        "1 revision is pending:",
        "  b2 continue",
        "    scans and locks (AccessExclusiveLock) orders: about 500 rows, 24 kB",
    ]


@pytest.mark.parametrize(("nulls", "rows"), [(1, 1), (9, 9), (30, 10)])
def test_rows_that_break_an_assumption_are_counted_up_to_the_bound(live, proved, preflight, nulls, rows):
    execute(live, f"UPDATE orders SET note = NULL WHERE id <= {nulls}")

    status, printed = preflight(live, proved)

    assert (status, codes(printed)) == (1, ["assumption-broken"])
    assert printed["pending"][0]["assumptions"][0]["rows"] == rows
    assert NULLS in printed["reasons"][0]["clears"]


def test_a_database_at_head_has_nothing_pending(live, proved, preflight):
    execute(live, B2, "UPDATE alembic_version SET version_num = 'b2'")

    status, printed = preflight(live, proved)

    assert (status, printed["pending"], printed["drift"]["state"]) == (0, [], "none")


def test_a_revision_that_the_report_does_not_have_is_a_no(live, proved, preflight):
    execute(live, f"UPDATE alembic_version SET version_num = '{FAR_AWAY}'")

    status, printed = preflight(live, proved)

    assert (status, codes(printed), printed["pending"]) == (1, ["revision-missing"], None)


def test_rows_of_a_table_that_a_pending_revision_makes_are_none_yet(live, preflight):
    c3 = assumes("c3", "SELECT * FROM later WHERE note IS NULL LIMIT 10", object="public.later.note")
    upgrades = {"b2": "CREATE TABLE later (note text)", "c3": "ALTER TABLE later ALTER note SET NOT NULL"}

    status, printed = preflight(live, prove(live, upgrades, c3))

    assert (status, printed["pending"][1]["assumptions"][0]["state"]) == (0, "holds")


@pytest.mark.parametrize(
    "b2",
    [
        "ALTER TABLE orders ADD later text",
        "ALTER TABLE orders RENAME TO purchases",
        "ALTER TABLE orders RENAME note TO later",
    ],
)
def test_rows_that_an_earlier_pending_revision_changes_are_not_known_yet(live, preflight, b2):
    table, column = ("purchases" if "purchases" in b2 else "orders"), ("later" if "later" in b2 else "note")
    c3 = assumes("c3", f"SELECT * FROM {table} WHERE {column} IS NULL", object=f"public.{table}.{column}")

    status, printed = preflight(live, prove(live, {"b2": b2, "c3": "SELECT 1"}, c3))

    assert (status, codes(printed)) == (2, ["assumption-unknown"])
    assert printed["reasons"][0]["clears"] == "Upgrade to the revision before c3, and run preflight again."


def test_a_new_database_has_everything_pending(blank_database, server, preflight):
    proved = prove(blank_database, {"b2": "CREATE TABLE orders (id integer)"})
    all_of_it = [each.model_copy(update={"replaced": each.replaced or []}) for each in proved.graph.revisions]

    status, printed = preflight(
        blank_database, proved.model_copy(update={"graph": proved.graph.model_copy(update={"revisions": all_of_it})})
    )

    assert (status, [each["revision"] for each in printed["pending"]]) == (0, ["a1", "b2"])


def test_what_the_report_did_not_try_cannot_be_said(live, proved, preflight):
    merged = [each.model_copy(update={"new": False}) for each in proved.graph.revisions]

    status, printed = preflight(
        live, proved.model_copy(update={"graph": proved.graph.model_copy(update={"revisions": merged})})
    )

    assert (status, codes(printed)) == (2, ["revision-not-tried"])
    assert printed["pending"][0]["tried"] is False


@pytest.mark.parametrize(
    ("verdict", "status", "code"), [(Verdict.FAIL, 1, "report-failed"), (Verdict.ERROR, 2, "report-error")]
)
def test_a_report_that_is_no_proof_proves_nothing(live, proved, preflight, verdict, status, code):
    found, printed = preflight(live, proved.model_copy(update={"verdict": verdict, "reason": "the server is gone"}))

    assert (found, codes(printed)) == (status, [code])


# Drift


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("ALTER TABLE orders ADD by_hand integer", "column public.orders.by_hand is new"),
        ("CREATE INDEX by_hand ON orders (total)", "index public.by_hand is new"),
        ("DROP VIEW notes", "view public.notes is gone"),
        ("ALTER TABLE orders ALTER total TYPE bigint", "column public.orders.total: type integer -> bigint"),
    ],
)
def test_what_was_changed_by_hand_is_named(live, proved, preflight, change, line):
    execute(live, change)

    status, printed = preflight(live, proved)

    assert (status, codes(printed)) == (1, ["drift"])
    assert printed["drift"] == {"state": "drifted", "reason": None, "differences": [line], "of_operators": []}
    assert preflight(live, proved, "--accept-drift")[0] == 0


def test_what_operators_set_is_no_drift(live, proved, preflight):
    execute(
        live,
        f"CREATE ROLE {live.name}_app; GRANT SELECT ON orders TO {live.name}_app",
        "ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0.01)",
        "COMMENT ON TABLE orders IS 'see the handbook'",
    )

    status, printed = preflight(live, proved)
    execute(live, f"DROP OWNED BY {live.name}_app; DROP ROLE {live.name}_app")

    assert (status, printed["drift"]["differences"]) == (0, [])
    assert len(printed["drift"]["of_operators"]) == 1
    assert "privileges of" in printed["notes"][0]


def test_a_definition_that_another_version_may_print_in_another_way_is_not_called_drift(live, proved, preflight):
    execute(live, "CREATE OR REPLACE VIEW notes AS SELECT note FROM orders WHERE total > 1")

    status, printed = preflight(live, proved.model_copy(update={"postgres": "9.6.1"}))

    assert (status, codes(printed)) == (2, ["drift-unknown"])
    assert "OVERPROOF_PG_BINDIR" in printed["reasons"][0]["clears"]


def test_an_invalid_index_in_the_way_is_named(live, preflight):
    proved = prove(live, {"b2": "CREATE INDEX ix ON orders (total)"})
    execute(
        live,
        "CREATE INDEX ix ON orders (total)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix'::regclass",
    )

    status, printed = preflight(live, proved, "--accept-drift")

    assert (status, codes(printed)) == (1, ["object-exists"])
    assert "INVALID" in printed["reasons"][0]["sentence"]


def test_a_table_of_another_owner_is_in_the_way(live, proved, preflight):
    role, owner = f"{live.name}_deploy", f"{live.name}_owner"
    execute(
        live,
        f"CREATE ROLE {role}; CREATE ROLE {owner}; ALTER TABLE orders OWNER TO {owner}; ALTER TABLE alembic_version OWNER TO {role}",
    )
    try:
        status, printed = preflight(live, proved)
        as_owner, _ = preflight(live, proved, "--role", owner)
    finally:
        execute(live, f"REASSIGN OWNED BY {role}, {owner} TO CURRENT_USER; DROP ROLE {role}, {owner}")

    assert (status, codes(printed)) == (1, ["owned-by-other"])
    assert as_owner == 0


def test_an_extension_that_the_server_does_not_have_is_named(live, preflight):
    proved = prove(live, {"b2": "SELECT 1"})
    made = {"kind": "extension", "schema": "", "name": "no_such_thing", "definition": None}
    a1, b2 = proved.graph.revisions
    graph = proved.graph.model_copy(update={"revisions": [a1, b2.model_copy(update={"replaced": [made]})]})

    status, printed = preflight(live, proved.model_copy(update={"graph": graph}))

    assert (status, codes(printed)) == (1, ["extension-unavailable"])


def test_a_replication_slot_that_keeps_wal_for_no_one_is_mentioned(live, proved, preflight):
    slot = f"{live.name}_gone"
    execute(live, f"SELECT pg_create_physical_replication_slot('{slot}', true)")
    try:
        status, printed = preflight(live, proved)
    finally:
        execute(live, f"SELECT pg_drop_replication_slot('{slot}')")

    assert status == 0
    assert any(f"The replication slot {slot} is not in use and keeps" in note for note in printed["notes"])


def test_what_a_concurrent_build_waits_for_is_mentioned(live, preflight):
    """It waits for each older transaction that may still look at the table, and blocks no session meanwhile."""
    build = step("b2", "CREATE INDEX CONCURRENTLY ix ON orders (total)", ("public.orders", "ShareUpdateExclusiveLock"))
    proved = prove(live, {"b2": "CREATE INDEX ix ON orders (total)"}, steps=[build])

    with live.connect(autocommit=False, application_name="reports") as other, other.cursor() as cursor:
        other.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1")
        status, printed = preflight(live, proved, "--lock-age", "0.000001")

    assert status == 0
    (note,) = printed["notes"]
    assert note.startswith("Process ")
    assert "(reports) has a transaction of" in note
    assert note.endswith("what b2 does CONCURRENTLY waits for it.")


# Locks


def test_a_session_that_holds_a_lock_for_long_is_named(live, proved, preflight):
    with live.connect(autocommit=False, application_name="reports") as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE orders IN ACCESS SHARE MODE")
        status, printed = preflight(live, proved, "--lock-age", "0.000001")
        younger, _ = preflight(live, proved, "--lock-age", "600")

    assert (status, codes(printed), younger) == (1, ["lock-held"], 0)
    (held,) = printed["locks"]
    assert (held["table"], held["modes"], held["application"]) == ("public.orders", ["AccessShareLock"], "reports")
    assert held["state"] == "idle in transaction"
    assert "(reports) holds AccessShareLock on orders, in a transaction of" in printed["reasons"][0]["sentence"]


def test_a_lock_on_a_partition_counts_for_its_parent(live, preflight):
    execute(
        live,
        "CREATE TABLE events (at date) PARTITION BY RANGE (at)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    )
    work = step("b2", "", ("public.events", "AccessExclusiveLock"))
    proved = prove(live, {"b2": "ALTER TABLE events ADD x integer"}, steps=[work])

    with live.connect(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE events_1 IN ROW EXCLUSIVE MODE")
        status, printed = preflight(live, proved, "--lock-age", "0.000001")

    assert (status, [each["table"] for each in printed["locks"]]) == (1, ["public.events"])


def test_a_table_that_someone_has_locked_is_not_waited_for_longer_than_said(live, proved, preflight, monkeypatch):
    opened: list[str] = []

    def note(sql: str) -> str:
        opened.append(sql)
        return opening(sql)

    monkeypatch.setattr(assumptions, "_opening", note)
    findings = [assumes("b2", NULLS), assumes("b2", "SELECT * FROM orders WHERE total < 0 LIMIT 10")]
    proved = proved.model_copy(update={"findings": findings})
    with live.connect(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE orders, notes IN ACCESS EXCLUSIVE MODE")
        status, printed = preflight(live, proved, "--lock-timeout", "0.05", "--lock-age", "0.000001")

    assert (status, codes(printed)) == (1, ["drift-unknown", *["assumption-unknown"] * 2, "lock-held"])
    assert len(opened) == 1  # the second one need not wait too
    assert "has held the table's lock for longer than 0.05 s" in printed["reasons"][1]["sentence"]


# Load

WORK = (
    "UPDATE orders SET total = total + 1 WHERE id = 1",
    "INSERT INTO orders (note) VALUES ('y')",
    "DELETE FROM orders WHERE id > 500",
    "CREATE TEMP TABLE scratch AS SELECT * FROM orders; DROP TABLE scratch",
    "CREATE TABLE churned (id integer); DROP TABLE churned",
    "ANALYZE orders",
)


@pytest.fixture
def load(live: Database) -> Iterator[Callable[[], int]]:
    """Sessions that work on the database all the time. Says how much they have done."""
    has_to_end, done = threading.Event(), Counter[str]()

    def work(statement: str) -> None:
        with live.connect() as connection, connection.cursor() as cursor:
            while not has_to_end.is_set():
                cursor.execute(statement)
                done[statement] += 1

    threads = [threading.Thread(target=work, args=[each]) for each in WORK]
    for each in threads:
        each.start()
    yield lambda: min(done[each] for each in WORK)
    has_to_end.set()
    for each in threads:
        each.join()


def test_it_answers_while_others_work_and_stops_none_of_them(live, proved, preflight, load):
    for _ in range(5):
        before = load()
        status, printed = preflight(live, proved)

        assert (status, printed["answer"], printed["locks"]) == (0, "go", [])
        assert printed["pending"][0]["assumptions"][0]["state"] == "holds"
        while load() == before:  # none of them waits for it
            threading.Event().wait(0.01)


# Roles


@pytest.fixture
def role(live: Database) -> Iterator[Database]:
    """The database, as a role that may connect, and nothing else."""
    name = f"{live.name}_reader"
    execute(live, f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield replace(live, user=name, password="secret")
    execute(live, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_role_that_may_only_connect_cannot_say(live, role, proved, preflight):
    status, printed = preflight(role, proved)

    assert (status, codes(printed)) == (2, ["revision-unreadable"])
    assert printed["pending"] is None
    assert any("pg_read_all_stats" in note for note in printed["notes"])


def test_a_role_that_may_not_read_the_rows_says_so(live, role, proved, preflight):
    execute(live, f"GRANT SELECT ON alembic_version TO {role.user}")

    status, printed = preflight(role, proved)

    assert (status, codes(printed)) == (2, ["assumption-unknown"])
    assert "permission denied for table orders" in printed["reasons"][0]["sentence"]


def test_rows_that_a_policy_hides_are_not_taken_for_good(live, role, proved, preflight):
    execute(
        live,
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.user}",
    )

    status, printed = preflight(role, proved, "--accept-drift")

    assert (status, codes(printed)) == (2, ["assumption-unknown"])
    assert "row-level security" in printed["reasons"][0]["sentence"]


def test_a_role_that_reads_all_data_is_enough_also_for_locks(live, role, proved, preflight):
    """Since when a session holds a lock is not visible to it: it looks twice."""
    execute(live, f"GRANT pg_read_all_data TO {role.user}")

    with live.connect(autocommit=False) as other, other.cursor() as cursor:
        status, _ = preflight(role, proved)
        cursor.execute("LOCK TABLE orders IN ROW EXCLUSIVE MODE")
        locked, printed = preflight(role, proved, "--lock-age", "0.05")

    assert (status, locked, codes(printed)) == (0, 1, ["lock-held"])
    assert "for more than 50 ms (since when is not visible to this role)" in printed["reasons"][0]["sentence"]


def test_a_role_that_may_not_see_locks_cannot_say(live, role, proved, preflight):
    execute(live, f"GRANT SELECT ON alembic_version, orders TO {role.user}", "REVOKE SELECT ON pg_locks FROM PUBLIC")

    status, printed = preflight(role, proved, "--accept-drift")

    assert (status, codes(printed)) == (2, ["locks-unknown"])


# A standby


@pytest.fixture
def standby(live: Database, server: Server) -> Iterator[Database]:
    """The database on a standby, which nothing replays to any more."""
    if not server.is_embedded:
        pytest.skip("a standby is made of the embedded server alone")
    root = Path(tempfile.gettempdir(), f"overproof-standby-{secrets.token_hex(6)}")
    binaries = find_binaries()
    with Supervisor() as supervisor:
        supervisor.remove(root)
        account = find_account()
        make_private_directory(root, account)
        backup.take(server.maintenance, binaries.directory, root / "backup.tar")
        account = find_able_account(supervisor, account, [root, binaries.directory])
        cluster = Cluster(binaries, root / "data", account, "", server.maintenance.user)
        backup.unpack(root / "backup.tar", cluster)
        (cluster.data / "standby.signal").touch()
        address = start(supervisor, cluster, THROWAWAY_SETTINGS, signal.SIGINT)
        yield Database(live.name, str(cluster.data), address.port, address.user, "", is_embedded=True)


def test_it_works_on_a_standby(live, proved, standby, preflight):
    forged = proved.model_copy(update={"findings": [assumes("b2", "SELECT nextval('orders_id_seq')")]})

    status, printed = preflight(standby, proved)

    assert (status, printed["standby"], printed["drift"]["state"]) == (0, True, "none")
    assert printed["pending"][0]["assumptions"][0]["state"] == "holds"
    assert printed["pending"][0]["tables"][0]["rows"] == 500
    assert any("This is a standby" in note for note in printed["notes"])
    assert preflight(standby, forged)[0] == 2


# A report is not to be trusted


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1; DROP TABLE orders", "cannot open multi-query plan as cursor"),
        ("SELECT 1; COMMIT; DROP TABLE orders", "cannot open multi-query plan as cursor"),
        ("DROP TABLE orders", "cannot open DROP TABLE query as cursor"),
        ("COMMIT", "cannot open"),
        ("DELETE FROM orders RETURNING *", "read-only transaction"),
        (
            "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
            "DECLARE CURSOR must not contain data-modifying|read-only|cannot open",
        ),
        ("SELECT nextval('orders_id_seq')", "cannot execute nextval() in a read-only transaction"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "before any query"),
        ("SELECT pg_sleep(60)", "took longer than 1 s"),
        ("SELECT '", "unterminated quoted string"),
        ("'; END'; DROP TABLE orders --", "syntax error"),
        ("SELECT 1 $$ E'\\' \\x27", "syntax error|unterminated|at or near"),
        ("", "no query|cannot open|returned no data|empty"),
    ],
)
def test_a_forged_query_does_no_harm(live, proved, preflight, sql, said):
    forged = proved.model_copy(update={"findings": [assumes("b2", sql)]})

    status, printed = preflight(live, forged, "--timeout", "1" if "pg_sleep" in sql else "60")

    assert (status, codes(printed)) == (2, ["assumption-unknown"])
    assert any(words in printed["reasons"][0]["sentence"] for words in said.split("|")), printed["reasons"]
    execute(live, "SELECT nextval('orders_id_seq') / (SELECT count(*) / 500 FROM orders)")


def test_it_writes_nothing(live, proved, preflight):
    """By the server's own account."""

    def account() -> tuple[Any, ...]:
        with live.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_clear_snapshot()::text, tup_inserted, tup_updated, tup_deleted, temp_files FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
            counts = cursor.fetchone()
            cursor.execute("SELECT txid_current(), (SELECT count(*) FROM pg_class)")
            transaction, relations = cursor.fetchone()
            return (*counts, relations, transaction)

    before = account()
    preflight(live, proved)
    after = account()

    assert after[:-1] == before[:-1]
    assert after[-1] == before[-1] + 1  # that of the account itself


# Usage


def test_without_a_database_or_with_no_report_it_says_what_to_type(live, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["preflight", "--report", "r.json"]) == 2
    assert "set DATABASE_URL" in capsys.readouterr().err

    assert main(["preflight", live.url(), "--report", str(tmp_path / "none.json")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err

    (tmp_path / "other.json").write_text('{"format": "something"}')
    assert main(["preflight", live.url(), "--report", str(tmp_path / "other.json")]) == 2
    assert "is not a report of overproof verify (format:" in capsys.readouterr().err


def test_the_report_can_come_from_the_record(live, proved, record, capsys, monkeypatch):
    """The newest one that a trusted token has posted."""
    runs = [{"id": "3", "trusted": False}, {"id": "2", "trusted": True}, {"id": "1", "trusted": True}]
    record.answers = [(200, {}, {"items": runs, "next_cursor": None}), (200, {}, json.loads(render(proved)))]
    monkeypatch.setenv("OVERPROOF_RECORD", record.url)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")

    assert main(["preflight", live.url(), "--commit", "5f0c2b7d9e41", "--json"]) == 0

    project = "/api/v1/projects/shop"
    assert [path for path, _, _ in record.requests] == [
        f"{project}/runs?commit=5f0c2b7d9e41&limit=50",
        f"{project}/runs/2/report",
    ]
    assert record.methods == ["GET", "GET"]


def test_a_record_without_a_report_says_how_to_send_one(live, record, capsys, monkeypatch):
    record.answers = [(200, {}, {"items": []})]
    monkeypatch.setenv("OVERPROOF_RECORD", record.url)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")

    assert main(["preflight", live.url(), "--commit", "5f0c2b7d9e41"]) == 2
    assert "the record has no report on the commit 5f0c2b7d9e41" in capsys.readouterr().err

    monkeypatch.delenv("OVERPROOF_RECORD")
    assert main(["preflight", live.url()]) == 2
    assert "no report given: add --report FILE" in capsys.readouterr().err


def test_fields_of_later_versions_are_ignored(live, proved, tmp_path, capsys):
    path = Path(write(proved, tmp_path))
    content = json.loads(path.read_text())
    content["later"] = content["graph"]["later"] = content["findings"][0]["later"] = 1
    path.write_text(json.dumps(content))

    assert main(["preflight", live.url(), "--report", str(path)]) == 0
