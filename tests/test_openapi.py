"""The service does what its OpenAPI document says: generated requests, valid and invalid, to every operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from sqlmodel import Session

from app.gate.server.database import Database
from tests import factories
from tests.api_page import PAGE, api_page
from tests.serving import serving

EXAMPLES = 4  # of each operation, each time the same


@pytest.fixture
def url(migrated_database: Database) -> Iterator[str]:
    """Of the service as it runs, with a project, a run and an environment."""
    url = sa.make_url(migrated_database.url("psycopg2"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ApiTokenFactory(secret="ovp_administrator")
        project = factories.ProjectFactory(slug="shop")
        factories.RunFindingFactory(run=factories.RunFactory(project=project))
        factories.EnvironmentFactory(project=project, name="production")
        factories.store_in(None)
    with serving(url) as place:
        yield place


WITH_TOKEN = {"Authorization": "Bearer ovp_administrator"}


@pytest.mark.parametrize(
    ("mode", "headers"),
    [
        pytest.param(GenerationMode.POSITIVE, WITH_TOKEN, id="valid"),
        pytest.param(GenerationMode.NEGATIVE, WITH_TOKEN, id="invalid"),
        pytest.param(GenerationMode.POSITIVE, {}, id="without a token"),
    ],
)
def test_every_answer_is_one_that_the_document_describes(
    url: str, mode: GenerationMode, headers: dict[str, str]
) -> None:
    """By all checks of schemathesis, which send some requests again without their token, or with another one."""
    document: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    tried = 0
    for result in document.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                # Generated ones would be those of no project, no page and no version.
                known = {"slug": "shop", "name": "production"}
                case.path_parameters.update({name: known[name] for name in known.keys() & case.path_parameters.keys()})
                case.query.pop("cursor", None)
                if case.operation.path.endswith("/runs") and case.method == "POST":
                    case.body |= {"verdict": "error", "checks": []}  # others may contradict the generated findings
                case.headers.pop("if-match", None)
            case.call_and_validate(headers=headers)

        try:
            ask()
        except Unsatisfiable:  # nothing of such a request can be invalid
            assert mode is GenerationMode.NEGATIVE
        else:
            tried += 1
    assert tried >= 10


def test_the_page_of_the_api_is_of_this_api() -> None:
    assert PAGE.read_text(encoding="utf-8") == api_page(), "Run `python -m tests.api_page`."
