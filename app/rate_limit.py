"""A limit on the requests of one token or session, and of one address, in a minute; and a lower one on its sign-ins.

It is for a client that is out of control, so it is high, and each process counts for itself. A minute begins for all at
once, and what was counted in the one before it is forgotten: so the memory that this needs is bounded by the requests
of one minute, whatever tokens a client makes up. A library would cost more than a request may here: `limits` looks
through all clients a hundred times a second.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Refusal, answer_refusal

MINUTE_S = 60.0
SPARED = ("/healthz", "/readyz", "/metrics", "/static/")  # what watches the service, and what costs nothing
SIGN_IN = "/sign-in"
Answer = Callable[[Request, Refusal], Awaitable[Response]]


class TooManyRequests(Refusal):
    """The token, the session, or the client's address has sent too many requests in this minute."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, whose: str, limit: int, what: str = "requests") -> None:
        super().__init__(
            f"{whose} has sent more than {limit} {what} in a minute. This one was not started: send it again after"
            " the seconds in Retry-After."
        )


class Counted:
    """The requests of each client in this minute."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit  # 0: none
        self.clock = clock
        self._minute = 0.0
        self._requests: Counter[bytes] = Counter()

    def is_too_many(self, client: bytes) -> bool:
        """Counts a request."""
        minute = self.clock() // MINUTE_S
        if minute != self._minute:
            self._minute = minute
            self._requests.clear()
        self._requests[client] += 1
        return 0 < self.limit < self._requests[client]


class RateLimit:
    """ASGI middleware: refuses a request before its path, its token and its body are looked at."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        of_token: int,
        of_address: int,
        sign_ins: int,
        cookie: str,
        answer: Answer = answer_refusal,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`cookie`: the name of the one that a session has in place of a token. `sign_ins`: attempts of one address."""
        self.app = app
        self.cookie = cookie
        self.answer = answer
        self.clock = clock
        self.tokens = Counted(of_token, clock)
        self.addresses = Counted(of_address, clock)
        self.sign_ins = Counted(sign_ins, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._find_refusal(scope) if scope["type"] == "http" else None
        if refused is None:
            await self.app(scope, receive, send)
            return
        answer = await self.answer(Request(scope), refused)
        answer.headers["Retry-After"] = str(math.ceil(MINUTE_S - self.clock() % MINUTE_S))
        await answer(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> TooManyRequests | None:
        if scope["path"].startswith(SPARED):
            return None
        address = (scope.get("client") or ("",))[0].encode()
        if self.addresses.is_too_many(address):
            return TooManyRequests("The address of the client", self.addresses.limit)
        if scope["path"] == SIGN_IN and scope["method"] == "POST" and self.sign_ins.is_too_many(address):
            return TooManyRequests("The address of the client", self.sign_ins.limit, "tokens to sign in")
        headers = dict(scope["headers"])
        for whose, shown in (("The token", headers.get(b"authorization")), ("The session", self._session_in(headers))):
            if shown and self.tokens.is_too_many(hashlib.sha256(shown).digest()):
                return TooManyRequests(whose, self.tokens.limit)
        return None

    def _session_in(self, headers: Mapping[bytes, bytes]) -> bytes:
        return cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(self.cookie, "").encode("latin-1")
