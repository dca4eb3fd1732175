"""The file of statements: what is written is read, and two of them can be compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.recording.recorded_statements import RecordedStatement, parse_statements, render_statements

ORDERS = RecordedStatement("SELECT id\nFROM orders\nWHERE id = $1")
ITEMS = RecordedStatement("UPDATE items SET note = $1", "shop, public")


def test_a_file_is_plain_sql_with_a_head_for_each_statement() -> None:
    assert render_statements([ITEMS, ORDERS, ORDERS], ["a remark"]) == (
        "-- overproof-statements/1\n-- a remark\n"
        "\n-- overproof: statement\nSELECT id\nFROM orders\nWHERE id = $1;\n"
        "\n-- overproof: statement, search_path: shop, public\nUPDATE items SET note = $1;\n"
    )


@given(
    st.lists(
        st.builds(
            RecordedStatement,
            st.lists(
                st.sampled_from(["SELECT 1", "-- overproof: statement", "", "  x", "FROM t;", "$1"]),
                min_size=1,
                max_size=5,
            ).map(lambda lines: "SELECT\n" + "\n".join(lines) + "\nx"),
            st.sampled_from([None, "shop", '"$user", public']),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(statements: list[RecordedStatement]) -> None:
    def plain(each: RecordedStatement) -> tuple[list[str], str | None]:
        return [line.strip() for line in each.sql.splitlines()], each.search_path

    read = parse_statements(render_statements(statements))

    assert sorted(map(str, map(plain, read))) == sorted(map(str, map(plain, set(statements))))


def test_records_may_be_written_by_hand() -> None:
    text = "\ufeff-- overproof-statements/1\r\n-- overproof: statement\r\n\r\nSELECT $1 ;\r\n\r\n-- overproof: statement\r\n"

    assert parse_statements(text) == (RecordedStatement("SELECT $1"),)


@pytest.mark.parametrize("text", ["", "SELECT 1;", '{"format": "overproof-snapshot/1"}', "-- overproof-statements/2\n"])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="its first line is not -- overproof-statements/1"):
        parse_statements(text)
