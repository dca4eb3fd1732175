"""Environments."""

from __future__ import annotations

from typing import Any

from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory

from app.environments.models import Environment
from app.environments.schemas import Policy
from tests.factories.base import StoredFactory
from tests.factories.projects import ProjectFactory


class EnvironmentFactory(StoredFactory):
    """With the default policy."""

    class Meta:
        model = Environment
        exclude = ("project",)

    project = SubFactory(ProjectFactory)
    project_id = LazyAttribute(lambda environment: environment.project.id)
    name = Sequence(lambda n: f"environment-{n}")
    policy: Any = LazyFunction(lambda: Policy().model_dump(mode="json"))
