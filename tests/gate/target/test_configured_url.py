"""What is read of a project's Alembic configuration: which one it is, and where it says that a URL and the scripts are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.target.configured_url import find_configured_url, find_databases, find_env, option_of, read_configuration
from app.gate.target.target import Target


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEMBIC_CONFIG", raising=False)


def alembic(place: Path, *options: str) -> Target:
    return Target(("alembic", *options, "upgrade", "head"), directory=place)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("alembic -c x.ini upgrade", "x.ini"),
        ("alembic -cx.ini upgrade", "x.ini"),
        ("alembic --config x.ini -c y.ini", "x.ini"),
        ("alembic --config=x.ini upgrade", "x.ini"),
        ("alembic --color upgrade -c", ""),
        ("alembic upgrade head", None),
        ("", None),
    ],
)
def test_an_option_is_written_in_four_ways(words: str, value: str | None) -> None:
    assert option_of(words.split(), "-c", "--config") == value


def test_the_configuration_is_that_of_the_command_else_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alembic.ini", "variable.ini", "option.ini"):
        (tmp_path / name).write_text(f"[alembic]\nname = {name}\nhere = %(here)s\n[other]\nname = other\n")

    def name_in(target: Target) -> str:
        configuration = read_configuration(target)
        assert configuration is not None
        return configuration.get("name")

    assert name_in(alembic(tmp_path)) == "alembic.ini"
    monkeypatch.setenv("ALEMBIC_CONFIG", "variable.ini")
    assert name_in(alembic(tmp_path)) == "variable.ini"
    assert name_in(alembic(tmp_path, "--config", "option.ini")) == "option.ini"
    assert name_in(alembic(tmp_path, "-c", "option.ini")) == "option.ini"
    assert name_in(alembic(tmp_path, "-n", "other")) == "other"
    assert name_in(alembic(tmp_path, "--name=other")) == "other"
    assert name_in(alembic(tmp_path, "-n", "absent")) == ""


@pytest.mark.parametrize("text", [b"no section\n", b"[alembic]\nname = \xff\n", None])
def test_a_configuration_that_cannot_be_read_is_none(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / "alembic.ini").write_bytes(text)

    assert read_configuration(alembic(tmp_path)) is None
    assert find_databases(alembic(tmp_path)) == ("", [])
    assert find_configured_url(alembic(tmp_path)) is None


def test_what_only_the_command_knows_is_empty_and_the_rest_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\na = %(DB)s\nb = %(here)s/café\nb = %(here)s/x\n", "utf-8")
    configuration = read_configuration(alembic(tmp_path))

    assert configuration is not None
    assert [configuration.get(name) for name in ("a", "b", "c")] == ["", f"{tmp_path}/x", ""]


@pytest.mark.parametrize(
    ("ini", "pyproject", "folder"),
    [
        ("[alembic]\nscript_location = db\n", 'script_location = "other"\n', "db"),
        ("[alembic]\nscript_location = shop:db\n", "", "shop/db"),
        ("[alembic]\n", '[tool.alembic]\nscript_location = "%(here)s/db"\n', "db"),
        ("", '[tool.alembic]\nscript_location = "db"\n', "db"),
        ("", '[tool.alembic]\n# script_location = "db"\n', "."),
        ("", "", "."),
    ],
)
def test_env_py_is_where_a_configuration_says(tmp_path: Path, ini: str, pyproject: str, folder: str) -> None:
    (tmp_path / "pyproject.toml").write_text(pyproject)
    (tmp_path / "alembic.ini").write_text(ini)
    if not ini:
        (tmp_path / "alembic.ini").unlink()

    assert find_env(alembic(tmp_path)) == tmp_path / folder / "env.py"


@pytest.mark.parametrize(
    ("databases", "names"),
    [("", []), ("shop, stock", ["shop", "stock"]), ("stock shop", ["stock", "shop"]), ("shop,absent", ["shop"])],
)
def test_the_databases_are_those_that_have_a_section(tmp_path: Path, databases: str, names: list[str]) -> None:
    (tmp_path / "x.ini").write_text(f"[alembic]\ndatabases = {databases}\n[shop]\n[stock]\n[loggers]\n")

    assert find_databases(alembic(tmp_path, "-c", "x.ini")) == ("x.ini", names)


@pytest.mark.parametrize(
    ("url", "driver", "database"),
    [
        ("postgresql+psycopg://me@localhost/shop", "psycopg", "shop"),
        ("postgresql://me@localhost/shop?a=b", "", "shop"),
        ("driver://", "", ""),
    ],
)
def test_the_url_of_the_configuration_names_a_driver_and_a_database(
    tmp_path: Path, url: str, driver: str, database: str
) -> None:
    (tmp_path / "alembic.ini").write_text(f"[alembic]\nsqlalchemy.url =  {url} \n")
    found = find_configured_url(alembic(tmp_path))

    assert found is not None
    assert (found.place, found.url, found.driver, found.database) == ("alembic.ini", url, driver, database)
    assert not found.is_async
    assert not found.is_replaced


@pytest.mark.parametrize("line", ["", "sqlalchemy.url =", "sqlalchemy.url = sqlite", "sqlalchemy.url = %(DB)s"])
def test_a_text_that_is_no_url_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "alembic.ini").write_text(f"[alembic]\n{line}\n")

    assert find_configured_url(alembic(tmp_path)) is None


@pytest.mark.parametrize(
    ("env", "is_async", "is_replaced"),
    [
        (b"engine_from_config(config)", False, False),
        (b"async_engine_from_config(config)", True, False),
        (b"# caf\xe9\ncreate_async_engine(url)", True, False),
        (b"config.set_main_option('sqlalchemy.url', url)", False, True),
        (b'section["sqlalchemy.url"] = url', False, True),
        (b'config.get_main_option("sqlalchemy.url")', False, False),
    ],
)
def test_env_py_says_what_becomes_of_the_url(tmp_path: Path, env: bytes, is_async: bool, is_replaced: bool) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = db\nsqlalchemy.url = postgresql://x/y\n")
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "env.py").write_bytes(env)
    found = find_configured_url(alembic(tmp_path))

    assert found is not None
    assert (found.is_async, found.is_replaced) == (is_async, is_replaced)
