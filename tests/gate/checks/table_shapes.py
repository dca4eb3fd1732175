"""Tables of every shape for which a finding can print code. All have the same columns and rows."""

from __future__ import annotations

from dataclasses import dataclass

from app.gate.postgres.quoting import quote

ROWS = 60


@dataclass(frozen=True)
class Shape:
    """A table, and what stands around it."""

    name: str
    table: str = "orders"
    schema: str = "public"
    search_path: str = ""  # with which its scripts are run, and leave the schema out
    columns: tuple[str, ...] = ("id", "note", "total", "code", "day")
    declared: str = (
        "{id} int NOT NULL, {note} text, {total} int, {code} varchar(20) CHECK ({code} <> ''), {day} date NOT NULL"
    )
    partition_by: str = ""
    around: str = ""
    is_variant: bool = False  # of another shape, with other names

    @property
    def sql(self) -> str:
        """The table in SQL."""
        return quote(self.table) if self.search_path else f"{quote(self.schema)}.{quote(self.table)}"

    @property
    def names(self) -> dict[str, str]:
        """The names to put into SQL: of the columns, in double quotes where they need them, and of the table."""
        plain = ("id", "note", "total", "code", "day")
        columns = {name: quote(given) for name, given in zip(plain, self.columns, strict=True)}
        space = "" if self.search_path else f"{quote(self.schema)}."
        return {**columns, "table": self.sql, "s": space, "t": self.table}

    @property
    def arguments(self) -> dict[str, str]:
        """The names to put into Python."""
        plain = ("id", "note", "total", "code", "day")
        named = "" if self.schema == "public" or self.search_path else f", schema={self.schema!r}"
        columns = {name: repr(given) for name, given in zip(plain, self.columns, strict=True)}
        return {**columns, "table": repr(self.table), "schema": named}

    @property
    def setup(self) -> str:
        names = self.names
        space = f"CREATE SCHEMA {quote(self.schema)};" if self.schema != "public" else ""
        insert = ", ".join(names[each] for each in ("id", "note", "total", "code", "day"))
        return f"""{space}
            CREATE TABLE {names["s"]}users (id int PRIMARY KEY);
            INSERT INTO {names["s"]}users SELECT generate_series(0, {ROWS});
            CREATE TABLE {self.sql} ({self.declared.format(**names)}) {self.partition_by.format(**names)};
            CREATE INDEX ix_total ON {self.sql} ({names["total"]});
            {self.around.format(**names)}
            INSERT INTO {self.sql} ({insert}) SELECT g, 'note ' || g, g, 'c' || g, date '2024-01-01' + g * 12
                FROM generate_series(1, {ROWS}) AS g"""

    @property
    def all_rows(self) -> str:
        """The query for all values."""
        columns = ", ".join(self.names[each] for each in ("id", "note", "total", "code", "day"))
        return f"SELECT {columns} FROM {self.sql} ORDER BY 1"


_PARTITIONS = """
    CREATE TABLE {s}hit_2024 PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
    CREATE TABLE {s}hit_2025 PARTITION OF {table} FOR VALUES FROM ('2025-01-01') TO (MAXVALUE) PARTITION BY RANGE ({id});
    CREATE TABLE {s}hit_2025_low PARTITION OF {s}hit_2025 FOR VALUES FROM (MINVALUE) TO (40);
    CREATE TABLE {s}"Hit high" PARTITION OF {s}hit_2025 FOR VALUES FROM (40) TO (MAXVALUE);
"""
VIEWS = """
    CREATE VIEW {s}notes AS SELECT {id}, {note} FROM {table};
    CREATE VIEW {s}loud_notes AS SELECT upper({note}) AS loud FROM {s}notes;
    CREATE MATERIALIZED VIEW {s}many AS SELECT {id}, {note}, {total} FROM {table};
    CREATE UNIQUE INDEX ix_many ON {s}many ({id});
    CREATE INDEX ix_many_note ON {s}many (lower({note}));
    GRANT SELECT ON {s}notes TO PUBLIC;
"""
_TRIGGERS = """
    ALTER TABLE {table} ADD touched int NOT NULL DEFAULT 0;
    CREATE FUNCTION {s}touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END';
    CREATE TRIGGER touch BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {s}touch();
"""
_GENERATED = """
    ALTER TABLE {table} ADD number bigint GENERATED ALWAYS AS IDENTITY,
        ADD length int GENERATED ALWAYS AS (length({note})) STORED;
"""
_HEIRS = """
    CREATE TABLE {s}old_orders (reason text) INHERITS ({table});
    CREATE TABLE {s}older_orders () INHERITS ({s}old_orders);
    INSERT INTO {s}old_orders SELECT 1000 + g, 'old ' || g, 5, 'o' || g, '2020-01-01' FROM generate_series(1, 5) AS g;
    INSERT INTO {s}older_orders SELECT 2000 + g, 'older ' || g, 6, 'p' || g, '2019-01-01' FROM generate_series(1, 5) AS g;
"""
_MIXED = ("Id", "the note", "Total", "order", "Day")

SHAPES = (
    Shape("plain"),
    Shape("in another schema", schema="shop", is_variant=True),
    Shape("quoted", table="Order", schema="Shop", columns=_MIXED),
    Shape("of a tenant", schema="blue", search_path="blue"),
    Shape("partitioned", table="hit", partition_by="PARTITION BY RANGE ({day})", around=_PARTITIONS, is_variant=True),
    Shape(
        "partitioned and quoted",
        table="Hit",
        schema="Shop",
        columns=_MIXED,
        partition_by="PARTITION BY RANGE ({day})",
        around=_PARTITIONS,
    ),
    Shape(
        "partitioned of a tenant",
        table="hit",
        schema="blue",
        search_path="blue",
        partition_by="PARTITION BY RANGE ({day})",
        around=_PARTITIONS,
        is_variant=True,
    ),
    Shape("inherited", around=_HEIRS),
    Shape("under views", around=VIEWS),
    Shape("under views of a tenant", schema="blue", search_path="blue", around=VIEWS, is_variant=True),
    Shape("with triggers", around=_TRIGGERS),
    Shape("generated", around=_GENERATED),
)

# Partitions that come and go.
PARTS = """
    CREATE TABLE visits (id int NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE visits_2024 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE visits_other PARTITION OF visits DEFAULT;
    CREATE TABLE visits_2025 (id int NOT NULL, day date NOT NULL);
    INSERT INTO visits_2025 VALUES (1, '2025-02-03');
    INSERT INTO visits VALUES (1, '2024-02-03'), (2, '2030-01-01');
    CREATE TABLE kinds (kind text) PARTITION BY LIST (kind);
    CREATE TABLE kinds_other PARTITION OF kinds DEFAULT;
    CREATE TABLE kinds_a (kind text);
    CREATE MATERIALIZED VIEW days AS SELECT DISTINCT day FROM visits;
    CREATE UNIQUE INDEX ix_days ON days (day);
    INSERT INTO kinds VALUES ('z'); INSERT INTO kinds_a VALUES ('a')
"""
