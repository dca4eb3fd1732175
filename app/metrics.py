"""/metrics, for Prometheus: how many requests there were, how long they took, and how many are waiting.

A path is named by its template within its router, so no project can be learned of. Each process has numbers of its own.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

router = APIRouter()

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})  # others would be as many as a client likes
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "path")
        self.requests = Counter("overproof_requests", "Answered requests.", (*labels, "status"), registry=self.registry)
        self.seconds = Histogram(
            "overproof_request_seconds",
            "From the first byte of a request to the last one of its answer.",
            labels,
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "overproof_waiting_requests", "Requests that wait for a connection.", registry=self.registry
        )

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        path = getattr(scope.get("route"), "path", "none")
        self.requests.labels(method, path, str(status)).inc()
        self.seconds.labels(method, path).observe(seconds)


class Measure:
    """ASGI middleware: notes each request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            self.metrics.note(scope, status, time.perf_counter() - start)


@router.get("/metrics", include_in_schema=False)
async def read_metrics(request: Request) -> Response:
    """Without a token: let only the monitoring reach it."""
    metrics: Metrics = request.app.state.metrics
    metrics.waiting.set(request.app.state.workers.waiting)
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
