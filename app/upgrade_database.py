"""`overproof upgrade-database`: the record's database at head, also where Overproof was installed without its checkout.

It does what `python -m alembic upgrade head` does in a checkout, where alembic.ini is.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from app.cli import CommandFailed
from app.help import HelpFormatter

if TYPE_CHECKING:
    import sqlalchemy as sa

EXAMPLES = """\
Examples:

    DATABASE_URL=postgresql://… overproof upgrade-database
"""


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "upgrade-database",
        description="Brings the record's own database, which DATABASE_URL names, to the schema that this version of"
        " Overproof needs: before `overproof serve` starts, at each deployment. Several may run at the same time.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import sqlalchemy as sa

    from app.database import DatabaseRefused, connect, create_engine, database_url

    try:
        with connect(create_engine(database_url(), poolclass=sa.NullPool)) as connection:
            heads = upgrade_to_head(connection)
    except DatabaseRefused as refused:
        raise CommandFailed(str(refused)) from None
    print(f"The database is at {', '.join(heads)}.")
    return 0


def upgrade_to_head(connection: sa.Connection | sa.Engine) -> tuple[str, ...]:
    """What `python -m alembic upgrade head` does, without another Python. Returns the heads."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from app.schema_version import MIGRATIONS

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return tuple(ScriptDirectory(str(MIGRATIONS)).get_heads())
