"""The refusals of changes."""

from __future__ import annotations

from app.errors import NotFound


class ChangeNotFound(NotFound):
    """No report of this project has a pull request of that number."""

    def __init__(self, change_id: str) -> None:
        super().__init__(f"No report of this project has the change {change_id!r}.")
