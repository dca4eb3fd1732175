"""A base backup of an embedded cluster in one file: the next run starts from it in the time that initdb would take.

Taken from the running server by pg_basebackup: https://www.postgresql.org/docs/current/app-pgbasebackup.html. The
password in the file is not valid later: a run that starts from it sets a new one, over a socket that no other account
can reach.
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
    """Write a base backup of that server to `path`, completely or not at all. Raises ServerUnavailable and OSError."""
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
    """Unpack that base backup as the cluster's data. Raises ServerUnavailable and OSError."""
    cluster.data.mkdir(mode=0o700)
    # By programs: with thousands of small files, Python's tarfile takes ten times as long.
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
    """Set the superuser's password of a cluster that was just unpacked to that of `address`, and require passwords.

    Raises ServerUnavailable.
    """
    import psycopg2

    try:
        # The socket is in a directory that only the cluster's account may enter.
        connection = psycopg2.connect(host=str(cluster.data), port=address.port, user=address.user, dbname="postgres")
    except psycopg2.Error as error:
        raise ServerUnavailable(
            f"the cluster of the base backup cannot be connected to: {str(error).strip()}"
        ) from error
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE CURRENT_USER PASSWORD %s", (address.password,))
            (cluster.data / "pg_hba.conf").write_text(_CLOSED)
            cursor.execute("SELECT pg_reload_conf()")
    finally:
        connection.close()
