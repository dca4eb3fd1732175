"""The refusals of runs."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from app.errors import Invalid, NotFound, Refusal


class RunNotFound(NotFound):
    """The run does not exist in this project."""

    def __init__(self, run_id: object) -> None:
        super().__init__(f"The project has no run {run_id}.")


class ReportExpired(Refusal):
    """The report is no longer kept. The run, its findings and what it proved are."""

    status = HTTPStatus.GONE

    def __init__(self, run_id: object) -> None:
        super().__init__(f"The report of the run {run_id} has expired. The run and its findings are still there.")


class ReportRefused(Invalid):
    """The body is not a valid report."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("The body is not a valid report in the format overproof-report/1. See `errors`.", errors)
