"""The cache of the base: its schema from run to run, so that `--base` costs what the branch adds and not what came
before.

A base backup of the embedded cluster (see `server/backup.py`) is cached under a key made of everything that the schema
at the base follows from and that is known before anything runs: the base's scripts as they are here, env.py, the
command, and PostgreSQL's major version. What is not known so early (the versions of Alembic and SQLAlchemy, the
revisions at which the database is) is compared once the command has reached Alembic, and the schema that is found with
the digest of the one that was cached. Whatever differs, or is damaged, is removed and made again.

`Manifest` is what is known of one backup, `_Store` the files, and `BaseCache` the policy: when a backup is used,
checked, made and removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from app.gate.errors import ServerUnavailable, StaleBaseCache
from app.gate.files import write_atomically
from app.gate.history.git_base import read_base, revision_of
from app.gate.history.paths import repository_root
from app.gate.history.scripts import Script
from app.gate.recording.model import Body, Snapshot
from app.gate.recording.serialization import digest
from app.gate.server import backup
from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target.target import Target
from app.gate.walk.state import Walk

MAX_BACKUPS = 4  # each has about 50 MB
Result = TypeVar("Result")
_FORMAT = 6  # to be raised when what is cached, or how it is made, changes


def cache_directory() -> Path:
    """OVERPROOF_CACHE, else the user's own directory for caches
    (https://specifications.freedesktop.org/basedir-spec/)."""
    if given := os.environ.get("OVERPROOF_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "overproof"


@dataclass(frozen=True)
class WalkStart:
    """How one of the command's walks begins at the base."""

    index: int
    alembic: str
    sqlalchemy: str
    current: tuple[str, ...]  # the revisions at which the database is


@dataclass(frozen=True)
class Manifest:
    """What is known of one base backup."""

    key: str
    database: str  # the name of the one in the backup that is at the base
    backup_sha256: str
    schema_digest: str
    walks: tuple[WalkStart, ...]
    scripts: tuple[Script, ...] = ()  # at the base, those without allowances
    unchanged: Mapping[int, Mapping[str, str]] | None = (
        None  # by the walk's index, see `walk/unchanged.py`; None: not known
    )

    def to_text(self) -> str:
        """A checksum, and the manifest as JSON."""
        content = json.dumps(asdict(self))
        return f"{_sha256(content)}\n{content}"

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """Raises ValueError unless the text is what `to_text` returned."""
        checksum, _, content = text.partition("\n")
        if checksum != _sha256(content):
            raise ValueError("the manifest is not as it was written")
        facts = json.loads(content)
        walks = tuple(WalkStart(**{**each, "current": tuple(each["current"])}) for each in facts.pop("walks"))
        scripts = tuple(map(_script_of, facts.pop("scripts")))
        unchanged = facts.pop("unchanged")
        if unchanged is not None:
            unchanged = {int(index): tables for index, tables in unchanged.items()}
        return cls(**facts, walks=walks, scripts=scripts, unchanged=unchanged)


@dataclass(frozen=True)
class _Sources:
    """Where the scripts of a target are: only a run of its command finds that out."""

    folders: tuple[str, ...]
    env: str


@dataclass(frozen=True)
class _Store:
    """The files: for each key a base backup and its manifest, and for each target its sources."""

    directory: Path

    def backup(self, key: str) -> Path:
        return self._file(key, "tar")

    def read(self, key: str) -> Manifest | None:
        """The manifest of a backup that is there, damaged or not. Without both, what is left is removed."""
        try:
            manifest = Manifest.from_text(self._file(key, "manifest").read_text("utf-8"))
        except (OSError, ValueError):
            manifest = None
        if manifest is None or manifest.key != key or not self.backup(key).is_file():
            self.remove(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(self.backup(key))  # the oldest are removed first
        return manifest

    def write(self, manifest: Manifest) -> None:
        """Raises OSError."""
        write_atomically(self._file(manifest.key, "manifest"), manifest.to_text())

    def add(self, manifest: Manifest, path: Path) -> None:
        """Store the backup in the file at that path, and remove the oldest. Raises OSError."""
        path.replace(self.backup(manifest.key))
        self.write(manifest)
        backups = sorted(self.directory.glob("*.tar"), key=lambda each: each.stat().st_mtime)
        for old in backups[:-MAX_BACKUPS]:
            old.unlink(missing_ok=True)
            old.with_suffix(".manifest").unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        for ending in ("tar", "manifest"):
            self._file(key, ending).unlink(missing_ok=True)

    def read_sources(self, target_id: str) -> _Sources | None:
        try:
            facts = json.loads(self._file(target_id, "target.json").read_text("utf-8"))
            return _Sources(tuple(facts["folders"]), facts["env"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_sources(self, target_id: str, sources: _Sources) -> None:
        """Raises OSError."""
        write_atomically(self._file(target_id, "target.json"), json.dumps(asdict(sources)))

    def _file(self, name: str, ending: str) -> Path:
        return self.directory / f"{name[:32]}.{ending}"


@dataclass(frozen=True)
class _ScriptHere:
    """A file of the history, as it is here."""

    revision: str | None  # None: it declares none
    text: str
    is_of_base: bool  # a revision that is there too, or what is outside of the repository, as a package's history is

    @property
    def is_new(self) -> bool:
        """Whether it is a revision that the base does not have."""
        return self.revision is not None and not self.is_of_base


@dataclass(frozen=True)
class _PendingBackup:
    """A backup of the base that is made and not stored: nothing is known of its schema before the walk begins."""

    path: Path
    database: str
    sha256: str


@dataclass
class BaseCache:
    """The cached schema at one base of one target."""

    target: Target
    ref: str
    directory: Path = field(default_factory=cache_directory)
    found: Manifest | None = None  # of the backup from which the run starts
    _sha256: Future[str | None] | None = None  # of that backup, which takes a while: it is unpacked in the meantime
    _made: Manifest | None = None  # of the one that the run has stored
    _pending: _PendingBackup | None = None

    @property
    def base_backup(self) -> Path | None:
        """The file from which the server starts."""
        return self._store.backup(self.found.key) if self.found is not None else None

    @property
    def scripts(self) -> dict[str, Script]:
        """What was read of the scripts at the base, by their SHA-256."""
        return {script.sha256: script for script in self.found.scripts} if self.found is not None else {}

    @property
    def needs_unchanged(self) -> bool:
        """Whether the tables that are like their models are still to be noted."""
        manifest = self.found or self._made
        return manifest is not None and manifest.unchanged is None

    def find(self) -> None:
        """Look for a backup that fits."""
        sources = self._store.read_sources(self._target_id())
        scripts = self._read_scripts(sources) if sources is not None else []
        self.found = None
        if sources is None or not any(each.is_new for each in scripts):
            return  # where nothing is new, the whole history is walked, from its beginning
        self.found = self._store.read(self._key(sources, scripts))
        if self.base_backup is not None:
            pool = ThreadPoolExecutor(1)
            self._sha256 = pool.submit(_sha256_of, self.base_backup)
            pool.shutdown(wait=False)

    def discard(self) -> None:
        """Remove the backup that was found."""
        if self.found is not None:
            self._store.remove(self.found.key)
        self.found = None

    def store_pending(self, server: Server, database: Database) -> None:
        """Back the server up, which holds the base in that database and nothing else. The backup counts once it is
        committed."""
        if not server.is_embedded:
            return
        with contextlib.suppress(OSError, ServerUnavailable):  # a run without a cache is only slower
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.directory / f"pending-{os.getpid()}.tar"
            backup.take(server.maintenance, find_binaries().directory, path)
            self._pending = _PendingBackup(path, database.name, _sha256_of(path) or "")

    @property
    def start(self) -> Sequence[str] | None:
        """The revisions at which the walk finds the database, if a backup was found and the command takes one walk."""
        walks = self.found.walks if self.found is not None else ()
        return walks[0].current if len(walks) == 1 else None

    def check(self, walk: Walk) -> None:
        """Compare what is known before the first step, and note which tables were like their models. Raises
        StaleBaseCache."""
        unchanged = self.found.unchanged if self.found is not None else None
        walk.unchanged.known = (unchanged or {}).get(walk.index, {})
        if self.found is not None and (self._is_damaged or _start_of(walk) not in self.found.walks):
            raise StaleBaseCache

    @property
    def _is_damaged(self) -> bool:
        """Whether the file of the backup that was found is another one than was stored."""
        if self.found is None or self._sha256 is None:
            return False
        return self._sha256.result() != self.found.backup_sha256

    def commit(self, walks: Sequence[Walk]) -> None:
        """Store the pending backup, or compare the one that was found with the schema at the start. Raises
        StaleBaseCache."""
        start = walks[0].start
        if start is None:
            return
        schema_digest = digest(Snapshot(start.objects))
        if self.found is not None:
            if len(walks) != len(self.found.walks) or schema_digest != self.found.schema_digest:
                raise StaleBaseCache
        elif self._pending is not None:
            with contextlib.suppress(OSError):
                self._made = self._commit(self._pending, walks, schema_digest)

    def _commit(self, pending: _PendingBackup, walks: Sequence[Walk], schema_digest: str) -> Manifest:
        root = repository_root(self.target.directory)
        revisions = [revision for walk in walks for revision in walk.arrival.graph.revisions]
        env = Path(self.target.directory, walks[0].arrival.handshake["script_location"] or "", "env.py").resolve()
        sources = _Sources(tuple(sorted({str((root / each.path).parent) for each in revisions})), str(env))
        manifest = Manifest(
            key=self._key(sources, self._read_scripts(sources)),
            database=pending.database,
            backup_sha256=pending.sha256,
            schema_digest=schema_digest,
            walks=tuple(map(_start_of, walks)),
            scripts=tuple(
                Script(**{each.name: getattr(revision, each.name) for each in fields(Script)})
                for revision in revisions
                if not revision.is_new and not revision.allowances
            ),
        )
        self._store.add(manifest, pending.path)
        self._store.write_sources(self._target_id(), sources)
        return manifest

    def note_unchanged(self, unchanged: Mapping[int, Mapping[str, str]]) -> None:
        """Note the tables that are like their models, by the walk's index, if that is not known yet."""
        manifest = self.found or self._made
        if manifest is not None and manifest.unchanged is None and unchanged:
            with contextlib.suppress(OSError):
                self._store.write(replace(manifest, unchanged=unchanged))

    def clean_up(self) -> None:
        """Remove a backup that was not committed."""
        if self._pending is not None:
            self._pending.path.unlink(missing_ok=True)

    @property
    def _store(self) -> _Store:
        return _Store(self.directory)

    def _target_id(self) -> str:
        return _sha256([str(self.target.directory.resolve()), *_settings(self.target)])

    def _read_scripts(self, sources: _Sources) -> list[_ScriptHere]:
        """The files with Python in the folders of the history, as they are here."""
        root = repository_root(self.target.directory)
        folders = [Path(folder) for folder in sources.folders]
        base = read_base(self.ref, root, folders)
        scripts = []
        for folder in folders:
            is_outside = not folder.is_relative_to(root)
            for path in sorted(folder.glob("*.py")):
                text = path.read_text("utf-8", "replace")
                revision = revision_of(text)
                scripts.append(_ScriptHere(revision, text, is_of_base=is_outside or revision in base.scripts))
        return scripts

    def _key(self, sources: _Sources, scripts: Sequence[_ScriptHere]) -> str:
        """Of everything that the schema at the base follows from."""
        digests = [
            [each.revision, hashlib.sha256(each.text.encode()).hexdigest()] for each in scripts if each.is_of_base
        ]
        env = Path(sources.env)
        text = env.read_text("utf-8", "replace") if env.is_file() else ""
        return _sha256([*_settings(self.target), find_binaries().major, sorted(digests, key=str), text])


def with_base_cache(base_cache: BaseCache, run: Callable[[Path | None], Result]) -> Result:
    """Run from the cached base backup, and without it if it turns out to be stale."""
    base_cache.find()
    try:
        if base_cache.base_backup is not None:
            try:
                return run(base_cache.base_backup)
            except (StaleBaseCache, ServerUnavailable):
                base_cache.discard()
        return run(None)
    finally:
        base_cache.clean_up()


def _settings(target: Target) -> list[Any]:
    """What the schema may follow from in how the command is run."""
    files = {str(path): text for path, text in target.files.items()}
    environment = sorted(target.environment.items())
    return [_FORMAT, target.command, environment, files, sorted(target.options.items()), target.prepare]


def _script_of(facts: Mapping[str, Any]) -> Script:
    bodies = {name: Body(facts[name]) for name in ("upgrade_body", "downgrade_body")}
    return Script(**{**facts, **bodies, "allowances": ()})


def _start_of(walk: Walk) -> WalkStart:
    return WalkStart(
        walk.index,
        walk.arrival.handshake["alembic"],
        walk.arrival.handshake["sqlalchemy"],
        tuple(sorted(walk.arrival.current)),
    )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()


def _sha256_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
