"""The types of enum columns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql

from tests.autogenerate.conftest import Bench

Tables = Callable[..., sa.MetaData]


def mood(*labels: str) -> sa.Enum:
    return sa.Enum(*labels, name="mood")


def test_a_type_is_created_once_for_all_of_its_columns(bench: Bench, tables: Tables) -> None:
    upgrade = bench.there_and_back(
        tables(
            sa.Column("first", mood("good", "bad")),
            sa.Column("second", sa.ARRAY(mood("good", "bad"))),
            other=[sa.Column("third", mood("good", "bad"))],
        )
    )

    assert upgrade.count("CREATE TYPE") == 1


def test_a_type_that_is_there_is_used_by_a_new_column_and_stays_when_that_goes(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("mood", mood("good"))))

    upgrade = bench.there_and_back(tables(sa.Column("mood", mood("good")), sa.Column("before", mood("good"))))
    back = bench.there_and_back(tables(sa.Column("mood", mood("good"))))

    assert "CREATE TYPE" not in upgrade
    assert "DROP TYPE" not in back


def test_a_type_goes_with_the_last_column_that_has_it(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("mood", mood("good"))))

    upgrade = bench.there_and_back(tables())

    assert upgrade.splitlines()[-1] == "op.execute('DROP TYPE mood')"


def test_a_type_that_no_model_and_no_change_speaks_of_is_left_alone(bench: Bench, tables: Tables) -> None:
    bench.execute("CREATE TYPE of_an_extension AS ENUM ('a')")

    bench.there_and_back(tables(sa.Column("mood", mood("good"))))

    assert bench.scalar("SELECT count(*) FROM pg_type WHERE typname = 'of_an_extension'") == 1


def test_labels_are_added_where_the_model_has_them(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("mood", mood("good", "bad"))))
    bench.execute("INSERT INTO note (mood) VALUES ('bad')")

    upgrade = bench.there_and_back(tables(sa.Column("mood", mood("best", "good", "so-so", "it's", "bad", "worst"))))

    assert upgrade.count("ADD VALUE") == 4
    assert "DROP TYPE" not in upgrade
    assert bench.scalar("SELECT enum_range(NULL::mood)::text") == "{best,good,so-so,it's,bad,worst}"
    assert bench.scalar("SELECT mood::text FROM note") == "bad"


def test_a_label_is_taken_away_with_all_that_speaks_of_it(bench: Bench, tables: Tables) -> None:
    def model(*labels: str) -> sa.MetaData:
        return tables(
            sa.Column("mood", mood(*labels), server_default="good"),
            sa.Column("moods", sa.ARRAY(mood(*labels)), server_default=sa.text("'{good}'")),
            sa.CheckConstraint("mood = 'good' OR mood = 'bad'", name="known"),
            sa.Index("ix_good", "mood", postgresql_where=sa.text("mood = 'good'")),
            sa.Index("ix_mood", "mood"),
        )

    bench.there_and_back(model("good", "worse", "bad"))
    bench.execute("INSERT INTO note DEFAULT VALUES")

    upgrade = bench.there_and_back(model("good", "bad"))

    assert "ALTER TYPE mood RENAME TO mood_old" in upgrade
    assert bench.scalar("SELECT enum_range(NULL::mood)::text") == "{good,bad}"
    assert bench.scalar("SELECT mood::text || moods::text FROM note") == "good{good}"


def test_a_label_that_rows_have_cannot_be_taken_away_unseen(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("mood", mood("good", "bad"))))
    bench.execute("INSERT INTO note (mood) VALUES ('bad')")
    upgrade, _ = bench.write(tables(sa.Column("mood", mood("good"))))

    with pytest.raises(sa.exc.DBAPIError, match='invalid input value for enum mood: "bad"'):
        bench.run(upgrade)


def test_the_order_of_labels_counts(bench: Bench, tables: Tables) -> None:
    bench.there_and_back(tables(sa.Column("mood", mood("bad", "good"))))

    bench.there_and_back(tables(sa.Column("mood", mood("good", "bad"))))

    assert bench.scalar("SELECT enum_range(NULL::mood)::text") == "{good,bad}"


def test_a_column_goes_from_text_to_an_enum_and_back_with_its_rows_and_its_default(
    bench: Bench, tables: Tables
) -> None:
    bench.there_and_back(tables(sa.Column("mood", sa.String(20), server_default="good")))
    bench.execute("INSERT INTO note (mood) VALUES ('bad'), (DEFAULT)")

    bench.there_and_back(tables(sa.Column("mood", mood("good", "bad"), server_default="good")))
    assert bench.scalar("SELECT string_agg(mood::text, ' ' ORDER BY id) FROM note") == "bad good"

    bench.there_and_back(tables(sa.Column("mood", sa.String(20), server_default="good")))
    assert bench.scalar("SELECT count(*) FROM pg_type WHERE typname = 'mood'") == 0


def test_a_type_in_another_schema_is_named_with_it(bench: Bench, tables: Tables) -> None:
    bench.execute('CREATE SCHEMA "Other place"')

    upgrade = bench.there_and_back(
        tables(sa.Column("mood", postgresql.ENUM("good", name="Mood", schema="Other place")))
    )

    assert 'CREATE TYPE "Other place"."Mood"' in upgrade


def test_two_models_that_mean_different_things_by_one_name_are_told_so(bench: Bench, tables: Tables) -> None:
    metadata = tables(sa.Column("mood", mood("good")), other=[sa.Column("mood", mood("bad"))])

    with pytest.raises(CommandError, match=r"type mood: one has the labels \w+; that of \w+\.mood has \w+\."):
        bench.write(metadata)
