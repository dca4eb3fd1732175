"""Which values are equal, each read as its type, and what happened to those that are not."""

from __future__ import annotations

import datetime

import pytest

from app.gate.recording.model import LossKind
from app.gate.rows._equality import instant_of, is_instant_kept, is_same, normal, what_happened

NUMBERS = ("smallint", "integer", "bigint", "numeric(10,2)", "real", "double precision", "money")


@pytest.mark.parametrize("type_", NUMBERS)
def test_numbers_are_equal_however_they_are_written(type_: str) -> None:
    assert is_same("1.50", "1.5", type_, type_)
    assert is_same("1.50", "1.5", type_, "text")
    assert is_same("1.50", "1.5", "text", type_)
    assert is_same("$1,234.50", "1234.5", type_, "numeric")
    assert not is_same("1.50", "1.51", type_, type_)
    assert not is_same("1.50", "one and a half", type_, "text")
    assert not is_same("NaN", "Infinity", type_, type_)


@pytest.mark.parametrize("type_", ["text", "character varying(9)", "my_integer", "int4range"])
def test_texts_that_look_like_numbers_are_texts(type_: str) -> None:
    assert not is_same("1.50", "1.5", type_, type_)


@pytest.mark.parametrize(
    ("old", "new", "is_equal"),
    [
        ("2001-02-03", "2001-02-03 00:00:00", True),
        ("2001-02-03 04:00:00+02", "2001-02-03 02:00:00+00", True),
        ("2001-02-03 04:00:00", "2001-02-03 04:00:00+00", True),
        ("2001-02-03 04:00:00", "2001-02-03 04:00:00+01", False),
        ("2001-02-03", "2001-02-04", False),
        ("infinity", "2001-02-03", False),
        ("2001-02-03", "never", False),
    ],
)
@pytest.mark.parametrize("types", [("timestamp without time zone", "text"), ("text", "timestamptz"), ("date", "date")])
def test_times_are_equal_as_instants(old: str, new: str, is_equal: bool, types: tuple[str, str]) -> None:
    assert is_same(old, new, *types) is is_equal


def test_texts_that_look_like_times_are_texts() -> None:
    assert not is_same("2001-02-03", "2001-02-03 00:00:00", "text", "text")
    assert not is_same("2001-02-03", "2001-02-03 00:00:00", "text", "update_time")


@pytest.mark.parametrize(
    ("old", "new", "types", "is_equal"),
    [
        ('{"a": 1.0}', '{"a": 1.00}', ("jsonb", "jsonb"), True),
        ('"a"', ' "a"', ("json", "text"), True),
        ("[1, 2]", "[1,2]", ("integer[]", "jsonb"), True),
        ("[1, 2]", "[2, 1]", ("jsonb", "jsonb"), False),
        ('"a"', ' "a"', ("text", "text"), False),
        ("{a}", '{"a": 1}', ("text[]", "text[]"), False),
        ('  {"a":1}', '{"a": 1}', ("text", "text"), True),
        ("not json", '{"a": 1}', ("jsonb", "jsonb"), False),
    ],
)
def test_documents_are_equal_whatever_their_layout(old: str, new: str, types: tuple[str, str], is_equal: bool) -> None:
    assert is_same(old, new, *types) is is_equal


def test_uuids_are_equal_with_and_without_hyphens_and_in_any_case() -> None:
    one = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"

    assert is_same(one, one.lower().replace("-", ""), "text", "uuid")
    assert is_same(one, one.lower(), "uuid", "text")
    assert not is_same(one, one.lower(), "text", "text")
    assert not is_same(one, one.replace("A", "B"), "uuid", "uuid")


def test_blanks_at_the_end_mean_nothing_and_others_do() -> None:
    assert is_same("a  ", "a", "character(3)", "text")
    assert not is_same(" a", "a", "text", "text")


@pytest.mark.parametrize(
    ("value", "type_", "form"),
    [
        (None, "integer", None),
        ("7 ", "text", "7"),
        ("x", "integer", "x"),
        ("x", "jsonb", "x"),
        ("x", "date", "x"),
        ('{"b": 1, "a": 2}', "jsonb", '{"a": 2, "b": 1}'),
        ("2001-02-03", "date", datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)),
        ("2001-02-03 04:05:06+01", "timestamp with time zone", datetime.datetime(2001, 2, 3, 3, 5, 6, tzinfo=datetime.UTC)),
    ],
)  # fmt: skip
def test_a_value_has_one_form_in_its_type(value: str | None, type_: str, form: object) -> None:
    assert normal(value, type_) == form


def test_numbers_of_one_value_have_one_form() -> None:
    assert normal("1.50", "numeric(10,2)") == normal("1.5", "numeric(10,4)")


@pytest.mark.parametrize(
    ("old", "new", "types", "kind"),
    [
        ("1", None, ("integer", "integer"), LossKind.VALUES_REMOVED),
        # Fewer decimals, by less than one of the last that is left.
        ("1.26", "1.3", ("numeric", "numeric(10,1)"), LossKind.VALUES_ROUNDED),
        ("1.26", "1.2", ("numeric", "numeric(10,1)"), LossKind.VALUES_ROUNDED),
        ("1.26", "1.4", ("numeric", "numeric(10,1)"), LossKind.VALUES_CHANGED),
        ("1.25", "2", ("numeric", "integer"), LossKind.VALUES_ROUNDED),
        ("1.26", "1.3", ("text", "numeric(10,1)"), LossKind.VALUES_ROUNDED),
        ("1205", "1200", ("integer", "integer"), LossKind.VALUES_CHANGED),
        ("1200.5", "1200", ("numeric", "integer"), LossKind.VALUES_ROUNDED),
        ("1.2", "2.2", ("numeric", "numeric"), LossKind.VALUES_CHANGED),
        ("1.2", "1.25", ("numeric", "numeric"), LossKind.VALUES_CHANGED),
        ("1.5", "2.5", ("numeric", "integer"), LossKind.VALUES_CHANGED),
        ("1.0", "2", ("numeric", "integer"), LossKind.VALUES_CHANGED),
        ("0", "1", ("integer", "integer"), LossKind.VALUES_CHANGED),
        ("0.0", "0.000001", ("real", "real"), LossKind.VALUES_CHANGED),
        ("x", "1", ("text", "integer"), LossKind.VALUES_CHANGED),
        ("1", "NaN", ("integer", "real"), LossKind.VALUES_CHANGED),
        # A binary number has about seven digits.
        ("123456789", "123456790", ("bigint", "real"), LossKind.VALUES_ROUNDED),
        ("123456789", "123456790", ("bigint", "double precision"), LossKind.VALUES_ROUNDED),
        ("123456789", "123456790", ("bigint", "numeric"), LossKind.VALUES_CHANGED),
        ("100000", "100001", ("bigint", "real"), LossKind.VALUES_CHANGED),
        ("100000", "100000.9", ("bigint", "real"), LossKind.VALUES_ROUNDED),
        # Times without their last part.
        ("2001-02-03 04:05:06", "2001-02-03", ("timestamp without time zone", "date"), LossKind.VALUES_ROUNDED),
        ("2001-02-03 00:00:00", "2001-02-04", ("timestamp without time zone", "date"), LossKind.VALUES_CHANGED),
        ("2001-02-03 04:05:06", "2001-02-05", ("timestamp without time zone", "date"), LossKind.VALUES_CHANGED),
        ("2001-02-03 04:05:06", "2001-02-03 00:00:01", ("date", "timestamp without time zone"), LossKind.VALUES_CHANGED),
        ("2001-02-03 04:05:06.7", "2001-02-03 04:05:07", ("text", "timestamp(0) without time zone"), LossKind.VALUES_ROUNDED),
        ("2001-02-03 04:05:06", "2001-02-03 04:05:07", ("text", "timestamp without time zone"), LossKind.VALUES_CHANGED),
        ("2001-02-03 04:05:06", "2001-02-03 04:05:06.00001", ("text", "timestamp without time zone"), LossKind.VALUES_ROUNDED),
        ("2001-02-03 04:05:06", "2001-02-03 04:05:06.000001", ("text", "timestamp without time zone"), LossKind.VALUES_CHANGED),
        ("never", "2001-02-03", ("text", "date"), LossKind.VALUES_CHANGED),
        ("2001-02-03", "infinity", ("date", "date"), LossKind.VALUES_CHANGED),
        # Hosts of addresses.
        ("10.1.2.3/16", "10.1.0.0/16", ("inet", "cidr"), LossKind.HOSTS_CUT_OFF),
        ("10.1.2.3/16", "10.1.0.0/16", ("text", "cidr"), LossKind.HOSTS_CUT_OFF),
        ("10.1.2.3/16", "10.1.0.0/16", ("character varying", "cidr"), LossKind.HOSTS_CUT_OFF),
        ("2001:db8::1/32", "2001:db8::/32", ("inet", "cidr"), LossKind.HOSTS_CUT_OFF),
        ("10.1.2.3/16", "10.1.0.0/16", ("cidr", "cidr"), LossKind.VALUES_CHANGED),
        ("10.1.2.3/16", "10.1.0.0/16", ("inet", "inet"), LossKind.VALUES_CHANGED),
        ("10.1.2.3/16", "10.2.0.0/16", ("inet", "cidr"), LossKind.VALUES_CHANGED),
        ("10.1.0.0/16", "10.1.0.0", ("inet", "cidr"), LossKind.VALUES_TRUNCATED),
        ("nowhere", "10.1.0.0/16", ("text", "cidr"), LossKind.VALUES_CHANGED),
        # Texts.
        ("a note", "a no", ("text", "character varying(4)"), LossKind.VALUES_TRUNCATED),
        ("a note", "a ", ("text", "character(2)"), LossKind.VALUES_TRUNCATED),
        ("a note", "a no  ", ("text", "character(6)"), LossKind.VALUES_TRUNCATED),
        ("a note", "note", ("text", "text"), LossKind.VALUES_CHANGED),
        ("a note", "", ("text", "text"), LossKind.VALUES_CHANGED),
        ("a note", "a note!", ("text", "text"), LossKind.VALUES_CHANGED),
        ("a note", "b note", ("text", "text"), LossKind.VALUES_CHANGED),
        ("123", "12", ("integer", "integer"), LossKind.VALUES_CHANGED),
        ("123", "12", ("integer", "text"), LossKind.VALUES_TRUNCATED),
    ],
)  # fmt: skip
def test_what_happened_to_a_value(old: str, new: str | None, types: tuple[str, str], kind: LossKind) -> None:
    assert what_happened(old, new, types) == kind


UTC = "2001-02-03 04:05:06+00"


@pytest.mark.parametrize(
    ("old", "types", "is_kept"),
    [
        ("2001-02-03 04:05:06", ("timestamp without time zone", "timestamp with time zone"), False),
        ("2001-02-03 04:05:06", ("timestamp with time zone", "timestamp without time zone"), False),
        ("2001-02-03 04:05:06", ("timestamp with time zone", "timestamp with time zone"), True),
        ("2001-02-03 04:05:06", ("text", "timestamp with time zone"), True),
        ("2001-02-03", ("timestamp without time zone", "date"), True),
        ("infinity", ("timestamp without time zone", "timestamp with time zone"), True),
    ],
)
def test_another_instant_is_one_where_only_the_type_has_changed(
    old: str, types: tuple[str, str], is_kept: bool
) -> None:
    assert is_instant_kept([(old, UTC)], types) is is_kept


def test_one_instant_that_changed_is_enough() -> None:
    types = ("timestamp without time zone", "timestamp with time zone")

    assert not is_instant_kept([("infinity", "infinity"), ("2001-02-03", UTC)], types)


def test_a_time_without_a_zone_is_taken_as_utc() -> None:
    assert instant_of("2001-02-03 04:05:06") == instant_of("2001-02-03 06:05:06+02")
    assert instant_of("now") is None
