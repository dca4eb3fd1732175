"""The exceptions that cross from one room of the gate to another.

    GateError
    ├─ CannotVerify                       exit status 2; the message is one line for the user
    │  ├─ UsageError                      an option of the command line
    │  ├─ ConfigurationError              a setting of the project
    │  ├─ BaselineError                   the file of accepted findings
    │  ├─ ServerUnavailable               no PostgreSQL to work on
    │  ├─ FileInUse                       another run writes the same file
    │  ├─ CommandNeverReachedAlembic
    │  └─ OtherDatabase                   the command connected to one that is not ours
    ├─ CommandExited, StepTimedOut        the project's command, in the middle of a step
    ├─ DatabaseSpoiled                    the walk continues on another database
    ├─ CannotReachRevision, DisturbedByOtherRun, SegmentsDiffer, StaleBaseCache
    └─ rows.connection.QueryRefused       PostgreSQL refused a query of ours

What a check cannot judge is an outcome and no error: `checks.base.CheckSkipped`.
"""

from __future__ import annotations

from collections.abc import Sequence

StepId = tuple[str, str]  # revision, direction: ("b2", "upgrade")


class GateError(Exception):
    """The root of what the gate raises on purpose."""


class CannotVerify(GateError):
    """Nothing can be said about the migrations. The message is one line: what happened, and what to do. Exit status
    2.

    `options` are to be added to the command line: the command shows what to type.
    """

    def __init__(self, message: str, options: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.options = tuple(options)


class UsageError(CannotVerify):
    """An option that cannot be used."""


class ConfigurationError(CannotVerify):
    """A setting that cannot be used. The message names the file and the setting."""


class BaselineError(CannotVerify):
    """A baseline that cannot be read or written."""


NAME_A_SERVER = "name a server in OVERPROOF_DATABASE_URL"  # what to do without an embedded one


class ServerUnavailable(CannotVerify):
    """There is no PostgreSQL to work on. The message never holds a password."""


class FileInUse(CannotVerify):
    """Another run writes the same file at the same time."""


class CommandNeverReachedAlembic(CannotVerify):
    """The command ended before it reached Alembic. `refusal`: what PostgreSQL refused to its role."""

    def __init__(self, message: str, options: Sequence[str] = (), refusal: str | None = None) -> None:
        super().__init__(message, options)
        self.refusal = refusal


class OtherDatabase(CannotVerify):
    """The command connected to another database than the one that it was given."""


class CommandExited(GateError):
    """The command ended in the middle of a session, and of the step `at` if there is one."""

    at: StepId | None = None


class StepTimedOut(GateError):
    """A step did not end in time, nor after it was cancelled."""

    def __init__(self, message: str, at: StepId) -> None:
        super().__init__(message)
        self.at = at


class DatabaseSpoiled(GateError):
    """The database was left in another state than the walk knows. `next_index` is where the walk continues with a new
    one."""

    def __init__(self, next_index: int) -> None:
        super().__init__(next_index)
        self.next_index = next_index


class CannotReachRevision(GateError):
    """A rerun did not get to the revision that it is about."""


class DisturbedByOtherRun(GateError):
    """A run failed while another one was under way: it is to be repeated alone."""


class SegmentsDiffer(GateError):
    """A script did something else in another run of the command: the walk is to be taken in one segment."""


class StaleBaseCache(GateError):
    """What was cached is not what this run would have made."""
