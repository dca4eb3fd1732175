"""Options of the Alembic configuration that the gate sets (`--set`), in the command's process: no file is written."""

from __future__ import annotations

import json
import os
from typing import Any

VARIABLE = "OVERPROOF_SET"  # a list of [section, key, value]; a section of "" is the one that the command uses


def take_over(module: Any) -> None:
    """Have each `Config` of Alembic's freshly imported module contain the options, over what its file says."""
    options = json.loads(os.environ[VARIABLE])
    original = module.Config.__dict__["file_config"]

    def file_config(self: Any) -> Any:
        parser = original.__get__(self, type(self))
        for section, key, value in options:
            section = section or self.config_ini_section
            if not parser.has_section(section):
                parser.add_section(section)
            parser.set(section, key, value.replace("%", "%%"))  # it is interpolated when it is read
        return parser

    module.Config.file_config = type(original)(file_config)
