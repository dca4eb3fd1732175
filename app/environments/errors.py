"""The refusals of environments."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import Conflict, Forbidden, Invalid, NotFound


class EnvironmentNotFound(NotFound):
    """The project has no such environment."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The project has no environment {name!r}: an administrator creates it with PUT.")


class EnvironmentForbidden(Forbidden):
    """The token is for another environment."""

    def __init__(self, own: str) -> None:
        super().__init__(f"This token is for the environment {own!r} only.")


class VersionUnknown(Conflict):
    """No report of this project has that commit or these heads."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            f"No report of this project has {what}, and a deployment creates no revision. Send a report first: "
            f"overproof verify --submit, {where}."
        )


class DeploymentDiffers(Conflict):
    """Another version was deployed under that ID."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"The deployment {deployment_id!r} is of another version. Choose another ID for this one.")


class DeploymentEnded(Conflict):
    """The deployment has ended, and cannot become live again."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(
            f"The deployment {deployment_id!r} has ended: another one replaced it. Choose another ID to deploy it again."
        )


class SnapshotNotFound(NotFound):
    """The environment has no such snapshot."""

    def __init__(self, snapshot_id: object) -> None:
        super().__init__(f"The environment has no snapshot {snapshot_id}.")


class SnapshotRefused(Invalid):
    """The body is not a valid snapshot."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("The body is not a valid snapshot in the format overproof-snapshot/1. See `errors`.", errors)


class DecisionNotFound(NotFound):
    """The environment has no such decision."""

    def __init__(self, decision_id: object) -> None:
        super().__init__(f"The environment has no decision {decision_id}.")


class WaiverNotFound(NotFound):
    """The project has no such waiver."""

    def __init__(self, waiver_id: object) -> None:
        super().__init__(f"The project has no waiver {waiver_id}.")
