"""The data of an embedded cluster in one file, from which the next run starts in the time that initdb would take.

Taken with pg_basebackup from the running server, the way PostgreSQL's manual has it
(https://www.postgresql.org/docs/current/app-pgbasebackup.html). The file holds no password that would still be of use:
whoever starts from it sets a new one, over a socket that nobody else can reach.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from app.gate.errors import ServerUnavailable

if TYPE_CHECKING:
    from app.gate.server._cluster import Address, Cluster
    from app.gate.server.database import Database


_OPEN_TO_THE_SOCKET = "local all all trust\n"
_CLOSED = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"


def take(maintenance: Database, programs: Path, path: Path) -> None:
    """Write the data of that server to `path`, all of it or nothing. Raises ServerUnavailable and OSError."""
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        asked = subprocess.run(
            [
                programs / "pg_basebackup", "--pgdata", directory, "--format=tar", "--wal-method=fetch", "--checkpoint=fast",
                "--no-sync", "--no-manifest", "--host", maintenance.host, "--port", str(maintenance.port),
                "--username", maintenance.user,
            ],
            env={**os.environ, "PGPASSWORD": maintenance.password}, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if asked.returncode:
            raise ServerUnavailable(f"pg_basebackup failed: {asked.stderr.strip()}")
        Path(directory, "base.tar").replace(path)


def unpack(path: Path, cluster: Cluster) -> None:
    """Make that file the cluster's data. Raises ServerUnavailable and OSError."""
    cluster.data.mkdir(mode=0o700)
    # By the programs: with thousands of small files, Python's own tarfile takes ten times as long.
    _run("tar", "-xf", path, "-C", cluster.data)
    (cluster.data / "pg_hba.conf").write_text(_OPEN_TO_THE_SOCKET)
    cluster.data.chmod(0o700)
    if cluster.account:
        _run("chown", "-R", f"{cluster.account.uid}:{cluster.account.gid}", cluster.data)


def _run(*words: str | Path) -> None:
    """Raises ServerUnavailable."""
    try:
        ended = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise ServerUnavailable(f"cannot run {words[0]}: {error.strerror}") from error
    if ended.returncode:
        raise ServerUnavailable(f"{words[0]} failed: {ended.stderr.strip()}")


def renew_password(cluster: Cluster, address: Address) -> None:
    """Give the superuser of a cluster that was just unpacked the password of `address`, and ask for it from now on.

    Raises ServerUnavailable.
    """
    import psycopg2

    try:
        # Its socket lies in a directory that only its account may enter.
        connection = psycopg2.connect(host=str(cluster.data), port=address.port, user=address.user, dbname="postgres")
    except psycopg2.Error as error:
        raise ServerUnavailable(f"the cluster from a base backup is out of reach: {str(error).strip()}") from error
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE CURRENT_USER PASSWORD %s", (address.password,))
            (cluster.data / "pg_hba.conf").write_text(_CLOSED)
            cursor.execute("SELECT pg_reload_conf()")
    finally:
        connection.close()
