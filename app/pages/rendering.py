"""Templates, the headers of every page, and refusals as pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from functools import cache, lru_cache
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from anyio import to_thread
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader

from app import __version__
from app.errors import Refusal
from app.gate.checks.registry import UnknownCheck, get_check
from app.gate.report.verdict import Severity
from app.gate.reporters.html.page import environment, style
from app.gate.reporters.html.view import counts_in_words
from app.pages.access import Reader
from app.pages.errors import SignInNeeded
from app.runs.schemas import RunRead

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI sets styles in its elements, and has its icons in its style sheet.
POLICY_OF_DOCS = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
    "img-src 'self'", "img-src 'self' data:"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
STATIC = Path(__file__).parent / "static"


class StaticFile(NamedTuple):
    content: bytes
    media_type: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Everything that pages load, by its name in the URL."""
    swagger = resources.files("fastapi_offline") / "static"
    return {
        "style.css": StaticFile((style() + (STATIC / "pages.css").read_text("utf-8")).encode(), "text/css"),
        "times.js": StaticFile((STATIC / "times.js").read_bytes(), "text/javascript"),
        "docs.js": StaticFile((STATIC / "docs.js").read_bytes(), "text/javascript"),
        "icon.svg": StaticFile((STATIC / "icon.svg").read_bytes(), "image/svg+xml"),
        "swagger-ui.js": StaticFile((swagger / "swagger-ui-bundle.js").read_bytes(), "text/javascript"),
        "swagger-ui.css": StaticFile((swagger / "swagger-ui.css").read_bytes(), "text/css"),
    }


@cache
def static_url(name: str) -> str:
    """With a part of its digest, so that it can be cached for ever."""
    digest = hashlib.sha256(static_files()[name].content).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def templates() -> Environment:
    made = environment(PackageLoader("app.pages"))
    made.globals |= {"static": static_url, "version": __version__, "path": path, "check_url": check_url}
    made.filters["findings"] = findings_in_words
    return made


def findings_in_words(run: RunRead) -> str:
    """ "2 errors and 1 notice"."""
    return counts_in_words({Severity(name): number for name, number in run.finding_counts}) or "no findings"


@lru_cache(maxsize=200)
def check_url(check_id: str) -> str | None:
    """Where this service has the documentation of a check; None for one that it does not know."""
    try:
        return path("checks", get_check(check_id).id)
    except UnknownCheck:
        return None


def path(*parts: object, **parameters: object) -> str:
    """ "/projects/shop/runs?verdict=fail" for ("projects", "shop", "runs", verdict="fail"), each part quoted."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    query = f"?{urlencode(given)}" if given else ""
    return "/" + "/".join(quote(str(part), safe="") for part in parts) + query


async def page(
    request: Request, name: str, reader: Reader, context: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """Rendered on a thread: a page with thousands of findings must not hold up other requests."""
    origin = f"{request.url.scheme}://{request.url.netloc}"
    values = {"reader": reader, "here": request.url.path, "origin": origin, **context}
    text = await to_thread.run_sync(lambda: templates().get_template(name).render(values))
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def redirect(to: str) -> Response:
    """After a form, so that loading the page again does not send the form again."""
    return RedirectResponse(to, status_code=HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})


class PageRoute(APIRoute):
    """A route whose refusals are pages, or the way to sign in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_with_a_page(request: Request) -> Response:
            try:
                return await answer(request)
            except SignInNeeded:
                target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return redirect(path("sign-in", next=target if request.method == "GET" else None))
            except Refusal as refusal:
                return await refused(request, HTTPStatus(refusal.status), str(refusal), refusal.headers)
            except RequestValidationError:
                return await refused(request, HTTPStatus.NOT_FOUND, "There is no such page.")

        return answer_with_a_page


async def refused(
    request: Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    context = {"title": status.phrase, "detail": detail}
    response = await page(request, "refused.html", Reader(None), context, status)
    response.headers.update({name: value for name, value in (headers or {}).items() if name != "WWW-Authenticate"})
    return response


def wants_page(request: Request) -> bool:
    """Whether the client is a browser that looks for a page, and not a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
