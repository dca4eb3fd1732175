"""Small Alembic projects of every shape that the gate must carry without being told of it.

All keep the same library of books: `author`, then `book`, then an ISBN and an index. In each, one downgrade forgets to
drop that index: a shape is carried if the gate finds this one defect and nothing else. They are written for any
SQLAlchemy from 1.4 on and any Alembic from 1.8 on.
"""

from __future__ import annotations

import stat
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.gate.recording.model import Recording, RoundTrip

UPGRADE = ("-m", "alembic", "upgrade", "head")
Also = Callable[[Sequence[Recording]], object]


@dataclass(frozen=True)
class Shape:
    """A project on disk, how a user would name its upgrade command, and what the gate must see in it."""

    directory: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: {"DATABASE_URL": "{url+psycopg2}"})
    culprit: str = "0003"  # the revision whose downgrade forgets `index`
    index: str = "public.book.ix_book_title"
    revisions: frozenset[str] = frozenset({"0001", "0002", "0003"})
    expected: frozenset[tuple[str, str]] = frozenset()  # further findings that are right: {("irreversible", "0002")}
    also: Also = lambda recordings: True  # what only this shape shows


Writer = Callable[[Path, str], Shape]  # the folder to write to, and the Python that has the project's packages
SHAPES: dict[str, Writer] = {}


def shape(writer: Writer) -> Writer:
    SHAPES[writer.__name__] = writer
    return writer


# The library, of which every shape is a variation


INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
"""

MODELS = """\
import sqlalchemy as sa
from sqlalchemy import orm

Base = orm.declarative_base()


class Author(Base):
    __tablename__ = "author"

    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(80), nullable=False)


class Book(Base):
    __tablename__ = "book"

    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.Integer, sa.ForeignKey("author.id", name="fk_book_author_id"), nullable=False)
    title = sa.Column(sa.String(200), nullable=False)
    kind = sa.Column(sa.Enum("novel", "essay", name="book_kind"), nullable=False)
    isbn = sa.Column(sa.String(13))

    __table_args__ = (sa.Index("ix_book_title", "title"),)
"""

ONLINE = """\
import os

import sqlalchemy as sa
from alembic import context

from library.models import Base

if context.is_offline_mode():
    context.configure(
        url=os.environ["DATABASE_URL"], target_metadata=Base.metadata, literal_binds=True, {options}
    )
    with context.begin_transaction():
        context.run_migrations({arguments})
else:
    engine = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.pool.NullPool)
    with engine.{begin}() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, {options})
        with context.begin_transaction():
            context.run_migrations({arguments})
"""

ONLINE_ASYNC = """\
import asyncio
import os

from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

from library.models import Base


def run(connection):
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def run_async():
    engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(url=os.environ["DATABASE_URL"], target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_async())
"""

CREATE_AUTHOR = """\
op.create_table(
    "author",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
)
"""

CREATE_BOOK = """\
op.create_table(
    "book",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id", name="fk_book_author_id"), nullable=False),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("kind", sa.Enum("novel", "essay", name="book_kind"), nullable=False),
)
"""

DROP_BOOK = """\
op.drop_table("book")
op.execute("DROP TYPE book_kind")
"""

ADD_ISBN = """\
op.add_column("book", sa.Column("isbn", sa.String(13)))
op.create_index("ix_book_title", "book", ["title"])
"""

FORGET_THE_INDEX = """\
op.drop_column("book", "isbn")
"""


def env(*, begin: str = "connect", options: str = "", arguments: str = "") -> str:
    return ONLINE.format(begin=begin, options=options, arguments=arguments)


def script(
    revision: str,
    parent: str | tuple[str, ...] | None,
    upgrade: str,
    downgrade: str | None,
    *,
    depends_on: str | None = None,
    labels: tuple[str, ...] = (),
    parameters: str = "",
    preamble: str = "",
) -> str:
    """A revision's script. A downgrade of None is no downgrade at all."""
    text = [
        f'"""Revision {revision}."""',
        "import sqlalchemy as sa",
        "from alembic import context, op",
        f"revision = {revision!r}",
        f"down_revision = {parent!r}",
        f"branch_labels = {labels or None!r}",
        f"depends_on = {depends_on!r}",
        preamble,
    ]
    for name, body in ("upgrade", upgrade), ("downgrade", downgrade):
        if body is not None:
            text.append(f"\ndef {name}({parameters}):\n{textwrap.indent(body.strip(), '    ')}\n")
    return "\n".join(text)


def history(parameters: str = "", preamble: str = "") -> dict[str, str]:
    """The three scripts of the library."""
    return {
        "migrations/versions/0001_author.py": script(
            "0001", None, CREATE_AUTHOR, 'op.drop_table("author")', parameters=parameters, preamble=preamble
        ),
        "migrations/versions/0002_book.py": script(
            "0002", "0001", CREATE_BOOK, DROP_BOOK, parameters=parameters, preamble=preamble
        ),
        "migrations/versions/0003_isbn.py": script(
            "0003", "0002", ADD_ISBN, FORGET_THE_INDEX, parameters=parameters, preamble=preamble
        ),
    }


def library(directory: Path, **changed: str | None) -> None:
    """Writes the library. `changed` has files that differ, by path; with None one is left out."""
    files: dict[str, str | None] = {
        "alembic.ini": INI,
        "library/__init__.py": "",
        "library/models.py": MODELS,
        "migrations/env.py": env(),
        **history(),
    }
    for path, text in {**files, **changed}.items():
        if text is not None:
            write(directory / path, text)


def write(path: Path, text: str, *, is_executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    if is_executable:
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def trip(recordings: Sequence[Recording], revision: str) -> RoundTrip:
    return next(each for recording in recordings for each in recording.trips if each.revision == revision)


def tables(recordings: Sequence[Recording]) -> set[str]:
    """The tables at head: {"public.book", …}."""
    heads = [recording.head for recording in recordings if recording.head is not None]
    return {f"{key.schema}.{key.name}" for head in heads for key in head.objects if key.kind == "table"}


# How env.py connects


@shape
def sync_psycopg2(at: Path, python: str) -> Shape:
    library(at)
    return Shape(at, (python, *UPGRADE))


@shape
def sync_psycopg3(at: Path, python: str) -> Shape:
    library(at)
    return Shape(at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+psycopg}"})


@shape
def async_asyncpg(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": ONLINE_ASYNC})
    return Shape(at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+asyncpg}"})


@shape
def async_psycopg3(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": ONLINE_ASYNC})
    return Shape(at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+psycopg}"})


@shape
def env_that_opens_its_own_transaction(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": env(begin="begin")})
    return Shape(at, (python, *UPGRADE))


@shape
def transaction_per_migration(at: Path, python: str) -> Shape:
    library(at, **{"migrations/env.py": env(options="transaction_per_migration=True")})
    return Shape(at, (python, *UPGRADE))


@shape
def connection_that_commits_each_statement(at: Path, python: str) -> Shape:
    text = env().replace("poolclass=", 'isolation_level="AUTOCOMMIT", poolclass=')
    library(at, **{"migrations/env.py": text})

    def also(recordings: Sequence[Recording]) -> bool:
        up = trip(recordings, "0003").up
        return up is not None and not up.transactional

    return Shape(at, (python, *UPGRADE), also=also)


@shape
def connection_injected_by_the_projects_own_code(at: Path, python: str) -> Shape:
    text = """\
        from alembic import context
        from library.models import Base

        connection = context.config.attributes["connection"]
        context.configure(connection=connection, target_metadata=Base.metadata)
        context.run_migrations()
    """
    own = """\
        import os

        import sqlalchemy as sa
        from alembic import command
        from alembic.config import Config

        config = Config("alembic.ini")
        with sa.create_engine(os.environ["DATABASE_URL"]).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    """
    library(at, **{"migrations/env.py": text, "upgrade.py": own})
    return Shape(at, command=(python, "upgrade.py"))


# What a history may hold


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


# How the command reaches Alembic


@shape
def flask_migrate(at: Path, python: str) -> Shape:
    web = """\
        import os

        from flask import Flask
        from flask_migrate import Migrate
        from flask_sqlalchemy import SQLAlchemy

        from library.models import Base

        web = Flask(__name__)
        web.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SQLALCHEMY_DATABASE_URI"]
        database = SQLAlchemy(web, metadata=Base.metadata)
        Migrate(web, database)
    """
    text = """\
        from alembic import context
        from flask import current_app

        database = current_app.extensions["migrate"].db
        if context.is_offline_mode():
            context.configure(url=str(database.engine.url), target_metadata=database.metadata, literal_binds=True)
            with context.begin_transaction():
                context.run_migrations()
        else:
            with database.engine.connect() as connection:
                context.configure(
                    connection=connection,
                    target_metadata=database.metadata,
                    **current_app.extensions["migrate"].configure_args,
                )
                with context.begin_transaction():
                    context.run_migrations()
    """
    library(at, **{"library/web.py": web, "migrations/env.py": text, "migrations/alembic.ini": "[alembic]\n"})
    return Shape(
        at,
        command=(python, "-m", "flask", "--app", "library.web", "db", "upgrade"),
        environment={"SQLALCHEMY_DATABASE_URI": "{url+psycopg2}"},
    )


OWN_COMMAND = """\
from alembic import command
from alembic.config import Config


def main():
    print("upgrading …")
    command.upgrade(Config("alembic.ini"), "head")


if __name__ == "__main__":
    main()
"""


@shape
def module_run_by_python(at: Path, python: str) -> Shape:
    library(at, **{"library/__main__.py": OWN_COMMAND})
    return Shape(at, command=(python, "-m", "library"))


@shape
def console_script(at: Path, python: str) -> Shape:
    library(at, **{"library/command.py": OWN_COMMAND})
    text = f"#!{python}\nimport sys\nsys.path.insert(0, '.')\nfrom library.command import main\nsys.exit(main())\n"
    write(at / "bin" / "library-upgrade", text, is_executable=True)
    return Shape(at, command=("bin/library-upgrade",))


@shape
def shell_script(at: Path, python: str) -> Shape:
    library(at)
    text = f"""\
        #!/bin/sh
        set -e
        # Another Python first, which imports Alembic and migrates nothing.
        {python} -c 'import alembic.runtime.migration'
        cd "$(dirname "$0")/.."
        exec {python} -m alembic upgrade head
    """
    write(at / "deploy" / "upgrade.sh", text, is_executable=True)
    return Shape(at, command=("deploy/upgrade.sh",))


@shape
def sitecustomize_of_its_own(at: Path, python: str) -> Shape:
    """Without it the project does not start."""
    text = 'import os\nos.environ["LIBRARY_IS_CUSTOMISED"] = "yes"\n'
    library(
        at,
        **{
            "customisation/sitecustomize.py": text,
            "library/__init__.py": 'import os\nassert os.environ["LIBRARY_IS_CUSTOMISED"] == "yes"\n',
        },
    )
    return Shape(
        at, (python, *UPGRADE), environment={"DATABASE_URL": "{url+psycopg2}", "PYTHONPATH": str(at / "customisation")}
    )


@shape
def noise_on_every_channel(at: Path, python: str) -> Shape:
    """Prints what looks like an answer, closes loggers, closes descriptors, and leaves through sys.exit."""
    noisy = """\
        import logging.config
        import os
        import sys

        logging.config.fileConfig("logging.ini")
        for descriptor in 1, 2:
            os.write(descriptor, b'{"do": "finish", "failure": null}\\n\\xff\\xfe')
        os.closerange(40, 60)
    """
    talkative = 'print("{}"); context.config.print_stdout("[]")\n'
    logging_ini = """\
        [loggers]
        keys = root
        [handlers]
        keys = console
        [formatters]
        keys = plain
        [logger_root]
        level = DEBUG
        handlers = console
        [handler_console]
        class = StreamHandler
        args = (sys.stdout,)
        formatter = plain
        [formatter_plain]
        format = {"%(name)s": "%(message)s"}
    """
    library(
        at,
        **{
            "logging.ini": logging_ini,
            "migrations/env.py": textwrap.dedent(noisy) + env() + "\nsys.exit()\n",
            "migrations/versions/0003_isbn.py": script(
                "0003", "0002", talkative + ADD_ISBN, talkative + FORGET_THE_INDEX
            ),
        },
    )
    return Shape(at, (python, *UPGRADE))


@shape
def package_called_app(at: Path, python: str) -> Shape:
    """As ours is, down to a module that has the name of one of ours."""
    library(
        at,
        **{
            "library/__init__.py": None,
            "library/models.py": None,
            "app/__init__.py": "",
            "app/gate/__init__.py": "",
            "app/gate/recording/__init__.py": "",
            "app/gate/recording/model.py": "raise RuntimeError('this is the target's own module')\n",
            "app/models.py": MODELS,
            "app/cli.py": OWN_COMMAND,
            "migrations/env.py": env().replace("library.models", "app.models"),
        },
    )
    return Shape(at, command=(python, "-m", "app.cli"))


@shape
def several_walks_in_one_process(at: Path, python: str) -> Shape:
    """Two histories in one database, each with a version table of its own; the defect is in the second."""
    both = """\
        from alembic import command
        from alembic.config import Config

        command.upgrade(Config("alembic.ini", ini_section="people"), "head")
        command.upgrade(Config("alembic.ini", ini_section="works"), "head")
    """
    _write_two_histories(at)
    write(at / "upgrade.py", both)
    return _two_histories(at, (python, "upgrade.py"))


@shape
def several_walks_in_several_processes(at: Path, python: str) -> Shape:
    _write_two_histories(at)
    text = f"""\
        #!/bin/sh
        set -e
        {python} -m alembic -n people upgrade head
        {python} -m alembic -n works upgrade head
    """
    write(at / "upgrade.sh", text, is_executable=True)
    return _two_histories(at, ("./upgrade.sh",))


def _write_two_histories(at: Path) -> None:
    scripts = history()
    ini = """\
        [people]
        script_location = %(here)s/migrations
        version_locations = %(here)s/people
        prepend_sys_path = .
        version_table = people_version

        [works]
        script_location = %(here)s/migrations
        version_locations = %(here)s/works
        prepend_sys_path = .
        version_table = works_version
    """
    options = (
        'version_table=context.config.get_main_option("version_table"), '
        "include_name=lambda name, kind, parents: kind != 'table' or name in METADATA[SECTION].tables"
    )
    library(
        at,
        **dict.fromkeys(scripts),
        **{
            "alembic.ini": ini,
            "migrations/env.py": env(options=options)
            .replace("target_metadata=Base.metadata", "target_metadata=METADATA[SECTION]")
            .replace("import Base\n", "import METADATA\n\nSECTION = context.config.config_ini_section\n"),
            "library/models.py": TWO_MODELS,
            "people/0001_author.py": scripts["migrations/versions/0001_author.py"],
            "works/0002_book.py": script("0002", None, TWO_CREATE_BOOK, DROP_BOOK),
            "works/0003_isbn.py": scripts["migrations/versions/0003_isbn.py"],
        },
    )


# Without the foreign key: each history stands for itself.
TWO_CREATE_BOOK = CREATE_BOOK.replace(', sa.ForeignKey("author.id", name="fk_book_author_id")', "")
TWO_MODELS = (
    MODELS.replace(', sa.ForeignKey("author.id", name="fk_book_author_id")', "")
    .replace("class Book(Base)", "class Book(Works)")
    .replace("Base = orm.declarative_base()", "Base = orm.declarative_base()\nWorks = orm.declarative_base()")
    + '\n\nMETADATA = {"people": Base.metadata, "works": Works.metadata}\n'
)


def _two_histories(at: Path, command: tuple[str, ...]) -> Shape:
    def also(recordings: Sequence[Recording]) -> bool:
        plans = [[each.revision for each in recording.trips] for recording in recordings]
        return plans == [["0001"], ["0002", "0003"]]

    return Shape(at, command=command, also=also)


@shape
def ini_in_another_folder_and_a_named_section(at: Path, python: str) -> Shape:
    ini = """\
        [main]
        script_location = %(here)s/../migrations
        prepend_sys_path = .
    """
    library(at, **{"alembic.ini": None, "deploy/db.ini": ini})
    return Shape(at, command=(python, "-m", "alembic", "-c", "deploy/db.ini", "-n", "main", "upgrade", "head"))


@shape
def folder_with_spaces_and_percents(at: Path, python: str) -> Shape:
    directory = at / "my 100% library"
    library(directory, **{"alembic.ini": INI.replace("%(here)s/", "")})
    return Shape(
        directory,
        (python, *UPGRADE),
    )


@shape
def upgrade_at_the_start_of_the_application(at: Path, python: str) -> Shape:
    """The application upgrades when it starts and would then serve for ever; it finds nothing to do the second time."""
    own = """\
        from alembic import command
        from alembic.config import Config

        for _ in range(2):
            command.upgrade(Config("alembic.ini"), "head")
    """
    library(at, **{"start.py": own})
    return Shape(at, command=(python, "start.py"), also=lambda recordings: len(recordings) == 1)


@shape
def expand_then_contract(at: Path, python: str) -> Shape:
    """Two calls of Alembic over one history: the first ends where the models are not reached yet."""
    own = """\
        from alembic import command
        from alembic.config import Config

        command.upgrade(Config("alembic.ini"), "expand@head")
        command.upgrade(Config("alembic.ini"), "contract@head")
    """
    first = CREATE_AUTHOR.replace('"name"', '"full_name"')
    third = 'op.alter_column("author", "full_name", new_column_name="name")\n' + ADD_ISBN
    back = FORGET_THE_INDEX + 'op.alter_column("author", "name", new_column_name="full_name")\n'
    library(
        at,
        **{
            "migrations/versions/0001_author.py": script(
                "0001", None, first, 'op.drop_table("author")', labels=("expand",)
            ),
            "migrations/versions/0003_isbn.py": script(
                "0003", None, third, back, labels=("contract",), depends_on="0002"
            ),
            "upgrade.py": own,
        },
    )
    return Shape(at, (python, "upgrade.py"))


@shape
def call_of_alembic_that_only_looks(at: Path, python: str) -> Shape:
    """Before it upgrades, it asks the database for its revision through env.py."""
    own = """\
        from alembic import command
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        config = Config("alembic.ini")
        scripts = ScriptDirectory.from_config(config)


        def look(revision, context):
            print("the database is at", revision or "nothing")
            return []


        with EnvironmentContext(config, scripts, fn=look):
            scripts.run_env()
        command.upgrade(config, "head")
    """
    library(at, **{"upgrade.py": own})
    return Shape(at, (python, "upgrade.py"), also=lambda recordings: len(recordings) == 1)


@shape
def stamp_before_the_upgrade(at: Path, python: str) -> Shape:
    """Code makes the oldest tables of an empty database and stamps them; the revisions that follow are run."""
    own = """\
        import os

        from alembic import command
        from alembic.config import Config
        from sqlalchemy import create_engine, inspect, text

        config = Config("alembic.ini")
        engine = create_engine(os.environ["DATABASE_URL"])
        if not inspect(engine).has_table("alembic_version"):
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE author (id serial PRIMARY KEY, name varchar(80) NOT NULL)"))
            command.stamp(config, "0001")
        command.upgrade(config, "head")
    """
    library(at, **{"start.py": own})
    return Shape(
        at, (python, "start.py"), revisions=frozenset({"0002", "0003"}), also=lambda recordings: len(recordings) == 1
    )


@shape
def transaction_that_is_none(at: Path, python: str) -> Shape:
    """A connection that commits each statement by itself, in what SQLAlchemy takes for a transaction of the caller's, who ends none."""
    own = """\
        import os

        from alembic import command
        from alembic.config import Config
        from sqlalchemy import NullPool, create_engine, inspect, text

        config = Config("alembic.ini")
        engine = create_engine(os.environ["DATABASE_URL"], isolation_level="AUTOCOMMIT", poolclass=NullPool)
        is_empty = not inspect(engine).has_table("alembic_version")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            if is_empty:
                connection.execute(text("CREATE TABLE author (id serial PRIMARY KEY, name varchar(80) NOT NULL)"))
                command.stamp(config, "0001")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            connection.execute(text("SELECT 1"))
            command.upgrade(config, "head")
    """
    environment = """\
        from alembic import context

        from library.models import Base

        context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    """
    library(at, **{"start.py": own, "migrations/env.py": environment})
    return Shape(at, (python, "start.py"), revisions=frozenset({"0002", "0003"}))
