"""Ordinary projects, as `alembic init` and Flask-Migrate write them, with one model and one revision."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

from tests.gate.projects import script

MODELS = """\
from sqlalchemy import Column, Integer, MetaData, Table

metadata = MetaData()
Table("orders", metadata, Column("id", Integer, primary_key=True))
"""
ORDERS = script(
    "a1", None, "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('orders')"
)
SETTINGS = """\
import os

from pydantic import BaseModel


class Settings(BaseModel):
    db_url: str
    secret_key: str


settings = Settings(**{name.lower(): value for name, value in os.environ.items()})
"""
PYDANTIC = """\
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_", env_file=".env")
    db_url: str
    secret_key: str
    workers: int
    debug: bool = False


settings = Settings()
"""
FLASK = """\
import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite:///shop.db")
db = SQLAlchemy(app)
Migrate(app, db)


class Order(db.Model):
    __tablename__ = "orders"
    id = db.Column(db.Integer, primary_key=True)
"""
FROM_ENVIRON = "import os\n\nconfig.set_main_option('sqlalchemy.url', os.environ['SHOP_DATABASE_URL'])\n"
FROM_PARTS = """\
from os import environ, getenv

config.set_main_option(
    "sqlalchemy.url",
    f"postgresql://{environ['DB_USER']}:{environ['DB_PASSWORD']}@{getenv('DB_HOST', 'db')}:{getenv('DB_PORT', '5432')}"
    f"/{environ['DB_NAME']}",
)
"""
FROM_SETTINGS = "from settings import settings\n\nconfig.set_main_option('sqlalchemy.url', settings.db_url)\n"


def write(place: Path, kind: str) -> Path:
    """The project of that kind, in that folder, with an environment in .venv."""
    (place / ".venv" / "bin").mkdir(parents=True)
    for program in ("alembic", "flask"):
        (place / ".venv" / "bin" / program).symlink_to(Path(sys.prefix, "bin", program))
    if kind == "flask":
        return _write_flask(place)
    template = kind if kind in ("async", "pyproject", "multidb") else "generic"
    config = Config(place / "alembic.ini", toml_file=place / "pyproject.toml", stdout=io.StringIO())
    command.init(config, str(place / "migrations"), template)
    (place / "migrations" / "versions" / "a1_orders.py").write_text(ORDERS)
    (place / "models.py").write_text(MODELS)
    if kind == "multidb":
        return place
    added = {
        "environ": FROM_ENVIRON,
        "parts": FROM_PARTS,
        "settings": FROM_SETTINGS,
        "pydantic": FROM_SETTINGS,
    }.get(kind, "")
    _edit(
        place / "migrations" / "env.py",
        r"^target_metadata = None$",
        f"{added}from models import metadata as target_metadata",
    )
    if kind in ("settings", "pydantic"):
        (place / "settings.py").write_text(SETTINGS if kind == "settings" else PYDANTIC)
    if kind == "url":
        _edit(place / "alembic.ini", r"driver://\S+", "postgresql://shop:shop@127.0.0.1:1/shop")
    if kind == "src":
        (place / "src").mkdir()
        (place / "models.py").rename(place / "src" / "models.py")
        _edit(place / "alembic.ini", r"^prepend_sys_path = .*$", "prepend_sys_path = src")
    return place


def _write_flask(place: Path) -> Path:
    import flask_migrate  # type: ignore[import-untyped]

    folder = place / "migrations"
    (folder / "versions").mkdir(parents=True)
    template = Path(flask_migrate.__file__).parent / "templates" / "flask"
    for name in ("env.py", "script.py.mako"):
        (folder / name).write_text((template / name).read_text())
    (folder / "alembic.ini").write_text((template / "alembic.ini.mako").read_text())
    (folder / "versions" / "a1_orders.py").write_text(ORDERS)
    (place / "app.py").write_text(FLASK)
    return place


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text, number = re.subn(pattern, replacement.replace("\\", "\\\\"), path.read_text(), flags=re.MULTILINE)
    assert number == 1, f"{path} should have {pattern} exactly once"
    path.write_text(text)
