"""The cookie of a reader who is signed in, and the token of each form.

The cookie names the access token with which the reader signed in, and does not contain it: revoking the token ends the
session with the next request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from itsdangerous import BadSignature, URLSafeTimedSerializer

COOKIE = "overproof_session"
LASTS_S = 12 * 60 * 60


@dataclass(frozen=True)
class SignedIn:
    """What the cookie says, once its signature was checked."""

    token_id: UUID
    nonce: str  # of this session


class Sessions:
    """Signs with the secret that all processes of the service share."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._serializer = URLSafeTimedSerializer(secret, salt="overproof.session")

    def cookie_for(self, token_id: UUID) -> str:
        return self._serializer.dumps([str(token_id), secrets.token_urlsafe(12)])

    def read(self, cookie: str | None) -> SignedIn | None:
        """None without a cookie, and for one that is forged, damaged or too old."""
        try:
            token_id, nonce = self._serializer.loads(cookie or "", max_age=LASTS_S)
            return SignedIn(UUID(token_id), str(nonce))
        except (BadSignature, TypeError, ValueError):
            return None

    def form_token(self, signed_in: SignedIn) -> str:
        """What a form of this session carries, so that no other site can send it."""
        return hmac.new(self._secret, f"form {signed_in.nonce}".encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, signed_in: SignedIn, token: str) -> bool:
        return hmac.compare_digest(self.form_token(signed_in).encode(), token.encode())
