"""The schema at the base, kept from run to run, so that `--base` costs what the branch adds and not what came before.

What is kept is an image of the embedded cluster (see `image.py`), under a key made of everything that the schema follows from and that can
be known before anything runs: the base's scripts as they are here, env.py, the command, and PostgreSQL's major version. What cannot be known
so early (the versions of Alembic and SQLAlchemy, the revisions that the database is at) is compared once the command has got to
Alembic, and the schema that is found with the digest of the one that was kept. Whatever differs, or is damaged, is thrown away and made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from app.gate.errors import ServerUnavailable, StaleBaseCache
from app.gate.files import write_atomically
from app.gate.history.git_base import read_base, revision_of
from app.gate.history.paths import repository_root
from app.gate.history.scripts import Script
from app.gate.recording.model import Snapshot
from app.gate.recording.serialization import digest
from app.gate.server import backup as image
from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target.target import Target
from app.gate.walk.state import Walk

KEPT_IMAGES = 4  # each has about 50 MB
Result = TypeVar("Result")
_FORMAT = 4  # to be raised when what is kept, or how it is made, changes


def cache_directory() -> Path:
    """OVERPROOF_CACHE, else the user's own directory for caches (https://specifications.freedesktop.org/basedir-spec/)."""
    if given := os.environ.get("OVERPROOF_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "overproof"


@dataclass
class BaseCache:
    """The place for one base of one target. It holds an image if `database` is not None."""

    target: Target
    ref: str
    directory: Path = field(default_factory=cache_directory)
    database: str | None = None  # its name in the image
    facts: dict[str, Any] = field(default_factory=dict)  # what the image was made with, or is being made with
    _taken: Path | None = None

    @property
    def image(self) -> Path | None:
        """The file to start the server from."""
        return self._file(self.facts["key"], "tar") if self.database is not None else None

    @property
    def scripts(self) -> dict[str, Script]:
        """What was read of the scripts at the base, by their SHA-256."""
        return {digest: Script(digest, *parts) for digest, *parts in self.facts.get("scripts", ())}

    @property
    def knows_settled(self) -> bool:
        return "settled" in self.facts

    def find(self) -> None:
        """Look for an image that fits. A damaged one is removed."""
        folders = self._read(self._file(self._target_id(), "target.json"))
        if not folders:
            return
        key = self._key([Path(folder) for folder in folders["folders"]], Path(folders["env"]))
        facts = self._read(self._file(key, "json"))
        if not facts:
            return
        self.facts = facts
        seal = facts.pop("seal", None)
        if seal != _sha256(facts) or facts["key"] != key or _sha256_of(self._file(key, "tar")) != facts["sha256"]:
            self.facts = {"key": key}
            self.discard()
            return
        self.database = facts["database"]
        with contextlib.suppress(OSError):
            os.utime(self._file(key, "tar"))  # the oldest go first

    def discard(self) -> None:
        """Remove the image."""
        for ending in ("tar", "json"):
            if key := self.facts.get("key"):
                self._file(key, ending).unlink(missing_ok=True)
        self.database, self.facts, self._taken = None, {}, None

    def take(self, server: Server, database: Database) -> None:
        """Make an image of the server, which holds the base in that database and nothing else. It counts once it is settled."""
        if not server.is_embedded:
            return
        with contextlib.suppress(OSError, ServerUnavailable):  # a run without an image is only slower
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.directory / f"taken-{os.getpid()}.tar"
            image.take(server.maintenance, find_binaries().directory, path)
            self._taken = path
            self.facts = {"database": database.name, "sha256": _sha256_of(path)}

    def check(self, walk: Walk) -> None:
        """Compare what can be known before the walk, and tell it which tables are settled. Raises Distrusted."""
        walk.unchanged.known = self.facts.get("settled", {}).get(str(walk.index), {})
        if self.database is None:
            return
        found = [walk.arrival.handshake["alembic"], walk.arrival.handshake["sqlalchemy"], sorted(walk.arrival.current)]
        if [found] != self.facts["walks"][walk.index : walk.index + 1]:
            raise StaleBaseCache

    def settle(self, walks: Sequence[Walk]) -> None:
        """Compare the schema with which the walk began, or keep the image that was taken. Raises Distrusted."""
        start = walks[0].start
        if start is None:
            return
        if self.database is not None:
            if len(walks) != len(self.facts["walks"]) or self.facts["digest"] != digest(Snapshot(start.objects)):
                raise StaleBaseCache
            return
        if self._taken is None:
            return
        with contextlib.suppress(OSError):
            self._settle(walks, digest(Snapshot(start.objects)))

    def _settle(self, walks: Sequence[Walk], schema: str) -> None:
        root = repository_root(self.target.directory)
        env = Path(self.target.directory, walks[0].arrival.handshake["script_location"] or "", "env.py").resolve()
        folders = sorted({str((root / each.path).parent) for walk in walks for each in walk.arrival.graph.revisions})
        key = self._key([Path(folder) for folder in folders], env)
        versions = [
            [walk.arrival.handshake["alembic"], walk.arrival.handshake["sqlalchemy"], sorted(walk.arrival.current)]
            for walk in walks
        ]
        scripts = [
            [
                each.sha256,
                each.content_digest,
                each.upgrade_line,
                each.downgrade_line,
                each.upgrade_body,
                each.downgrade_body,
            ]
            for walk in walks
            for each in walk.arrival.graph.revisions
            if not each.is_new and not each.allowances
        ]
        facts = {**self.facts, "key": key, "digest": schema, "walks": versions, "scripts": scripts}
        assert self._taken is not None  # noqa: S101 - seen by the only caller
        self._taken.replace(self._file(key, "tar"))
        self._write(facts)
        write_atomically(
            self._file(self._target_id(), "target.json"), json.dumps({"folders": folders, "env": str(env)})
        )
        images = sorted(self.directory.glob("*.tar"), key=lambda path: path.stat().st_mtime)
        for path in images[:-KEPT_IMAGES]:
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)

    def note_settled(self, settled: Mapping[int, Mapping[str, str]]) -> None:
        """Keep which tables are settled, by the walk's index, if that is not known yet. See `settled.py`."""
        if settled and "key" in self.facts and not self.knows_settled:
            with contextlib.suppress(OSError):
                self._write({**self.facts, "settled": {str(index): dict(tables) for index, tables in settled.items()}})

    def _write(self, facts: dict[str, Any]) -> None:
        """Raises OSError."""
        self.facts = facts
        write_atomically(self._file(facts["key"], "json"), json.dumps({**facts, "seal": _sha256(facts)}))

    def _target_id(self) -> str:
        return _sha256([str(self.target.directory.resolve()), *self._told()])

    def _told(self) -> list[Any]:
        """What the command was told, which the schema may follow from."""
        files = {str(path): text for path, text in self.target.files.items()}
        return [_FORMAT, self.target.command, sorted(self.target.environment.items()), files, self.target.prepare]

    def _key(self, folders: Sequence[Path], env: Path) -> str:
        """Of everything that the schema at the base follows from."""
        root = repository_root(self.target.directory)
        base = read_base(self.ref, root, folders)
        scripts = []
        for folder in folders:
            is_outside = not folder.is_relative_to(root)
            for path in sorted(folder.glob("*.py")):
                text = path.read_text("utf-8", "replace")
                revision = revision_of(text)
                if is_outside or revision in base.scripts:
                    scripts.append([revision, hashlib.sha256(text.encode()).hexdigest()])
        text = env.read_text("utf-8", "replace") if env.is_file() else ""
        return _sha256([*self._told(), find_binaries().major, sorted(scripts, key=str), text])

    def _file(self, name: str, ending: str) -> Path:
        return self.directory / f"{name[:32]}.{ending}"

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            read = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}


def with_base_cache(base_cache: BaseCache, run: Callable[[Path | None], Result]) -> Result:
    """Run with the image that is base_cache, and without it if that turns out not to be trusted."""
    base_cache.find()
    if base_cache.image is not None:
        try:
            return run(base_cache.image)
        except (StaleBaseCache, ServerUnavailable):
            base_cache.discard()
    return run(None)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()


def _sha256_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
