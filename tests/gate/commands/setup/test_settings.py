"""Where the settings go, and that what stands there is kept."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from app.gate.commands.setup.settings import plan_section, write_section
from app.gate.configuration import Configuration, read_configuration
from app.gate.errors import ConfigurationError

CONFIGURATION = Configuration(
    command=("flask", "db", "upgrade", "--directory", "my migrations"),
    env={"DATABASE_URL": "{url+psycopg2}", "GREETING": 'say "hello", 100 %'},
    options={"engine1:sqlalchemy.url": "{url}"},
)
INI = "[alembic]\nscript_location = %(here)s/migrations\n"
TOML = '[project]\nname = "shop"\n\n[tool.ruff]\nline-length = 99\n'


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"pyproject.toml": TOML, "setup.cfg": "", "alembic.ini": INI}, "pyproject.toml"),
        ({"setup.cfg": "[metadata]\nname = shop\n", "alembic.ini": INI}, "setup.cfg"),
        ({"alembic.ini": INI}, "alembic.ini"),
        ({}, "setup.cfg"),
        ({"pyproject.toml": "tool = { ruff = { line-length = 99 } }\n"}, "setup.cfg"),
        ({"pyproject.toml": "not TOML", "alembic.ini": INI}, "alembic.ini"),
        ({"pyproject.toml": TOML.rstrip("\n")}, "pyproject.toml"),
        ({"alembic.ini": INI.replace("\n", "\r\n")}, "alembic.ini"),
    ],
)
def test_the_section_is_added_to_the_first_file_that_can_take_it(
    tmp_path: Path, files: dict[str, str], name: str
) -> None:
    contents = {each: text.encode() for each, text in files.items()}
    for each, content in contents.items():
        (tmp_path / each).write_bytes(content)

    section = plan_section(tmp_path, CONFIGURATION)
    write_section(section)

    assert section.path == tmp_path / name
    assert not section.exists
    for each, content in contents.items():
        now = (tmp_path / each).read_bytes()
        assert now.startswith(content) if each == name else now == content
    before = contents.get(name, b"")
    assert (b"\r\n" in before) == (b"\r\n" in (tmp_path / name).read_bytes().removeprefix(before))
    for each in contents.keys() - {name}:
        (tmp_path / each).unlink()  # what is wrong with it is for others to say
    configured = read_configuration(tmp_path)
    assert (configured.command, configured.env, configured.options) == (
        CONFIGURATION.command,
        CONFIGURATION.env,
        CONFIGURATION.options,
    )


def test_other_tables_of_a_toml_file_are_the_same_as_before(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TOML)

    write_section(plan_section(tmp_path, CONFIGURATION))

    document = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    del document["tool"]["overproof"]
    assert document == tomllib.loads(TOML)


def test_the_mode_of_the_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text(INI)
    (tmp_path / "alembic.ini").chmod(0o600)

    write_section(plan_section(tmp_path, CONFIGURATION))

    assert (tmp_path / "alembic.ini").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["alembic.ini", "setup.cfg", "pyproject.toml"])
def test_a_section_that_is_there_is_found_wherever_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "pyproject.toml").write_text(TOML)
    section = "\n[tool.overproof]\ntimeout = 9\n" if name == "pyproject.toml" else "[overproof]\ntimeout = 9\n"
    with (tmp_path / name).open("a") as file:
        file.write(section)

    planned = plan_section(tmp_path, CONFIGURATION)

    assert planned.exists
    assert planned.path.name == name
    assert planned.text.startswith(planned.title)


def test_settings_that_cannot_be_read_are_refused_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[overproof]\ntime-out = 9\n")

    with pytest.raises(ConfigurationError, match="there is no setting 'time-out'"):
        plan_section(tmp_path, CONFIGURATION)
