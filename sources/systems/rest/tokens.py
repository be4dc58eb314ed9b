"""OAuth2 client credentials (RFC 6749, section 4.4) with signed, expiring bearer tokens (RFC 7519)."""

from __future__ import annotations

import base64
import binascii
import time
import urllib.parse
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from sources.systems.rest.credentials import Client, check_secret

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Grant:
    """What a token says: whose it is and what it allows."""

    client_id: str
    scopes: frozenset[str]


class TokenService:
    """Issues and checks the tokens of one system."""

    def __init__(self, clients: dict[str, Client], key: str, issuer: str, seconds: int) -> None:
        self.clients, self.issuer, self.seconds = clients, issuer, seconds
        self.key = OctKey.import_key(key)

    def issue(self, client: Client, scopes: list[str]) -> dict:
        """A token response for the scopes."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": client.client_id, "iat": now, "exp": now + self.seconds}
        token = jwt.encode({"alg": "HS256"}, claims | {"scope": " ".join(scopes)}, self.key)
        kind = {"token_type": "Bearer", "expires_in": self.seconds, "scope": " ".join(scopes)}
        return {"access_token": token} | kind

    def check(self, header: str | None) -> Grant | None:
        """What an Authorization header grants; None unless it bears a sound token that has not expired."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        try:
            claims = jwt.decode(token.strip(), self.key, algorithms=["HS256"]).claims
            registry = jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self.issuer}, exp={"essential": True}, sub={"essential": True}
            )
            registry.validate(claims)
        except (JoseError, ValueError, UnicodeError):
            return None
        return Grant(claims["sub"], frozenset(claims.get("scope", "").split()))

    async def answer(self, request: Request) -> Response:
        """Answers a token request, with the errors of RFC 6749, section 5.2."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            return _refusal(400, "invalid_request", f"send the parameters as {FORM}")
        try:
            pairs = urllib.parse.parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=20)
        except (UnicodeDecodeError, ValueError):
            return _refusal(400, "invalid_request", "the body is no form")
        form = dict(pairs)
        if len(form) != len(pairs):
            return _refusal(400, "invalid_request", "a parameter is repeated")
        if not form.get("grant_type"):
            return _refusal(400, "invalid_request", "grant_type is missing")
        if form["grant_type"] != "client_credentials":
            return _refusal(400, "unsupported_grant_type", "only client_credentials is served")
        name, secret = _basic(request.headers.get("authorization")) or (
            form.get("client_id"),
            form.get("client_secret"),
        )
        client = check_secret(self.clients, name or "", secret or "")
        if client is None:
            return _refusal(401, "invalid_client", "client or secret is wrong", {"WWW-Authenticate": "Basic"})
        asked = form.get("scope", "").split() or list(client.scopes)
        if set(asked) - set(client.scopes):
            return _refusal(400, "invalid_scope", "the client is not registered for a scope that it asked for")
        return JSONResponse(self.issue(client, asked), headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _basic(header: str | None) -> tuple[str, str] | None:
    scheme, _, rest = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, found, secret = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return (urllib.parse.unquote(name), urllib.parse.unquote(secret)) if found else ("", "")


def _refusal(status: int, error: str, about: str, headers: dict | None = None) -> JSONResponse:
    body = {"error": error, "error_description": about}
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"} | (headers or {}))


TOKEN_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "client_id": {"type": "string", "description": "or by HTTP Basic", "maxLength": 200},
                        "client_secret": {"type": "string", "description": "or by HTTP Basic", "maxLength": 200},
                        "scope": {"type": "string", "description": "scopes parted by spaces; all when left out"},
                    },
                }
            }
        },
    }
}
TOKEN_SCHEMAS = {
    "Token": {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": {"type": "string"},
            "token_type": {"type": "string", "const": "Bearer"},
            "expires_in": {"type": "integer", "description": "seconds"},
            "scope": {"type": "string"},
        },
    },
    "TokenError": {
        "type": "object",
        "required": ["error", "error_description"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    },
}
