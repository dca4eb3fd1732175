"""Which variables of the environment pydantic's settings classes look for.

They take the environment as a whole and look in their copy of it, so what is missing there is asked for here, aloud.
"""

from __future__ import annotations

import os
from typing import Any


def take_over(module: Any) -> None:
    """Have each settings class ask `os.environ` too, of the freshly imported module `pydantic_settings.sources`."""
    source = module.EnvSettingsSource
    call = source.__call__

    def __call__(self: Any) -> Any:  # noqa: N807 - it replaces the method of that name
        for name in _variables_of(self):
            os.environ.get(name)
        return call(self)

    source.__call__ = __call__


def _variables_of(source: Any) -> list[str]:
    """The variables of one class's fields, the names upper-cased where their case does not matter."""
    try:
        return [
            name if source.case_sensitive else name.upper()
            for field, described in source.settings_cls.model_fields.items()
            for _, name, _ in source._extract_field_info(described, field)
        ]
    except Exception:  # it is private to pydantic, and used for advice alone
        return []
