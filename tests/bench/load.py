"""Many clients that ask one server the same thing, each as soon as it may: `python -m tests.bench.load …`.

In a process of its own, so that the one that measures takes nothing from the one that is measured but its processor.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

PATIENCE_S = 30.0  # for one answer


@dataclass(frozen=True)
class Load:
    """What the clients saw."""

    per_second: float  # answers with status 200
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]  # "200", "503", "none" for an answer that never came


async def ask(port: int, request: bytes, until: float, seen: list[tuple[str, float]]) -> None:
    """One client, on one connection that is kept, until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < until:
            began = time.perf_counter()
            writer.write(request)
            status = "none"
            async with asyncio.timeout(PATIENCE_S):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                status = head.split(None, 2)[1].decode()
                await reader.readexactly(int(value_of(head, b"content-length")))
            seen.append((status, time.perf_counter() - began))
            if status == "503":
                await asyncio.sleep(float(value_of(head, b"retry-after")))
    except (OSError, EOFError, TimeoutError):
        seen.append(("none", PATIENCE_S))
    finally:
        writer.close()


def value_of(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b":")[2].split(b"\r\n", 1)[0]


async def measure(port: int, request: bytes, clients: int, seconds: float) -> Load:
    seen: list[tuple[str, float]] = []
    began = time.perf_counter()
    await asyncio.gather(*(ask(port, request, began + seconds, seen) for _ in range(clients)))
    took = time.perf_counter() - began
    answered = sorted(duration for status, duration in seen if status == "200")
    return Load(
        per_second=len(answered) / took,
        p50_ms=at(answered, 0.5) * 1000,
        p99_ms=at(answered, 0.99) * 1000,
        statuses=dict(Counter(status for status, _ in seen)),
    )


def at(durations: Sequence[float], share: float) -> float:
    return durations[min(len(durations) - 1, int(len(durations) * share))] if durations else float("nan")


if __name__ == "__main__":
    port, path, secret, clients, seconds = sys.argv[1:]
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {secret}\r\n\r\n".encode()
    print(json.dumps(asdict(asyncio.run(measure(int(port), request, int(clients), float(seconds))))))
