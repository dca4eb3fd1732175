"""The code in the checks' documentation, through the real gate: the check is silent about it, and not about what it takes the place of.

Each block of code in a section "How to fix" is here, in its order, with the schema that it is for; or it is said why it is not run.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.gate.checks.base import Check
from app.gate.checks.pages import page_of
from app.gate.checks.registry import CHECKS
from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.server.throwaway import Server
from tests.gate.hazards.case import Case, autocommit, body, online, sql
from tests.gate.hazards.verdicts import Outcome, judge_cases
from tests.gate.projects import script, target, write_project

CODE = "# the block's code"  # stands for it
NEXT = "# the next block's code"
ORDERS = sql(
    "CREATE TABLE orders (id integer PRIMARY KEY, number integer, status text, note text, total integer, placed_at timestamp)"
)
BARE = sql("CREATE TABLE orders (id integer PRIMARY KEY)")
ADD_NOTE = "op.add_column('orders', sa.Column('note', sa.Text))"
ADD_STATUS = sql(
    "CREATE TYPE order_status AS ENUM ('new', 'paid')", "ALTER TABLE orders ADD COLUMN status order_status"
)
ADD_REQUIRED = "op.add_column('orders', sa.Column('channel', sa.Text, nullable=False))"
ADD_CHECK = "op.create_check_constraint('ck_orders_total', 'orders', 'total > 0')"
ADD_CHECK_FOR_NEW_ROWS = ADD_CHECK.replace(")", ", postgresql_not_valid=True)")
INVALID_INDEX = sql(
    "CREATE INDEX ix_orders_note ON orders (note)",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_orders_note'::regclass",
)
DISABLED_TRIGGER = sql(
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()",
    "ALTER TABLE orders DISABLE TRIGGER touch",
)
SERIAL = sql("CREATE TABLE orders (id serial PRIMARY KEY, note text)")
RESTART = sql("ALTER SEQUENCE orders_id_seq RESTART")
ALLOW_NULL = "op.alter_column('orders', 'note', nullable=True, server_default=None)"
ITEMS = body(ORDERS, sql("CREATE TABLE items (id integer PRIMARY KEY, order_id integer)"))
ADD_FOREIGN_KEY = "op.create_foreign_key('fk_items_order_id', 'items', 'orders', ['order_id'], ['id'])"
ROLE_APP = sql("DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
VIEW_OF_APP = body(
    ORDERS,
    ROLE_APP,
    sql("CREATE VIEW open_orders AS SELECT id, status FROM orders", "GRANT SELECT ON open_orders TO app"),
)
VIEW_AGAIN = sql("DROP VIEW open_orders", "CREATE VIEW open_orders AS SELECT id FROM orders")
PUBLIC_ORDERS = sql("CREATE TABLE IF NOT EXISTS public.orders (id integer PRIMARY KEY)")
WITHOUT_LIMIT = body(online("SET lock_timeout = 0"), CODE, "op.drop_column('orders', 'note')")
STATUSES = body(
    "from sqlalchemy.dialects import postgresql", CODE, "op.create_table('returns', sa.Column('status', status))"
)


@dataclass(frozen=True)
class Example:
    """An upgrade in which the check finds something, and what to do instead. Functions that a block defines are its revisions."""

    bad: str
    good: str = CODE
    before: str = ORDERS
    bad_downgrade: str | None = None
    good_downgrade: str | None = None


@dataclass(frozen=True)
class Project:
    """A block that is tried in a project of its own. The bad one is in tests/gate/checks/projects."""

    upgrade: str = ADD_NOTE
    connectable: str = "connectable = create_engine(url, poolclass=pool.NullPool)"
    run: str = """
        with connectable.connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
    """


class NotRun(str):
    """Why."""


COMMAND = NotRun("a command, or names that are the reader's own")
ALLOWANCE = NotRun("a comment that accepts a finding: tests/gate/test_allowances.py")
RIGHTS = NotRun("as an ordinary role: tests/gate/walk/test_rights.py")
MODELS = NotRun("about models: tests/gate/checks/projects")

BLOCKS: Mapping[str, Sequence[Example | Project | NotRun]] = {
    "single-head": [COMMAND, COMMAND, COMMAND, COMMAND],
    "graph-integrity": [COMMAND, COMMAND],
    "merged-history": [COMMAND],
    "upgrade": [
        Example(
            before=sql("CREATE TYPE status AS ENUM ('new', 'paid')"),
            bad="op.create_table('returns', sa.Column('status', sa.Enum('new', 'paid', name='status')))",
            good=STATUSES,
        ),
        Example(
            before=sql("CREATE TYPE status AS ENUM ('new', 'paid')"),
            bad=sql("ALTER TYPE status ADD VALUE 'refunded'", "SELECT 'refunded'::status"),
            good=body(CODE, sql("SELECT 'refunded'::status")),
        ),
        RIGHTS,
        RIGHTS,
    ],
    "populated-upgrade": [
        Example(bad=ADD_REQUIRED),
        Example(bad="op.alter_column('orders', 'note', nullable=False)"),
        Example(before=SERIAL, bad=RESTART, good=body(RESTART, CODE)),
        NotRun("rows of one's own: tests/gate/test_populate.py"),
        ALLOWANCE,
    ],
    "round-trip": [
        Example(before=BARE, bad=ADD_STATUS, bad_downgrade="op.drop_column('orders', 'status')", good=ADD_STATUS),
        Example(
            before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text NOT NULL DEFAULT '')"),
            bad=ALLOW_NULL,
            bad_downgrade="op.alter_column('orders', 'note', nullable=False)",
            good=ALLOW_NULL,
            good_downgrade=CODE,
        ),
        Example(
            before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text NOT NULL DEFAULT '')"),
            bad="op.drop_column('orders', 'note')",
            bad_downgrade="op.add_column('orders', sa.Column('note', sa.Text, nullable=False))",
            good="op.drop_column('orders', 'note')",
            good_downgrade=CODE,
        ),
    ],
    "irreversible": [Example(before=BARE, bad=ADD_NOTE), ALLOWANCE],
    "data-loss": [
        Example(bad="op.drop_column('orders', 'note')", bad_downgrade=ADD_NOTE, good_downgrade=NEXT),
        NotRun("the downgrade to the block before it"),
        ALLOWANCE,
    ],
    "same-schema": [COMMAND],
    "model-drift": [COMMAND, MODELS],
    "schema-drift": [MODELS, MODELS, MODELS],
    "unregistered-models": [MODELS],
    "offline-sql": [
        Project(upgrade=CODE),
        Project(upgrade=body("rename_attachments = lambda connection: connection.scalar(sa.text('SELECT 1')) + 1", CODE)),
    ],
    "concurrent-upgrade": [Project(run=CODE)],
    "table-rewrite": [
        Example(bad="op.alter_column('orders', 'total', type_=sa.BigInteger)"),
        Example(bad=sql("ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()")),
        Example(bad=sql("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz USING placed_at AT TIME ZONE 'UTC'")),
    ],
    "blocking-scan": [
        Example(bad=ADD_CHECK),
        Example(
            before=body(ORDERS, sql("ALTER TABLE orders ADD CONSTRAINT ck_orders_note CHECK (note IS NOT NULL)")),
            bad="op.alter_column('orders', 'status', nullable=False)",
        ),
    ],
    "blocking-index": [
        Example(bad="op.create_index('ix_orders_placed_at', 'orders', ['placed_at'])"),
        Example(bad="op.create_unique_constraint('uq_orders_number', 'orders', ['number'])"),
    ],
    "lock-pileup": [Example(bad=sql("ALTER TABLE orders ADD COLUMN state text", "UPDATE orders SET status = 'new'"))],
    "lock-timeout": [
        Project(connectable=body(CODE, "connectable = engine")),
        Example(bad=WITHOUT_LIMIT.replace(CODE, ""), good=WITHOUT_LIMIT),
    ],
    "breaking-change": [Example(bad=ADD_REQUIRED), ALLOWANCE],
    "early-code": [],
    "access-change": [
        Example(before=VIEW_OF_APP, bad=VIEW_AGAIN),
        Example(before=VIEW_OF_APP, bad=VIEW_AGAIN),
        Example(before=ROLE_APP, bad=body(ORDERS, sql("GRANT SELECT ON orders TO PUBLIC")), good=body(ORDERS, CODE)),
        Example(bad=sql("CREATE FUNCTION n() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"), before=PUBLIC_ORDERS),
        ALLOWANCE,
    ],
    "not-validated": [
        Example(bad=ADD_CHECK_FOR_NEW_ROWS, good=body(ADD_CHECK_FOR_NEW_ROWS, CODE)),
        Example(bad=INVALID_INDEX, good=body(INVALID_INDEX, CODE)),
        Example(bad=DISABLED_TRIGGER, good=body(DISABLED_TRIGGER, CODE)),
    ],
    "interrupted-upgrade": [
        Example(
            bad=autocommit(
                "CREATE INDEX CONCURRENTLY ix_orders_note ON orders (note)",
                "CREATE INDEX CONCURRENTLY ix_orders_total ON orders (total)",
            )
        )
    ],
    "unindexed-foreign-key": [Example(before=ITEMS, bad=ADD_FOREIGN_KEY, good=body(ADD_FOREIGN_KEY, CODE)), ALLOWANCE],
    "bulk-update": [
        Example(bad=sql("UPDATE orders SET status = 'new'")),
        Example(bad=body(sql("ALTER TABLE orders ADD COLUMN channel text", "UPDATE orders SET channel = 'web'"))),
        ALLOWANCE,
    ],
    "allowance": [ALLOWANCE],
}  # fmt: skip
NAMES = [check.id for check in CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=NAMES)
def test_each_block_of_code_is_accounted_for(check: Check) -> None:
    assert len(BLOCKS[check.id]) == len(blocks(check))


@pytest.fixture(scope="module")
def outcomes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Of every example that applies, by the case's name: they share a history."""
    cases = [case for check in CHECKS for case in cases_of(check) if case.name not in FAILING]
    return judge_cases(cases, server, tmp_path_factory.mktemp("advice") / "project", checks=NAMES)


# Those that do not apply by themselves, so that no revision could come after them in a history.
FAILING = ("upgrade 0 bad", "upgrade 1 bad")


@pytest.mark.parametrize("check", CHECKS, ids=NAMES)
def test_the_check_is_silent_about_its_own_advice(check: Check, outcomes: Mapping[str, Outcome]) -> None:
    for case in cases_of(check):
        if case.name.endswith("good"):
            outcome = outcomes[case.name]
            assert not isinstance(outcome, str), f"{case.name} does not apply: {outcome}"
            assert [finding.message for finding in outcome if finding.check == check.id] == [], case.upgrade


@pytest.mark.parametrize("check", CHECKS, ids=NAMES)
def test_the_check_finds_what_its_advice_takes_the_place_of(check: Check, outcomes: Mapping[str, Outcome]) -> None:
    for case in cases_of(check):
        if case.name.endswith("bad") and case.name not in FAILING:
            assert check.id in {finding.check for finding in outcomes[case.name]}, case.upgrade  # type: ignore[union-attr]


@pytest.mark.parametrize("name", FAILING)
def test_what_the_advice_on_upgrade_takes_the_place_of_does_not_apply(
    name: str, server: Server, tmp_path: Path
) -> None:
    [case] = [case for check in CHECKS for case in cases_of(check) if case.name == name]

    outcome = judge_cases([case], server, tmp_path)[name]

    assert isinstance(outcome, str) or "fails" in {
        each.message.split()[1] for each in outcome if each.check == "upgrade"
    }


@pytest.mark.parametrize(
    ("check", "number"),
    [(check, number) for check in CHECKS for number, each in enumerate(BLOCKS[check.id]) if isinstance(each, Project)],
    ids=lambda value: value.id if isinstance(value, Check) else str(value),
)
def test_a_project_that_takes_the_advice_has_no_such_finding(
    check: Check, number: int, server: Server, tmp_path: Path
) -> None:
    project, code = BLOCKS[check.id][number], blocks(check)[number]
    assert isinstance(project, Project)
    connectable, run, upgrade = (
        textwrap.dedent(part).replace(CODE, code) for part in (project.connectable, project.run, project.upgrade)
    )
    env = ENV + textwrap.indent(f"{connectable}\n{run}", "    ")
    before = sql("CREATE TABLE orders (id integer PRIMARY KEY, quantity integer, price integer, total integer)")
    if "note" not in upgrade.partition("add_column")[2]:
        before = body(before, ADD_NOTE)
    write_project(tmp_path, {"a1": script("a1", None, before), "b2": script("b2", "a1", upgrade)}, env=env)

    report = judge(record(target(tmp_path), server, evidence=check.needs))

    assert {entry.outcome for entry in report.checks if entry.id == check.id} == {"pass"}, report.findings


ENV = """
import os
import time

from alembic import context
from sqlalchemy import create_engine, pool, text

url = os.environ["DATABASE_URL"]
target_metadata = None
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
"""


def cases_of(check: Check) -> Iterator[Case]:
    """The examples of a check as labelled migrations: "blocking-index 1 good" is the advice in its second block."""
    codes = blocks(check)
    for number, example in enumerate(BLOCKS[check.id]):
        if not isinstance(example, Example):
            continue
        name = f"{check.id} {number}"
        bad = Case(
            name=f"{name} bad",
            before=example.before,
            upgrade=example.bad,
            downgrade=example.bad_downgrade,
            because="the documentation says so",
        )
        yield bad
        before = example.before
        for step, (upgrade, downgrade) in enumerate(revisions_in(codes[number])):
            downgrade = downgrade or example.good_downgrade
            if downgrade is not None:
                following = codes[number + 1] if number + 1 < len(codes) else ""
                downgrade = downgrade.replace(CODE, codes[number]).replace(NEXT, following)
            yield Case(
                name=f"{name} {step} good",
                before=before,
                upgrade=example.good.replace(CODE, upgrade),
                downgrade=downgrade,
                because=bad.because,
            )
            before = body(before, upgrade)


def revisions_in(code: str) -> list[tuple[str, str | None]]:
    """The bodies of `upgrade` and `downgrade` of each revision in a block; a block without functions is one upgrade."""
    functions = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    revisions: list[tuple[str, str | None]] = []
    for function in functions:
        inner = textwrap.dedent("\n".join(code.splitlines()[function.body[0].lineno - 1 : function.end_lineno]))
        if function.name == "upgrade":
            revisions.append((inner, None))
        else:
            revisions[-1:] = [(revisions[-1][0] if revisions else "", inner)]
    return revisions or [(code, None)]


def blocks(check: Check) -> list[str]:
    """The blocks of code in a check's advice: what is indented below a line that ends in two colons."""
    found: list[str] = []
    lines = iter(page_of(check).sections["How to fix"].splitlines())
    margin = None  # of the line above a block
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if margin is not None and (not line.strip() or indent > margin):
            found[-1] += f"{line}\n"
            continue
        margin = indent if line.rstrip().endswith("::") else None
        if margin is not None:
            found.append("")
    return [textwrap.dedent(each).strip() for each in found]
