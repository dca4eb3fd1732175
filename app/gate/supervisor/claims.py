"""A file of the user's that a run writes over: one run at a time, and restored whatever is killed.

Beside the file lies a record while it is written over: `.alembic.ini.overproof`. The run that holds the lock on the
record may write the file. Its first line is the file as it was; each following line is a text that is about to be
written into the file. It outlives every process, so the next run restores what a run left behind whose supervisor was
killed as well. What was edited by hand since then is not one of the texts, and is left alone.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from app.gate.supervisor._cleanup import GROUP_PATIENCE_S, File, wait_until

ENDING = ".overproof"


def record_of(path: str | os.PathLike[str]) -> Path:
    """Where the record of a file is. A link and its target have one record."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}{ENDING}")


def note_text(path: str | os.PathLike[str], text: str) -> None:
    """Note that the text is about to be written into a file that is claimed. Raises OSError."""
    with record_of(path).open("ab") as record:
        record.write(json.dumps({"text": base64.b64encode(text.encode()).decode()}).encode() + b"\n")


def recover(directory: Path) -> list[str]:
    """Restore the files in a directory that a run left behind, of which no process lives. Returns their names."""
    recovered = []
    for record in sorted(directory.glob(f".*{ENDING}")):
        with suppress(OSError):
            claim = Claim.take(record.with_name(record.name[1 : -len(ENDING)]), patience_s=0.0)
            if claim is not None:
                if claim.is_recovered:
                    recovered.append(record.name[1 : -len(ENDING)])
                claim.release()
    return recovered


@dataclass
class Claim:
    """The lock on a file's record."""

    file: File
    is_recovered: bool  # the file was left behind by another run, and was restored just now
    _record: IO[bytes]

    @classmethod
    def take(cls, path: str | os.PathLike[str], patience_s: float = GROUP_PATIENCE_S) -> Claim | None:
        """Claim the file, once what was left behind is restored. None if another run has it. Raises OSError."""
        record = _lock(record_of(path), patience_s)
        if record is None:
            return None
        is_recovered = _restore(record.read())
        file = File.read(path)
        record.seek(0)
        record.truncate()
        record.write(json.dumps(asdict(file)).encode() + b"\n")
        record.flush()
        os.fsync(record.fileno())
        return cls(file, is_recovered, record)

    def release(self) -> None:
        """Give it up. The file was not written, or is restored."""
        record_of(self.file.path).unlink(missing_ok=True)
        self._record.close()


def _lock(path: Path, patience_s: float) -> IO[bytes] | None:
    import fcntl  # not on Windows

    taken: list[IO[bytes]] = []

    def is_taken() -> bool:
        record = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        with suppress(OSError):
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(record.fileno()).st_ino == path.stat().st_ino:  # else its owner has removed it just now
                taken.append(record)
                return True
        record.close()
        return False

    return taken[0] if wait_until(is_taken, patience_s) else None


def _restore(record: bytes) -> bool:
    """Whether the record was left behind, with a file that holds what the run wrote or the beginning of it."""
    first, *rest = [*_lines(record)] or [{}]
    if not rest:
        return False
    file = File(**first)
    try:
        content = Path(file.path).read_bytes()
    except OSError:
        return False
    if any(base64.b64decode(each["text"]).startswith(content) for each in rest):
        file.undo()
        return True
    return False


def _lines(record: bytes) -> Iterator[dict[str, Any]]:
    """The lines that were completed."""
    for line in record.split(b"\n")[:-1]:
        with suppress(ValueError):
            yield json.loads(line)
