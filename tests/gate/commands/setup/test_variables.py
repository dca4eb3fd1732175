"""The environment variables that a project's code reads, by its source."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from app.gate.commands.setup.modules import all_modules, imported_modules
from app.gate.commands.setup.variables import Variable, choose_only_one, choose_parts, choose_url, read_variables


def read(tmp_path: Path, source: str) -> list[Variable]:
    (tmp_path / "settings.py").write_text(textwrap.dedent(source))
    return read_variables(tmp_path / "settings.py")


@pytest.mark.parametrize(
    ("expression", "is_required"),
    [
        ('os.environ["SHOP_DB_URL"]', True),
        ('environ["SHOP_DB_URL"]', True),
        ('os.environ.get("SHOP_DB_URL")', False),
        ('os.getenv("SHOP_DB_URL", "sqlite://")', False),
        ('env("SHOP_DB_URL")', True),
        ('env.str("SHOP_DB_URL")', True),
        ('env.db_url("SHOP_DB_URL", default="sqlite://")', False),
        ('config("SHOP_DB_URL", cast=str)', False),
        ('(lambda: os.environ["SHOP_DB_URL"])', False),
    ],
)
def test_each_way_to_read_the_environment_is_known(tmp_path: Path, expression: str, is_required: bool) -> None:
    (found,) = read(tmp_path, f"url = {expression}\n")

    assert (found.name, found.line, found.is_required) == ("SHOP_DB_URL", 1, is_required)


@pytest.mark.parametrize(
    "source",
    [
        'config.get_main_option("sqlalchemy.url")',
        'os.environ["SHOP_DB_URL"] = url',
        'print("SHOP_DB_URL")',
        "def broken(",
    ],
)
def test_what_reads_no_variable_is_none(tmp_path: Path, source: str) -> None:
    assert [each.name for each in read(tmp_path, source) if each.is_required] == []


SETTINGS = """
    class Database(BaseModel):
        url: PostgresDsn
        pool: int = 5

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="SHOP_", env_nested_delimiter="__")
        LABEL: ClassVar[str] = "x"
        secret_key: SecretStr
        workers: int = Field(4, gt=0)
        token: str = Field(...)
        mail: str = Field(validation_alias=AliasChoices("MAIL_FROM", "SENDER"))
        db: Database
"""


def test_fields_of_pydantic_settings_are_variables(tmp_path: Path) -> None:
    found = read(tmp_path, SETTINGS)

    assert [(each.name, each.is_required) for each in found] == [
        ("SHOP_DB__URL", True),
        ("SHOP_DB__POOL", False),
        ("SHOP_SECRET_KEY", True),
        ("SHOP_WORKERS", False),
        ("SHOP_TOKEN", True),
        ("MAIL_FROM", True),
    ]
    assert [each.name for each in [choose_url(found)] if each] == ["SHOP_DB__URL"]


def test_the_prefix_of_the_first_pydantic_is_read(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path, "class Settings(BaseSettings):\n    dsn: str\n    class Config:\n        env_prefix = 'pg_'\n"
    )

    assert found.name == "PG_DSN"


def variables(*names: str) -> list[Variable]:
    return [Variable(name, Path("settings.py"), line, is_required=True) for line, name in enumerate(names, 1)]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["REDIS_URL", "DATABASE_URL"], "DATABASE_URL"),
        (["TEST_DATABASE_URL", "SQLALCHEMY_DATABASE_URI"], "SQLALCHEMY_DATABASE_URI"),
        (["TEST_DATABASE_URL"], "TEST_DATABASE_URL"),
        (["SENTRY_DSN", "POSTGRES_HOST"], None),
        (["DB_CONNECTION_STRING"], "DB_CONNECTION_STRING"),
    ],
)
def test_the_url_is_known_by_its_name(names: list[str], chosen: str | None) -> None:
    found = choose_url(variables(*names))

    assert (found.name if found else None) == chosen


def test_the_parts_of_the_url_are_known_by_their_names() -> None:
    found = choose_parts(variables("MAIL_HOST", "POSTGRES_SERVER", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_DB"))

    assert {part: each.name for part, each in found.items()} == {
        "host": "POSTGRES_SERVER",
        "port": "POSTGRES_PORT",
        "user": "POSTGRES_USER",
        "database": "POSTGRES_DB",
    }


def test_the_variables_of_libpq_are_parts_and_one_part_alone_is_not_enough() -> None:
    assert choose_parts(variables("PGHOST", "PGUSER", "PGDATABASE")).keys() == {"host", "user", "database"}
    assert choose_parts(variables("DB_HOST", "DB_PORT")) == {}


def test_the_only_variable_about_a_database_is_taken_whatever_it_is_called() -> None:
    assert [each.name for each in [choose_only_one(variables("APP_DB", "SECRET_KEY"))] if each] == ["APP_DB"]
    assert choose_only_one(variables("APP_DB", "OTHER_DB")) is None


def test_modules_are_followed_from_a_script_into_packages_and_back(tmp_path: Path) -> None:
    for name, source in {
        "migrations/env.py": "from shop.db import base\nimport os\n",
        "src/shop/__init__.py": "",
        "src/shop/db.py": "from .core.config import settings\n",
        "src/shop/core/__init__.py": "",
        "src/shop/core/config.py": "from shop import db\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)

    found = [
        str(path.relative_to(tmp_path)) for path in imported_modules(tmp_path / "migrations/env.py", [tmp_path / "src"])
    ]

    assert found[0] == "migrations/env.py"
    assert found.index("src/shop/db.py") < found.index("src/shop/core/config.py")
    assert sorted(found[1:]) == sorted(
        f"src/shop/{name}.py" for name in ("__init__", "db", "core/__init__", "core/config")
    )


def test_modules_of_environments_and_tests_are_not_the_projects(tmp_path: Path) -> None:
    for name in ("app.py", "shop/models.py", "env/lib/x.py", "tests/x.py", ".venv/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()

    assert [str(path.relative_to(tmp_path)) for path in all_modules(tmp_path)] == ["app.py", "shop/models.py"]
