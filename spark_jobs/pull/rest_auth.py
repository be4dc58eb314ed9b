"""How requests to a REST source are signed: OAuth2 client credentials, API key, bearer token, user and password."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import requests
from dlt.sources.helpers.rest_client.auth import APIKeyAuth, BearerTokenAuth, HttpBasicAuth, OAuth2ClientCredentials

from lakehouse.connections import Connection
from lakehouse.errors import ConfigError, SourceError
from lakehouse.settings import get_settings
from spark_jobs.pull.rest_session import GuardedSession, in_a_line

TOKEN_MARGIN_SECONDS = 5


class ClientCredentials(OAuth2ClientCredentials):
    """dlt's OAuth2 client credentials, with a named cause for every reply of the token service that is no token."""

    def forget(self) -> None:
        """Drops the token, so that the next request gets a new one."""
        self.access_token = None

    def obtain_token(self) -> None:
        """Asks for a token. Its life counts from its receipt by our clock, so a clock that is off does no harm."""
        try:
            super().obtain_token()
        except (ValueError, TypeError, AttributeError, OverflowError, requests.RequestException) as error:
            raise SourceError(
                f"the token service gave no token: {in_a_line(error)}",
                where=self.access_token_url,
                remedy="check client_id and client_secret of the connection",
            ) from error

    def parse_access_token(self, response_json: Any) -> str:
        """The token; a ValueError where the reply holds none that fits a header."""
        token = response_json.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise ValueError("no access_token in its answer")
        return token

    def parse_expiration_in_seconds(self, response_json: Any) -> int:
        """How long the token is used; a token that lives for less than a moment is used once."""
        return max(1, min(86_400, super().parse_expiration_in_seconds(response_json) - TOKEN_MARGIN_SECONDS))


_TOKENS: dict[tuple[str, ...], ClientCredentials] = {}


def authentication(connection: Connection, base: str, session: GuardedSession) -> Any:
    """The authentication that a connection's setting `auth` describes; None where there is none.

    `{client_id, client_secret, token_url, scope}`, `{key, header}` (or `query` for a parameter), `{token}` or
    `{user, password}`. A process asks for one token a client, whatever number of feeds it pulls.
    """
    given = connection.settings.get("auth")
    if not given:
        return None
    if {"client_id", "client_secret"} <= set(given):
        address = urljoin(base + "/", str(given.get("token_url", "/oauth/token")))
        scope = str(given.get("scope", ""))
        known = (address, given["client_id"], given["client_secret"], scope)
        if known not in _TOKENS:
            _TOKENS[known] = ClientCredentials(
                access_token_url=address,
                client_id=given["client_id"],
                client_secret=given["client_secret"],
                access_token_request_data={"scope": scope} if scope else {},
                session=session,
            )
        _TOKENS[known].session = session
        return _TOKENS[known]
    if "key" in given:
        where = ("query", given["query"]) if "query" in given else ("header", given.get("header", "X-Api-Key"))
        return APIKeyAuth(name=where[1], api_key=given["key"], location=where[0])
    if "token" in given:
        return BearerTokenAuth(token=given["token"])
    if {"user", "password"} <= set(given):
        return HttpBasicAuth(given["user"], given["password"])
    raise ConfigError(
        f"connection {connection.name!r} has an auth that is none",
        where=str(get_settings().connections_file),
        remedy="client_id with client_secret, key with header, token, or user with password",
    )
