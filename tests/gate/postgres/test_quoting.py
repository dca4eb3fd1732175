"""What is quoted is read by PostgreSQL as what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.gate.postgres.quoting import identifier, literal, quote, quote_table, readable_literal
from app.gate.server.throwaway import Server
from tests.gate.lines import Bench, line_over


@pytest.fixture(scope="module")
def bench(server: Server) -> Iterator[Bench]:
    database = server.create_database()
    with database.connect(autocommit=False) as connection:
        yield Bench(connection, line_over(connection))
        connection.rollback()
    server.drop_database(database)


# The characters on both sides of each limit: of ASCII, of what a driver may take for a parameter, of \u and of \U.
LIMITS = [
    chr(code) for code in (0x01, 0x1F, 0x20, 0x7E, 0x7F, 0x80, 0x81, 0xFF, 0x100, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF)
]


@pytest.mark.parametrize(
    "text",
    ["", "a", "it's", "100%", "%s %(x)s", ":name", "$1", "?", "\\", "a\\'b", "é", "\U0001f600", "\n\t", "E'", *LIMITS],
    ids=ascii,
)
@pytest.mark.parametrize("is_standard", ["on", "off"])
def test_a_literal_is_the_text_whatever_is_in_it(bench: Bench, text: str, is_standard: str) -> None:
    bench.run(f"SET LOCAL standard_conforming_strings = {is_standard}; SET LOCAL escape_string_warning = off")

    assert bench.line.ask(f"SELECT {literal(text)}::text") == text


@pytest.mark.parametrize("name", ["a", 'a"b', "100% :x ?", "é", "U&", "\\0041", "select", *LIMITS], ids=ascii)
def test_an_identifier_is_the_name_whatever_is_in_it(bench: Bench, name: str) -> None:
    bench.run("SET LOCAL standard_conforming_strings = on")

    assert (
        bench.line.ask(f"SELECT min({identifier(name)}) FROM (SELECT 'found'::text AS {identifier(name)}) AS x")
        == "found"
    )


@pytest.mark.parametrize("write", [literal, identifier])
def test_a_nul_is_refused(write: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match=r"NUL|no such name"):
        write("a\0b")


def test_an_identifier_is_not_empty() -> None:
    with pytest.raises(ValueError, match="no such name"):
        identifier("")


# For readers.


def test_every_keyword_can_be_a_name(bench: Bench) -> None:
    words = [word for (word,) in bench.run("SELECT word FROM pg_get_keywords()")]

    for word in words:
        bench.run(f"CREATE TEMPORARY TABLE {quote(word)} ({quote(word)} integer)")
        bench.run(f"SELECT {quote(word)} FROM {quote(word)}")

    assert len(words) > 400


@pytest.mark.parametrize("name", ["orders", "_x1", "Order", "two words", 'a"b', "1st", "é", "a.b"])
def test_a_name_is_quoted_where_it_must_be(bench: Bench, name: str) -> None:
    bench.run(f"CREATE TEMPORARY TABLE {quote(name)} (id integer)")

    assert bench.run("SELECT count(*) FROM pg_class WHERE relname = " + readable_literal(name)) == [(1,)]
    assert quote(name).startswith('"') == (name not in ("orders", "_x1"))


def test_a_table_outside_of_public_is_named_with_its_schema() -> None:
    assert quote_table("public.orders") == "orders"
    assert quote_table("public.Order") == '"Order"'
    assert quote_table("shop.Order") == 'shop."Order"'


@pytest.mark.parametrize("text", ["", "it's", "''", "a\\b", '"'])
def test_a_literal_for_readers_is_the_text(bench: Bench, text: str) -> None:
    bench.run("SET LOCAL standard_conforming_strings = on")

    assert bench.run(f"SELECT {readable_literal(text)}") == [(text,)]
