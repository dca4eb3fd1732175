"""Liveness and readiness, for load balancers and orchestrators; without a token."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.database import DatabaseRefused, connect
from app.errors import Refusal, documented, sentence
from app.schema_version import NotAtHead, require_not_older
from app.workers import Overloaded, Workers

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class NotReady(Refusal):
    """The database is not reachable, or is at an older revision than this code needs."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@router.get("/healthz", summary="Check liveness")
async def live() -> Health:
    """Needs neither a worker nor the database, so it answers however busy they are."""
    return Health()


@router.get("/readyz", summary="Check readiness", responses=documented(NotReady, Overloaded))
async def ready(request: Request) -> Health:
    """503 if the database does not answer within seconds, or is at an older revision than this code needs.

    A database that was upgraded while this instance is running is fine: the instance works until it is replaced.
    """
    probe: Workers = request.app.state.probe

    def ask_database() -> None:
        with connect(probe.engine) as connection:
            require_not_older(connection)

    try:
        await probe.run(ask_database)
    except NotAtHead as refused:
        raise NotReady(sentence(str(refused))) from refused
    except DatabaseRefused as refused:
        logger.error("Not ready: %s", refused)  # it names the server, which clients need not know
        raise NotReady("The database cannot be reached. The log says why.") from refused
    return Health()
