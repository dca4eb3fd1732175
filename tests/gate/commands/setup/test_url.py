"""Where the URL comes from, where there is no Python to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.gate.commands.setup.url import UrlSource, find_url_of_alembic, find_url_of_flask
from app.gate.target.target import Target


@pytest.mark.parametrize(
    ("requirements", "url"),
    [
        ("alembic\npsycopg2-binary>=2.9\n", "{url+psycopg2}"),
        ("psycopg[binary]==3.2\nasyncpg\n", "{url+psycopg}"),
        ("psycopg2\npsycopg\n", "{url+psycopg2}"),
        ("my-psycopg2-tools\n", "{url}"),
        ("PG8000\npsycopg\n", "{url+psycopg}"),
        ("pg8000==1.31\n", "{url+pg8000}"),
        ("", "{url}"),
    ],
)
def test_the_driver_is_the_one_that_the_project_declares(tmp_path: Path, requirements: str, url: str) -> None:
    (tmp_path / "requirements.txt").write_text(requirements)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").write_text("import os\nurl = os.environ['SHOP_DB_URL']\n")

    found = find_url_of_alembic(Target((str(tmp_path / "no" / "python"),), directory=tmp_path))

    assert found.env == {"SHOP_DB_URL": url}
    assert found.place == "SHOP_DB_URL (migrations/env.py:2)"


def target_in(place: Path, files: Mapping[str, str]) -> Target:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return Target((str(place / "no" / "python"),), directory=place)


def alembic(place: Path, env: str, url: str = "", **files: str) -> UrlSource:
    """What is found for that env.py, and that URL in alembic.ini. An argument names a file without its suffix."""
    ini = f"[alembic]\nscript_location = migrations\n{url and f'sqlalchemy.url = {url}'}\n"
    modules = {f"{name}.py": text for name, text in files.items()}
    return find_url_of_alembic(target_in(place, {"alembic.ini": ini, "migrations/env.py": env, **modules}))


FROM_CONFIG = "engine_from_config(config)\n"
ASYNC = "async_engine_from_config(config)\n"


@pytest.mark.parametrize(
    ("env", "url", "expected"),
    [
        (FROM_CONFIG, "postgresql+psycopg://db/shop", "{url+psycopg}"),
        (FROM_CONFIG, "postgresql://db/shop", "{url}"),
        (FROM_CONFIG, "driver://user:pass@localhost/dbname", "{url}"),
        (FROM_CONFIG, "driver+psycopg://user:pass@localhost/dbname", "{url+psycopg}"),
        (ASYNC, "postgresql+asyncpg://db/shop", "{url+asyncpg}"),
    ],
)
def test_a_url_of_the_configuration_is_set_with_its_driver(tmp_path: Path, env: str, url: str, expected: str) -> None:
    found = alembic(tmp_path, env, url)

    assert (found.place, found.env, found.options) == (
        "sqlalchemy.url in alembic.ini",
        {},
        {"sqlalchemy.url": expected},
    )
    assert (found.is_async, found.is_certain) == (env == ASYNC, True)


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ("os.environ['DB_URL']\nengine_from_config(config)\n", ""),
        ("os.environ['DB_URL']\ncreate_engine(url)\n", "postgresql://db/shop"),
        (
            "config.set_main_option('sqlalchemy.url', os.environ['DB_URL'])\nengine_from_config()",
            "postgresql://db/shop",
        ),
    ],
)
def test_a_url_that_the_configuration_lacks_or_that_is_not_used_is_looked_for_in_the_code(
    tmp_path: Path, env: str, url: str
) -> None:
    found = alembic(tmp_path, env, url)

    assert (found.place, found.env, found.is_async) == ("DB_URL (migrations/env.py:1)", {"DB_URL": "{url}"}, False)


@pytest.mark.parametrize("name", ["create_async_engine", "AsyncEngine", "async_engine_from_config"])
@pytest.mark.parametrize(
    "source",
    [
        "os.environ['DB_URL']",
        "os.environ['DB_HOST'], os.environ['DB_NAME'], os.environ['DB_USER']",
        "",
    ],
)
def test_an_async_env_is_known_by_its_engine(tmp_path: Path, name: str, source: str) -> None:
    assert alembic(tmp_path, f"{source}\n{name}(url)\n").is_async
    assert not alembic(tmp_path, f"{source}\nno_{name}(url)\n").is_async


@pytest.mark.parametrize("folder", ["", "src/", "migrations/"])
def test_modules_are_looked_for_where_python_would(tmp_path: Path, folder: str) -> None:
    target = target_in(
        tmp_path,
        {
            "alembic.ini": "[alembic]\nscript_location = migrations\n",
            "migrations/env.py": "import settings\n",
            f"{folder}settings.py": "DB_URL = os.environ['DB_URL']\n",
        },
    )

    assert find_url_of_alembic(target).place == f"DB_URL ({folder}settings.py:1)"


def test_modules_beside_the_history_are_found_where_it_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    location = f"script_location = {tmp_path / 'shop' / 'migrations'}"
    target_in(tmp_path, {"shop/migrations/env.py": "import settings\n", "shop/settings.py": "os.environ['DB_URL']\n"})
    target = target_in(tmp_path / "db", {"alembic.ini": f"[alembic]\n{location}\n"})

    assert find_url_of_alembic(target).place == f"DB_URL ({tmp_path / 'shop' / 'settings.py'}:1)"


def test_parts_of_a_url_are_set_each_by_its_variable(tmp_path: Path) -> None:
    found = alembic(
        tmp_path,
        "e = os.environ\n(e['X'], os.environ['DB_HOST'], os.environ['DB_NAME'], os.environ['DB_USER'], os.environ['KEY'])\n",
    )

    assert found.place == "DB_HOST, DB_NAME and DB_USER (migrations/env.py:2)"
    assert found.env == {"DB_HOST": "{host}", "DB_NAME": "{database}", "DB_USER": "{user}"}
    assert found.made_up == {"KEY": "x"}
    assert found.is_certain


def test_the_only_variable_about_a_database_is_taken_from_the_nearest_module(tmp_path: Path) -> None:
    found = alembic(
        tmp_path,
        "import one\nos.environ['KEY']\n",
        one="import two\nos.environ['APP_DB']\n",
        two="os.environ['OTHER_DB'], os.environ['MORE_DB']\n",
    )

    assert (found.place, found.env) == ("APP_DB (one.py:2)", {"APP_DB": "{url}"})
    assert found.made_up == {"KEY": "x", "OTHER_DB": "x", "MORE_DB": "x"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A=1\nAPP_DB=postgresql://db/shop\n", "APP_DB"),
        ("  export APP_DB = 'postgres://db/shop'\n", "APP_DB"),
        ('APP_DB="postgresql+asyncpg://db/shop"\n', "APP_DB"),
        ("APP_DB=mysql://db/shop\n", None),
    ],
)
def test_a_dotenv_names_the_variable_where_the_code_does_not(tmp_path: Path, text: str, name: str | None) -> None:
    (tmp_path / ".env.example").write_text(text)
    (tmp_path / ".env").write_text("A=1\n")

    found = alembic(tmp_path, ASYNC)

    place = f"{name} (.env.example)" if name else "DATABASE_URL (assumed: nothing else was found)"
    assert (found.place, found.env) == (place, {name or "DATABASE_URL": "{url+asyncpg}"})
    assert (found.is_certain, found.is_async) == (name is not None, True)


def test_what_else_the_code_needs_gets_a_value_of_its_type(tmp_path: Path) -> None:
    fields = {
        "a": "bool", "b": "int", "c": "float", "d": "HttpUrl", "e": "EmailStr", "f": "str", "g": "Literal['x']", "h": "int = 1",
    }  # fmt: skip
    settings = "".join(f"    {name}: {type_}\n" for name, type_ in fields.items())

    found = alembic(tmp_path, f"class Settings(BaseSettings):\n    db_url: PostgresDsn\n{settings}")

    assert (found.place, found.env) == ("DB_URL (migrations/env.py:2)", {"DB_URL": "{url}"})
    assert found.made_up == {
        "A": "false", "B": "1", "C": "1", "D": "http://localhost", "E": "x@example.com", "F": "x", "G": "x",
    }  # fmt: skip


NOTE = (
    "alembic.ini has several databases (one, two and three), of which one at a time is verified: the settings are for one;"
    " for two and three add --set databases=two --set two:sqlalchemy.url={url}"
)


@pytest.mark.parametrize(("names", "note"), [(["one"], None), (["one", "two", "three"], NOTE)])
def test_of_several_databases_the_first_is_verified(tmp_path: Path, names: list[str], note: str | None) -> None:
    sections = "".join(f"[{name}]\n" for name in names)
    target = target_in(tmp_path, {"alembic.ini": f"[alembic]\ndatabases = {', '.join(names)}\n{sections}"})

    found = find_url_of_alembic(target)

    assert (found.place, found.options) == (
        "[one] in alembic.ini",
        {"databases": "one", "one:sqlalchemy.url": "{url}"},
    )
    assert list(found.notes) == ([note] if note else [])


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (
            {"app.py": "import os\nREDIS_URL = os.environ['REDIS_DB_URL']\n"
             "app.config['SQLALCHEMY_DATABASE_URI'] = (\n    os.environ['SHOP']\n)\n"},
            "SHOP (app.py:4)",
        ),
        ({"config.py": "class C:\n    SQLALCHEMY_DATABASE_URI: str = os.environ['SHOP']\n"}, "SHOP (config.py:2)"),
        ({"config.py": "app.config.update(SQLALCHEMY_DATABASE_URI=os.environ['SHOP'])\n"}, "SHOP (config.py:1)"),
        (
            {"config.py": "f(**{}, SQLALCHEMY_DATABASE_URI=[os.environ['SHOP'], os.environ['DB_URL']])\n"},
            "DB_URL (config.py:1)",
        ),
        ({"a.py": "SQLALCHEMY_DATABASE_URI = (\n", "b.py": "os.environ['DB_URL']\n"}, "DB_URL (b.py:1)"),
        ({"a.py": "SQLALCHEMY_DATABASE_URI = make()\nos.environ['APP_DB']\n"}, "APP_DB (a.py:2)"),
        ({"a.py": "OTHER = os.environ['APP_DB']\n"}, "APP_DB (a.py:1)"),
    ],
)  # fmt: skip
def test_the_url_of_flask_is_what_its_setting_is_made_of(tmp_path: Path, files: Mapping[str, str], place: str) -> None:
    found = find_url_of_flask(target_in(tmp_path, files))

    assert (found.place, found.env, found.is_async) == (place, {place.partition(" ")[0]: "{url}"}, False)


def test_modules_in_another_encoding_are_read_all_the_same(tmp_path: Path) -> None:
    target = target_in(tmp_path, {"alembic.ini": "[alembic]\nscript_location = migrations\n", "migrations/env.py": ""})
    (tmp_path / "migrations" / "env.py").write_bytes(
        b"# coding: latin-1 \xff\ncreate_async_engine(os.environ['DB_URL'])\n"
    )
    (tmp_path / "app.py").write_bytes(b"# coding: latin-1 \xff\nSQLALCHEMY_DATABASE_URI = os.environ['SHOP']\n")

    assert find_url_of_alembic(target).is_async
    assert find_url_of_flask(target).place == "SHOP (app.py:2)"
