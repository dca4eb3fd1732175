"""The service, listening on the loopback address, for what asks it over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import uvicorn

from app.factory import create_app
from app.settings import Settings


@contextmanager
def serving(database_url: sa.URL) -> Iterator[str]:
    """The URL of a running service."""
    # Its log would go to whatever a test before this one has set up in the same process.
    config = uvicorn.Config(
        create_app(Settings(database_url=database_url)), log_config=None, log_level="critical", access_log=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as listener:  # a request waits in its queue until the service has started
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
