"""How operations read in a script and in `alembic check`: without a database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql

from app.autogenerate import OPTIONS, checks, columns, expressions, types, write_nothing_if_nothing_changed
from app.autogenerate.columns import AddRequiredColumnOp, ConvertColumnOp, filling_of
from app.autogenerate.enums import AlterEnumOp, CreateEnumOp, Dependent, DropEnumOp, EnumName, EnumUse

PREFIXES = {"sqlalchemy_module_prefix": "sa.", "alembic_module_prefix": "op.", "user_module_prefix": None}
OFFLINE = MigrationContext.configure(dialect_name="postgresql", opts={**OPTIONS, **PREFIXES})
MOOD = EnumName(None, "mood")
NOTHING: list[Any] = []


def rendered(*operations: ops.MigrateOperation) -> list[str]:
    body = render_python_code(
        ops.UpgradeOps(list(operations)), migration_context=OFFLINE, render_item=OPTIONS["render_item"]
    )
    return [line.strip() for line in body.splitlines() if "# ###" not in line]


def script(*operations: ops.MigrateOperation) -> ops.MigrationScript:
    return ops.MigrationScript("a1", ops.UpgradeOps(list(operations)), ops.DowngradeOps([]))


@pytest.mark.parametrize(
    ("message", "options", "is_written"),
    [
        pytest.param("change it", {"autogenerate": True}, False, id="revision --autogenerate -m"),
        pytest.param(None, {"autogenerate": True}, False, id="revision --autogenerate"),
        pytest.param("change it", None, False, id="command.revision(autogenerate=True, message=…)"),
        pytest.param(None, {}, True, id="check"),
        pytest.param(None, {"autogenerate": False}, True, id="check, of a program with such an option"),
    ],
)
def test_a_script_that_would_be_empty_is_not_written_unless_it_is_a_check(
    message: str | None, options: dict[str, bool] | None, is_written: bool
) -> None:
    said: list[str] = []
    config = SimpleNamespace(cmd_opts=None if options is None else SimpleNamespace(**options), print_stdout=said.append)
    context = SimpleNamespace(
        environment_context=SimpleNamespace(config=config),
        opts={"revision_context": SimpleNamespace(command_args={"message": message})},
    )
    scripts = [script()]

    write_nothing_if_nothing_changed(cast("MigrationContext", context), "head", scripts)

    assert bool(scripts) is is_written
    assert said == ([] if is_written else ["The database matches the models, so no script was written."])


@pytest.mark.parametrize(
    ("environment", "scripts"),
    [
        pytest.param(None, [script()], id="outside of an environment"),
        pytest.param(SimpleNamespace(), [], id="no script"),
        pytest.param(SimpleNamespace(), [script(DropEnumOp(MOOD, ()))], id="a change"),
    ],
)
def test_everything_else_is_written(environment: Any, scripts: list[ops.MigrationScript]) -> None:
    before = list(scripts)

    context = SimpleNamespace(environment_context=environment, opts={})
    write_nothing_if_nothing_changed(cast("MigrationContext", context), "head", scripts)

    assert scripts == before


def test_the_type_of_an_enum_is_created_and_dropped_under_its_quoted_name() -> None:
    create = CreateEnumOp(EnumName("Other place", "Mood"), ("good", "it's", "a :b"))
    drop = create.reverse()

    assert rendered(create) == [
        r"""op.execute('CREATE TYPE "Other place"."Mood" AS ENUM (\'good\', \'it\'\'s\', \'a \\:b\')')"""
    ]
    assert rendered(drop) == ["""op.execute('DROP TYPE "Other place"."Mood"')"""]
    assert drop.reverse() == create
    assert create.to_diff_tuple() == ("add_enum", '"Other place"."Mood"', create.labels)
    assert drop.to_diff_tuple() == ("remove_enum", '"Other place"."Mood"', create.labels)


@pytest.mark.parametrize(
    ("before", "after", "statements"),
    [
        (("b",), ("a", "b", "c"), ["ADD VALUE 'a' BEFORE 'b'", "ADD VALUE 'c' AFTER 'b'"]),
        (("a", "d"), ("a", "b", "c", "d"), ["ADD VALUE 'b' AFTER 'a'", "ADD VALUE 'c' AFTER 'b'"]),
        ((), ("a", "b"), ["ADD VALUE 'a'", "ADD VALUE 'b' AFTER 'a'"]),
    ],
)
def test_a_label_is_added_beside_its_neighbour(
    before: tuple[str, ...], after: tuple[str, ...], statements: list[str]
) -> None:
    added = AlterEnumOp(MOOD, before, after, (), ())

    assert list(added.statements()) == [f"ALTER TYPE mood {each}" for each in statements]
    assert added.to_diff_tuple() == ("modify_enum", "mood", before, after)


def test_a_type_that_loses_a_label_is_replaced_with_all_that_uses_it() -> None:
    uses = (
        EnumUse("note", "mood", is_array=False, default="'good'::mood"),
        EnumUse("note", "moods", is_array=True, default=None),
    )
    index = Dependent("DROP INDEX ix_good", "CREATE INDEX ix_good ON note (mood) WHERE mood = 'good'")
    alter = AlterEnumOp(EnumName("s", "mood"), ("good", "bad"), ("good",), uses, (index,))

    assert list(alter.statements()) == [
        "DROP INDEX ix_good",
        "ALTER TYPE s.mood RENAME TO mood_old",
        "CREATE TYPE s.mood AS ENUM ('good')",
        "ALTER TABLE note ALTER COLUMN mood DROP DEFAULT",
        "ALTER TABLE note ALTER COLUMN mood TYPE s.mood USING mood::text::s.mood",
        "ALTER TABLE note ALTER COLUMN mood SET DEFAULT 'good'::mood",
        "ALTER TABLE note ALTER COLUMN moods TYPE s.mood[] USING moods::text[]::s.mood[]",
        "DROP TYPE s.mood_old",
        "CREATE INDEX ix_good ON note (mood) WHERE mood = 'good'",
    ]
    assert alter.reverse() == AlterEnumOp(alter.enum, ("good",), ("good", "bad"), uses, (index,))


def test_a_required_column_gets_a_default_for_its_rows_only() -> None:
    column = sa.Column("text", sa.String(), nullable=False, default="a :b")

    assert rendered(AddRequiredColumnOp("note", column, schema="s")) == [
        "# The default is for existing rows. Later ones get it from the model, which sets it in Python.",
        r"""op.add_column('note', sa.Column('text', sa.String(), server_default=sa.text("'a \\:b'"), nullable=False), schema='s')""",
        "op.alter_column('note', 'text',",
        "existing_type=sa.String(),",
        "server_default=None,",
        "schema='s')",
    ]


def test_a_required_column_without_a_default_says_that_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    add = AddRequiredColumnOp("note", sa.Column("text", sa.Text(), nullable=False), schema="s")

    assert rendered(add) == [
        "# Fails if the table has rows: the column is NOT NULL, and the model has no default for it.",
        "op.add_column('note', sa.Column('text', sa.Text(), nullable=False), schema='s')",
    ]
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [
        "note.text is NOT NULL and has no default: the script will fail if the table has rows."
    ]


@pytest.mark.parametrize(
    ("type_", "default", "filling"),
    [
        (sa.Integer(), None, None),
        (sa.Integer(), 7, "7"),
        (sa.Integer(), sa.func.random(), None),
        (sa.Integer(), sa.Sequence("numbers"), None),
        (sa.Uuid(), uuid4, "gen_random_uuid()"),
        (sa.DateTime(timezone=True), lambda: datetime.now(UTC), "now()"),
        (sa.Integer(), lambda: 7, "7"),
        (sa.String(), lambda: 7, "'7'"),
        (sa.JSON(), {"it's": None}, """'{"it''s": null}'"""),
        (sa.LargeBinary(), b"\x00\xff", r"'\x00ff'"),
        (sa.ARRAY(sa.Integer), [], "'{}'"),
        (sa.ARRAY(sa.Integer), [1], "ARRAY[1]"),
        (postgresql.TSVECTOR(), object(), None),
    ],
)
def test_what_rows_get_in_a_new_column(type_: Any, default: Any, filling: str | None) -> None:
    assert filling_of(sa.Column("new", type_, default=default)) == filling


def converted(using: str | None, **more: Any) -> ConvertColumnOp:
    op = ConvertColumnOp("note", "mood", modify_type=sa.Text(), **{"existing_type": sa.Integer(), **more})
    op.info.update(using=using, using_back="mood::integer")
    return op


def test_a_conversion_has_its_using_clause_and_its_way_back_another() -> None:
    assert rendered(converted("mood::text")) == [
        "op.alter_column('note', 'mood',",
        "existing_type=sa.Integer(),",
        "type_=sa.Text(),",
        "postgresql_using='mood::text')",
    ]
    back = converted("mood::text").reverse()
    assert (back.info["using"], back.info["using_back"]) == ("mood::integer", "mood::text")
    assert not any("postgresql_using" in line for line in rendered(converted(None)))


@pytest.mark.parametrize(
    ("modified", "set_again"),
    [
        pytest.param(False, r"""server_default=sa.text("'a \\:b'"),""", id="kept"),
        pytest.param(None, "server_default=None,", id="dropped"),
        pytest.param("'c'", "server_default=sa.text(\"'c'\"),", id="changed"),
    ],
)
def test_the_default_is_away_while_the_type_changes(modified: Any, set_again: str) -> None:
    default = sa.DefaultClause(sa.text("'a :b'::mood"))
    changed = sa.DefaultClause(sa.text(modified)) if modified else modified

    lines = rendered(
        converted("mood::text", schema="s", existing_server_default=default, modify_server_default=changed)
    )

    assert lines[0] == "op.alter_column('note', 'mood', schema='s', server_default=None)"
    assert set_again in lines


AUTOGEN = AutogenContext(OFFLINE)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (sa.Enum("a", "b", name="mood"), "postgresql.ENUM('a', 'b', name='mood', create_type=False)"),
        (sa.Enum("a", name="mood", schema="s"), "postgresql.ENUM('a', name='mood', schema='s', create_type=False)"),
        (sa.Enum("a", "abc", name="mood", native_enum=False), "sa.String(length=3)"),
        (sa.ARRAY(sa.String(3)), "sa.ARRAY(sa.String(length=3))"),
        (sa.ARRAY(sa.Integer, dimensions=2), "sa.ARRAY(sa.Integer(), dimensions=2)"),
        (sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), "postgresql.JSONB(astext_type=sa.Text())"),
        (sa.Interval(), False),
        (sa.Integer(), False),
    ],
    ids=str,
)
def test_a_type_in_a_script_is_the_one_that_postgresql_has(type_: Any, text: str | bool) -> None:
    assert types.render_type(type_, AUTOGEN) == text


def test_the_import_for_an_enum_is_added() -> None:
    context = AutogenContext(OFFLINE)

    types.render_type(sa.Enum("a", name="mood"), context)

    assert context.imports == {"from sqlalchemy.dialects import postgresql"}


@pytest.mark.parametrize(
    ("found", "wanted", "differs"),
    [
        (sa.String(), sa.String(80), True),
        (sa.String(80), sa.String(80), None),
        (sa.String(4), sa.Enum("abcde", name="e"), None),
        (sa.Integer(), sa.String(80), None),
        (sa.String(80), sa.Integer(), None),
        (sa.DateTime(), sa.DateTime(timezone=True), True),
        (sa.DateTime(), sa.DateTime(), None),
        (sa.Time(timezone=True), sa.Time(), True),
        (sa.DateTime(timezone=True), sa.Date(), None),
        (sa.Date(), sa.DateTime(timezone=True), None),
        (sa.NUMERIC(10, 2), sa.Numeric(10, 2), None),
        (sa.NUMERIC(10, 0), sa.Numeric(10), None),
        (sa.NUMERIC(10), sa.Numeric(10, 0), None),
        (sa.NUMERIC(10, 2), sa.Numeric(10, 4), True),
        (sa.NUMERIC(10, 2), sa.Numeric(12, 2), True),
        (sa.NUMERIC(10, 2), sa.Float(), None),
        (sa.NUMERIC(10, 2), sa.Integer(), None),
        (sa.Integer(), sa.Numeric(10, 2), None),
        (sa.ARRAY(sa.Integer), sa.Integer(), None),
        (sa.Integer(), sa.ARRAY(sa.Integer), None),
    ],
    ids=str,
)
def test_differences_of_types_that_alembic_overlooks(found: Any, wanted: Any, differs: bool | None) -> None:
    column: sa.Column[Any] = sa.Column("text")

    assert types.compare_type(OFFLINE, column, column, found, wanted) is differs


@pytest.mark.parametrize(
    ("type_", "is_one"),
    [
        (None, False),
        (sa.String(), False),
        (sa.Enum("a", name="mood"), True),
        (sa.ARRAY(sa.Enum("a", name="mood")), True),
        (sa.Enum("a", name="mood", native_enum=False), False),
        (sa.Enum("a"), False),
    ],
)
def test_the_enum_that_a_type_needs(type_: Any, is_one: bool) -> None:
    enum = types.native_enum(type_)

    assert (None if enum is None else enum.name) == ("mood" if is_one else None)


def check(create_constraint: bool, native: bool) -> sa.CheckConstraint:
    """That of the type of a column."""
    type_ = sa.Enum("a", name="mood", native_enum=native, create_constraint=create_constraint)
    table = sa.Table("note", sa.MetaData(), sa.Column("mood", type_))
    (found,) = (each for each in table.constraints if isinstance(each, sa.CheckConstraint))
    return found


OWN = sa.CheckConstraint("text LIKE 'a:b%'", name="shape")


def test_only_the_checks_that_postgresql_has_are_compared_and_written() -> None:
    of_type, of_other_systems = check(True, False), check(True, True)

    assert checks.include_object(of_type, "mood", "check_constraint", False, None)
    assert not checks.include_object(of_other_systems, "mood", "check_constraint", False, None)
    assert checks.include_object(of_other_systems, "mood", "check_constraint", True, None)
    assert checks.include_object(None, "note", "table", False, None)
    assert checks.render_check(of_other_systems, AUTOGEN) is None
    assert checks.render_check(of_type, AUTOGEN) == """sa.CheckConstraint("mood IN ('a')", name='mood')"""
    assert checks.render_check(OWN, AUTOGEN) is False


@pytest.mark.parametrize(("kind", "text"), [("type", "sa.String(length=1)"), ("check", None), ("column", False)])
def test_each_kind_of_part_is_written_in_its_way(kind: str, text: str | bool | None) -> None:
    item = sa.Enum("a", native_enum=False) if kind == "type" else check(True, True)

    assert OPTIONS["render_item"](kind, item, AUTOGEN) == text


@pytest.mark.parametrize(
    ("statement", "escaped"),
    [("a :b", r"a \:b"), ("a::b", "a::b"), (r"a \:b", r"a \:b"), ("12:30", "12:30"), ("a: b", "a: b")],
)
def test_what_would_be_a_parameter_of_a_text_is_escaped(statement: str, escaped: str) -> None:
    assert expressions.for_text(statement) == escaped


def test_a_column_that_is_filled_or_may_be_empty_is_added_as_it_is() -> None:
    def completed(column: sa.Column[Any]) -> ops.MigrateOperation:
        changes = ops.ModifyTableOps("note", [ops.AddColumnOp("note", column, schema="s")], schema="s")
        columns.complete(cast("AutogenContext", SimpleNamespace(connection=None)), ops.UpgradeOps([changes]))
        return changes.ops[0]

    assert type(completed(sa.Column("new", sa.Integer()))) is ops.AddColumnOp
    assert type(completed(sa.Column("new", sa.Integer(), nullable=False, server_default="7"))) is ops.AddColumnOp
    added = completed(sa.Column("new", sa.Integer(), nullable=False, default=7))
    assert isinstance(added, AddRequiredColumnOp)
    assert (added.table_name, added.schema, added.filling) == ("note", "s", "7")


Rendering = Callable[[sa.ClauseElement], str]


def test_an_expression_is_written_with_its_values_and_without_its_table() -> None:
    table = sa.Table("note", sa.MetaData(), sa.Column("text", sa.String))

    assert expressions.in_sql(table.c.text.like("a:b%")) == "text LIKE 'a:b%'"
    implementation = OFFLINE.impl
    assert implementation.render_ddl_sql_expr(table.c.text.like("a :b%")) == r"text LIKE 'a \:b%'"
    assert implementation.render_ddl_sql_expr(table.c.text.like("a :b%"), is_index=True) == "(text LIKE 'a :b%')"
