"""Files that other programs read: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
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


def replace_all(contents: Mapping[Path, tuple[bytes, bytes]]) -> None:
    """Replace files that are there by what is second, if each of them is still what is first: all of them or none.

    Raises OSError. A file keeps its rights, and a link stays a link.
    """
    paths = {path: Path(os.path.realpath(path)) for path in contents}
    beside = {path: real.with_name(f".{real.name}.{os.getpid()}.tmp") for path, real in paths.items()}
    replaced: list[Path] = []
    try:
        for path, (_, new) in contents.items():
            _write_beside(beside[path], new, paths[path])
        for path, (old, _) in contents.items():
            if paths[path].read_bytes() != old:
                raise OSError(errno.EBUSY, "another program has changed it in the meantime", str(path))
        for path in contents:
            beside[path].replace(paths[path])
            replaced.append(path)
    except BaseException:
        for path in replaced:
            _write_beside(beside[path], contents[path][0], paths[path])
            beside[path].replace(paths[path])
        raise
    finally:
        for each in beside.values():
            with suppress(OSError):
                each.unlink()


def _write_beside(beside: Path, content: bytes, like: Path) -> None:
    """Its time is of another second than that of `like`.

    Python takes a script for the one whose bytecode it has if its size and the second of its time are the same.
    """
    with beside.open("xb") as file:
        file.write(content)
    shutil.copymode(like, beside)
    now = beside.stat().st_mtime
    if int(now) == int(like.stat().st_mtime):
        os.utime(beside, (now + 1, now + 1))


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
