"""A row of each table that is there, and one that an application could insert next: what they are, against a real PostgreSQL."""

from __future__ import annotations

from app.gate.rows.samples import Sample, make_samples
from tests.gate.lines import Bench


def test_a_table_has_a_row_that_is_there_and_one_that_could_be_next(bench: Bench) -> None:
    bench.run("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE DOMAIN size AS int;
        CREATE TABLE t (id serial PRIMARY KEY, "Name" varchar(20), p int REFERENCES p, size size, acl aclitem,
                        twice int GENERATED ALWAYS AS (1 + 1) STORED)
        """)

    samples = make_samples(bench.line.ask, ["public.t"])

    assert samples == {
        "public.t": Sample(
            there={"id": "1001", "Name": "name-1", "p": "1001", "size": "4001", "acl": None, "twice": "2"},
            new={"id": "1701", "Name": "name-701", "p": "1002", "size": "4701", "acl": None, "twice": "2"},
            insert=(
                'INSERT INTO "public"."t" ("id", "Name", "p", "size", "acl") OVERRIDING SYSTEM VALUE'
                " VALUES ('1701', 'name-701', '1002', '4701', NULL)"
            ),
            types={
                "id": "int4",
                "Name": "varchar",
                "p": "int4",
                "size": "int4",
                "acl": "aclitem",
                "twice": "int4",
            },
        )
    }
    assert len(bench.column("id")) == 3


def test_the_next_row_is_taken_by_postgres(bench: Bench) -> None:
    bench.run(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code char(3) UNIQUE CHECK (code <> 'abc'))"
    )

    found = make_samples(bench.line.ask, ["public.t"])["public.t"]
    bench.run(found.insert or "")

    assert bench.run("SELECT id::text, code FROM t WHERE id > 1700") == [(found.new["id"], found.new["code"])]  # type: ignore[index]


def test_a_table_whose_values_are_not_known_or_that_takes_none_has_no_rows(bench: Bench) -> None:
    bench.run("""
        CREATE TABLE none (a aclitem NOT NULL);
        CREATE TABLE never (a int NOT NULL CHECK (a > 3 AND a < 3));
        CREATE TABLE t (id int PRIMARY KEY)
        """)

    samples = make_samples(bench.line.ask, ["public.none", "public.never", "public.t"])

    assert samples.pop("public.t").new == {"id": "1701"}
    assert samples == {
        "public.never": Sample(None, None, None, {"a": "int4"}),
        "public.none": Sample(None, None, None, {"a": "aclitem"}),
    }
    assert make_samples(bench.line.ask, []) == {}


def test_a_trigger_that_numbers_the_next_row_does_not_meet_those_that_were_made(bench: Bench) -> None:
    bench.run("""
        CREATE TABLE t (id serial PRIMARY KEY);
        CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN IF NEW.id > 1500 THEN NEW.id = nextval('t_id_seq'); END IF; RETURN NEW; END $$;
        CREATE TRIGGER number BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION number()
        """)

    assert make_samples(bench.line.ask, ["public.t"])["public.t"].new == {"id": "20011"}
