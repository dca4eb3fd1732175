"""Runs a module like `python -m`, and writes down what its processor time went to: `sampled.py FOLDER alembic upgrade head`.

A timer of the kernel that counts processor time alone (ITIMER_PROF) calls a handler, which adds to the stack of each
thread the time that this thread has used since. So waiting costs nothing, and what else runs on the machine is left out.
It is started by its path in the project's own process, so it imports nothing of ours. Linux only.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

_EVERY_S = 0.002


class Sampler:
    """Processor time by stack."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}  # {"/site-packages/alembic/op.py:add_column\n…": 0.004}, innermost first
        self._of_thread = {threading.get_ident(): _used_by(threading.get_ident())}

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._note)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def _note(self, number: int, current: FrameType | None) -> None:
        for thread, frame in sys._current_frames().items():
            used = _used_by(thread)
            spent = used - self._of_thread.get(thread, 0.0)
            self._of_thread[thread] = used
            if spent > 0:
                stack = _stack_of(current if thread == threading.get_ident() else frame)
                self._seconds[stack] = self._seconds.get(stack, 0.0) + spent

    def write(self, folder: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        stacks = [[stack.split("\n"), seconds] for stack, seconds in self._seconds.items()]
        report = {"whole_s": time.process_time(), "stacks": stacks}
        (folder / f"{os.getpid()}.json").write_text(json.dumps(report))


def _used_by(thread: int) -> float:
    return time.clock_gettime(time.pthread_getcpuclockid(thread))


def _stack_of(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        names.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return "\n".join(names)


def main() -> None:
    folder, module, *arguments = sys.argv[1:]
    sampler = Sampler()
    atexit.register(sampler.write, Path(folder))
    sampler.start()
    sys.path[0] = str(Path.cwd())  # as for `python -m`, in place of this file's directory
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
