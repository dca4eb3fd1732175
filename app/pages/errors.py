"""Refusals of pages."""

from __future__ import annotations

from http import HTTPStatus

from app.errors import Forbidden, Invalid, Refusal


class SignInNeeded(Refusal):
    """The page is not public, and the reader is not signed in."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("Sign in with an access token to see this page.")


class FormRefused(Forbidden):
    """The form did not come from a page of this session."""

    def __init__(self) -> None:
        super().__init__(
            "The form is too old, or did not come from this site. Go back, load the page again and resend it."
        )


class FormInvalid(Invalid):
    """A field of the form has an invalid value."""
