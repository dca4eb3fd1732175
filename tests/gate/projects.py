"""Small Alembic projects, written into a folder for a test."""

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from app.gate.recording.model import Evidence
from app.gate.target.target import Target

COMMAND = (sys.executable, "-m", "alembic", "upgrade", "head")
# What is seen on the walk, without a further run of the command.
OF_THE_WALK = frozenset({Evidence.LOCKS, Evidence.POPULATED, Evidence.DRIFT, Evidence.UNREGISTERED})
ENVIRONMENT = {"DATABASE_URL": "{url+psycopg2}"}
INI = """
    [alembic]
    script_location = %(here)s/migrations
    prepend_sys_path = %(here)s
    path_separator = os
"""
ENV = """
    import os

    from alembic import context
    from sqlalchemy import MetaData, create_engine, pool

    try:
        from models import metadata
    except ModuleNotFoundError:
        metadata = None

    if context.is_offline_mode():
        context.configure(url=os.environ["DATABASE_URL"], target_metadata=metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    else:
        engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=metadata)
            with context.begin_transaction():
                context.run_migrations()
"""


def script(
    revision: str, down_revision: object, upgrade: str = "pass", downgrade: str | None = "pass", head: str = ""
) -> str:
    """The text of a revision's script. Without a `downgrade` it has none."""
    parts = [
        f'"""{revision}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n',
        f"revision = {revision!r}\ndown_revision = {down_revision!r}\n{textwrap.dedent(head)}",
        f"def upgrade():\n{textwrap.indent(textwrap.dedent(upgrade).strip(), '    ')}\n",
    ]
    if downgrade is not None:
        parts.append(f"def downgrade():\n{textwrap.indent(textwrap.dedent(downgrade).strip(), '    ')}\n")
    return "\n".join(parts)


def write_project(place: Path, scripts: Mapping[str, str], *, env: str = ENV, models: str | None = None) -> Path:
    """Write alembic.ini, env.py and the scripts, {"a1": text}, into that folder."""
    versions = place / "migrations" / "versions"
    versions.mkdir(parents=True)
    (place / "alembic.ini").write_text(textwrap.dedent(INI))
    (place / "migrations" / "env.py").write_text(textwrap.dedent(env))
    for name, text in scripts.items():
        (versions / f"{name}.py").write_text(text)
    if models is not None:
        (place / "models.py").write_text(textwrap.dedent(models))
    return place


def target(place: Path, *command: str, timeout_s: float = 60.0) -> Target:
    """The project in that folder, upgraded by `alembic upgrade head` or another command."""
    return Target(command or COMMAND, ENVIRONMENT, directory=place, timeout_s=timeout_s)
