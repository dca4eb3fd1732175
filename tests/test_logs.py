"""A line of the log says when, how grave, of which request, by whom, and what."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import logging.config
import re

import pytest
from asgi_correlation_id import correlation_id

from app.logs import FORMATS, config

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"


def logged(format: str) -> str:  # noqa: A002
    """The line that a warning becomes, by a handler of that configuration."""
    configurator = logging.config.DictConfigurator(config(format))
    formatter = configurator.configure_formatter(configurator.config["formatters"][format])
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    handler.addFilter(configurator.configure_filter(configurator.config["filters"]["request"]))
    record = logging.LogRecord("overproof", logging.WARNING, __file__, 1, "%s is late", ("nightly",), None)
    record.color_message = "in colour"
    handler.handle(record)
    return output.getvalue()


@pytest.mark.parametrize(("request_id", "shown"), [(None, "-"), ("4f1d", "4f1d")])
def test_a_line_has_all_parts_as_text_and_as_json(request_id: str | None, shown: str) -> None:
    def lines() -> tuple[str, str]:
        if request_id is not None:
            correlation_id.set(request_id)
        return logged("text"), logged("json")

    text, line = contextvars.Context().run(lines)

    entry = json.loads(line)

    assert re.fullmatch(rf"{TIME} WARNING \[{shown}\] overproof: nightly is late\n", text)
    assert re.fullmatch(TIME, entry.pop("time"))
    assert entry == {"level": "WARNING", "request_id": shown, "logger": "overproof", "message": "nightly is late"}


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_that_of_the_root_logger_on_standard_error(format: str) -> None:  # noqa: A002
    configured = config(format)

    handler = configured["handlers"]["stderr"]
    assert (handler["formatter"], handler["filters"]) == (format, ["request"])
    assert handler["class"] == "logging.StreamHandler"
    assert configured["root"] == {"handlers": ["stderr"], "level": "INFO"}
    assert configured["loggers"] == {"alembic": {"level": "WARNING"}, "asgi_correlation_id": {"level": "ERROR"}}
    assert not configured["disable_existing_loggers"]
