"""The library, of which every shape is a variation."""

from __future__ import annotations

import stat
import textwrap
from pathlib import Path

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
