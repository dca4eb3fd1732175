"""The log of the service: one line per event, with its time and the ID of the request.

The answer has the same ID in `X-Request-ID`. A request that already has that header keeps its ID, so that the log of a
proxy matches. No line contains the parameters of a statement.
"""

from __future__ import annotations

from typing import Any

FORMATS = ("text", "json")
TIME = "%Y-%m-%dT%H:%M:%S%z"


def config(format: str) -> dict[str, Any]:  # noqa: A002 - as logging calls it
    """For `logging.config.dictConfig`, and for uvicorn, whose own loggers are among these."""
    from pythonjsonlogger.core import RESERVED_ATTRS

    fields = "%(asctime)s %(levelname)s %(correlation_id)s %(name)s %(message)s"
    line = {"format": "%(asctime)s %(levelname)-7s [%(correlation_id)s] %(name)s: %(message)s", "datefmt": TIME}
    json = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": fields,
        "datefmt": TIME,
        "reserved_attrs": [*RESERVED_ATTRS, "color_message"],  # the last one is uvicorn's, for terminals
        "rename_fields": {
            "asctime": "time",
            "levelname": "level",
            "correlation_id": "request_id",
            "name": "logger",
        },
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": "asgi_correlation_id.CorrelationIdFilter", "default_value": "-"}},
        "formatters": {"text": line, "json": json},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "filters": ["request"], "formatter": format},
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        # Alembic would write two lines for every request of `/readyz`.
        "loggers": {"alembic": {"level": "WARNING"}, "asgi_correlation_id": {"level": "ERROR"}},
    }
