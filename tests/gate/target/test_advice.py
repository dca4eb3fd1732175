"""What to type next, from what a command printed. The program is not there, so no driver of its environment is known."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.gate.server.database import Database
from app.gate.target import advice as advising
from app.gate.target.advice import advise, advise_on_database
from app.gate.target.target import Target, find_misspelt_placeholder
from tests.gate.projects import write_project

PLACEHOLDER = "sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:driver\n"
REFUSED = (
    "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server failed: Connection refused\n"
)
NOT_ASYNC = "sqlalchemy.exc.InvalidRequestError: The asyncio extension requires an async driver to be used. The loaded 'psycopg2' is not async.\n"
SETTINGS = """\
pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
db_url
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.12/v/missing
secret_key
  Field required [type=missing, input_value={}, input_type=dict]
"""


def project(place: Path, url: str, env: str = "engine_from_config(config)") -> Target:
    write_project(place, {}, env=env)
    with (place / "alembic.ini").open("a") as ini:
        ini.write(f"sqlalchemy.url = {url}\n")
    return Target(("nowhere/alembic", "upgrade", "head"), {"DATABASE_URL": "{url}"}, directory=place)


@pytest.mark.parametrize(
    ("url", "env", "words", "options"),
    [
        ("driver://user:pass@localhost/dbname", "", PLACEHOLDER, "--set sqlalchemy.url={url}"),
        ("driver://user:pass@localhost/dbname", "async_engine_from_config()", PLACEHOLDER, "--set sqlalchemy.url={url+asyncpg}"),
        ("postgresql://me@localhost/shop", "", REFUSED, "--set sqlalchemy.url={url}"),
        ("postgresql+pg8000://me@localhost/shop", "", REFUSED, "--set sqlalchemy.url={url+pg8000}"),
        ("postgresql://me@localhost/shop", "config.set_main_option('sqlalchemy.url', url)", REFUSED, ""),
        ("postgresql://me@localhost/shop", "", "KeyError: 'SHOP_DB_URL'\n", "--env SHOP_DB_URL={url}"),
        ("postgresql://me@localhost/shop", "", "KeyError: 'OTHER_URL'\nKeyError: 'SHOP_DB_URL'\n", "--env SHOP_DB_URL={url}"),
        ("postgresql://me@localhost/shop", "", SETTINGS, "--env DB_URL={url} --env SECRET_KEY=x"),
        ("postgresql://me@localhost/shop", "", SETTINGS.replace("db_url", "a").replace("secret_key", "db_uri"), "--env A=x --env DB_URI={url}"),
        ("postgresql://me@localhost/shop", "", SETTINGS.replace("secret_key", "log_db_url"), "--env DB_URL={url} --env LOG_DB_URL=x"),
        ("%(DB)s", "", NOT_ASYNC, "--env DATABASE_URL={url+asyncpg}"),
        ("postgresql://me@localhost/shop", "", "FAILED: Can't locate revision identified by 'x'\n", ""),
    ],
)  # fmt: skip
def test_what_the_command_printed_says_what_to_add(
    tmp_path: Path, url: str, env: str, words: str, options: str
) -> None:
    assert " ".join(advise(words, 1, project(tmp_path, url, env)).options) == options


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (1, "if it is the right command, give it what it needs to run (--env NAME=VALUE, --set), else name another after --"),
        (0, "name the command that upgrades the project's database after --"),
    ],
)  # fmt: skip
def test_where_nothing_is_known_another_command_may_be_the_right_one(tmp_path: Path, status: int, text: str) -> None:
    asked_for = [] if status else ["OTHER_DB_URL"]

    assert advise("no\n", status, project(tmp_path, "%(DB)s"), asked_for) == advising.Advice(text)


@pytest.mark.parametrize(
    ("target", "is_told"),
    [
        (Target(("x",), {"MODE": "x"}), True),
        (Target(("x",), {"DATABASE_URL": "{url}"}), True),
        (Target(("x",), {"DB_NAME": "{database}"}), False),
        (Target(("x",), options={"sqlalchemy.url": "{url+psycopg}"}), False),
        (Target(("x",), options={"a": "b"}), True),
        (Target(("x",), files={Path("app.ini"): "a"}), False),
    ],
)
def test_what_the_command_looked_for_is_told_unless_it_was_given_a_url(
    tmp_path: Path, target: Target, is_told: bool
) -> None:
    advice = advise("ValueError: no\n", 1, replace(target, directory=tmp_path), ["OTHER_DB_URL"])

    assert bool(advice.options) is is_told


def test_what_the_server_lacks_is_told(tmp_path: Path) -> None:
    said = 'sqlalchemy.exc.NotSupportedError: (psycopg2.errors.FeatureNotSupported) extension "postgis" is not available\nDETAIL:  Could not open'

    advice = advise(said, 1, project(tmp_path, "postgresql://me@localhost/shop", "os.environ"))

    assert advice.text == (
        "the server does not have that extension. Use one that does: OVERPROOF_PG_BINDIR names the folder with its programs,"
        " --database-url a running server. In CI, that is a service from the image postgis/postgis"
    )


def test_the_url_of_the_configuration_is_no_advice_where_another_is_set(tmp_path: Path) -> None:
    target = project(tmp_path, "postgresql://me@localhost/shop")

    assert advise(REFUSED, 1, target).text == "its URL is in alembic.ini"
    assert advise(REFUSED, 1, replace(target, options={"sqlalchemy.url": "{url}"})).options == ()


def test_of_several_databases_one_is_verified_at_a_time(tmp_path: Path) -> None:
    target = project(tmp_path, "driver://x/y")
    with (tmp_path / "alembic.ini").open("a") as ini:
        ini.write("databases = shop, stock\n[shop]\nsqlalchemy.url = driver://x/shop\n[stock]\n")

    advice = advise(PLACEHOLDER, 1, target)

    assert advice.options == ("--set", "databases=shop", "--set", "shop:sqlalchemy.url={url}")
    assert "it migrates several databases (shop and stock), whose URLs are in alembic.ini" in advice.text
    assert advise(REFUSED, 1, target) == advice
    assert advise("KeyError: 'x'\n", 1, target).options == ()
    assert advise(PLACEHOLDER, 1, replace(target, options={"databases": "shop"})) != advice


@pytest.mark.parametrize(
    "command", [("-c", "deploy.ini"), ("-cdeploy.ini",), ("--config", "deploy.ini"), ("--config=deploy.ini",)]
)
def test_the_configuration_is_the_one_that_the_command_names(tmp_path: Path, command: tuple[str, ...]) -> None:
    target = project(tmp_path, "%(DB)s")
    (tmp_path / "deploy.ini").write_text("[alembic]\nsqlalchemy.url = postgresql://me@localhost/shop\n")

    advice = advise(REFUSED, 1, replace(target, command=("nowhere/alembic", *command, "upgrade", "head")))

    assert advice.text == "its URL is in deploy.ini"


def test_a_driver_that_is_not_async_is_replaced_where_it_was_named(tmp_path: Path) -> None:
    target = replace(project(tmp_path, "driver://x/y"), options={"sqlalchemy.url": "{url+psycopg2}?a=b"})

    assert advise(NOT_ASYNC, 1, target).options == ("--set", "sqlalchemy.url={url+asyncpg}?a=b")
    assert advise(NOT_ASYNC, 1, target).text == "name an async driver"


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({}, ("--env", "DATABASE_URL={url+psycopg2}")),
        ({"MODE": "x", "SHOP_URL": "{url+asyncpg}"}, ("--env", "SHOP_URL={url+psycopg2}")),
    ],
)
def test_a_driver_that_is_async_is_replaced_where_it_was_named(
    tmp_path: Path, environment: dict[str, str], options: tuple[str, ...]
) -> None:
    target = replace(project(tmp_path, "%(DB)s"), environment=environment)

    assert advise(NO_SYNC, 1, target) == advising.Advice("name a driver that the project has", options)


NO_POSTGRES_DB = """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for DatabaseSettings
POSTGRES_DB
  Field required [type=missing, input_value={}, input_type=dict]
"""
OF_PARTS = ["POSTGRES_USER", "POSTGRES_HOST", "REDIS_HOST", "POSTGRES_DB", "POSTGRES_ECHO"]


@pytest.mark.parametrize(
    ("words", "asked_for", "options"),
    [
        (NO_POSTGRES_DB, [], "--env POSTGRES_DB={database}"),
        (NO_POSTGRES_DB, OF_PARTS, "--env POSTGRES_DB={database} --env POSTGRES_USER={user} --env POSTGRES_HOST={host}"),
        ("KeyError: 'APP_DB'\n", [], "--env APP_DB={url}"),
        ("ValueError: no URL\n", ["REDIS_URL", "OS_DATABASE__SLAVE_CONNECTION", "OS_DATABASE__CONNECTION"], "--env OS_DATABASE__CONNECTION={url}"),
        ("ValueError: no URL\n", ["REDIS_URL", "SQLALCHEMY_WARN_20"], ""),
        ("ModuleNotFoundError: No module named 'celery'\n", ["OTHER_DB_URL"], ""),
        ("FAILED: Can't locate revision identified by 'x'\n", ["OTHER_DB_URL"], ""),
        (REFUSED, ["SHOP_DB_HOST", "SHOP_DB_USER", "SHOP_DB_NAME"], "--env SHOP_DB_HOST={host} --env SHOP_DB_USER={user} --env SHOP_DB_NAME={database}"),
    ],
)  # fmt: skip
def test_what_the_command_looked_for_says_where_it_reads_its_url(
    tmp_path: Path, words: str, asked_for: list[str], options: str
) -> None:
    assert " ".join(advise(words, 1, project(tmp_path, "%(DB)s"), asked_for).options) == options


def test_what_a_command_looked_for_is_no_advice_where_its_url_is_given(tmp_path: Path) -> None:
    target = replace(project(tmp_path, "%(DB)s"), environment={"SHOP_DB_URL": "{url}"})

    assert advise("ValueError: no\n", 1, target, ["TEST_DATABASE_URL"]).options == ()


def test_of_another_database_the_variable_is_told_that_names_it_or_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_NAME", "shop")
    monkeypatch.setenv("SHOP_DSN", "postgresql+pg8000://me@db.example/shop")
    target = project(tmp_path, "%(DB)s")
    given = replace(target, environment={"SHOP_DSN": "x"})

    assert advise_on_database("shop", target, ["OTHER_DB_URL"]).options == ("--env", "SHOP_DSN={url+pg8000}")
    assert advise_on_database("shop", target, ["OTHER_DB_URL"]).text == "its URL is in the variable SHOP_DSN"
    assert advise_on_database("shop", given, ["OTHER_DB_URL"]).options == ("--env", "OTHER_DB_URL={url}")
    assert advise_on_database(None, target, ["OTHER_DB_URL"]).options == ("--env", "OTHER_DB_URL={url}")
    assert advise_on_database(None, target, ["OTHER_DB_URL"]).text == (
        "it looked for OTHER_DB_URL in its environment, which is not set"
    )


NO_CONFIGURATION = "FAILED: No 'script_location' key found in configuration.\n"


def test_where_alembic_finds_no_configuration_its_file_or_its_section_is_told(tmp_path: Path) -> None:
    target = project(tmp_path, "%(DB)s")
    (tmp_path / "several.ini").write_text(
        "[DEFAULT]\nscript_location = %(here)s/x\n[shop_db]\nversion_locations = %(here)s/a\n"
        "[stock_db]\nversion_locations = %(here)s/b\n[loggers]\nkeys = root\n"
    )

    for option in (("-c", "x.ini"), ("--config", "x.ini"), ("--config=x.ini",)):
        absent = advise(NO_CONFIGURATION, 255, replace(target, command=("nowhere/alembic", *option, "upgrade", "head")))
        assert absent.text == (f"there is no x.ini in {tmp_path}: name the project's by its path, with alembic -c PATH")
    several = advise(
        NO_CONFIGURATION, 255, replace(target, command=("nowhere/alembic", "-cseveral.ini", "upgrade", "head"))
    )

    assert several.text == (
        "several.ini has the sections shop_db and stock_db: name one, as in alembic -c several.ini -n shop_db upgrade head"
    )


def test_a_section_has_revisions_if_it_says_where_they_are(tmp_path: Path) -> None:
    target = replace(project(tmp_path, "%(DB)s"), command=("nowhere/alembic", "-n", "main", "upgrade", "head"))
    (tmp_path / "alembic.ini").write_text(
        "[main]\nversion_locations = x\n[my_db]\nscript_location = y\n[loggers]\nkeys = root\n"
    )
    advice = advise(NO_CONFIGURATION, 255, target)

    assert (
        advice.text == "alembic.ini has the section my_db: name one, as in alembic -c alembic.ini -n my_db upgrade head"
    )
    (tmp_path / "alembic.ini").write_text("[main]\nversion_locations = x\n")
    assert "section" not in advise(NO_CONFIGURATION, 255, target).text
    (tmp_path / "alembic.ini").unlink()
    assert advise(NO_CONFIGURATION, 255, target).text.startswith(f"there is no alembic.ini in {tmp_path}: ")
    (tmp_path / "alembic.ini").write_text("no section\n")
    assert "there is no" not in advise(NO_CONFIGURATION, 255, target).text


def test_a_script_location_that_counts_from_elsewhere_is_told(tmp_path: Path) -> None:
    write_project(tmp_path / "deploy", {}, env="")
    words = "FAILED: Path doesn't exist: migrations.  Please use the 'init' command to create a new scripts folder.\n"
    (tmp_path / "deploy" / "migrations").mkdir(exist_ok=True)
    target = Target(("nowhere/alembic", "--config=deploy/alembic.ini", "upgrade", "head"), directory=tmp_path)

    assert advise(words, 255, target).text == (
        f"its script_location counts from the directory in which it runs: go to {tmp_path / 'deploy'} and name the configuration"
        " from there"
    )
    for quoted in ("'migrations'", "'migrations'."):
        assert "go to" in advise(words.replace("migrations.", quoted), 255, target).text
    assert "go to" not in advise(words.replace("migrations", "elsewhere"), 255, target).text
    assert "go to" not in advise(words, 255, replace(target, command=("nowhere/alembic", "upgrade"))).text
    assert "go to" not in advise(words, 255, replace(target, directory=tmp_path / "deploy")).text
    (tmp_path / "deploy" / "alembic.ini").unlink()
    assert "go to" not in advise(words, 255, target).text


def test_a_configuration_without_a_url_is_given_one(tmp_path: Path) -> None:
    words = 'File "sqlalchemy/engine/create.py", line 9, in engine_from_config\n    url = options.pop("url")\nKeyError: \'url\'\n'

    target = project(tmp_path, "")

    assert advise(words, 1, target).options == ("--set", "sqlalchemy.url={url}")
    assert advise(words, 1, target).text == "its configuration has no sqlalchemy.url"
    assert advise(words, 1, replace(target, options={"sqlalchemy.url": "{url}"})).options == ()
    assert advise("KeyError: 'url'\n", 1, target).options == ()


NO_DRIVER = "ModuleNotFoundError: No module named 'psycopg2'\n"
NO_SYNC = "sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called\n"
SET = {"sqlalchemy.url": "{url+psycopg}"}


@pytest.mark.parametrize(
    ("url", "env", "options", "text"),
    [
        ("%(DB)s", "", {}, "name a driver that the project has"),
        ("postgresql://me@localhost/shop", "config.set_main_option('sqlalchemy.url', url)", {}, "name a driver that the project has"),
        ("postgresql://me@localhost/shop", "", SET, "name a driver that the project has"),
        ("postgresql://me@localhost/shop", "", {}, "its URL is in alembic.ini"),
    ],
    ids=["no URL in the configuration", "env.py replaces it", "it is set", "the URL of the configuration"],
)  # fmt: skip
def test_a_driver_that_is_not_installed_is_replaced_where_the_url_is_ours(
    tmp_path: Path, url: str, env: str, options: dict[str, str], text: str
) -> None:
    target = replace(project(tmp_path, url, env), options=options)

    assert advise(NO_DRIVER, 1, target).text == text


def test_another_database_is_that_of_the_configuration_only_if_it_has_its_name(tmp_path: Path) -> None:
    target = project(tmp_path, "postgresql://me@localhost/shop")

    assert advise_on_database("shop", target).options == ("--set", "sqlalchemy.url={url}")
    assert advise_on_database("other", target).options == ()
    assert "--env DATABASE_URL={url}" in advise_on_database("other", target).text


@pytest.mark.parametrize(
    ("template", "misspelt"),
    [
        ("{url}", None),
        ("{url+psycopg2}", None),
        ("postgresql://{user}@{host}:{port}/{database}", None),
        ("{ur}", ("{ur}", "{url}")),
        ("{URL}", ("{URL}", "{url}")),
        ("x={url+Psycopg2}", ("{url+Psycopg2}", "{url}")),
        ("{dbname}", ("{dbname}", "{database}")),
        ("{passwort}", ("{passwort}", "{password}")),
        ('{"a": 1} {} {print} {message} {levelname}', None),
    ],
)
def test_a_placeholder_that_is_misspelt_is_found(template: str, misspelt: tuple[str, str] | None) -> None:
    assert find_misspelt_placeholder(template) == misspelt


@pytest.mark.processes
@pytest.mark.parametrize(("section", "place"), [("", "alembic"), ("other", "other"), ("absent", "absent")])
def test_an_option_is_set_in_the_commands_own_process(tmp_path: Path, section: str, place: str) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n[other]\na = b\n")
    target = Target(("x",), options={f"{section}:sqlalchemy.url" if section else "sqlalchemy.url": "{url}"})
    database = Database("c", "b", 1, "a", "p@")
    code = f"from alembic.config import Config; print(Config('alembic.ini').get_section({place!r})['sqlalchemy.url'])"

    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=target.environment_for(database),
        capture_output=True,
        text=True,
        check=True,
    )

    assert printed.stdout == "postgresql://a:p%40@b:1/c\n"


@pytest.mark.parametrize(
    ("found", "is_async", "named", "driver"),
    [
        ([], False, "", ""),
        (["asyncpg"], False, "", "asyncpg"),
        (["asyncpg", "psycopg"], False, "", "psycopg"),
        (["psycopg2", "psycopg"], False, "", "psycopg2"),
        (["psycopg2"], False, "pg8000", "pg8000"),
        (["psycopg"], False, "psycopg2", "psycopg"),
        (["psycopg"], False, "pass", "psycopg"),
        ([], True, "", "asyncpg"),
        (["psycopg"], True, "", "psycopg"),
        (["psycopg", "asyncpg"], True, "", "asyncpg"),
        (["asyncpg"], True, "psycopg", "psycopg"),
        (["psycopg"], True, "pg8000", "psycopg"),
    ],
)
def test_the_driver_is_the_one_that_is_named_else_the_best_that_can_be_imported(
    monkeypatch: pytest.MonkeyPatch, found: list[str], is_async: bool, named: str, driver: str
) -> None:
    monkeypatch.setattr(advising, "importable_drivers", lambda *_: found)

    assert advising.driver_for(Target(("alembic",)), is_async=is_async, named=named) == driver
