"""How a cluster is made, started and found an account, by what the supervisor is asked to run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.gate.errors import ServerUnavailable
from app.gate.server import _accounts, _embedded
from app.gate.server._accounts import find_able_account, find_account, make_private_directory
from app.gate.server._cluster import SETTINGS, Address, Cluster, initialise, start
from app.gate.server._embedded import THROWAWAY_SETTINGS
from app.gate.server._stand_ins import FILES, write_stand_ins
from app.gate.server.binaries import Binaries
from app.gate.supervisor.client import Account, Ended

BIN = Path("/opt/pg/bin")
NOBODY = Account(65534, 65533, "nobody")


class Asked:
    """A supervisor that answers as a test wants, and remembers what it was asked."""

    def __init__(self, *answers: Ended | None) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def run(self, argv: list[Any], account: Account | None, directory: Path) -> Ended | None:
        self.asked.append(([str(each) for each in argv], account, directory))
        return self.answers.pop(0)

    def serve(self, argv: list[Any], account: Account | None, **others: Any) -> Ended | None:
        self.asked.append(([str(each) for each in argv], account, others))
        return self.answers.pop(0)


def cluster(place: Path, major: int = 18, account: Account | None = None) -> Cluster:
    return Cluster(Binaries(BIN, major), place / "data", account, "s3cret")


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Who is made the owner of what."""
    owners: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: owners.update({Path(path).name: (uid, gid)}))
    return owners


WORDS = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
UNICODE = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


@pytest.mark.parametrize(
    ("major", "is_lasting", "more"),
    [(16, False, ["--no-sync"]), (17, False, [*UNICODE, "--no-sync"]), (18, True, UNICODE), (16, True, [])],
)
def test_a_cluster_is_made_with_a_password(
    tmp_path: Path, owners: dict[str, tuple[int, int]], major: int, is_lasting: bool, more: list[str]
) -> None:
    supervisor: Any = Asked(Ended(0, ""))

    initialise(supervisor, cluster(tmp_path, major), is_lasting=is_lasting)

    ((argv, account, directory),) = supervisor.asked
    password = tmp_path / "password"
    assert argv[:5] == [str(BIN / "initdb"), "-D", str(tmp_path / "data"), "-U", "postgres"]
    assert sorted(argv[5:]) == sorted([*WORDS, f"--pwfile={password}", *more])
    assert (account, directory) == (None, tmp_path)
    assert password.read_text() == "s3cret"
    assert password.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert owners == {}


def test_what_a_cluster_consists_of_belongs_to_its_account(tmp_path: Path, owners: dict[str, tuple[int, int]]) -> None:
    supervisor: Any = Asked(Ended(1, "initdb: error: no space\n"))

    with pytest.raises(ServerUnavailable, match=r"^initdb failed: no space$"):
        initialise(supervisor, cluster(tmp_path, account=NOBODY))

    assert owners == {"data": (65534, 65533), "password": (65534, 65533)}
    assert supervisor.asked[0][1] == NOBODY
    make_private_directory(tmp_path / "own", None)
    assert "own" not in owners


TAKEN = Ended(1, "could not bind: Address already in use")


def test_a_cluster_is_started_on_a_free_port_and_on_another_if_that_is_taken_meanwhile(tmp_path: Path) -> None:
    supervisor: Any = Asked(TAKEN, TAKEN, TAKEN, TAKEN, None)

    address = start(supervisor, cluster(tmp_path, account=NOBODY), {"jit": "off"}, signal.SIGQUIT)

    assert len(supervisor.asked) == 5
    argv, account, others = supervisor.asked[-1]
    data = tmp_path / "data"
    assert address == Address("127.0.0.1", int(argv[4]), "postgres", "s3cret")
    assert argv == [
        str(BIN / "postgres"), "-D", str(data), "-p", str(address.port),
        "-c", "jit=off", "-c", f"unix_socket_directories={data}",
    ]  # fmt: skip
    assert (account, others) == (NOBODY, {"data": data, "log": tmp_path / "log", "stop": signal.SIGQUIT})


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([TAKEN] * 5, "PostgreSQL did not start: could not bind: Address already in use"),
        ([Ended(1, "FATAL:  no memory")], "PostgreSQL did not start: no memory"),
    ],
)
def test_a_cluster_that_does_not_start_says_why(tmp_path: Path, answers: list[Ended], told: str) -> None:
    supervisor: Any = Asked(*answers)

    with pytest.raises(ServerUnavailable) as refusal:
        start(supervisor, cluster(tmp_path), {}, signal.SIGQUIT)

    assert str(refusal.value) == told
    assert supervisor.answers == []


@pytest.mark.parametrize(("length", "has_sockets"), [(80, True), (81, False)])
def test_a_path_that_is_too_long_for_a_socket_has_none(length: int, has_sockets: bool) -> None:
    supervisor: Any = Asked(None)
    place = Path("/" + "x" * (length - len("//data")))

    start(supervisor, cluster(place), {}, signal.SIGQUIT)

    sockets = f"{place}/data" if has_sockets else ""
    assert supervisor.asked[0][0][-1] == f"unix_socket_directories={sockets}"


def test_a_throwaway_cluster_is_quick_and_does_nothing_by_itself() -> None:
    assert SETTINGS == {
        "listen_addresses": "127.0.0.1",
        "dynamic_shared_memory_type": "mmap",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    assert (
        SETTINGS
        | {
            **dict.fromkeys(["fsync", "synchronous_commit", "full_page_writes", "autovacuum", "jit"], "off"),
            "max_connections": "60",
            "max_locks_per_transaction": "512",
            "max_wal_size": "256MB",
        }
        == THROWAWAY_SETTINGS
    )


# The account.


def test_an_ordinary_user_runs_postgresql_and_root_borrows_the_first_account_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = ["daemon", "postgres"]

    def get(name: str) -> Any:
        if name not in there:
            raise KeyError(name)
        return SimpleNamespace(pw_uid=7, pw_gid=8)

    monkeypatch.setattr(pwd, "getpwnam", get)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {1000: "ann"}[uid])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert find_account() is None
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    with pytest.raises(ServerUnavailable, match="the user id 1001 has no entry in /etc/passwd"):
        find_account()

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find_account() == Account(7, 8, "postgres")
    there.remove("postgres")
    assert find_account() == Account(7, 8, "daemon")
    there += ["nobody"]
    assert find_account() == Account(7, 8, "nobody")
    there.clear()
    with pytest.raises(ServerUnavailable, match="none of the accounts nobody, postgres, daemon exists to run it"):
        find_account()


def test_an_account_is_given_the_right_to_search_only_if_it_needs_it() -> None:
    places = [Path("/a"), Path("/b")]
    able, no = Ended(0, ""), Ended(1, "")

    assert find_able_account(Asked(), None, places) is None  # type: ignore[arg-type]
    supervisor: Any = Asked(able, able)
    assert find_able_account(supervisor, NOBODY, places) == NOBODY
    assert supervisor.asked[1] == (["/bin/sh", "-c", 'cd "$1"', "sh", "/b"], NOBODY, Path("/"))
    searching = Account(65534, 65533, "nobody", may_search=True)
    supervisor = Asked(able, no, able, able)
    assert find_able_account(supervisor, NOBODY, places) == searching
    assert [account for _, account, _ in supervisor.asked] == [NOBODY, NOBODY, searching, searching]
    with pytest.raises(ServerUnavailable) as refusal:
        find_able_account(Asked(no, able, no), NOBODY, places)  # type: ignore[arg-type]
    assert str(refusal.value) == (
        "PostgreSQL does not run as root, and the account nobody may not enter /b:"
        " run as an ordinary user, or name a server in OVERPROOF_DATABASE_URL"
    )


def test_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _accounts.refuse_windows()
    monkeypatch.setattr("sys.platform", "win32")

    with pytest.raises(ServerUnavailable, match="does not run on Windows itself"):
        _accounts.refuse_windows()


# The place.


@pytest.mark.parametrize(
    ("may_write", "free", "is_in_memory"),
    [(True, 512 * 2**20, True), (True, 512 * 2**20 - 1, False), (False, 2**40, False), (True, None, False)],
)
def test_a_cluster_is_in_memory_if_there_is_space(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, may_write: bool, free: int | None, is_in_memory: bool
) -> None:
    def usage(path: Path) -> Any:
        if free is None:
            raise FileNotFoundError
        return SimpleNamespace(free=free)

    monkeypatch.setattr(os, "access", lambda path, mode: may_write and mode == os.W_OK)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert _embedded._bases() == ([Path("/dev/shm")] if is_in_memory else []) + [tmp_path]


# The stand-ins.


def test_stand_ins_are_where_their_account_can_read_them(tmp_path: Path, owners: dict[str, tuple[int, int]]) -> None:
    settings = write_stand_ins(cluster(tmp_path, account=NOBODY))

    folder = tmp_path / "stand_ins"
    assert settings == {"extension_control_path": f"$system:{folder}"}
    copied = folder / "extension"
    names = {path.name for path in FILES.iterdir()}
    assert {path.name for path in copied.iterdir()} == names
    assert {path.stat().st_mode & 0o777 for path in copied.iterdir()} == {0o600}
    assert [path.stat().st_mode & 0o777 for path in (folder, copied)] == [0o700, 0o700]
    assert owners == dict.fromkeys({"stand_ins", "extension", *names}, (65534, 65533))


@pytest.mark.parametrize(("folder", "major"), [("plain", 17), ("a:b", 18)])
def test_stand_ins_are_left_out_where_postgresql_would_not_find_them(tmp_path: Path, folder: str, major: int) -> None:
    (tmp_path / folder).mkdir()

    assert write_stand_ins(cluster(tmp_path / folder, major)) == {}
    assert list((tmp_path / folder).iterdir()) == []


# A throwaway cluster, from its place to its start.


class Throwaway:
    """What starting a throwaway cluster does, in order, with everything outside of it replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bases: list[Path]) -> None:
        self.done: list[Any] = []
        self.refused: dict[Path, Exception] = {}  # by the directory of the base
        for name, replaced in {
            "find_binaries": lambda bindir: Binaries(bindir or BIN, 18),
            "find_account": lambda: NOBODY,
            "_remove_leftovers": lambda account: self.done.append(("leftovers", account)),
            "_bases": lambda: bases,
            "make_private_directory": lambda root, account: root.mkdir(),
            "find_able_account": self.find_able,
            "initialise": lambda supervisor, made: self.done.append(("initialise", made)),
            "unpack": lambda backup, made: self.done.append(("unpack", backup)),
            "write_stand_ins": lambda made: {"extension_control_path": "x"},
            "start": self.start,
            "renew_password": lambda made, of: self.done.append(("renew", of)),
        }.items():
            monkeypatch.setattr(_embedded, name, replaced)

    def find_able(self, supervisor: Any, account: Account, directories: list[Path]) -> Account:
        self.done.append(("able", account, directories))
        problem = self.refused.get(directories[0].parent)
        if problem is not None:
            raise problem
        return Account(account.uid, account.gid, account.name, may_search=True)

    def start(self, supervisor: Any, made: Cluster, settings: Mapping[str, str], stop: signal.Signals) -> Address:
        self.done.append(("start", settings, stop))
        return Address("127.0.0.1", 5433, "overproof", "s3cret")

    def remove(self, root: Path) -> None:
        assert not root.exists()
        self.done.append(("remove", root))

    def lock(self, path: Path) -> bool:
        assert path.stat().st_mode & 0o777 == 0o600
        self.done.append(("lock", path.name))
        return True

    def names(self) -> list[str]:
        return [each[0] for each in self.done]


def test_a_throwaway_cluster_is_made_locked_and_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bases = [tmp_path / "memory", tmp_path / "disk"]
    for base in bases:
        base.mkdir()
    throwaway: Any = Throwaway(monkeypatch, bases)

    database = _embedded.start_embedded(throwaway, None)

    assert throwaway.names() == ["leftovers", "remove", "lock", "able", "initialise", "start"]
    assert (database.name, database.port, database.user, database.is_embedded) == ("postgres", 5433, "overproof", True)
    [root] = bases[0].iterdir()
    assert _embedded._NAME.fullmatch(root.name)
    assert [path.name for path in root.iterdir()] == ["lock"]
    done = {each[0]: each[1:] for each in throwaway.done}
    assert done["leftovers"] == (NOBODY,)
    assert done["remove"] == (root,)
    assert done["able"] == (NOBODY, [root, BIN])
    (made,) = done["initialise"]
    assert (made.data, made.superuser, len(made.password)) == (root / "data", "overproof", 32)
    assert made.account.may_search
    assert done["start"] == (THROWAWAY_SETTINGS | {"extension_control_path": "x"}, signal.SIGQUIT)


def test_a_throwaway_cluster_of_a_base_backup_gets_another_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    throwaway: Any = Throwaway(monkeypatch, [tmp_path])

    address = _embedded.start_throwaway(throwaway, Path("/other"), Path("/base.tar"))

    assert throwaway.names() == ["leftovers", "remove", "lock", "able", "unpack", "start", "renew"]
    assert throwaway.done[4:] == [("unpack", Path("/base.tar")), throwaway.done[5], ("renew", address)]
    assert throwaway.done[3][2][1] == Path("/other")


def test_where_one_place_is_of_no_use_the_next_is_taken_and_all_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bases = [tmp_path / "memory", tmp_path / "disk"]
    for base in bases:
        base.mkdir()
    throwaway: Any = Throwaway(monkeypatch, bases)
    throwaway.refused = {bases[0]: OSError(28, "No space left on device")}

    _embedded.start_throwaway(throwaway)

    assert throwaway.names() == ["leftovers", "remove", "lock", "able", "remove", "lock", "able", "initialise", "start"]
    assert not list(bases[0].iterdir())
    throwaway.refused[bases[1]] = ServerUnavailable("initdb failed: no")
    with pytest.raises(ServerUnavailable) as refusal:
        _embedded.start_throwaway(throwaway)
    assert str(refusal.value) == (
        f"no PostgreSQL could be created ({bases[0]}: No space left on device; {bases[1]}: initdb failed: no): set TMPDIR to"
        " a directory that anyone may enter and that has 512 MB free, or name a server in OVERPROOF_DATABASE_URL"
    )
