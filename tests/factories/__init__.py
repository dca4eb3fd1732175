"""One factory per model: it fills in what a test does not care about. What a test asserts on stands in the test."""

from __future__ import annotations

from sqlmodel import Session

from tests.factories.environments import EnvironmentFactory
from tests.factories.projects import ApiTokenFactory, ProjectFactory, bearer
from tests.factories.reports import finding, proof, report, revision, sha256, snapshot
from tests.factories.runs import ReportFactory, RunCheckFactory, RunFactory, RunFindingFactory

__all__ = [
    "ApiTokenFactory",
    "EnvironmentFactory",
    "ProjectFactory",
    "ReportFactory",
    "RunCheckFactory",
    "RunFactory",
    "RunFindingFactory",
    "bearer",
    "finding",
    "proof",
    "report",
    "revision",
    "sha256",
    "snapshot",
    "store_in",
]

FACTORIES = (
    ProjectFactory,
    ApiTokenFactory,
    EnvironmentFactory,
    RunFactory,
    ReportFactory,
    RunCheckFactory,
    RunFindingFactory,
)


def store_in(session: Session | None) -> None:
    """Where the factories put what they make, until the next call."""
    for factory in FACTORIES:
        factory._meta.sqlalchemy_session = session  # type: ignore[attr-defined]
