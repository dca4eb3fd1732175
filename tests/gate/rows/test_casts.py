"""What statements convert, judging by their text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.postgres.quoting import literal
from app.gate.rows._casts import casts_of, document_with, unique_in_json
from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column, Type

TEXT = Type("text", "text", "base", "S")
INTEGER = Type("int4", "integer", "base", "N")
JSONB = Type("jsonb", "jsonb", "base", "U")


def table(label: str, *, schema: str = "public", oid: int = 1, **more: object) -> CatalogTable:
    types = {"id": INTEGER, "code": TEXT, "Name": TEXT, "extra": JSONB, "ref": INTEGER}
    columns = tuple(
        Column(number, name, type_, -1, type_.sql, not_null=name == "id")
        for number, (name, type_) in enumerate(types.items(), start=1)
    )
    return CatalogTable(oid, schema, label, True, False, False, columns, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        ("UPDATE t SET ref = code::int", {"code": "integer"}),
        ("UPDATE t SET ref = t.code::bigint", {"code": "bigint"}),
        ('UPDATE t SET ref = "Name" :: double precision', {"Name": "double precision"}),
        ("UPDATE t SET ref = nullif(trim(code), '')::numeric", {"code": "numeric"}),
        ("UPDATE t SET ref = CAST(code AS smallint)", {"code": "smallint"}),
        ("INSERT INTO u SELECT CAST(nullif(code, '') AS uuid) FROM t", {"code": "uuid"}),
        ("DO $$ BEGIN UPDATE t SET ref = code::int; END $$", {"code": "integer"}),
        ("UPDATE t SET ref = code::text::varchar", {}),
        ("UPDATE t SET code = ref::int", {}),
        ("UPDATE other SET ref = code::int", {}),
        ("ALTER TABLE t ALTER code TYPE int USING code::int", {}),
        ("UPDATE t SET ref = 1 -- code::int", {}),
    ],
)
def test_the_texts_that_a_statement_converts_are_found(sql, texts):
    assert {name: type_.sql for name, type_ in casts_of(table("t"), [sql]).texts.items()} == texts


@pytest.mark.parametrize(
    ("sql", "documents"),
    [
        ("UPDATE t SET ref = (extra->>'age')::int", ('{"age": 7}', '{"age": "text-1"}')),
        (
            "UPDATE t SET ref = CAST(extra -> 'of' ->> 'age' AS int)",
            ('{"of": {"age": 7}}', '{"of": {"age": "text-1"}}'),
        ),
        ("UPDATE t SET code = extra->>'code'", None),
        ("UPDATE t SET code = (extra->>'code')::text", None),
    ],
)
def test_the_documents_that_a_statement_takes_apart_are_found(sql, documents):
    expected = {"extra": tuple(f"{literal(each)}::jsonb" for each in documents)} if documents else {}

    assert casts_of(table("t"), [sql]).documents == expected


@pytest.mark.parametrize(
    ("sql", "paths"),
    [
        ("CREATE UNIQUE INDEX uq ON t ((extra->>'mail'))", {"extra": (("mail",),)}),
        ("create unique index uq on public.t (id, (extra -> 'of' ->> 'mail'))", {"extra": (("of", "mail"),)}),
        (
            "CREATE UNIQUE INDEX uq ON t (lower(extra->>'mail'), (extra->>'kind'))",
            {"extra": (("mail",), ("kind",))},
        ),
        ("CREATE INDEX ix ON t ((extra->>'mail'))", {}),
        ("CREATE UNIQUE INDEX uq ON other ((extra->>'mail'))", {}),
        ("CREATE UNIQUE INDEX uq ON t ((code->>'mail'))", {}),
        ("CREATE UNIQUE INDEX uq ON t (id) -- (extra->>'mail')", {}),
    ],
)
def test_what_a_unique_index_is_about_in_json_is_found(sql, paths):
    assert unique_in_json(table("t"), [sql]) == paths


@pytest.mark.parametrize(
    ("paths", "document"),
    [
        ((("mail",),), '{"mail": "a-1"}'),
        ((("of", "mail"), ("of", "kind"), ("id",)), '{"of": {"mail": "a-1", "kind": "a-1"}, "id": "a-1"}'),
        ((("of",), ("of", "mail")), '{"of": "a-1"}'),
    ],
)
def test_a_document_has_a_text_at_each_place(paths, document):
    column = table("t").get_column("extra")

    assert document_with(column, paths, "a-1") == f"{literal(document)}::jsonb"


def test_a_column_that_a_rule_decides_is_left_to_it():
    bound = table("t", checks=(CheckConstraint("ck", ("code",), "code <> ''"),))

    assert casts_of(bound, ["UPDATE t SET ref = code::int"]).texts == {}


SPELLINGS = {
    ("int2", "smallint", "N"): "smallint int2 INT2",
    ("int4", "integer", "N"): "integer int int4",
    ("int8", "bigint", "N"): "bigint int8",
    ("numeric", "numeric", "N"): "numeric decimal",
    ("float4", "real", "N"): "real float4",
    ("float8", "double precision", "N"): "float float8",
    ("bool", "boolean", "B"): "boolean bool",
    ("date", "date", "D"): "date",
    ("timestamp", "timestamp without time zone", "D"): "timestamp",
    ("timestamptz", "timestamp with time zone", "D"): "timestamptz",
    ("interval", "interval", "T"): "interval",
    ("uuid", "uuid", "U"): "uuid",
    ("inet", "inet", "I"): "inet",
}
WRITTEN = [
    *((spelling, of) for of, spellings in SPELLINGS.items() for spelling in spellings.split()),
    ("double  precision", ("float8", "double precision", "N")),
    ("timestamp with time zone", ("timestamptz", "timestamp with time zone", "D")),
]
EXAMPLES = {
    "N": "7", "B": "true", "D": '"2001-02-03"', "T": '"1 day"', "U": '"00000001-0000-4000-8000-000000000001"', "I": '"10.0.0.1"',
}  # fmt: skip


@pytest.mark.parametrize(("spelling", "of"), WRITTEN, ids=[spelling for spelling, _ in WRITTEN])
def test_a_type_is_known_in_each_way_to_write_it_and_has_an_example_in_json(spelling, of):
    name, sql, category = of

    found = casts_of(
        table("t"), [f"UPDATE t SET ref = code::{spelling}", f"UPDATE t SET ref = (extra->>'a')::{spelling}"]
    )

    assert found.texts == {"code": Type(name, sql, "base", category)}
    assert found.documents["extra"][0] == literal('{"a": ' + EXAMPLES[category] + "}") + "::jsonb"


def test_what_one_statement_does_not_convert_another_does():
    of = table("t")
    of = replace(of, columns=(*of.columns, Column(9, "raw", Type("json", "json", "base", "U"), -1, "json", False)))

    found = casts_of(of, ["ALTER TABLE t ADD a int", "UPDATE t SET ref = code::int, id = (raw->>'a')::int"])

    assert ({*found.texts}, {*found.documents}) == ({"code"}, {"raw"})
