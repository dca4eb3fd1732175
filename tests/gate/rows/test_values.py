"""The values that a row has in a column, and what might satisfy a CHECK: what they are, so that every run makes the same rows.

That PostgreSQL takes them is shown in test_fill.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.gate.rows._candidates import find_candidates
from app.gate.rows._catalog import Column, Type
from app.gate.rows._values import _MAKERS, NoValue, Want, guess_values, limit_of, make_value, text_of, want


def type_of(name: str, sql: str = "", category: str = "U", kind: str = "base", **parts: object) -> Type:
    return Type(name, sql or name, kind, category, **parts)  # type: ignore[arg-type]


# Of the second row, in the third column; behind the bar, the extreme one.
VALUES = r"""
bool           false
int2           3002::int2
int4           3002::int4  |  1003002::int4
int8           3002::int8  |  3000003002::int8
oid            3002::oid
float4         3002.5::float4
float8         3002.5::float8  |  3002.123456789012::float8
numeric        3002.5::numeric  |  1234567890123.123456789::numeric
money          3002.25::numeric::money
date           '2001-05-02'::date  |  '2040-03-03'::date
time           E'03\x3a02\x3a06'::time  |  E'03\x3a02\x3a06.789012'::time
timetz         E'03\x3a02\x3a06+00'::timetz  |  E'03\x3a02\x3a06.789012+00'::timetz
timestamp      E'2001-05-02 03\x3a02\x3a06'::timestamp  |  E'2040-03-03 03\x3a02\x3a06.789012'::timestamp
timestamptz    E'2001-05-02 03\x3a02\x3a06+00'::timestamptz  |  E'2040-03-03 03\x3a02\x3a06.789012+00'::timestamptz
interval       '2 days 3 hours'::interval  |  E'2 days 2 months 04\x3a05\x3a06.789012'::interval
uuid           '00000003-0000-4000-8000-000000000002'::uuid
json           E'{"size"\x3a "size-2"}'::json  |  E'{"a"\x3a [1, 2.5, {"b"\x3a null}], "c"\x3a "size-2"}'::json
jsonb          E'{"size"\x3a "size-2"}'::jsonb  |  E'{"a"\x3a [1, 2.5, {"b"\x3a null}], "c"\x3a "size-2"}'::jsonb
jsonpath       E'\x24.a2'::jsonpath
xml            '<note>size-2</note>'::xml
bit            B'00000010'::bit  |  B'11111110'::bit
varbit         B'00000010'::varbit  |  B'11111110'::varbit
inet           '10.4.0.2'::inet  |  '10.4.0.2/16'::inet
cidr           '10.4.2.0/24'::cidr
macaddr        E'02\x3a00\x3a00\x3a00\x3a04\x3a02'::macaddr
macaddr8       E'02\x3a00\x3a00\x3a00\x3a00\x3a00\x3a04\x3a02'::macaddr8
point          '(2,4)'::point
line           '{2,4,1}'::line
lseg           '[(2,4),(0,0)]'::lseg
box            '(2,4),(0,0)'::box
path           '((2,4),(0,0))'::path
polygon        '((2,4),(0,0),(1,0))'::polygon
circle         '<(2,4),1>'::circle
tsvector       'size-2'::tsvector
tsquery        'size-2'::tsquery
pg_lsn         '2/04'::pg_lsn
pg_snapshot    E'2\x3a2\x3a'::pg_snapshot
txid_snapshot  E'2\x3a2\x3a'::txid_snapshot
xid            '2'::xid
xid8           '2'::xid8
cid            '2'::cid
tid            '(2,1)'::tid
regclass       'pg_class'::regclass
regtype        'integer'::regtype
regproc        'now'::regproc
regprocedure   'now()'::regprocedure
regnamespace   'pg_catalog'::regnamespace
regrole        '2'::regrole
regconfig      'simple'::regconfig
regdictionary  'simple'::regdictionary
regcollation   '"C"'::regcollation
char           'b'::char
hstore         '"key"=>"size-2"'::hstore
ltree          'top.n4.n2'::ltree
lquery         'top.*'::lquery
ltxtquery      'top'::ltxtquery
cube           '(2,4)'::cube
seg            '2'::seg
vector         '[2,3,4]'::vector
halfvec        '[2,3,4]'::halfvec
geometry       'POINT(2 4)'::geometry
geography      'POINT(2 4)'::geography
"""
LINES = [line.split(maxsplit=1) for line in VALUES.strip().splitlines()]


@pytest.mark.parametrize(("name", "written"), LINES, ids=[name for name, _ in LINES])
def test_a_type_has_its_values(name: str, written: str) -> None:
    ordinary, _, extreme = written.partition("  |  ")
    wanted = Want(1, 3, "size")

    assert make_value(type_of(name), -1, wanted) == ordinary
    assert make_value(type_of(name), -1, replace(wanted, is_extreme=True)) == (extreme or ordinary)


def test_every_type_is_in_the_table() -> None:
    assert {name for name, _ in LINES} | {"bytea"} == set(_MAKERS)


def test_bytes_hold_every_byte_in_an_extreme_row() -> None:
    wanted = Want(1, 3, "size")

    assert make_value(type_of("bytea"), -1, wanted) == "decode('73697a652d32', 'hex')"
    extreme = make_value(type_of("bytea"), -1, replace(wanted, is_extreme=True))
    assert extreme == f"decode('73697a652d32{bytes(range(256)).hex()}', 'hex')"


@pytest.mark.parametrize(
    ("number", "salt", "integer"), [(0, 1, 1001), (998, 1, 1999), (999, 1, 1001), (0, 30, 30001), (0, 31, 1001), (4, 2, 2005)]
)  # fmt: skip
def test_integers_fit_a_smallint_and_differ_by_column(number: int, salt: int, integer: int) -> None:
    assert Want(number, salt).integer == integer


def precision(precision: int, scale: int) -> int:
    """The modifier of numeric(precision, scale), as PostgreSQL stores it."""
    return ((precision << 16) | (scale & 0x7FF)) + 4


@pytest.mark.parametrize(
    ("modifier", "ordinary", "extreme"),
    [
        (precision(10, 2), "3002.25", "98765432.12"),
        (precision(10, 1), "3002.5", "987654321.1"),
        (precision(10, 0), "3002", "9876543219"),
        (precision(4, 0), "3002", "9876"),
        (precision(3, 0), "2", "987"),
        (precision(3, 2), "2.25", "9.12"),
        (precision(2, 2), "0.02", "0.12"),
        (precision(2, 3), "0.002", "0.012"),
        (precision(40, 2), "3002.25", "987654321987654321987654321987.12"),
        (precision(40, 30), "3002.25", "9876543219.12345678912345678912"),
        (precision(5, -2), "300200", "9876500"),
        (precision(1, -2), "200", "900"),
        (precision(3, -1), "20", "9870"),
        (precision(4, -1), "30020", "98760"),
        (precision(1000, 1000), "0." + "2".rjust(1000, "0"), "0.12345678912345678912"),
    ],
)  # fmt: skip
def test_a_numeric_fits_its_precision_and_scale(modifier: int, ordinary: str, extreme: str) -> None:
    wanted = Want(1, 3)

    assert make_value(type_of("numeric"), modifier, wanted) == f"{ordinary}::numeric"
    assert make_value(type_of("numeric"), modifier, replace(wanted, is_extreme=True)) == f"{extreme}::numeric"


@pytest.mark.parametrize(
    ("number", "limit", "ordinary", "extreme"),
    [
        (0, None, "text-1", "O'Neill é text-1 " + "x" * 283),
        (0, 5000, "text-1", "O'Neill é text-1 " + "x" * 1983),
        (0, 18, "text-1", "O'Neill é text-1 x"),
        (0, 17, "text-1", "text-1"),
        (0, 6, "text-1", "text-1"),
        (0, 5, "text1", "text1"),
        (0, 3, "te1", "te1"),
        (99, 3, "100", "100"),
        (99, 2, "00", "00"),
        (0, 1, "a", "a"),
        (25, 1, "z", "z"),
        (26, 1, "a", "a"),
    ],
)
def test_a_text_fits_its_limit(number: int, limit: int | None, ordinary: str, extreme: str) -> None:
    assert text_of(Want(number), limit) == ordinary
    assert text_of(Want(number, is_extreme=True), limit) == extreme


@pytest.mark.parametrize(
    ("name", "modifier", "limit"),
    [("varchar", 24, 20), ("bpchar", 5, 1), ("varchar", 4, 0), ("varchar", -1, None), ("text", 24, None), ("name", -1, 63), ("char", -1, 1)],
)  # fmt: skip
def test_a_type_has_a_limit(name: str, modifier: int, limit: int | None) -> None:
    assert limit_of(modifier, type_of(name)) == limit


MOOD = type_of("mood", category="E", kind="enum", labels=("sad", "ok", "glad"))
INTEGER = type_of("int4", "integer", "N")
RANGE = type_of("int4range", category="R", kind="range", of=INTEGER)


@pytest.mark.parametrize(
    ("type_", "modifier", "ordinary", "extreme"),
    [
        (MOOD, -1, "'ok'::mood", "'sad'::mood"),
        (type_of("_int4", "integer[]", "A", "array", of=INTEGER), -1, "ARRAY[3002::integer, 3102::integer]::integer[]",
         "ARRAY[1003002::integer, 1003002::integer, 1003102::integer]::integer[]"),
        (RANGE, -1, "int4range(3003::integer, 3004::integer)", "int4range(3003::integer, 3004::integer)"),
        (type_of("int4multirange", category="R", kind="multirange", of=RANGE), -1,
         "int4multirange(int4range(3003::integer, 3004::integer))", "int4multirange(int4range(3003::integer, 3004::integer))"),
        (type_of("pair", category="C", kind="composite", attributes=((INTEGER, -1), (type_of("numeric"), precision(4, 1)))), -1,
         "ROW(4002::integer, 2.5::numeric)::pair", "ROW(1004002::integer, 987.1::numeric)::pair"),
        (type_of("size", category="S", kind="domain", of=type_of("varchar", category="S"), modifier=8), -1, "'siz2'::varchar", "'siz2'::varchar"),
        (type_of("bit"), 3, "B'010'::bit", "B'110'::bit"),
        (type_of("bit"), 1, "B'0'::bit", "B'0'::bit"),
        (type_of("bit"), 0, "B'00000010'::bit", "B'11111110'::bit"),
        (type_of("vector"), 0, "'[2,3,4]'::vector", "'[2,3,4]'::vector"),
        (type_of("vector"), 1, "'[2]'::vector", "'[2]'::vector"),
        (type_of("vector"), 9, "'[2,3,4,5,6,7,8,2,3]'::vector", "'[2,3,4,5,6,7,8,2,3]'::vector"),
        (type_of("mine", category="S"), -1, "'size-2'::mine", None),
    ],
)  # fmt: skip
def test_a_type_that_is_made_of_others_has_their_values(
    type_: Type, modifier: int, ordinary: str, extreme: str | None
) -> None:
    wanted = Want(1, 3, "size")

    assert make_value(type_, modifier, wanted) == ordinary
    if extreme is not None:
        assert make_value(type_, modifier, replace(wanted, is_extreme=True)) == extreme


@pytest.mark.parametrize(
    "type_",
    [
        type_of("mine"),
        replace(MOOD, labels=()),
        replace(RANGE, of=None),
        type_of("_mine", "mine[]", "A", "array", of=type_of("mine")),
    ],
)
def test_a_type_that_is_not_known_has_no_value(type_: Type) -> None:
    with pytest.raises(NoValue):
        make_value(type_, -1, Want(0))
    assert guess_values(type_, Want(8))[0] == f"'9'::{type_.sql}"


def test_values_for_a_type_that_is_not_known_are_guessed() -> None:
    assert guess_values(type_of("mine"), Want(8)) == [
        f"'{text}'::mine"
        for text in ("9", "a9", "(9,9)", "{}", "[9,9,9]", "POINT(9 9)", "9.9", "", "978-0-09-000000-0!")
    ]


@pytest.mark.parametrize(
    ("name", "default", "shape", "word"),
    [("Order No.", None, "", "order-no"), ("__", "'{}'::jsonb", "{", "text"), ("tags", "'[]'::jsonb", "[", "tags"), ("a", "'x{'", "", "a")],
)  # fmt: skip
def test_a_column_says_how_its_values_begin(name: str, default: str | None, shape: str, word: str) -> None:
    column = Column(7, name, type_of("jsonb"), -1, "jsonb", not_null=False, default=default)

    assert want(column, 4, is_extreme=True, json_in_text=True) == Want(
        4, 7, word, is_extreme=True, shape=shape, json_in_text=True
    )


def test_a_list_is_wanted_where_the_default_is_one() -> None:
    wanted = Want(0, word="tags", shape="[")

    assert make_value(type_of("jsonb"), -1, wanted) == """'["tags-1"]'::jsonb"""
    extreme = make_value(type_of("jsonb"), -1, replace(wanted, is_extreme=True))
    assert (extreme[:4], extreme[-10:]) == ("E'[{", "}]'::jsonb")


@pytest.mark.parametrize(
    ("name", "modifier", "is_json"),
    [("text", -1, True), ("varchar", -1, True), ("varchar", 24, False), ("bpchar", -1, False)],
)
def test_a_text_without_a_limit_may_hold_json(name: str, modifier: int, is_json: bool) -> None:
    made = make_value(type_of(name, category="S"), modifier, Want(0, json_in_text=True))

    assert ("{" in made) is is_json


# What might satisfy a CHECK, the likeliest first: of each case the list below its name.

CANDIDATES = {
    case.partition("\n")[0]: [line.strip() for line in case.splitlines()[1:]]
    for case in Path(__file__).with_name("candidates.txt").read_text("utf-8").split("# ")[1:]
}


@pytest.mark.parametrize(
    ("type_", "modifier", "wanted", "checks", "around"),
    [
        (INTEGER, -1, Want(1), ["((n > 5) AND (n < 10))"], []),
        (type_of("int2","smallint","N"), -1, Want(0,is_extreme=True), ["(n >= 32767)"], ["(m < 7)"]),
        (type_of("oid","oid","N"), -1, Want(0), ["(n > '5')"], []),
        (type_of("numeric","numeric","N"), -1, Want(0), ["(n = 1.5)"], []),
        (type_of("text", "text", "S"), -1, Want(0, word="code"), ["((code = ANY (ARRAY['a'::text, 'it''s'::text])) AND (code ~ '^x\\d$'::text) AND (code ~~ 'b_%'::text) AND (length(code) = 3))"], []),
        (type_of("varchar","varchar","S"), 7, Want(2, word="code"), ["(code = ANY (ARRAY['a'::text, 'long one'::text]))"], ["(other = 'y'::text)"]),
        (type_of("text", "text", "S"), -1, Want(0), [r"(a = E'b\\c\'d'::text)"], []),
        (type_of("text", "text", "S"), -1, Want(0), [r"(a ~ similar_to_escape('b%_'::text))"], []),
        (type_of("mood","mood","E","enum",labels=("sad","ok")), -1, Want(1), ["(a <> 'sad'::mood)"], []),
        (type_of("bool","boolean","B"), -1, Want(1), ["a"], []),
        (type_of("int4range","int4range","R","range",of=INTEGER), -1, Want(0), ["(NOT isempty(a))"], []),
        (type_of("int4multirange","int4multirange","R","multirange",of=type_of("int4range","int4range","R","range",of=INTEGER)), -1, Want(0), ["(NOT isempty(a))"], []),
        (type_of("date","date","D"), -1, Want(2), ["(a >= '2024-02-01'::date)"], ["(b > '2020-01-01'::date)"]),
        (type_of("timestamptz","timestamp with time zone","D"), -1, Want(0), ["(a >= '2024-02-01 10:00:00+00'::timestamptz)"], ["(b > 'never')"]),
        (type_of("time","time","D"), -1, Want(0), ["(a >= '10:00:00'::time)", "(a > '2024-02-01')"], []),
        (type_of("interval","interval","T"), -1, Want(0), ["(a >= '1 day'::interval)", "(a > '01:00')"], []),
        (type_of("jsonb","jsonb","U"), -1, Want(0, word="data"), ["((data ? 'kind'::text) AND (data ? 'size'::text))"], []),
        (type_of("json","json","U"), -1, Want(0, word="data"), ["(true)"], []),
        (type_of("bytea","bytea","U"), -1, Want(0, word="hash"), ["(octet_length(hash) = 4)"], []),
        (type_of("uuid","uuid","U"), -1, Want(0), ["(a <> '00000000-0000-0000-0000-000000000000'::uuid)", "(b = 'x')"], []),
        (type_of("_text","text[]","A","array",of=type_of("text", "text", "S")), -1, Want(0), ["((cardinality(a) = 2) AND (a <@ ARRAY['x'::text]))"], []),
        (type_of("_mood","mood[]","A","array",of=type_of("mood","mood","E","enum",labels=("sad","ok"))), -1, Want(0), ["(cardinality(a) > 21)"], []),
        (type_of("size","size","N","domain",of=INTEGER, modifier=-1), -1, Want(0), ["(VALUE < 3)"], []),
        (type_of("inet","inet","I"), -1, Want(0), ["(a <> 'x')"], []),
    ],
    ids=CANDIDATES,
)  # fmt: skip
def test_candidates_come_from_the_constants_of_the_checks(
    type_: Type,
    modifier: int,
    wanted: Want,
    checks: Sequence[str],
    around: Sequence[str],
    request: pytest.FixtureRequest,
) -> None:
    candidates = CANDIDATES[request.node.callspec.id]

    assert find_candidates(type_, modifier, wanted, checks, around) == candidates


LABEL = type_of("varchar", "varchar", "S")


def test_an_extreme_row_has_an_ordinary_value_if_that_is_what_a_check_demands() -> None:
    assert find_candidates(INTEGER, -1, Want(0, is_extreme=True), [])[:2] == ["1001001::integer", "1001::integer"]
    assert find_candidates(INTEGER, -1, Want(0), [])[:2] == ["1001::integer", "(1)::integer"]


@pytest.mark.parametrize(("number", "between"), [(0, "10"), (5, "60"), (6, "70"), (7, "10")])
def test_each_row_has_another_number_between_two_constants(number: int, between: str) -> None:
    found = find_candidates(type_of("numeric", category="N"), -1, Want(number), ["((n > 0) AND (n < 80))"])

    assert found[1] == f"({between})::numeric"


def test_numbers_on_either_side_of_what_a_column_is_compared_with_are_candidates() -> None:
    found = find_candidates(INTEGER, -1, Want(1), [], ["((m > 5) AND (m < 900))"])

    assert found[1:9] == [f"({each})::integer" for each in (911, 1001, 1901, 10901, -6, -96, -996, -9996)]


def test_a_time_of_day_is_not_moved_by_days() -> None:
    assert "days" not in "".join(
        find_candidates(type_of("time", category="D"), -1, Want(0), [], ["(b > '2024-02-01')"])
    )


def test_a_text_that_a_check_reads_as_a_number_has_numbers() -> None:
    text = type_of("text", "text", "S")

    assert "'7001'::text" in find_candidates(text, -1, Want(0), ["((a)::integer > 7000)"])
    assert "'7001'::text" not in find_candidates(text, -1, Want(0), ["(length(a) > 7000)"])


def test_a_text_that_just_fits_is_a_candidate() -> None:
    found = find_candidates(LABEL, 4 + 3, Want(0), ["(a = ANY (ARRAY['abc', 'abcd']))"])

    assert "'abc'::varchar" in found
    assert "'abcd'::varchar" not in found


def test_json_has_the_keys_that_a_check_names() -> None:
    found = find_candidates(type_of("json", "json", "U"), -1, Want(0), ["((data -> 'kind'::text) IS NOT NULL)"])

    assert r"""E'{"kind"\x3a 0}'::json""" in found


def test_an_array_has_so_many_of_the_constants() -> None:
    labels = tuple(f"l{number}" for number in range(30))
    mood = type_of("mood", "mood", "E", "enum", labels=labels)

    found = find_candidates(type_of("_mood", "mood[]", "A", "array", of=mood), -1, Want(0), ["true"])

    single = [each for each in found if each.startswith("ARRAY['l") and "," not in each]
    assert single == [f"ARRAY['l{number}'::mood]::mood[]" for number in range(10)]
    assert max(each.count("::mood") for each in found) == 21


def test_there_is_no_candidate_for_a_type_that_is_not_known() -> None:
    with pytest.raises(NoValue, match="mine"):
        find_candidates(type_of("mine", category="N"), -1, Want(0), ["(n = 1.5)"])


@pytest.mark.parametrize(
    ("name", "constant", "fits"),
    [
        ("int2", "32767", True), ("int2", "-32768", True), ("int2", "32768", False), ("int2", "-32769", False),
        ("int4", "2147483647", True), ("int4", "2147483648", False),
        ("int8", "2147483648", True), ("int8", "9223372036854775808", False),
        ("int8", "123456789012345", True), ("numeric", "1234567890123456", False),
        ("oid", "2147483647", True), ("oid", "2147483648", False), ("oid", "-1", False), ("numeric", "2147483648", True),
        ("float4", "2.5", True), ("float8", "2.5", True), ("money", "2.5", True), ("numeric", "1000000000.5", True),
    ],
)  # fmt: skip
def test_a_number_that_does_not_fit_the_type_is_no_candidate(name: str, constant: str, fits: bool) -> None:
    candidates = find_candidates(type_of(name, category="N"), -1, Want(0), [f"(n = ({constant}))"])

    assert (f"({constant})::{name}" in candidates) is fits
