"""The supervisor's process: carries out the gate's messages until the gate is gone, and then cleans up.

It has one thread, reads messages from standard input and answers some of them on standard output, each a line of JSON.
It also starts PostgreSQL, so that the server dies with it on Linux (PR_SET_PDEATHSIG works between parent and child).
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.gate.supervisor._cleanup import (
    GROUP_PATIENCE_S,
    PATIENCE_S,
    SERVER_PATIENCE_S,
    Child,
    Ledger,
    from_message,
    wait_until,
)
from app.gate.supervisor.claims import Claim, record_of


def main(owner: int) -> None:
    """Supervise the process `owner`."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    ledger, locks, claims = Ledger(), [], []
    try:
        for message in _messages(owner):
            what = message.pop("what")
            if what == "end":
                break
            if what == "note":
                ledger.note(from_message(message))
            elif what == "forget":
                ledger.forget(from_message(message))
            elif what == "lock":
                locks.append(_lock(**message))
                _answer({"taken": locks[-1] is not None})
            elif what == "claim":
                answer, claim = _claim(ledger, **message)
                claims.append(claim)
                _answer(answer)
            elif what == "run":
                _answer(_run(**message))
            elif what == "serve":
                _answer(_serve(ledger, **message))
    finally:
        went_well = ledger.undo()
    sys.exit(0 if went_well else 1)


def _messages(owner: int) -> Iterator[dict[str, Any]]:
    """The gate's messages, until it is gone. A line that was cut off by its death is dropped."""
    rest = b""
    while True:
        if not _is_readable(1.0):
            # A fork of the gate that never called exec keeps the pipe open, and may outlive the gate.
            if os.getppid() != owner:
                return
            continue
        chunk = os.read(0, 1 << 20)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _is_readable(patience_s: float) -> bool:
    return bool(select.select([0], [], [], patience_s)[0])


def _answer(answer: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # the gate is gone, as the next read will show
        os.write(1, json.dumps(answer).encode() + b"\n")


def _lock(path: str) -> Any:
    """The open file, which must be kept, or None."""
    import fcntl  # not on Windows, where the gate must be able to import this file and report that it does not run there

    file = Path(path).open("a")  # noqa: SIM115 - open for as long as the supervisor lives

    def is_taken() -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    # The supervisor of a run that was just killed holds it until its server has stopped.
    return file if wait_until(is_taken, GROUP_PATIENCE_S) else None


def _claim(ledger: Ledger, path: str) -> tuple[dict[str, Any], Claim | None]:
    """The cleanup that restores the file, and the claim, which must be kept."""
    try:
        claim = Claim.take(path)
    except OSError as error:
        return {"error": error.strerror or str(error)}, None
    if claim is None:
        return {}, None
    cleanup = replace(claim.file, record=str(record_of(path)))
    ledger.note(cleanup)
    return {"file": asdict(cleanup)}, claim


def _run(argv: list[str], account: dict[str, Any] | None, directory: str) -> dict[str, Any]:
    output = b""
    try:
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=_environment(),
            preexec_fn=_becoming(account, signal.SIGTERM),  # noqa: PLW1509 - the supervisor has one thread
            start_new_session=True,
        ) as program:
            answers = program.stdout.fileno() if program.stdout else -1
            # While the gate waits for the answer it sends nothing: if the pipe becomes readable, the gate is gone.
            while 0 not in select.select([0, answers], [], [])[0]:
                chunk = os.read(answers, 1 << 16)
                if not chunk:
                    break
                output += chunk
            else:
                _end(program)
    except (OSError, subprocess.SubprocessError) as error:
        return {"status": 127, "output": str(error)}
    return {"status": program.returncode, "output": output.decode(errors="replace")}


def _end(program: subprocess.Popen[bytes]) -> None:
    """End a program, which may have children.

    It is asked first: initdb then ends with the child that it waits for. A postgres that is killed leaves its shared
    memory behind.
    """
    program.terminate()
    try:
        program.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)


def _serve(
    ledger: Ledger, argv: list[str], account: dict[str, Any] | None, data: str, log: str, stop: int
) -> dict[str, Any]:
    try:
        with Path(log).open("wb") as output:
            server = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                env=_environment(),
                preexec_fn=_becoming(account, stop),  # noqa: PLW1509 - the supervisor has one thread
            )
    except (OSError, subprocess.SubprocessError) as error:
        return {"status": 127, "output": str(error)}
    child = Child(server.pid, stop)
    ledger.note(child)
    deadline = time.monotonic() + SERVER_PATIENCE_S
    # If the pipe becomes readable, the gate is gone, and the server is not needed.
    while server.poll() is None and time.monotonic() < deadline and not _is_readable(0.005):
        if _is_ready(data, server.pid):
            return {"pid": server.pid}
    child.undo()
    ledger.forget(child)
    return {"status": server.wait(), "output": Path(log).read_text(errors="replace")}


def _is_ready(data: str, pid: int) -> bool:
    """Whether the eighth line of the server's pid file says so; no connection is needed."""
    try:
        lines = Path(data, "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    # A file left behind by an earlier server has another pid.
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _environment() -> dict[str, str]:
    """The environment without settings for PostgreSQL, and in English, since reports quote its messages."""
    steering = ("PG", "LC_", "LANG")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)} | {"LC_ALL": "C"}


# From linux/prctl.h and linux/capability.h.
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


def _becoming(account: dict[str, Any] | None, stop: int) -> Callable[[], None]:
    """What a child does between fork and exec: change the account, and request a signal when the supervisor dies."""
    supervisor, is_linux = os.getpid(), sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)

    def become() -> None:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_DFL)  # ignored signals stay ignored after exec, and PostgreSQL needs them
        if account:
            may_search = account["may_search"] and is_linux
            os.setgroups([])
            os.setgid(account["gid"])
            if may_search:
                # A change of user would drop the capability; access(2), with which initdb looks for postgres, needs it
                # too.
                libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
            os.setuid(account["uid"])
            if may_search:
                _keep_right_to_search(libc)
        if is_linux:
            libc.prctl(PR_SET_PDEATHSIG, stop, 0, 0, 0)  # last: a change of user clears it
            if os.getppid() != supervisor:
                os._exit(1)  # the supervisor died before the request

    return become


def _keep_right_to_search(libc: ctypes.CDLL) -> None:
    """Keep, of root's capabilities, the one to search closed directories. Raises PermissionError.

    The alternatives are worse: to open the parents of a directory to everyone, to copy the binaries, or to keep the
    data in an unexpected place. Containers often drop this capability, but keep the wider CAP_DAC_OVERRIDE. See
    capabilities(7), "Ambient".
    """
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then the upper 32
        if libc.capset(header, sets) == 0 and libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0:
            return
    raise PermissionError("this root may not search directories that are closed to others")
