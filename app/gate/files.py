"""Files that other programs read: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 file. Raises OSError, and then what was there before is still there."""
    path = Path(os.path.realpath(path))  # A link stays a link.
    content = text.encode("utf-8", "backslashreplace")
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # A pipe or a device, such as /dev/stderr, cannot be replaced.
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(content)
        with suppress(OSError):  # there is none yet
            shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def why_not_writable(path: Path) -> str | None:
    """Why `write_atomically` would fail, found out without writing anything; None if it would not."""
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    if path.exists() and not path.is_file():
        return None if os.access(path, os.W_OK) else os.strerror(errno.EACCES)
    # Root may write anywhere, but not in /proc or on a disk that can only be read: so it is tried.
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        return error.strerror or str(error)
    os.close(descriptor)
    Path(name).unlink()
    return None
