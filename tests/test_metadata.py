"""Every package's models are aggregated, so that none is forgotten by the migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import UniqueConstraint

from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read
from app.metadata import DOMAINS, metadata

ROOT = Path(__file__).parents[1]


def test_every_models_module_on_disk_is_aggregated() -> None:
    on_disk = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "app").glob("*/models.py")}

    assert {module.__name__ for module in DOMAINS} == on_disk


def test_every_time_knows_its_zone_and_every_foreign_key_says_what_becomes_of_it() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            if column.name.endswith("_at"):
                assert getattr(column.type, "timezone", None) or column.type.impl.timezone, column  # type: ignore[attr-defined]
        for key in table.foreign_key_constraints:
            assert key.ondelete, key.name


def test_the_migrations_make_the_tables_of_the_models(blank_database: Database, migrated_database: Database) -> None:
    engine = sa.create_engine(blank_database.url("psycopg2"), poolclass=sa.NullPool)
    metadata.create_all(engine)

    with blank_database.connect() as of_models, migrated_database.connect() as of_migrations:
        different = difference(read(of_models), read(of_migrations))

    assert {change.key.table or change.key.name for change in different} == {"alembic_version"}


SMALL = {"project", "api_token"}  # a copy of them is everywhere


def test_the_project_leads_each_key_so_that_tables_can_be_distributed_by_it() -> None:
    for table in metadata.sorted_tables:
        if table.name in SMALL:
            continue
        keys: list[Any] = [
            table.primary_key,
            *(each for each in table.constraints if isinstance(each, UniqueConstraint)),
        ]
        for key in [*keys, *table.indexes]:
            assert next(iter(key.columns)).name == "project_id", key.name
        for reference in table.foreign_key_constraints:
            assert next(iter(reference.columns)).name == "project_id", reference.name
