"""The client of one REST source: dlt's RESTClient builds and signs requests, our session sends them within limits."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import requests
from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.rest_client import RESTClient

from lakehouse.connections import Connection
from lakehouse.errors import SourceError
from spark_jobs.pull.rest_auth import ClientCredentials, authentication
from spark_jobs.pull.rest_session import GuardedSession, Limits, in_a_line


@dataclass(frozen=True)
class Reply:
    """What a source answered: its status, its headers, its bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str
    links: Mapping[str, Any]

    def document(self) -> Any:
        """The body as JSON (RFC 8259, UTF-8); a SourceError where it is none."""
        return parse(self.body, self.path)

    @property
    def code(self) -> str:
        """The machine-readable reason of a refusal, where the body gives one."""
        with contextlib.suppress(SourceError):
            document = self.document()
            if isinstance(document, dict):
                return str(document.get("code") or document.get("error") or "")
        return ""


class RestSource:
    """The client of one connection; a context manager. Paths are relative to the connection's `url`."""

    def __init__(self, connection: Connection) -> None:
        self.name, self.base = connection.name, str(connection.need("url")).rstrip("/")
        self.limits = Limits.of(connection)
        self.session = GuardedSession(self.name, self.limits)
        if proxy := connection.settings.get("proxy"):
            self.session.proxies = {"http": proxy, "https": proxy}
        auth = authentication(connection, self.base, self.session)
        self.session.renew = auth if isinstance(auth, ClientCredentials) else None
        # Telemetry is a matter of dlt's pipelines, none of which is made here; the setting says so again.
        self.client = RESTClient(
            self.base, auth=auth, session=self.session, config=RuntimeConfiguration(dlthub_telemetry=False)
        )

    def __enter__(self) -> RestSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def own(self, url: str) -> str:
        """An address that the source named, absolute; a SourceError where it leads to another host.

        Requests carry our credentials, so they go to the connection's own origin only.
        """
        try:
            absolute = urljoin(self.base + "/", url)
            origin = urlsplit(absolute)[:2]
        except ValueError as error:
            raise SourceError(f"{self.name} names an address that is none: {in_a_line(error)}", self.base) from error
        if origin != urlsplit(self.base)[:2]:
            raise SourceError(
                f"{self.name} sends us to another host, {origin[1]!r}",
                where=self.base,
                remedy="credentials go to the connection's own address only; state the other host as a connection",
            )
        return absolute

    def request(
        self,
        path: str,
        method: str = "GET",
        accept: tuple[int, ...] = (200,),
        json_body: Any = None,
        **kwargs: Any,
    ) -> Reply:
        """One exchange; a status that is not accepted is a SourceError that says what the source said."""
        self.session.accept = accept
        response = self.client.request(path, method=method, json=json_body, **kwargs)
        return reply_of(response)

    def download(self, url: str, target: Path, expected_bytes: int | None, most_bytes: int) -> None:
        """Streams a file to a path; a SourceError when it is larger than expected."""
        self.session.accept = (200,)
        self.session.sink = (target, expected_bytes or most_bytes)
        try:
            # As it lies there: a server that compresses on the way would change what the digest is of.
            self.client.request(self.own(url), method="GET", headers={"Accept-Encoding": "identity"})
        finally:
            self.session.sink = None


def parse(content: bytes, where: str) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN; a SourceError that says what is wrong otherwise."""
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_no_number)
        if b"\\u" in content:
            json.dumps(document, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
        return document
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"the answer is no JSON: {in_a_line(error)}",
            where=where,
            remedy="ask those who run the source; nothing of this page was kept",
        ) from error


def reply_of(response: requests.Response) -> Reply:
    """A response as this module hands it out."""
    path = urlsplit(response.request.url or "").path
    return Reply(response.status_code, response.headers, response.content, path, response.links)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
