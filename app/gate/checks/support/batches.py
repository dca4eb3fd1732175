"""Code that fills a column of many rows without a long transaction."""

from __future__ import annotations

from app.gate.checks.support.schema import Schema
from app.gate.checks.support.script import escape_colons
from app.gate.postgres.quoting import readable_literal

_PAGES = 500  # of 8 kB: some ten thousand rows


def fill_in_batches(table: str, column: str, value: str, condition: str, schema: Schema) -> str:
    """Code that sets a column a few hundred pages at a time. `column`, `value` and `condition` are SQL.

    Each page is visited once, so that the loop ends whatever a trigger or another session does; and `condition` is
    asked of each row as it is updated, so that a value which the application has just written stays. A ctid names a row
    within one table or partition alone, hence one loop for each of those that hold rows.
    """
    tables = [each for child in schema.with_children(table) for each in schema.leaves(child)]
    update = f"SET {column} = {value} WHERE {condition}"
    block = _of_one(schema.sql(table), update) if tables == [table] else _of_many(_list(table, tables, schema), update)
    text = escape_colons(block).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = "\n".join(f"        {line}" for line in text.splitlines())
    return f'with op.get_context().autocommit_block():\n    op.execute("""\n{lines}\n    """)'


def _of_one(table: str, update: str) -> str:
    return f"""DO $$
DECLARE page bigint := 0;
BEGIN
    WHILE page * current_setting('block_size')::bigint < pg_relation_size({readable_literal(table)}) LOOP
        UPDATE {table} {update}
            AND ctid >= ('(' || page || ',0)')::tid AND ctid < ('(' || page + {_PAGES} || ',0)')::tid;
        COMMIT;
        page := page + {_PAGES};
    END LOOP;
END $$"""


def _of_many(tables: str, update: str) -> str:
    return f"""DO $$
DECLARE
    part regclass;
    page bigint;
BEGIN
    FOR part IN {tables} LOOP
        page := 0;
        WHILE page * current_setting('block_size')::bigint < pg_relation_size(part) LOOP
            EXECUTE 'UPDATE ONLY ' || part || {readable_literal(f" {update} AND ctid >= $1 AND ctid < $2")}
                USING ('(' || page || ',0)')::tid, ('(' || page + {_PAGES} || ',0)')::tid;
            COMMIT;
            page := page + {_PAGES};
        END LOOP;
    END LOOP;
END $$"""


def _list(table: str, tables: list[str], schema: Schema) -> str:
    """The tables that hold rows, as a query. Production may have other partitions than the history makes."""
    if schema.is_partitioned(table):
        return f"SELECT relid FROM pg_partition_tree({readable_literal(schema.sql(table))}) WHERE isleaf"
    names = ", ".join(readable_literal(schema.sql(each)) for each in tables)
    return f"SELECT unnest(ARRAY[{names}]::regclass[])"
