"""What the requests of one call of `run_migrations` work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from .errors import describe_failure
from .observer import StepObserver
from .transactions import MigrationConnection

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

    from . import protocol
    from .channel import Channel


class State:
    """One call of `run_migrations`, steered by the gate."""

    def __init__(
        self,
        context: MigrationContext,
        arguments: dict[str, Any],
        channel: Channel,
        original: Callable[..., None],
    ) -> None:
        self.context: Any = context  # much of what the driver needs of it is private to Alembic
        self.arguments = arguments  # of `run_migrations`
        self.channel = channel
        self.original = original  # Alembic's `run_migrations`
        self.connection = MigrationConnection(context)
        self.observer = StepObserver(self.connection)
        self.scripts: dict[str, Any] = {}  # by revision
        self.heads: set[str] = set()  # where the database is
        self.remembered: tuple[set[str], Any] = (
            set(),
            None,
        )  # heads and relations, as before the rollback-only transaction
        self.heads_before: set[str] | None = None  # an upgrade in the rollback-only transaction
        self.set_version: Any = None  # the statement that takes the version table from one revision to another
        self.created: dict[str, set[Any]] = {}  # types that steps have created, as SQLAlchemy remembers them in one run
        self.extent: list[Any] = []  # of the models' metadata, before any script ran

    def failure(self, error: BaseException, path: str | None = None) -> protocol.Failure:
        """What went wrong, in the script at that path if there is one."""
        return describe_failure(error, path, self.observer.first_error, self.context.dialect.paramstyle)
