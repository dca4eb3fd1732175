"""The statements that read a schema from `pg_catalog`: all of it, or what may have changed since it was read.

Either returns a single text, whatever driver runs it: there are no percent signs, and no colons other than those of
`::` casts, so neither a driver nor SQLAlchemy can take a part of it for a placeholder. They only read, they may run
inside or outside of a transaction, and they leave the session unchanged.

What `pg_get_constraintdef` and its kin print depends on settings of the session, on `search_path` above all. So the
statements themselves set them for their own duration: the settings are read and then replaced in sub-selects on which
the catalog queries depend row by row, which leaves the executor no other order, and put back in a sub-select that
depends on the answer. They are set as by SET LOCAL, so a rollback, a commit and a savepoint restore them too.
"""

from __future__ import annotations

from collections.abc import Collection

from app.gate.snapshot._objects import IS_LISTED_TYPE, OBJECTS, class_of
from app.gate.snapshot._rare_objects import RARE_OBJECTS

# PostgreSQL prints an object's name without its schema if the search path finds it, dates in the session's time zone
# and style, and so on. With these values two sessions print the same definition in the same words.
PINNED_SETTINGS = {
    "search_path": "pg_catalog",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}

# Since when changes are wanted, and whether a relation whose row was written has another name. Custom settings, which
# work in any transaction and with any driver.
MARKER_SETTING = "overproof.marker"
RENAMED_SETTING = "overproof.renamed"

# Objects that users make have oids from here on, apart from the schema `public`.
_FIRST_OID = 16384

_COMMON_SOURCES = {
    "spaces": """
    SELECT n.oid, n.nspname, n.nspacl, n.nspowner FROM pg_catalog.pg_namespace AS n
    WHERE NOT starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'""",
    "owners": """
    SELECT d.datdba AS oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()
    UNION ALL SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolsuper""",
    "members": f"""
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = {class_of("pg_extension")} AND d.deptype = 'e'""",
    "commented": f"""
    SELECT d.classoid, d.objoid, d.objsubid, d.description, d.xmin
    FROM pg_catalog.pg_description AS d WHERE d.objoid >= {_FIRST_OID}
    UNION ALL
    SELECT d.classoid, d.objoid, d.objsubid, d.description, d.xmin
    FROM spaces AS n JOIN pg_catalog.pg_description AS d ON d.objoid = n.oid AND d.classoid = {class_of("pg_namespace")}
    WHERE n.nspname = 'public' AND d.description <> 'standard public schema'""",
}

_HOME = "c.oid, c.relname AS name, n.nspname AS space, c.relowner AS owner"
_IS_HOME = f"""c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND NOT EXISTS (
        SELECT FROM members AS m WHERE m.classid = {class_of("pg_class")} AND m.objid = c.oid)"""
_NOT_NULL = """
    SELECT k.conrelid, k.conkey[1] AS attnum, concat_ws(' ', CASE WHEN k.connoinherit THEN 'NO INHERIT' END,
        CASE WHEN NOT k.convalidated THEN 'NOT VALID' END) AS details"""
_CATALOGS_BY_OID = ("constraint", "type", "proc", "trigger", "rewrite", "policy", "statistic_ext")

_ALL_ROWS = {
    "some_class": f"""
    SELECT c.* FROM pg_catalog.pg_class AS c WHERE c.oid >= {_FIRST_OID} AND c.relkind <> 't'""",
    "some_attribute": f"""
    SELECT a.* FROM pg_catalog.pg_attribute AS a WHERE a.attrelid >= {_FIRST_OID} AND a.attnum > 0""",
    "some_attrdef": f"""
    SELECT d.adrelid, d.adnum, d.adbin FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid >= {_FIRST_OID}""",
    "some_not_null": f"""{_NOT_NULL}
    FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'n' AND (k.connoinherit OR NOT k.convalidated)""",
    **{
        f"some_{name}": f"""
    SELECT x.* FROM pg_catalog.pg_{name} AS x WHERE x.oid >= {_FIRST_OID}"""
        for name in _CATALOGS_BY_OID
    },
    "homes": f"""
    SELECT {_HOME} FROM pg_catalog.pg_class AS c JOIN spaces AS n ON n.oid = c.relnamespace WHERE {_IS_HOME}""",
}

# For each catalog, the objects whose definitions a row of it is part of, as (class, object, part). A part of -1 is the
# relation alone: what depends on it need not be read again. Catalogs that are not listed change only together with one
# that is.
_FRESH: dict[str, tuple[str, str, str]] = {
    **{
        name: (class_of(name), "x.oid", "0")
        for name in (
            "pg_trigger",
            "pg_rewrite",
            "pg_policy",
            "pg_statistic_ext",
            "pg_type",
            "pg_proc",
            # Their names are part of the definitions of other objects.
            "pg_namespace",
            "pg_collation",
            "pg_operator",
            "pg_opclass",
            "pg_ts_config",
            "pg_ts_dict",
            "pg_language",
            "pg_foreign_server",
            # No other definition mentions these, and they are always read: a change shows that some exist.
            "pg_cast",
            "pg_default_acl",
            "pg_event_trigger",
            "pg_foreign_data_wrapper",
            "pg_publication",
        )
    },
    # Nearly everything that happens to a table writes its row, but other definitions mention only its name.
    "pg_class": (class_of("pg_class"), "x.oid", "m.part"),
    "pg_attribute": (class_of("pg_class"), "x.attrelid", "x.attnum"),
    # A NOT NULL is read with its column.
    "pg_constraint": (
        f"CASE WHEN x.contype = 'n' THEN {class_of('pg_class')} ELSE {class_of('pg_constraint')} END",
        "CASE WHEN x.contype = 'n' THEN x.conrelid ELSE x.oid END",
        "CASE WHEN x.contype = 'n' THEN -1 ELSE 0 END",
    ),
    "pg_enum": (class_of("pg_type"), "x.enumtypid", "0"),
    "pg_foreign_table": (class_of("pg_class"), "x.ftrelid", "-1"),
    # REPLICA IDENTITY USING INDEX leaves the table's own row alone.
    "pg_index": (class_of("pg_class"), "unnest(ARRAY[x.indexrelid, x.indrelid])", "unnest(ARRAY[0, -1])"),
    "pg_inherits": (class_of("pg_class"), "x.inhrelid", "-1"),
    "pg_sequence": (class_of("pg_class"), "x.seqrelid", "0"),
}

# Where most rows are the system's, those that are not are found through the index on oid.
_MOSTLY_SYSTEM = ("pg_proc", "pg_type", "pg_operator", "pg_collation", "pg_opclass")

# Written so that the planner expects few rows, and uses indexes for what follows.
_IS_FRESH = "greatest(age(x.xmin), m.reach) = m.reach"


def _fresh() -> str:
    return "\n    UNION ALL ".join(
        f"SELECT {class_} AS class, {object_} AS object, {part} AS part FROM pg_catalog.{catalog} AS x WHERE {_IS_FRESH}"
        + (f" AND x.oid >= {_FIRST_OID}" if catalog in _MOSTLY_SYSTEM else "")
        for catalog, (class_, object_, part) in _FRESH.items()
    )


_HOMES_OF = {
    "some_class": "SELECT t.oid FROM some_class AS t"
    " UNION SELECT i.indrelid FROM some_class AS t JOIN pg_catalog.pg_index AS i ON i.indexrelid = t.oid",
    "some_constraint": "SELECT k.conrelid FROM some_constraint AS k",
    "some_trigger": "SELECT g.tgrelid FROM some_trigger AS g",
    "some_rewrite": "SELECT r.ev_class FROM some_rewrite AS r",
    "some_policy": "SELECT p.polrelid FROM some_policy AS p",
    "some_statistic_ext": "SELECT s.stxrelid FROM some_statistic_ext AS s",
}


def _touched_homes(*sources: str) -> str:
    places = " UNION ".join(_HOMES_OF[source] for source in sources)
    return f"""
    SELECT {_HOME} FROM ({places}) AS w
    CROSS JOIN LATERAL (SELECT c.* FROM pg_catalog.pg_class AS c WHERE c.oid = w.oid OFFSET 0) AS c
    JOIN spaces AS n ON n.oid = c.relnamespace
    WHERE {_IS_HOME}"""


def _touched(catalog: str) -> str:
    """Row by row through the index: a plan for few objects, whatever the planner estimates."""
    return f"""
    SELECT x.* FROM (SELECT array_agg(DISTINCT r.object) AS objects FROM reached AS r
        WHERE r.class = {class_of(f"pg_{catalog}")}) AS t
    CROSS JOIN LATERAL unnest(t.objects) AS u (object)
    CROSS JOIN LATERAL (SELECT x.* FROM pg_catalog.pg_{catalog} AS x WHERE x.oid = u.object OFFSET 0) AS x"""


_TOUCHED_ROWS = {
    "marker": f"""
    SELECT age(current_setting('{MARKER_SETTING}')::xid) AS reach,
        CASE WHEN current_setting('{RENAMED_SETTING}')::boolean THEN 0 ELSE -1 END AS part""",
    "reached": f"""
    SELECT f.class, f.object, f.part FROM marker AS m CROSS JOIN LATERAL ({_fresh()} OFFSET 0) AS f
    UNION
    SELECT further.* FROM reached AS r CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend AS d
        WHERE d.refclassid = r.class AND d.refobjid = r.object AND (r.part = 0 OR d.refobjsubid = r.part)
        UNION ALL
        SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend AS d
        WHERE d.classid = r.class AND d.objid = r.object AND d.deptype = 'i'
        UNION ALL
        SELECT {class_of("pg_class")}, d.adrelid, -1 FROM pg_catalog.pg_attrdef AS d
        WHERE r.class = {class_of("pg_attrdef")} AND d.oid = r.object OFFSET 0) AS further""",
    "touched_class": f"""
    SELECT u.object FROM (SELECT array_agg(DISTINCT r.object) AS objects FROM reached AS r
        WHERE r.class = {class_of("pg_class")}) AS t CROSS JOIN LATERAL unnest(t.objects) AS u (object)""",
    "some_class": """
    SELECT c.* FROM touched_class AS t
    CROSS JOIN LATERAL (SELECT c.* FROM pg_catalog.pg_class AS c WHERE c.oid = t.object OFFSET 0) AS c
    WHERE c.relkind <> 't'""",
    "some_attribute": """
    SELECT a.* FROM some_class AS t
    CROSS JOIN LATERAL (
        SELECT a.* FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum > 0 OFFSET 0) AS a
    WHERE t.relkind NOT IN ('i', 'I')""",
    "some_attrdef": """
    SELECT d.adrelid, d.adnum, d.adbin FROM some_class AS t
    CROSS JOIN LATERAL (SELECT d.* FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid = t.oid OFFSET 0) AS d""",
    "some_not_null": f"""{_NOT_NULL}
    FROM some_class AS t CROSS JOIN LATERAL (
        SELECT k.* FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = t.oid OFFSET 0) AS k
    WHERE k.contype = 'n' AND (k.connoinherit OR NOT k.convalidated)""",
    **{f"some_{name}": _touched(name) for name in _CATALOGS_BY_OID},
    "homes": _touched_homes(*_HOMES_OF),
}

# Most revisions touch tables and what belongs to them, and nothing else. A statement that reads only these takes two
# thirds of the time of one that could read everything; most of that is spent starting the executor.
_OF_TABLES = ("relations", "columns", "constraints", "indexes", "sequences")
_ALWAYS_THERE = ("schemas", "extensions")
_TOUCHED_ROWS_OF_TABLES = {**_TOUCHED_ROWS, "homes": _touched_homes("some_class", "some_constraint")}
_IS_OF_TABLES = f"""NOT EXISTS (SELECT FROM reached AS r WHERE CASE r.class
        WHEN {class_of("pg_class")} THEN
            (SELECT c.relkind = 'c' FROM pg_catalog.pg_class AS c WHERE c.oid = r.object)
        WHEN {class_of("pg_attrdef")} THEN false
        WHEN {class_of("pg_constraint")} THEN
            (SELECT k.contypid <> 0 FROM pg_catalog.pg_constraint AS k WHERE k.oid = r.object)
        WHEN {class_of("pg_trigger")} THEN
            (SELECT NOT g.tgisinternal FROM pg_catalog.pg_trigger AS g WHERE g.oid = r.object)
        WHEN {class_of("pg_type")} THEN
            (SELECT {IS_LISTED_TYPE} FROM pg_catalog.pg_type AS t WHERE t.oid = r.object)
        ELSE true END)"""

# The rows of these catalogs, so that deletions are noticed. An object without a row in one of them cannot be dropped
# without a row of its owner being written.
_ALIVE = {
    "pg_class": "x.relkind <> 't'",
    "pg_constraint": "x.contype <> 'n'",
    "pg_trigger": "NOT x.tgisinternal",
    "pg_rewrite": "x.rulename <> '_RETURN'",
    "pg_policy": "true",
    "pg_statistic_ext": "true",
    "pg_type": "x.typarray <> 0",
    "pg_proc": "true",
}

# What definitions mention although neither a row of this database nor a dependency shows its changes; and the database.
_EPOCH = """md5(concat(
    (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()), '/',
    (SELECT string_agg(r.oid || ' ' || r.rolname, ',' ORDER BY r.oid) FROM pg_catalog.pg_roles AS r), '/',
    (SELECT string_agg(t.oid || ' ' || t.spcname, ',' ORDER BY t.oid) FROM pg_catalog.pg_tablespace AS t), '/',
    (SELECT string_agg(m.classid || ' ' || m.objid, ',' ORDER BY m.classid, m.objid) FROM members AS m)))"""


def _pinned(answer: str) -> str:
    """A SELECT of the scalar expression `answer`, evaluated while the settings are pinned."""
    names = list(PINNED_SETTINGS)
    saved = ", ".join(f"current_setting('{name}') AS s{i}" for i, name in enumerate(names))
    pinned = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in PINNED_SETTINGS.items())
    restored = ", ".join(f"set_config('{name}', saved.s{i}, true)" for i, name in enumerate(names))
    return f"""SELECT answer.text
FROM (SELECT {saved} OFFSET 0) AS saved
CROSS JOIN LATERAL (SELECT concat({pinned}, saved.s0) AS done OFFSET 0) AS pinned
CROSS JOIN LATERAL (SELECT CASE WHEN pinned.done IS NOT NULL THEN ({answer}) END AS text OFFSET 0) AS answer
CROSS JOIN LATERAL (SELECT concat({restored}, answer.text IS NULL) AS done OFFSET 0) AS restored
WHERE restored.done IS NOT NULL"""


def _statement(
    rows: dict[str, str],
    further: dict[str, str],
    kinds: Collection[str] = OBJECTS,
    rare_kinds: Collection[str] = RARE_OBJECTS,
    condition: str = "true",
) -> str:
    """It returns NULL where the condition does not hold."""
    sources = _COMMON_SOURCES | rows
    columns = "(class, object, part, kind, space, name, home, definition)"
    ctes = ",\n".join(f"{name} AS MATERIALIZED ({text})" for name, text in sources.items())
    objects = "\n    UNION ALL".join(OBJECTS[kind] for kind in kinds)
    rare = "\n    UNION ALL".join(RARE_OBJECTS[kind] for kind in rare_kinds)
    fields = {
        "marker": "pg_snapshot_xmin(pg_current_snapshot())::text",
        "epoch": _EPOCH,
        "inherits": "(SELECT coalesce(string_agg(concat_ws(' ', x.inhrelid, x.inhparent), ','), '')"
        " FROM pg_catalog.pg_inherits AS x)",
        **{name: _rows_of(name) for name in ("objects", "rare")},
        **further,
    }
    answer = ",\n    ".join(f"'{name}', {text}" for name, text in fields.items())
    recursive = "RECURSIVE " if "reached" in rows else ""
    return _pinned(f"""WITH {recursive}{ctes},
objects {columns} AS ({objects}),
rare {columns} AS ({rare})
SELECT CASE WHEN {condition} THEN json_build_object(
    {answer})::text END""")


def _rows_of(name: str) -> str:
    return f"""(SELECT coalesce(json_agg(json_build_array(
        o.class::int8, o.object::int8, o.part, o.kind, o.space, o.name, o.home, json_strip_nulls(o.definition))), '[]')
        FROM {name} AS o)"""


def _comments(source: str) -> str:
    return f"""(SELECT coalesce(json_agg(json_build_array(x.classoid::int8, x.objoid::int8, x.objsubid, x.description)), '[]')
        FROM {source})"""


SNAPSHOT_SQL = _statement(_ALL_ROWS, {"comments": _comments("commented AS x")})

_OF_CHANGES = {
    "reached": "(SELECT coalesce(json_agg(DISTINCT r.class || ' ' || r.object), '[]') FROM reached AS r)",
    "comments": _comments(f"commented AS x JOIN marker AS m ON {_IS_FRESH}"),
    "commented": "(SELECT coalesce(string_agg(concat_ws(' ', x.classoid, x.objoid, x.objsubid), ','), '')"
    " FROM commented AS x)",
    "alive": "json_build_object("
    + ", ".join(
        f"{class_of(catalog)}, (SELECT coalesce(string_agg(x.oid::text, ' '), '') FROM pg_catalog.{catalog} AS x"
        f" WHERE x.oid >= {_FIRST_OID} AND {condition})"
        for catalog, condition in _ALIVE.items()
    )
    + ")",
}

# Planning one of these statements takes several times as long as running it, so it is planned once in a session. It
# takes its marker from a setting: a statement with parameters would be planned five times before PostgreSQL considers a
# generic plan.
CHANGES = "overproof_changes"
CHANGES_OF_TABLES = "overproof_changes_of_tables"  # returns NULL if anything else was touched
PREPARED = {
    CHANGES: _statement(_TOUCHED_ROWS, _OF_CHANGES),
    CHANGES_OF_TABLES: _statement(_TOUCHED_ROWS_OF_TABLES, _OF_CHANGES, _OF_TABLES, _ALWAYS_THERE, _IS_OF_TABLES),
}


def set_marker_sql(marker: int, has_renamed: bool = False) -> str:
    """The statement that sets the arguments of a prepared one: since when, and whether with what mentions a relation.

    A marker is an xid without its epoch. It returns NULL if the session does not have the prepared statements, or no
    longer: a migration may discard them, and psycopg 3 does so after a rollback.
    """
    names = ", ".join(f"'{name}'" for name in PREPARED)
    return f"""SELECT CASE WHEN (SELECT count(*) FROM pg_catalog.pg_prepared_statements AS p WHERE p.name IN ({names})) = {len(PREPARED)}
THEN concat(set_config('{MARKER_SETTING}', '{marker}', false), set_config('{RENAMED_SETTING}', '{has_renamed}', false)) END"""
