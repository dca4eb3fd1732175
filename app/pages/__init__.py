"""The record's pages: server-rendered, readable without JavaScript.

access.py     who looks: the cookie, public projects, and what may be done
sessions.py   the signed cookie and the tokens of its forms
rendering.py  templates, the headers of every page, and refusals as pages
routes.py     the pages                 actions.py   the forms
contents.py   what each page shows, read in one transaction      run_contents.py   the same for the page of a run
stored_report.py   the parts of a report that a page shows
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from app.errors import Refusal, answer_http_exception, answer_refusal
from app.pages import actions, routes
from app.pages.rendering import refused, wants_page
from app.pages.sessions import COOKIE, Sessions

__all__ = ["COOKIE", "answer_refusal_as_page", "install"]


def install(app: FastAPI, secret_key: str) -> None:
    """Add the pages. A browser that looks for one that is not there gets a page as well."""
    app.state.sessions = Sessions(secret_key)
    app.include_router(routes.router)
    app.include_router(actions.router)
    app.add_exception_handler(HTTPException, answer_http_exception_as_page)  # type: ignore[arg-type]


async def answer_refusal_as_page(request: Request, refusal: Refusal) -> Response:
    """To a browser that looks for a page; to a program as the API does."""
    if wants_page(request):
        return await refused(request, HTTPStatus(refusal.status), str(refusal), refusal.headers)
    return await answer_refusal(request, refusal)


async def answer_http_exception_as_page(request: Request, exception: HTTPException) -> Response:
    if exception.status_code == 404 and wants_page(request):
        return await refused(request, HTTPStatus.NOT_FOUND, f"{request.url.path} does not exist.")
    return await answer_http_exception(request, exception)
