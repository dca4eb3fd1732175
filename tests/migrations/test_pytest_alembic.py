"""pytest-alembic's own tests on our history, beside the gate: another pair of eyes, and one that many know.

They are imported rather than collected by its plugin, which leans on a private attribute of pytest
(`pytest_alembic_enabled` in setup.cfg is empty for the same reason). Of its experimental tests one is left out:
`all_models_register_on_metadata` looks for the metadata in the module of SQLModel's base class, and finds none. The
gate's `unregistered-models` asks the same question.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pytest_alembic import runner
from pytest_alembic.config import Config
from pytest_alembic.tests import (
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from pytest_alembic.tests.experimental import test_downgrade_leaves_no_trace as downgrade_leaves_no_trace

from tests.migrations.conftest import ROOT

# Its foreign key refers to a unique index that a revision which is left out has built.
REST_ON_A_CONCURRENT_BUILD = ("d47a1ce05b93",)

__all__ = [
    "test_model_definitions_match_ddl",
    "test_single_head_revision",
    "test_up_down_consistency",
    "test_upgrade",
]


def test_downgrade_leaves_no_trace(alembic_config: dict[str, Any], alembic_engine: sa.Engine):
    # It does everything in one transaction, in which nothing can be built concurrently.
    concurrent = [
        path.stem.rpartition("_")[2]
        for path in (ROOT / "migrations" / "versions").glob("*.py")
        if "autocommit_block" in path.read_text()
    ]
    config = Config(config_options=alembic_config, skip_revisions=[*concurrent, *REST_ON_A_CONCURRENT_BUILD])

    with runner(config, alembic_engine) as migrations:
        downgrade_leaves_no_trace(migrations)
