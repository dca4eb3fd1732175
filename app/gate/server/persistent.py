"""An embedded PostgreSQL that keeps its data between starts, for `overproof serve --embedded`.

It has the same programs and the same supervisor as the throwaway server, so it ends with the process that started it,
also after `kill -9`. But its data is kept, with PostgreSQL's usual durability.

    .overproof/serve/   data/  password  log  lock
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.gate.errors import ServerUnavailable
from app.gate.postgres.quoting import identifier
from app.gate.server._accounts import find_able_account, find_account, refuse_windows
from app.gate.server._cluster import SETTINGS, Cluster, initialise, start
from app.gate.server.binaries import Binaries, find_binaries
from app.gate.server.database import Database
from app.gate.supervisor.client import Account, Supervisor

PLACE = Path(".overproof", "serve")
NAME = "overproof"


@contextmanager
def persistent_database(place: Path = PLACE) -> Iterator[Database]:
    """The database `overproof` of the server whose data is in the directory `place`; made at the first start.

    The server runs until the block is left, or this process is killed. Raises ServerUnavailable.
    """
    refuse_windows()
    place = place.absolute()
    binaries = find_binaries()
    with Supervisor() as supervisor:
        try:
            running = _prepare(supervisor, binaries, place)
        except OSError as error:
            raise ServerUnavailable(
                f"the database server's directory {place} cannot be used: {error.strerror} ({error.filename}):"
                " if another user created it, start as that user, or move it away"
            ) from error
        address = start(supervisor, running, SETTINGS, signal.SIGINT)
        server = Database("postgres", address.host, address.port, address.user, address.password, is_embedded=True)
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", [NAME])
            if not cursor.rowcount:
                cursor.execute(f"CREATE DATABASE {identifier(NAME)}")
        yield Database(NAME, address.host, address.port, address.user, address.password, is_embedded=True)


def _prepare(supervisor: Supervisor, binaries: Binaries, place: Path) -> Cluster:
    """A cluster that is ready to be started and not running yet. Raises ServerUnavailable and OSError."""
    data, password = place / "data", place / "password"
    account = _account_for(place)
    _make_place(place, account)
    lock = place / "lock"
    for path in (lock, place / "log"):
        _make_file(path, account)
    if not supervisor.lock(lock):
        raise ServerUnavailable(
            f"the database server of {place} is already running, for process {lock.read_text() or 'unknown'}:"
            " stop that one, or start in another directory"
        )
    lock.write_text(str(os.getpid()))
    account = find_able_account(supervisor, account, [place, binaries.directory])
    if data.exists():
        _check_major(data, binaries)
        return Cluster(binaries, data, account, password.read_text())
    # Created under another name, which the supervisor removes, so that `data` is always complete.
    new = Cluster(binaries, place / "new", account, secrets.token_hex(16))
    supervisor.remove(new.data)
    shutil.rmtree(new.data, ignore_errors=True)
    initialise(supervisor, new, is_lasting=True)
    new.data.rename(data)
    supervisor.keep(new.data)
    return Cluster(binaries, data, account, new.password)


def _account_for(place: Path) -> Account | None:
    """None for the current user. For root, the owner of the data, or of the directory in which it is to be created.

    So the owner of a checkout in which root started a server can start, and delete, it as well.
    """
    import pwd  # not on Windows

    if os.geteuid() == 0:
        nearest = next(path for path in (place / "data", place, *place.parents) if path.exists())
        owner = nearest.stat()
        if owner.st_uid != 0:
            try:
                name = pwd.getpwuid(owner.st_uid).pw_name
            except KeyError:
                name = f"number {owner.st_uid}"
            return Account(owner.st_uid, owner.st_gid, name)
    return find_account()


def _make_place(place: Path, account: Account | None) -> None:
    to_create = [path for path in (place, *place.parents) if not path.exists()]
    for path in reversed(to_create):
        path.mkdir(mode=0o700 if path == place else 0o755)
        if account:
            os.chown(path, account.uid, account.gid)
    _make_file(place / ".gitignore", account, "*\n")


def _make_file(path: Path, account: Account | None, content: str = "") -> None:
    """Create the file unless it exists. The account must own it, or it could not start the server later."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(content)
        if account:
            os.chown(path, account.uid, account.gid)


def _check_major(data: Path, binaries: Binaries) -> None:
    """Raises ServerUnavailable if these programs cannot read the data."""
    try:
        major = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ServerUnavailable(f"{data} is not a PostgreSQL data directory: move it away") from None
    if major != str(binaries.major):
        raise ServerUnavailable(
            f"the data in {data} is PostgreSQL {major}'s, and the programs are those of {binaries.major}: name the"
            f" directory with PostgreSQL {major}'s programs in OVERPROOF_PG_BINDIR, or move the data away to start with an empty database"
        )
