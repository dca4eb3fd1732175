"""Whether the process lives, and whether it can do its work: for load balancers and orchestrators, without a token."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.database import DatabaseRefused, connect
from app.errors import Refusal, documented
from app.schema_version import NotAtHead, require_head

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class NotReady(Refusal):
    """The database is not reachable, or not at the revision that this code needs."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@router.get("/healthz", summary="Is the process alive?")
def live() -> Health:
    return Health()


@router.get("/readyz", summary="Can it do its work?", responses=documented(NotReady))
def ready(request: Request) -> Health:
    """Asks the database. Without an answer within seconds, or at another revision, the status is 503."""
    try:
        with connect(request.app.state.engine) as connection:
            require_head(connection)
    except NotAtHead as refused:
        raise NotReady(str(refused)) from refused
    except DatabaseRefused as refused:
        logger.error("Not ready: %s", refused)  # it names the server, which is nobody's business here
        raise NotReady("The database cannot be reached. The log says why.") from refused
    return Health()
