"""Texts and JSON values that an UPDATE or an INSERT converts."""

from tests.gate.hazards.case import Case, body, sql

RUNS = sql(
    "CREATE TABLE runs (id serial PRIMARY KEY, owner_text text, length varchar(20), extra jsonb, owner uuid, seconds int)"
)
CODES = "CREATE TABLE codes (id int PRIMARY KEY, seconds int)"


def _convert(name: str, statement: str, because: str, *, breaks: bool = True) -> Case:
    return Case(
        name=name,
        before=RUNS,
        upgrade=sql(statement),
        downgrade="pass",
        expected={"populated-upgrade"} if breaks else set(),
        because=because,
    )


CASES = [
    _convert(
        "text to uuid in an UPDATE",
        "UPDATE runs SET owner = owner_text::uuid WHERE owner IS NULL",
        "A text that is no UUID was allowed, and the UPDATE ends at it.",
    ),
    _convert(
        "text to integer in an UPDATE by CAST",
        "UPDATE runs SET seconds = CAST(nullif(trim(length), '') AS integer) WHERE seconds IS NULL",
        "A text that is no number was allowed, and the UPDATE ends at it.",
    ),
    _convert(
        "text to integer in an UPDATE that looks first",
        "UPDATE runs SET seconds = length::int WHERE seconds IS NULL AND length ~ '^[0-9]{1,9}$'",
        "Only digits are cast.",
        breaks=False,
    ),
    _convert(
        "text to integer in a CASE",
        "UPDATE runs SET seconds = CASE WHEN length ~ '^[0-9]{1,9}$' THEN length::int END WHERE seconds IS NULL",
        "Only digits are cast.",
        breaks=False,
    ),
    _convert(
        "number out of a document in an UPDATE",
        "UPDATE runs SET seconds = (extra ->> 'seconds')::int WHERE seconds IS NULL",
        "A document with something else under that key was allowed, and the UPDATE ends at it.",
    ),
    _convert(
        "number out of the inner part of a document in an UPDATE",
        "UPDATE runs SET seconds = CAST(extra -> 'of' ->> 'seconds' AS integer) WHERE seconds IS NULL",
        "A document with something else under that key was allowed, and the UPDATE ends at it.",
    ),
    _convert(
        "number out of a document in an UPDATE that looks first",
        "UPDATE runs SET seconds = (extra ->> 'seconds')::numeric WHERE seconds IS NULL AND"
        " jsonb_typeof(extra -> 'seconds') = 'number'",
        "Only numbers are cast.",
        breaks=False,
    ),
    _convert(
        "text out of a document in an UPDATE",
        "UPDATE runs SET owner_text = (extra ->> 'owner')::text WHERE owner_text IS NULL",
        "Everything has a text.",
        breaks=False,
    ),
    Case(
        name="varchar to citext under a unique key",
        before=sql("CREATE TABLE people (id serial PRIMARY KEY, email varchar(200) UNIQUE)"),
        upgrade=sql(
            "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public", "ALTER TABLE people ALTER email TYPE public.citext"
        ),
        downgrade=sql("ALTER TABLE people ALTER email TYPE varchar(200)"),
        expected={"blocking-index", "breaking-change", "populated-upgrade"},
        because="Two addresses that differ in case only were allowed, and are equal now.",
    ),
    Case(
        name="text to integer on the way into another table",
        before=RUNS,
        upgrade=body(sql(CODES, "INSERT INTO codes SELECT id, length::int FROM runs")),
        downgrade="op.drop_table('codes')",
        expected={"populated-upgrade"},
        because="A text that is no number was allowed, and the INSERT ends at it.",
    ),
]
