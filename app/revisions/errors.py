"""The refusals of revisions."""

from __future__ import annotations

from app.errors import NotFound


class RevisionNotFound(NotFound):
    """No report of this project has that content of that revision."""

    def __init__(self, revision: str, sha256: str) -> None:
        super().__init__(
            f"No report of this project has a revision {revision!r} whose script has the SHA-256 {sha256}."
        )
