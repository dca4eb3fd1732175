"""What a history may hold."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from app.gate.recording.model import Recording
from tests.gate.shapes.library import (
    ADD_ISBN,
    CREATE_AUTHOR,
    CREATE_BOOK,
    DROP_BOOK,
    FORGET_THE_INDEX,
    INI,
    MODELS,
    env,
    history,
    library,
    script,
)
from tests.gate.shapes.shape import UPGRADE, Shape, shape, tables, trip


@shape
def autocommit_block(at: Path, python: str) -> Shape:
    concurrently = """\
        op.add_column("book", sa.Column("isbn", sa.String(13)))
        with op.get_context().autocommit_block():
            op.create_index("ix_book_title", "book", ["title"], postgresql_concurrently=True)
    """
    third = script("0003", "0002", textwrap.dedent(concurrently), FORGET_THE_INDEX)
    library(at, **{"migrations/versions/0003_isbn.py": third})

    def also(recordings: Sequence[Recording]) -> bool:
        up = trip(recordings, "0003").up
        return up is not None and [each.transactional for each in up.statements][-1:] == [False]

    return Shape(at, (python, *UPGRADE), also=also)


@shape
def several_bases(at: Path, python: str) -> Shape:
    third = script("0003", None, ADD_ISBN, FORGET_THE_INDEX, depends_on="0002")
    library(at, **{"migrations/versions/0003_isbn.py": third})

    def also(recordings: Sequence[Recording]) -> bool:
        return set(recordings[0].graph.bases) == {"0001", "0003"}

    return Shape(at, command=(python, "-m", "alembic", "upgrade", "heads"), also=also)


@shape
def branches_and_a_merge(at: Path, python: str) -> Shape:
    fourth = script(
        "0004", "0002", 'op.add_column("author", sa.Column("born", sa.Date))', 'op.drop_column("author", "born")'
    )
    models = MODELS.replace("    name = ", "    born = sa.Column(sa.Date)\n    name = ")
    library(
        at,
        **{
            "library/models.py": models,
            "migrations/versions/0004_born.py": fourth,
            "migrations/versions/0005_merge.py": script("0005", ("0003", "0004"), "pass", "pass"),
        },
    )
    return Shape(
        at,
        (python, *UPGRADE),
        revisions=frozenset({"0001", "0002", "0003", "0004", "0005"}),
        also=lambda recordings: recordings[0].graph.heads == ("0005",),
    )


@shape
def labelled_branches_that_depend_on_each_other(at: Path, python: str) -> Shape:
    library(
        at,
        **{
            "migrations/versions/0001_author.py": script(
                "0001", None, CREATE_AUTHOR, 'op.drop_table("author")', labels=("people",)
            ),
            "migrations/versions/0002_book.py": script(
                "0002", None, CREATE_BOOK, DROP_BOOK, depends_on="0001", labels=("works",)
            ),
        },
    )

    def also(recordings: Sequence[Recording]) -> bool:
        return [each.revision for each in recordings[0].trips] == ["0001", "0002", "0003"]

    return Shape(at, command=(python, "-m", "alembic", "upgrade", "heads"), also=also)


@shape
def several_version_locations(at: Path, python: str) -> Shape:
    scripts = history()
    second = scripts.pop("migrations/versions/0002_book.py")
    library(
        at,
        **{
            "alembic.ini": INI + "version_locations = %(here)s/migrations/versions %(here)s/elsewhere\n",
            "migrations/versions/0002_book.py": None,
            "elsewhere/0002_book.py": second,
        },
    )

    def also(recordings: Sequence[Recording]) -> bool:
        return recordings[0].get_revision("0002").path.endswith("elsewhere/0002_book.py")

    return Shape(at, (python, *UPGRADE), also=also)


@shape
def version_table_of_another_name_and_schema(at: Path, python: str) -> Shape:
    text = env(options='version_table="revisions", version_table_schema="bookkeeping"').replace(
        "        context.configure(connection",
        '        connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS bookkeeping"))\n'
        "        connection.commit()\n"
        "        context.configure(connection",
    )
    # `--sql` makes no schema, so the script that it writes cannot run on an empty database: that is true of this project.
    library(at, **{"migrations/env.py": text})
    return Shape(
        at,
        (python, *UPGRADE),
        expected=frozenset({("offline-sql", "")}),
        also=lambda recordings: tables(recordings) == {"public.author", "public.book"},
    )


@shape
def several_schemas(at: Path, python: str) -> Shape:
    models = (
        MODELS
        + """\


class Loan(Base):
    __tablename__ = "loan"

    id = sa.Column(sa.Integer, primary_key=True)
    book_id = sa.Column(sa.Integer, sa.ForeignKey("book.id", name="fk_loan_book_id"), nullable=False)

    __table_args__ = (sa.Index("ix_loan_book_id", "book_id"), {"schema": "desk"})
"""
    )
    upgrade = """\
        op.execute("CREATE SCHEMA desk")
        op.create_table(
            "loan",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("book_id", sa.Integer, sa.ForeignKey("book.id", name="fk_loan_book_id"), nullable=False),
            schema="desk",
        )
        op.create_index("ix_loan_book_id", "loan", ["book_id"], schema="desk")
    """
    downgrade = """\
        op.drop_table("loan", schema="desk")
        op.execute("DROP SCHEMA desk")
    """
    fourth = script("0004", "0003", textwrap.dedent(upgrade), textwrap.dedent(downgrade))
    library(
        at,
        **{
            "library/models.py": models,
            "migrations/env.py": env(options="include_schemas=True"),
            "migrations/versions/0004_loan.py": fourth,
        },
    )
    return Shape(
        at,
        (python, *UPGRADE),
        revisions=frozenset({"0001", "0002", "0003", "0004"}),
        also=lambda recordings: tables(recordings) == {"public.author", "public.book", "desk.loan"},
    )


@shape
def arguments_for_the_scripts(at: Path, python: str) -> Shape:
    scripts = history(parameters="engine_name, *, tenant", preamble='assert context.get_x_argument() == ["a=b"]')
    third = script(
        "0003",
        "0002",
        'assert (engine_name, tenant) == ("main", 7)\n' + ADD_ISBN,
        'assert (engine_name, tenant) == ("main", 7)\n' + FORGET_THE_INDEX,
        parameters="engine_name, *, tenant",
    )
    scripts["migrations/versions/0003_isbn.py"] = third
    scripts["migrations/env.py"] = env(arguments='engine_name="main", tenant=7')
    library(at, **scripts)
    return Shape(at, command=(python, "-m", "alembic", "-x", "a=b", "upgrade", "head"))


@shape
def scripts_that_use_the_project(at: Path, python: str) -> Shape:
    """A data migration by today's models, with a setting of the project's, that queries what is there."""
    preamble = """\
from sqlalchemy import orm
from library.models import Author, Base
from library.settings import FIRST_AUTHOR
"""
    second = CREATE_BOOK + textwrap.dedent(
        """\
        with orm.Session(op.get_bind()) as session:
            session.add(Author(name=FIRST_AUTHOR))
            session.flush()
            assert session.query(Author).count() == 1
            assert sa.inspect(op.get_bind()).has_table("author")
            session.commit()
        """
    )
    back = DROP_BOOK + "op.execute(sa.delete(Author.__table__).where(Author.__table__.c.name == FIRST_AUTHOR))"
    library(
        at,
        **{
            "library/settings.py": 'import os\n\nFIRST_AUTHOR = os.environ["LIBRARY_FIRST_AUTHOR"]\n',
            "migrations/versions/0002_book.py": script("0002", "0001", second, back, preamble=preamble),
        },
    )
    return Shape(
        at,
        (python, *UPGRADE),
        environment={"DATABASE_URL": "{url+psycopg2}", "LIBRARY_FIRST_AUTHOR": "Sappho"},
        expected=frozenset({("offline-sql", "0002")}),
    )


@shape
def revision_without_a_downgrade(at: Path, python: str) -> Shape:
    library(at, **{"migrations/versions/0002_book.py": script("0002", "0001", CREATE_BOOK, None)})
    return Shape(
        at,
        (python, *UPGRADE),
        expected=frozenset({("irreversible", "0002")}),
        also=lambda recordings: trip(recordings, "0003").second_up is not None,
    )


@shape
def type_that_changed_under_its_check(at: Path, python: str) -> Shape:
    """A CHECK and a partial index that PostgreSQL prints otherwise than those of the models, before and after."""
    languages = "lang IN ('en', 'fr')"
    index = f'sa.Index("ix_author_lang", "lang", postgresql_where=sa.text("{languages}"))'
    check = f'sa.CheckConstraint("{languages}", name="ck_author_lang")'
    models = MODELS.replace(
        "    name = sa.Column(sa.String(80), nullable=False)\n",
        "    name = sa.Column(sa.String(80), nullable=False)\n    lang = sa.Column(sa.Text)\n\n"
        f"    __table_args__ = ({check}, {index})\n",
    )
    first = CREATE_AUTHOR.replace(
        "nullable=False),\n)", f'nullable=False),\n    sa.Column("lang", sa.String(2)),\n    {check},\n)'
    )
    first += f'op.create_index("ix_author_lang", "author", ["lang"], postgresql_where=sa.text("{languages}"))\n'
    library(
        at,
        **{
            "library/models.py": models,
            "migrations/versions/0001_author.py": script("0001", None, first, 'op.drop_table("author")'),
            "migrations/versions/0002_book.py": script(
                "0002",
                "0001",
                CREATE_BOOK + 'op.alter_column("author", "lang", type_=sa.Text)',
                DROP_BOOK + 'op.alter_column("author", "lang", type_=sa.String(2))',
            ),
        },
    )
    return Shape(at, (python, *UPGRADE))
