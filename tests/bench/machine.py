"""The machine and the versions that figures were measured with, in a sentence."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path


def describe_machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Measured on {platform.system()} {platform.machine()}, {os.cpu_count()} cores ({_processor()}), "
        f"{memory:.0f} GiB of memory, Python {platform.python_version()}."
    )


def describe_versions(*packages: str) -> str:
    return ", ".join(f"{package} {metadata.version(package)}" for package in packages)


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found[1] if found else platform.processor() or "unknown processor"
