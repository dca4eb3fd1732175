"""create_app(): the one place where the parts of the service are assembled."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from app import __version__, errors, health, metrics, pages
from app.audit import routes as audit
from app.body_limit import BodyLimit, Limits
from app.changes import routes as changes
from app.conventions import Head, require_json, require_known_parameters
from app.database import DatabaseRefused, connect, create_engine
from app.environments import routes as environments
from app.large_answers import Sending
from app.metrics import Measure, Metrics
from app.projects import routes as projects
from app.projects.errors import TokenMissing, TokenUnknown
from app.rate_limit import RateLimit, TooManyRequests
from app.revisions import routes as revisions
from app.runs import routes as runs
from app.schema_version import require_head
from app.settings import SettingRefused, Settings
from app.workers import Overloaded, RefuseWhenFull, Workers

DESCRIPTION = """
Overproof proves an Alembic migration on a real PostgreSQL before it merges, and remembers what it proved. This API is
the record of what was proved.

Every request needs a token (`Authorization: Bearer ovp_…`), which gives access to its own project. Lists are paged: send
the `next_cursor` of a page as `cursor` to get the next one, or follow the header `Link` with `rel="next"`. Every error
is `application/problem+json`: its `type` ends in a stable name for programs, and its `detail` is human-readable. After a
429 or 503 with `Retry-After` the request can be sent again: it was not started, or the database did not answer. Reports are
identified by their content, so posting one twice stores it once. Bodies are JSON, with the `Content-Type`
`application/json`, and may have the `Content-Encoding` `gzip`.
"""
TAGS = [
    {"name": "projects", "description": "A repository whose migrations are verified."},
    {"name": "tokens", "description": "The credentials of pipelines and people."},
    {"name": "runs", "description": "One verification of a project's migrations by `overproof verify`."},
    {"name": "revisions", "description": "Revisions by the content of their scripts, and what was proved about them."},
    {"name": "changes", "description": "Open pull requests with the revisions that each adds, and forks between them."},
    {
        "name": "environments",
        "description": "The databases to which a project is deployed, and what may be deployed there.",
    },
    {"name": "waivers", "description": "Findings that are accepted until some day."},
    {"name": "audit", "description": "Who changed what in a project. Entries are only ever added."},
    {"name": "health", "description": "For load balancers and orchestrators; without a token."},
]
API = "/api/v1"
API_ROUTERS = (
    projects.router,
    runs.router,
    runs.badge_router,
    revisions.router,
    changes.router,
    environments.router,
    environments.waivers_router,
    audit.router,
)
READ_ONLY_SQL_TRANSACTION = "25006"
IDLE_S = 1.0  # a connection that was not used for longer is tried before a request gets it
TAKE_REPORTS = (("POST", "/runs"), ("POST", "/snapshots"))


def create_app(settings: Settings | None = None) -> FastAPI:
    """A new, independent application. It opens its connections in its lifespan.

    Without settings it reads them from the environment, as under `uvicorn --factory app.factory:create_app`, and checks
    them immediately: a server shows a traceback for any exception here or in the lifespan except SystemExit here, so
    this is the place to report in one line why a deployment cannot work.
    """
    is_own_process = settings is None
    if settings is None:
        settings = settings_that_work_or_exit()
    app = Service(
        title="Overproof",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,  # the page with Swagger UI is one of ours, and loads nothing from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header, which the client controls
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.sending = Sending(settings.max_answers_bytes, settings.answer_timeout_s)
    _add_middleware(app, settings)
    errors.install(app)
    _add_routes(app, settings)
    if is_own_process:
        settle_collector()
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one that is added is the first that a request meets."""
    app.add_middleware(BodyLimit, limits=body_limits(settings))
    app.add_middleware(Head)
    app.add_middleware(RefuseWhenFull, prefix=API)
    app.add_middleware(
        RateLimit,
        of_token=settings.requests_per_minute,
        of_address=settings.requests_per_minute_of_address,
        sign_ins=settings.sign_ins_per_minute_of_address,
        cookie=pages.COOKIE,
        answer=pages.answer_refusal_as_page,
    )
    app.add_middleware(CorrelationIdMiddleware)
    app.add_middleware(Measure, metrics=app.state.metrics)


def _add_routes(app: FastAPI, settings: Settings) -> None:
    api = APIRouter(
        prefix=API,
        dependencies=[Depends(require_known_parameters), Depends(require_json)],
        responses=errors.documented(TokenMissing, TokenUnknown, errors.Invalid, TooManyRequests, Overloaded),
    )
    for router in API_ROUTERS:
        api.include_router(router)
    app.include_router(api)
    pages.install(app, settings.secret_key)
    app.include_router(health.router)
    app.include_router(metrics.router)


def settle_collector() -> None:
    """What was imported stays, so that the garbage collector need not look through it again and again.

    An answer makes thousands of objects that live for milliseconds: with Python's default of 700, it took 8 ms of 30.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def settings_that_work_or_exit() -> Settings:
    """The settings of the environment, if the database that they name is reachable and at head."""
    try:
        settings = Settings.from_environment()
        check_database(settings.database_url)
    except (DatabaseRefused, SettingRefused) as refused:
        print(f"overproof: {refused}", file=sys.stderr)
        # In a worker of uvicorn, 3 tells the parent not to start it again, since that would fail in the same way.
        raise SystemExit(2 if multiprocessing.parent_process() is None else 3) from None
    return settings


def check_database(url: sa.URL) -> None:
    """Raises DatabaseRefused if it is not reachable, or not at the revision that this code needs."""
    with connect(create_engine(url, poolclass=sa.NullPool)) as connection:
        require_head(connection)


def body_limits(settings: Settings) -> Limits:
    return Limits(
        small_bytes=settings.max_body_bytes,
        large_bytes=settings.max_report_bytes,
        takes_large=TAKE_REPORTS,
        timeout_s=settings.body_timeout_s,
        together_bytes=max(settings.max_bodies_bytes, settings.max_report_bytes),
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Raises DatabaseRefused before the first request."""
    settings: Settings = app.state.settings
    await run_in_threadpool(check_database, settings.database_url)
    engine = engine_for(settings)
    app.state.workers = Workers(
        engine, threads=settings.pool_size, queue_length=settings.queue_length, patience_s=settings.queue_timeout_s
    )
    app.state.probe = Workers(
        engine, threads=1, queue_length=settings.queue_length, patience_s=settings.queue_timeout_s
    )
    try:
        yield
    finally:
        engine.dispose()


def engine_for(settings: Settings) -> sa.Engine:
    """With a connection for each thread, and one for `/readyz`."""
    engine = create_engine(
        settings.database_url,
        pool_size=settings.pool_size + 1,
        max_overflow=0,
        hide_parameters=True,  # in the log, when a statement fails
    )
    _bound_statements(engine, settings)
    _try_idle_connections(engine)
    _leave_standby(engine)
    return engine


def _bound_statements(engine: sa.Engine, settings: Settings) -> None:
    @sa.event.listens_for(engine, "connect")
    def bound_statements(connection: Any, record: object) -> None:
        # With statements, because poolers such as PgBouncer refuse these settings as connection parameters.
        with connection.cursor() as cursor:
            for name, seconds in (
                ("statement_timeout", settings.statement_timeout_s),
                ("idle_in_transaction_session_timeout", settings.idle_timeout_s),
            ):
                cursor.execute("SELECT set_config(%s, %s, false)", [name, str(int(seconds * 1000))])
        connection.commit()


def _try_idle_connections(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "checkout")
    def try_idle_connection(connection: Any, record: Any, proxy: object) -> None:
        # The server may have been restarted meanwhile. One that was just in use is not tried: under load that would be
        # one more journey for each request, and a server that goes away is answered with 503 in any case.
        if time.monotonic() - record.info.get("used_at", 0.0) > IDLE_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.dbapi.Error as gone:  # type: ignore[union-attr]
                raise sa.exc.InvalidatePoolError from gone

    @sa.event.listens_for(engine, "checkin")
    def note_use(connection: object, record: Any) -> None:
        record.info["used_at"] = time.monotonic()


def _leave_standby(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "handle_error")
    def leave_standby(context: sa.engine.ExceptionContext) -> None:
        # The server accepts no writes any more: after a failover, another one does. All connections are made again.
        if getattr(context.original_exception, "pgcode", None) == READ_ONLY_SQL_TRANSACTION:
            context.is_disconnect = True
            raise sa.exc.OperationalError(
                context.statement, None, context.original_exception, hide_parameters=True, connection_invalidated=True
            )


class Service(FastAPI):
    """FastAPI, with one line for a failed start, and with the bodies that it does not see in the OpenAPI document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A failed start is reported in one line. Starlette would give the server a traceback to print."""
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        failure: list[Message] = []

        async def hold_failure_back(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failure.append(message)
            else:
                await send(message)

        try:
            await super().__call__(scope, receive, hold_failure_back)
        except DatabaseRefused as refused:
            await send({"type": "lifespan.startup.failed", "message": str(refused)})
        except BaseException:
            for message in failure:
                await send(message)
            raise

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                tags=self.openapi_tags,
                routes=self.routes,
            )
            models = [
                (model, "validation")
                for model in (errors.Problem, *runs.MODELS_OF_BODIES, *environments.MODELS_OF_BODIES)
            ]
            _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
            schema["components"]["schemas"].update(definitions["$defs"])
            self.openapi_schema = schema
        return self.openapi_schema
