"""Whether the process lives, and whether it can do its work: for load balancers and orchestrators, without a token."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.database import DatabaseRefused, connect
from app.errors import Refusal, documented
from app.schema_version import NotAtHead, require_not_older
from app.workers import Overloaded, Workers

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class NotReady(Refusal):
    """The database is not reachable, or at an older revision than this code needs."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@router.get("/healthz", summary="Is the process alive?")
async def live() -> Health:
    """Needs neither a thread nor the database: however busy those are, it answers."""
    return Health()


@router.get("/readyz", summary="Can it do its work?", responses=documented(NotReady, Overloaded))
async def ready(request: Request) -> Health:
    """Asks the database. Without an answer within seconds, or at an older revision, the status is 503.

    A database that was upgraded meanwhile is one that this instance can work with until it is replaced.
    """
    probe: Workers = request.app.state.probe

    def ask_database() -> None:
        with connect(probe.engine) as connection:
            require_not_older(connection)

    try:
        await probe.run(ask_database)
    except NotAtHead as refused:
        raise NotReady(str(refused)) from refused
    except DatabaseRefused as refused:
        logger.error("Not ready: %s", refused)  # it names the server, which is nobody's business here
        raise NotReady("The database cannot be reached. The log says why.") from refused
    return Health()
