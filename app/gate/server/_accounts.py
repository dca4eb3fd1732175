"""The operating system accounts under which PostgreSQL runs when we are root, which it refuses to be."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.gate.errors import NAME_A_SERVER, ServerUnavailable
from app.gate.supervisor.client import Account, Supervisor

# PostgreSQL refuses to run as root, and initdb wants an account that has a name: one is borrowed, none is created.
ACCOUNTS = ("nobody", "postgres", "daemon")


def refuse_windows() -> None:
    """Raises ServerUnavailable on Windows, which has neither process groups nor Unix accounts."""
    if sys.platform == "win32":
        raise ServerUnavailable("Overproof does not run on Windows itself: run it in WSL, or on Linux in CI")


def find_account() -> Account | None:
    """The account under which PostgreSQL is to run; None for the current user. Raises ServerUnavailable."""
    import pwd  # not on Windows

    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise ServerUnavailable(
                f"the user id {os.geteuid()} has no entry in /etc/passwd, and PostgreSQL does not start without one:"
                f" add it, or {NAME_A_SERVER}"
            ) from None
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, name)
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists to run it:"
        f" run as an ordinary user, or {NAME_A_SERVER}"
    )


def find_able_account(supervisor: Supervisor, account: Account | None, directories: Sequence[Path]) -> Account | None:
    """The account, with the right to pass through closed directories if it needs that. Raises ServerUnavailable."""
    if account is None:
        return None
    refused: Path | None = None
    for able in (account, replace(account, may_search=True)):
        refused = next((directory for directory in directories if not _can_enter(supervisor, able, directory)), None)
        if refused is None:
            return able
    raise ServerUnavailable(
        f"PostgreSQL does not run as root, and the account {account.name} may not enter {refused}:"
        f" run as an ordinary user, or {NAME_A_SERVER}"
    )


def _can_enter(supervisor: Supervisor, account: Account, directory: Path) -> bool:
    # Tried, not derived from modes: access lists, mounts and containers matter too.
    return supervisor.run(["/bin/sh", "-c", 'cd "$1"', "sh", directory], account, Path(os.sep)).status == 0


def make_private_directory(directory: Path, account: Account | None) -> None:
    """Raises OSError."""
    directory.mkdir(mode=0o700)
    if account:
        os.chown(directory, account.uid, account.gid)
