"""How the command reaches Alembic."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.gate.shapes.library import ADD_ISBN, FORGET_THE_INDEX, INI, MODELS, env, library, script, write
from tests.gate.shapes.shape import UPGRADE, Shape, shape


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
