"""The embedded server: a cluster in memory or in a temporary directory, started for one run."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.gate.errors import ServerUnavailable
from app.gate.server._accounts import find_able_account, find_account, make_private_directory, refuse_windows
from app.gate.server._cluster import SETTINGS, Address, Cluster, initialise, start
from app.gate.server.backup import renew_password, unpack
from app.gate.server.binaries import find_binaries
from app.gate.server.database import Database
from app.gate.supervisor.client import Supervisor


def start_embedded(supervisor: Supervisor, bindir: Path | None, base_backup: Path | None = None) -> Database:
    """The maintenance database of an embedded PostgreSQL. Raises ServerUnavailable."""
    address = start_throwaway(supervisor, bindir, base_backup)
    return Database("postgres", address.host, address.port, address.user, address.password, is_embedded=True)


MEMORY = Path("/dev/shm")  # noqa: S108 - directories in it have names that cannot be guessed, and mode 0700
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
    "max_locks_per_transaction": "1024",  # a downgrade of a whole history locks thousands of tables in one transaction
    "max_wal_size": "256MB",  # the default, 1 GB, is more than the space that is required
}


def start_throwaway(supervisor: Supervisor, bindir: Path | None = None, base_backup: Path | None = None) -> Address:
    """Start a new cluster, or one with the data of a base backup (see `backup.take`).

    The supervisor removes it when it closes. Raises ServerUnavailable.
    """
    refuse_windows()
    binaries = find_binaries(bindir)
    account = find_account()
    problems = []
    for base in _bases():
        root = base / f"overproof-{secrets.token_hex(8)}"
        supervisor.remove(root)
        cluster = Cluster(binaries, root / "data", account, password=secrets.token_hex(16))
        try:
            make_private_directory(root, account)
            cluster = replace(cluster, account=find_able_account(supervisor, account, [root, binaries.directory]))
            if base_backup:
                unpack(base_backup, cluster)
            else:
                initialise(supervisor, cluster)
        except (OSError, ServerUnavailable) as problem:
            problems.append(f"{base}: {problem.strerror if isinstance(problem, OSError) else problem}")
            shutil.rmtree(root, ignore_errors=True)  # its files may be what fills the disk
            continue
        address = start(supervisor, cluster, THROWAWAY_SETTINGS, signal.SIGQUIT)
        if base_backup:
            renew_password(cluster, address)
        return address
    raise ServerUnavailable(
        f"No PostgreSQL could be created ({'; '.join(problems)}). Set TMPDIR to a directory that anyone may enter and that has"
        f" {SPACE_BYTES >> 20} MB free, or DATABASE_URL to a server."
    )


def _bases() -> list[Path]:
    """Parent directories for a throwaway cluster, the best first: memory, which is faster, if it has space."""
    temporary = Path(tempfile.gettempdir())
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= SPACE_BYTES:
            return [MEMORY, temporary]
    return [temporary]
