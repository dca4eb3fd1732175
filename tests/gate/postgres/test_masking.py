"""No value is left in a statement, and it stays one that can be prepared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.postgres.masking import is_single, mask


@pytest.mark.parametrize(
    ("sql", "masked"),
    [
        ("SELECT id FROM orders WHERE id = $1", "SELECT id FROM orders WHERE id = $1"),
        ("SELECT 1;", "SELECT $1"),
        ("SELECT a FROM t WHERE b = 'x' AND c = $2", "SELECT a FROM t WHERE b = $3 AND c = $2"),
        ("SELECT E'it\\'s', 'it''s', N'x', B'1', U&'\\0041', $$a$$, $q$b$$c$q$", "SELECT $1, $2, $3, $4, $5, $6, $7"),
        ("SELECT -1.5e-3, .5, 0x1F, 1_000", "SELECT -$1, $2, $3, $4"),
        ('SELECT "it\'s", "1" FROM t1', 'SELECT "it\'s", "1" FROM t1'),
        ("SELECT a FROM t /* user='ann' /* 7 */ */ WHERE b -- ann\n= $1", "SELECT a FROM t   WHERE b\n= $1"),
        ("SELECT a FROM t WHERE a IN ($1 /*, ... */)", "SELECT a FROM t WHERE a IN ($1  )"),
        ("SELECT a, b FROM t ORDER BY 1, 2 DESC LIMIT 3", "SELECT a, b FROM t ORDER BY 1, 2 DESC LIMIT $1"),
        ("SELECT f(a, 2) FROM t GROUP BY 1, f(a, 2)", "SELECT f(a, $1) FROM t GROUP BY 1, f(a, $2)"),
        ("SELECT a, count(*) FROM t GROUP BY 1 HAVING a = ARRAY[2, 3] ORDER BY 1, a <-> ARRAY[4, 5], 2",
         "SELECT a, count(*) FROM t GROUP BY 1 HAVING a = ARRAY[$1, $2] ORDER BY 1, a <-> ARRAY[$3, $4], 2"),
        ("SELECT a FROM t ORDER BY (a, 5), 1 RETURNING 2, 3", "SELECT a FROM t ORDER BY (a, $1), 1 RETURNING $2, $3"),
        ("SELECT 1, 2 GROUP BY 1 UNION SELECT 3, 4", "SELECT $1, $2 GROUP BY 1 UNION SELECT $3, $4"),
        ("SELECT 1, 2 GROUP BY 1 Intersect SELECT 3, 4", "SELECT $1, $2 GROUP BY 1 Intersect SELECT $3, $4"),
        ("SELECT 1, 2 GROUP BY 1 EXCEPT SELECT 3, 4", "SELECT $1, $2 GROUP BY 1 EXCEPT SELECT $3, $4"),
        ("SELECT a FROM t PARTITION BY 1", "SELECT a FROM t PARTITION BY $1"),
        ("SELECT f(a::numeric(10, 2)) ORDER BY /* ann */ 1, -- ann\n2", "SELECT f(a::numeric(10, 2)) ORDER BY   1,\n2"),
        ("SELECT 1 /* never closed /* */", "SELECT $1"),
        ("SELECT 1) ORDER BY 2", "SELECT $1) ORDER BY 2"),
        ("SELECT a::numeric(10, 2), b::character varying(5)", "SELECT a::numeric(10, 2), b::character varying(5)"),
        ("SELECT at - interval '1 day', date $1", "SELECT at - CAST($2 AS interval), CAST($1 AS date)"),
        ("SELECT timestamp with time zone 'x'", "SELECT CAST($1 AS timestamp with time zone)"),
        ("SELECT extract($1 from at), Extract(year FROM at)", "SELECT extract(epoch FROM at), Extract(year FROM at)"),
        ("SELECT a[1], f(10)", "SELECT a[$1], f($2)"),
        ("\n  SELECT a\n\n\n    FROM t  \n;\n", "SELECT a\n    FROM t"),
        ("SELECT 'never closed", "SELECT $1"),
        ("SELECT $q$never closed", "SELECT $1"),
    ],
)  # fmt: skip
def test_constants_become_parameters_and_comments_go(sql: str, masked: str) -> None:
    assert mask(sql) == masked


SIZED = [
    "bit",
    "char",
    "character",
    "varchar",
    "bpchar",
    "numeric",
    "decimal",
    "dec",
    "float",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "interval",
]


@pytest.mark.parametrize("type_", [*SIZED, "character varying", "bit varying", "interval second"])
def test_the_size_of_a_type_stays(type_: str) -> None:
    assert mask(f"SELECT a::{type_}(3), 4") == f"SELECT a::{type_}(3), $1"


SECRETS = st.text(alphabet="abcxyz0189 '", min_size=1, max_size=12).map(lambda text: f"s3cret{text}")


@given(secret=SECRETS, number=st.integers(10_000, 10**12), tag=st.sampled_from(["", "q", "body"]))
def test_no_value_is_left(secret: str, number: int, tag: str) -> None:
    quoted = secret.replace("'", "''")
    sql = (
        f"/* {secret} */ UPDATE t SET a = '{quoted}', b = E'{quoted}', c = ${tag}${secret}${tag}$, n = {number} -- {secret}\n"
        f"WHERE n > {number}.5 AND d = $1 ORDER BY 1 LIMIT {number}"
    )

    masked = mask(sql)

    assert "s3cret" not in masked
    assert str(number) not in masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    ("sql", "expected"),
    [("SELECT 1", True), ("SELECT ';' /* ; */ -- ;\n;", True), ('SELECT ";"', True), ("SELECT 1; DROP TABLE t", False)],
)
def test_a_second_statement_is_seen(sql: str, expected: bool) -> None:
    assert is_single(sql) == expected
