"""What the runs can refuse."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import Invalid, NotFound


class RunNotFound(NotFound):
    """The project has no such run."""

    def __init__(self, run_id: object) -> None:
        super().__init__(f"The project has no run {run_id}.")


class ReportRefused(Invalid):
    """The body is not a report that can be kept."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            "The body is not a report that can be kept: see errors. Its format is overproof-report/1.", errors
        )
