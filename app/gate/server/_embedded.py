"""The embedded server: a cluster in memory or in a temporary directory, started for one run."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.gate.errors import NAME_A_SERVER, ServerUnavailable
from app.gate.server._accounts import find_able_account, find_account, make_private_directory, refuse_windows
from app.gate.server._cluster import SETTINGS, Address, Cluster, initialise, start
from app.gate.server._roles import SUPERUSER
from app.gate.server._stand_ins import write_stand_ins
from app.gate.server.backup import renew_password, unpack
from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from app.gate.supervisor.client import Account, Supervisor


def start_embedded(supervisor: Supervisor, bindir: Path | None, base_backup: Path | None = None) -> Database:
    """The maintenance database of an embedded PostgreSQL. Raises ServerUnavailable."""
    address = start_throwaway(supervisor, bindir, base_backup)
    return Database("postgres", address.host, address.port, address.user, address.password, is_embedded=True)


MEMORY = Path("/dev/shm")  # noqa: S108 - directories in it have names that cannot be guessed, and mode 0700
LOCK = "lock"  # in the directory of a run, held by its supervisor
_NAME = re.compile(r"overproof-[0-9a-f]{16}")
SPACE_BYTES = 512 * 2**20  # a cluster begins with 40 MB, and each database adds 8
# The data is temporary, so nothing has to survive a power failure. Background work is off: whatever happens on this
# server is attributed to the migration.
THROWAWAY_SETTINGS = SETTINGS | {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "60",
    # A downgrade of a whole history locks thousands of tables in one transaction. The more, the slower is pg_locks.
    "max_locks_per_transaction": "512",
    "max_wal_size": "256MB",  # the default, 1 GB, is more than the space that is required
}


def start_throwaway(supervisor: Supervisor, bindir: Path | None = None, base_backup: Path | None = None) -> Address:
    """Start a new cluster, or one with the data of a base backup (see `backup.take`).

    The supervisor removes it when it closes. Raises ServerUnavailable.
    """
    refuse_windows()
    binaries = find_binaries(bindir)
    account = find_account()
    _remove_leftovers(account)
    problems = []
    for base in _bases():
        root = base / f"overproof-{secrets.token_hex(8)}"
        supervisor.remove(root)
        cluster = Cluster(binaries, root / "data", account, secrets.token_hex(16), SUPERUSER)
        try:
            make_private_directory(root, account)
            _lock(supervisor, root)
            cluster = replace(cluster, account=find_able_account(supervisor, account, [root, binaries.directory]))
            if base_backup:
                unpack(base_backup, cluster)
            else:
                initialise(supervisor, cluster)
            settings = THROWAWAY_SETTINGS | write_stand_ins(cluster)
        except (OSError, ServerUnavailable) as problem:
            problems.append(f"{base}: {problem.strerror if isinstance(problem, OSError) else problem}")
            shutil.rmtree(root, ignore_errors=True)  # its files may be what fills the disk
            continue
        address = start(supervisor, cluster, settings, signal.SIGQUIT)
        if base_backup:
            renew_password(cluster, address)
        return address
    raise ServerUnavailable(
        f"no PostgreSQL could be created ({'; '.join(problems)}): set TMPDIR to a directory that anyone may enter and that has"
        f" {SPACE_BYTES >> 20} MB free, or {NAME_A_SERVER}"
    )


def _lock(supervisor: Supervisor, root: Path) -> None:
    """Mark the directory as one in use, for as long as the supervisor lives."""
    unseen = root / f"{LOCK}.new"
    unseen.touch(mode=0o600)
    supervisor.lock(unseen)
    unseen.rename(root / LOCK)  # only now, or another run could find it before it is locked


def _remove_leftovers(account: Account | None) -> None:
    """Remove the directories of runs that were killed together with their supervisor, which would have removed them."""
    owners = {os.geteuid(), account.uid if account else os.geteuid()}
    for base in {MEMORY, Path(tempfile.gettempdir())}:
        for root in base.glob("overproof-*"):
            # The lock is there from the beginning to the end of a run, and ends with the supervisor.
            with suppress(OSError):
                if _NAME.fullmatch(root.name) and root.lstat().st_uid in owners and _is_unlocked(root / LOCK):
                    shutil.rmtree(root)


def _is_unlocked(path: Path) -> bool:
    """Whether no process holds the lock. Raises OSError if the file is not there."""
    import fcntl  # not on Windows

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _bases() -> list[Path]:
    """Parent directories for a throwaway cluster, the best first: memory, which is faster, if it has space."""
    temporary = Path(tempfile.gettempdir())
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= SPACE_BYTES:
            return [MEMORY, temporary]
    return [temporary]
