"""What is found out of a project, by its files alone: its framework, its environment, and the tool that installs it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.gate.commands.setup import url
from app.gate.commands.setup.project import find_flask_migrate, find_installer, find_project, typed_url
from app.gate.errors import CannotVerify
from app.gate.target.target import Target

PIP = "python -m pip install"
VENV = "python -m venv .venv"
IN_VENV = ".venv/bin/python -m pip install"
IN_PROJECT = {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}
PIPENV = {"PIPENV_VENV_IN_PROJECT": "1"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There are no programs, so that no Python is asked."""
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "FLASK_APP", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


def write(place: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


@pytest.mark.parametrize(
    ("files", "name", "evidence", "commands", "variables", "before"),
    [
        ({"uv.lock": ""}, "uv", "uv.lock", (f"{PIP} uv", "uv sync"), {}, ()),
        ({"pyproject.toml": "[tool.uv]\n"}, "uv", "pyproject.toml", (f"{PIP} uv", "uv sync"), {}, ()),
        (
            {"poetry.lock": "", "requirements.txt": ""},
            *("Poetry", "poetry.lock", (f"{PIP} poetry", "poetry install"), IN_PROJECT, ("poetry", "run")),
        ),
        (
            {"pyproject.toml": "[tool.poetry]\n"},
            *("Poetry", "pyproject.toml", (f"{PIP} poetry", "poetry install"), IN_PROJECT, ("poetry", "run")),
        ),
        ({"pdm.lock": ""}, "PDM", "pdm.lock", (f"{PIP} pdm", "pdm install"), {}, ("pdm", "run")),
        (
            {"pyproject.toml": "[tool.pdm]\n"},
            "PDM",
            "pyproject.toml",
            (f"{PIP} pdm", "pdm install"),
            {},
            ("pdm", "run"),
        ),
        ({"Pipfile": ""}, "Pipenv", "Pipfile", (f"{PIP} pipenv", "pipenv install"), PIPENV, ("pipenv", "run")),
        (
            {"requirements.txt": "", "requirements/base.txt": "", "setup.py": ""},
            *("pip", "requirements.txt", (VENV, f"{IN_VENV} -r requirements.txt"), {}, ()),
        ),
        (
            {"requirements/base.txt": "", "requirements/production.txt": ""},
            *("pip", "requirements/base.txt", (VENV, f"{IN_VENV} -r requirements/base.txt"), {}, ()),
        ),
        (
            {"requirements/production.txt": ""},
            *("pip", "requirements/production.txt", (VENV, f"{IN_VENV} -r requirements/production.txt"), {}, ()),
        ),
        (
            {"pyproject.toml": "[project]\n", "setup.py": ""},
            *("pip", "pyproject.toml", (VENV, f"{IN_VENV} -e ."), {}, ()),
        ),
        ({"pyproject.toml": "[tool.ruff]\n", "setup.py": ""}, "pip", "setup.py", (VENV, f"{IN_VENV} -e ."), {}, ()),
        ({"setup.cfg": "[options]\n"}, "pip", "setup.cfg", (VENV, f"{IN_VENV} -e ."), {}, ()),
        (
            {"setup.cfg": "[flake8]\n", "pyproject.toml": "not TOML"},
            *("pip", "assumed: no file says what to install", (VENV, f"{IN_VENV} alembic psycopg2-binary"), {}, ()),
        ),
    ],
)
def test_the_tool_that_installs_a_project_is_known_by_its_files(
    shop: Path,
    files: Mapping[str, str],
    name: str,
    evidence: str,
    commands: tuple[str, ...],
    variables: Mapping[str, str],
    before: tuple[str, ...],
) -> None:
    found = find_installer(write(shop, files), shop)

    assert (found.name, found.evidence, found.commands) == (name, evidence, commands)
    assert (found.variables, found.run) == (variables, before)


@pytest.mark.parametrize(
    ("file", "evidence", "last"),
    [
        ("uv.lock", "../../uv.lock", "uv sync"),
        ("poetry.lock", "../../poetry.lock", "poetry install"),
        ("pdm.lock", "../../pdm.lock", "pdm install"),
        ("Pipfile", "../../Pipfile", "pipenv install"),
        ("requirements.txt", "../../requirements.txt", f"{IN_VENV} -r ../../requirements.txt"),
        ("setup.py", "../../setup.py", f"{IN_VENV} -e ../../"),
    ],
)
def test_it_may_be_that_of_the_repository_but_not_of_what_is_around_it(
    shop: Path, file: str, evidence: str, last: str
) -> None:
    (shop / "back" / "end").mkdir(parents=True)
    (shop / file).touch()

    found = find_installer(shop / "back" / "end", shop)

    assert (found.evidence, found.commands[-1]) == (evidence, last)
    assert find_installer(shop / "back" / "end", shop / "back").evidence.startswith("assumed")


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ({"db/env.py": "current_app", "migrations/env.py": "current_app"}, "migrations"),
        ({"a/env.py": "import os", "db/env.py": "current_app"}, "db"),
        ({"migrations/env.py": "import os"}, None),
        ({"alembic.ini": "", "migrations/env.py": "current_app"}, None),
    ],
)
def test_flask_migrate_is_known_by_its_env(shop: Path, files: Mapping[str, str], folder: str | None) -> None:
    assert find_flask_migrate(write(shop, files)) == folder


FLASK = {"migrations/env.py": "current_app\n", "shop/__init__.py": "import os, flask\napp = flask.Flask('shop')\n"}
ALEMBIC = {"alembic.ini": "[alembic]\nscript_location = migrations\n", "migrations/env.py": ""}
PYPROJECT = {"pyproject.toml": '[tool.alembic]\nscript_location = "migrations"\n', "migrations/env.py": ""}


@pytest.mark.parametrize(
    ("files", "framework", "place", "command"),
    [
        (ALEMBIC, "Alembic", "alembic.ini", ()),
        (PYPROJECT, "Alembic", "pyproject.toml", ()),
        (
            {**ALEMBIC, "poetry.lock": ""},
            *("Alembic", "alembic.ini", ("poetry", "run", "alembic", "upgrade", "head")),
        ),
        (FLASK, "Flask-Migrate", "migrations/env.py", ("flask", "db", "upgrade")),
        (
            {"db/env.py": "current_app\n", "pdm.lock": ""},
            *("Flask-Migrate", "db/env.py", ("pdm", "run", "flask", "db", "upgrade", "--directory", "db")),
        ),
    ],
)
def test_the_framework_and_its_command_are_found(
    shop: Path, files: Mapping[str, str], framework: str, place: str, command: tuple[str, ...]
) -> None:
    found = find_project(write(shop, files))

    assert (found.directory, found.root, found.installer) == (shop, shop, find_installer(shop, shop))
    assert (found.framework, found.place, found.command) == (framework, place, command)


def test_what_is_typed_is_the_command_whatever_the_files_say(shop: Path) -> None:
    found = find_project(write(shop, FLASK), ["./migrate.sh", "--all"])

    assert (found.framework, found.place, found.command) == ("a command", "typed", ("./migrate.sh", "--all"))
    assert found.url.env["FLASK_APP"] == "shop"


def test_another_configuration_may_be_named_in_the_environment(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEMBIC_CONFIG", "etc/alembic.ini")

    assert find_project(shop).place == "etc/alembic.ini"


def test_without_a_configuration_it_is_said_what_to_type(shop: Path) -> None:
    with pytest.raises(CannotVerify, match="type cd back && overproof init, or overproof init -- alembic -c back/"):
        find_project(write(shop, {"back/alembic.ini": ""}))


def test_the_environment_is_the_active_one_or_that_of_the_project_or_of_its_tool(
    shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(shop, {**ALEMBIC, "Pipfile": ""})
    of_the_tool = find_project(shop)
    (shop / ".venv" / "bin").mkdir(parents=True)
    of_the_project = find_project(shop)
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "active"))
    active = find_project(shop)
    monkeypatch.setenv("CONDA_PREFIX", sys.prefix)

    assert (of_the_tool.environment, of_the_tool.command[:2]) == ("`pipenv run`", ("pipenv", "run"))
    assert (of_the_project.environment, of_the_project.command) == (".venv", ())
    assert (active.environment, active.command) == (f"{tmp_path / 'active'} (active)", ())
    assert find_project(shop).environment == ".venv"  # not Overproof's own


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"shop/__init__.py": "import flask\ndef create_app():\n    pass\n"}, "shop"),
        ({"shop/web.py": "from flask import Flask\napplication: Flask = Flask('shop')\n"}, "shop.web"),
        ({"shop/web.py": "from Flask import x\ndef make_app(): pass\n"}, "shop.web"),
        ({"shop.py": "import flask\nname = 1\n"}, None),
        ({"shop.py": "app = 1\n"}, None),
        ({"one.py": "import flask\napp = 1\n", "two.py": "import flask\napp = 1\n"}, None),
        ({"web.py": "import flask\napp = 1\n", ".flaskenv": ""}, None),
        ({"web.py": "import flask\napp = 1\n", "app.py": ""}, None),
        ({"web.py": "import flask\napp = 1\n", "wsgi.py": ""}, None),
    ],
)
def test_the_flask_application_is_named_where_flask_would_not_find_it(
    shop: Path, files: Mapping[str, str], name: str | None
) -> None:
    found = find_project(write(shop, {"migrations/env.py": "current_app", **files}))

    assert found.url.env == {**({"FLASK_APP": name} if name else {}), "DATABASE_URL": "{url}"}


def test_files_in_another_encoding_are_read_all_the_same(shop: Path) -> None:
    write(shop, {"migrations/env.py": "", "shop.py": "", "setup.cfg": ""})
    (shop / "migrations" / "env.py").write_bytes(b"# \xff\ncurrent_app\n")
    (shop / "shop.py").write_bytes(b"# \xff\nimport flask\napp = 1\n")
    (shop / "setup.cfg").write_bytes(b"# \xff\n[options]\n")

    found = find_project(shop)

    assert (found.framework, found.url.env["FLASK_APP"]) == ("Flask-Migrate", "shop")
    assert found.installer.evidence == "setup.cfg"


def test_the_alembic_on_the_path_is_asked_where_there_is_no_environment(
    shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    write(tmp_path, {"bin/alembic": "#!/usr/bin/python3\n"})
    (tmp_path / "bin" / "alembic").chmod(0o755)

    def driver_for(target: Target, *, is_async: bool, named: str = "") -> str:
        asked.append(target.command[0])
        return "psycopg"

    monkeypatch.setattr(url, "driver_for", driver_for)

    found = find_project(write(shop, ALEMBIC))

    assert asked == [str(tmp_path / "bin" / "alembic")]
    assert found.url.env == {"DATABASE_URL": "{url+psycopg}"}


def test_the_flask_application_of_the_environment_comes_first(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_APP", "other:make()")

    found = find_project(write(shop, FLASK))

    assert list(found.url.env.items()) == [("FLASK_APP", "other:make()"), ("DATABASE_URL", "{url}")]


def test_a_variable_that_is_typed_is_certain(shop: Path) -> None:
    write(shop, {**ALEMBIC, "migrations/env.py": "create_async_engine()", "requirements.txt": "pg8000\n"})

    found = typed_url(find_project(shop), "APP_DB")

    assert (found.place, found.env, found.is_certain, found.is_async) == (
        "APP_DB (typed)",
        {"APP_DB": "{url+asyncpg}"},
        True,
        True,
    )
