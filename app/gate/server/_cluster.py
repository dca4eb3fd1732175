"""A database cluster: initialised by initdb, and started under a supervisor.

A pip package supplies the binaries, and none of its Python is imported: no package's own layer accepts server settings,
survives `kill -9` and also runs acceptably as root. (Some create an account, and open root's home directory to it.)
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.gate.errors import ServerUnavailable
from app.gate.server._accounts import make_private_directory
from app.gate.server.binaries import Binaries, reason
from app.gate.supervisor.client import Account, Supervisor

HOST = "127.0.0.1"
USER = "postgres"

# A socket's path has at most 103 bytes on macOS, and PostgreSQL appends "/.s.PGSQL.65535.lock".
LONGEST_SOCKET_DIRECTORY = 80

SETTINGS = {
    "listen_addresses": HOST,
    "dynamic_shared_memory_type": "mmap",  # leaves nothing behind in shared memory
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """A data directory, and the account and the programs that run it."""

    binaries: Binaries
    data: Path
    account: Account | None
    password: str
    superuser: str = USER  # the role that initdb creates


@dataclass(frozen=True)
class Address:
    """The address of a running cluster."""

    host: str
    port: int
    user: str
    password: str


def initialise(supervisor: Supervisor, cluster: Cluster, *, is_lasting: bool = False) -> None:
    """Create the cluster's data, and next to it a file with the password. Raises ServerUnavailable and OSError."""
    make_private_directory(cluster.data, cluster.account)
    password_file = cluster.data.with_name("password")
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.password)
    if cluster.account:
        os.chown(password_file, cluster.account.uid, cluster.account.gid)
    argv: list[str | Path] = [cluster.binaries.directory / "initdb", "-D", cluster.data, "-U", cluster.superuser]
    argv += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    if cluster.binaries.major >= 17:
        # Knows all letters of Unicode, which C does not, and needs no locale of the operating system.
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not is_lasting:
        argv += ["--no-sync"]
    made = supervisor.run(argv, cluster.account, cluster.data.parent)
    if made.status:
        raise ServerUnavailable(f"initdb failed: {reason(made.output)}")


def start(supervisor: Supervisor, cluster: Cluster, settings: Mapping[str, str], stop: signal.Signals) -> Address:
    """Start a cluster on a free port; `stop` is the signal that ends it. Raises ServerUnavailable."""
    sockets = str(cluster.data) if len(os.fsencode(cluster.data)) <= LONGEST_SOCKET_DIRECTORY else ""
    output = ""
    for _ in range(5):
        port = free_port()
        argv: list[str | Path] = [cluster.binaries.directory / "postgres", "-D", cluster.data, "-p", str(port)]
        for name, value in {**settings, "unix_socket_directories": sockets}.items():
            argv += ["-c", f"{name}={value}"]
        ended = supervisor.serve(argv, cluster.account, data=cluster.data, log=cluster.data.with_name("log"), stop=stop)
        if ended is None:
            return Address(HOST, port, cluster.superuser, cluster.password)
        output = ended.output
        if "Address already in use" not in output:  # another process took the port in the meantime: try another one
            break
    raise ServerUnavailable(f"PostgreSQL did not start: {reason(output)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
