"""Commands that call Alembic more than once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.gate.recording.model import Recording
from tests.gate.shapes.library import (
    ADD_ISBN,
    CREATE_AUTHOR,
    CREATE_BOOK,
    DROP_BOOK,
    FORGET_THE_INDEX,
    MODELS,
    env,
    history,
    library,
    script,
    write,
)
from tests.gate.shapes.shape import Shape, shape


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
