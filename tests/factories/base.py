"""What the factories have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from factory.alchemy import SQLAlchemyModelFactory


class StoredFactory(SQLAlchemyModelFactory):
    """`ProjectFactory(slug="shop")` is a stored Project, with its defaults filled in by the database."""

    class Meta:
        abstract = True
        sqlalchemy_session_persistence = "flush"

    if TYPE_CHECKING:

        def __new__(cls, **values: Any) -> Any: ...
