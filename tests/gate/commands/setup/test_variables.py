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
        ('getenv("SHOP_DB_URL")', False),
        ('get_env("SHOP_DB_URL")', False),
        ('env("SHOP_DB_URL", "sqlite://")', False),
        ('settings.env("SHOP_DB_URL")', True),
        ('starlette.config("SHOP_DB_URL")', True),
        ('environ.get("SHOP_DB_URL", "")', False),
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
        'environment["SHOP_DB_URL"]',
        'os.environ["shop"], os.environ["1X"], os.environ[name], os.environ[1], os.getenv(), env(name)',
        "def f():\n    os.environ['SHOP_DB_URL']\nasync def g():\n    env('SHOP_DB_URL')",
        "\0",
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
    (other,) = read(
        tmp_path,
        "class Settings(BaseSettings):\n    dsn: str\n    class Meta:\n        env_prefix = 'no_'\n    class Config:\n"
        "        case: bool\n        a[0] = 'x'\n        title, env_prefix = 'a', 'b'\n        one = env_prefix = 'pg_'\n",
    )
    assert other.name == "PG_DSN"


def test_variables_are_in_the_order_of_the_source_whatever_reads_them(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        import os
        os.environ["FIRST"]
        class Settings(BaseSettings):
            second: str
        (os.environ["THIRD"], print("x"), os.environ["FOURTH"])
        """,
    )

    assert [(each.name, each.line) for each in found] == [("FIRST", 3), ("SECOND", 5), ("THIRD", 6), ("FOURTH", 6)]
    assert read_variables(tmp_path / "there is none.py") == []


def test_fields_are_told_apart_by_their_annotations_and_defaults(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        class Pool(BaseModel):
            size: int
        class Nested(BaseModel):
            pool: Pool = Pool()
            name: str
        class Settings(Base, pydantic.BaseSettings, env_prefix="", env_nested_delimiter="_"):
            model_config: dict = {}
            "a text"
            self.other: str
            first: Nested
            settings: Settings
            last: str = pydantic.Field(default="x")
            made: str = Field(default_factory=make)
            old: str = Field(..., env="OLD_NAME")
            named: str = Field(alias="OTHER", validation_alias=name)
            called: str = make(..., alias="NOT")
            ellipsis: str = ...
            number: int = 0
            two: str = Field("x", ...)
            required: str = Field(..., name)
        class Other(Base):
            no: str
        """,
    )

    assert [(each.name, each.is_required, each.type) for each in found] == [
        ("FIRST_POOL_SIZE", True, "int"),
        ("FIRST_NAME", True, "str"),
        ("SETTINGS", False, "Settings"),
        ("LAST", False, "str"),
        ("MADE", False, "str"),
        ("OLD_NAME", True, "str"),
        ("OTHER", True, "str"),
        ("CALLED", False, "str"),
        ("ELLIPSIS", True, "str"),
        ("NUMBER", False, "int"),
        ("TWO", False, "str"),
        ("REQUIRED", True, "str"),
    ]


def test_classes_in_classes_are_followed_only_so_far_and_only_where_there_is_a_delimiter(tmp_path: Path) -> None:
    source = """
        class A(BaseModel):
            a: B
        class B(BaseModel):
            b: A
        class Settings(BaseSettings, env_nested_delimiter="__"):
            x: A
            y: str
    """

    assert [each.name for each in read(tmp_path, source)] == ["X__A__B__A", "Y"]
    (without, last) = read(tmp_path, source.replace(', env_nested_delimiter="__"', ""))
    assert (without.name, without.is_required, without.type) == ("X", False, "A")
    assert last.name == "Y"


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
        (["DB_DSN", "DATABASE_URL"], "DB_DSN"),
        (["URL", "DATABASE_HOST", "STRING_DB"], None),
        ([], None),
    ],
)
def test_the_url_is_known_by_its_name(names: list[str], chosen: str | None) -> None:
    found = choose_url(variables(*names))

    assert (found.name if found else None) == chosen


@pytest.mark.parametrize(
    ("name", "annotation", "is_url"),
    [
        ("DSN", "PostgresDsn", True),
        ("SHOP_URI", "DatabaseUrl", True),
        ("SHOP_URI", "str", False),
        ("SHOP", "PostgresDsn", False),
    ],
)
def test_the_url_may_be_known_by_its_type(name: str, annotation: str, is_url: bool) -> None:
    variable = Variable(name, Path("settings.py"), 1, is_required=True, type=annotation)

    assert choose_url([variable]) == (variable if is_url else None)


def test_of_variables_of_one_name_the_first_is_meant() -> None:
    found = variables("PGHOST", "PGUSER", "PGDATABASE", "PGHOST", "PGUSER")

    assert [each.line for each in choose_parts(found).values()] == [1, 2, 3]


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
    assert choose_only_one(variables("SECRET_KEY")) is None
    assert [each.name for each in [choose_only_one(variables("SHOP_URI", "SHOP_URI"))] if each] == ["SHOP_URI"]


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


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import shop.db, other", ["shop/__init__.py", "shop/db.py", "other.py"]),
        ("from shop import db, base as b", ["shop/__init__.py", "shop/db.py", "shop/base.py"]),
        ("from . import near", ["migrations/near.py"]),
        ("from .near import x", ["migrations/near.py"]),
        ("from ..shop import db", ["shop/__init__.py", "shop/db.py"]),
        ("from . import *", []),
        (f"from {'.' * 99} import other", []),
        ("import json, shop_of_others", []),
        ("import shop.db; import", []),
    ],
)
def test_the_files_of_an_import_are_found(tmp_path: Path, line: str, found: list[str]) -> None:
    script = tmp_path / "migrations" / "env.py"
    for name in ("shop/__init__.py", "shop/db.py", "shop/base.py", "other.py", "migrations/near.py", "second/other.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    script.write_text(f"{line}\n")

    first, *others = imported_modules(script, [tmp_path, tmp_path / "second"])

    assert first == script
    assert [str(path.relative_to(tmp_path)) for path in others] == found


def test_modules_are_followed_and_listed_only_so_far(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for number in range(130):
        (tmp_path / "deep" / f"m{number:03}.py").write_text(f"import m{number + 1:03}\n")

    assert len(list(imported_modules(tmp_path / "deep" / "m000.py", [tmp_path / "deep"]))) == 100
    assert [path.name for path in all_modules(tmp_path)] == [f"m{number:03}.py" for number in range(100)]


def test_modules_near_the_top_come_first_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("a/b/deep.py", "a/near.py", "z.py", "c/other.py", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("node_modules", "site-packages", "tests", "test", "versions", "build", "dist", "__pycache__", ".git"):
        (tmp_path / "c" / name).mkdir()
        (tmp_path / "c" / name / "no.py").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")

    found = [str(path.relative_to(tmp_path)) for path in all_modules(tmp_path)]

    assert found == ["z.py", "a/near.py", "c/other.py", "a/b/deep.py"]
    assert list(all_modules(tmp_path / "none")) == []


def test_modules_of_environments_and_tests_are_not_the_projects(tmp_path: Path) -> None:
    for name in ("app.py", "shop/models.py", "env/lib/x.py", "tests/x.py", ".venv/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()

    assert [str(path.relative_to(tmp_path)) for path in all_modules(tmp_path)] == ["app.py", "shop/models.py"]
