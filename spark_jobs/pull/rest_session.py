"""Sends requests with limits on time, size and patience; each fault of a source gets a named cause.

A reply that never ends, is too large, moves elsewhere or breaks off is a SourceError. A source that is away is asked
again with growing pauses (tenacity), or as late as its Retry-After says, and is then SourceUnavailable.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, fields
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from lakehouse.connections import Connection
from lakehouse.errors import ConfigError, SourceError, SourceUnavailable
from lakehouse.settings import get_settings

AGAIN = {408, 425, 429, 500, 502, 503, 504}
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """How long and how much a source is listened to; a connection's setting `limits` changes any of them.

    A request is tried `attempts` times; pauses grow from `first_wait_seconds`, and none is longer than
    `longest_wait_seconds`: a source that asks for more is away. A reply takes `reply_seconds` and `reply_bytes` at
    most; a file may take longer, as long as it comes at `least_bytes_per_second`.
    """

    attempts: int = 6
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 60
    connect_seconds: float = 10
    read_seconds: float = 30
    reply_seconds: float = 120
    reply_bytes: int = 64 << 20
    least_bytes_per_second: int = 50_000

    @classmethod
    def of(cls, connection: Connection) -> Limits:
        """The limits of a connection; a ConfigError for one that does not exist or is no number."""
        given = connection.settings.get("limits", {})
        known = {field.name for field in fields(cls)}
        wrong = [k for k, v in given.items() if k not in known or not isinstance(v, int | float) or v <= 0]
        if wrong:
            raise ConfigError(
                f"connection {connection.name!r} has no usable limit {wrong[0]!r}",
                where=str(get_settings().connections_file),
                remedy=f"positive numbers for {', '.join(sorted(known))}",
            )
        return cls(**given)


class Renewable(Protocol):
    """An authentication whose token can be dropped and had anew."""

    access_token_url: str

    def forget(self) -> None: ...

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest: ...


class GuardedSession(requests.Session):
    """A session whose every request is bounded; it follows no redirect and reads nothing from the environment.

    `accept` are the statuses that are no refusal. `sink`, where set, is the file that takes the body, with its largest
    size. `renew` is the authentication that is renewed once when a token is refused.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        super().__init__()
        self.trust_env = False  # no .netrc in place of our credentials, no proxy by accident
        self.name, self.limits = name, limits
        self.accept: tuple[int, ...] = (200,)
        self.sink: tuple[Path, int] | None = None
        self.renew: Renewable | None = None
        self.headers["User-Agent"] = "vinelake"
        self.sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _WatchedAdapter(self.sockets))
        if bundle := get_settings().ssl_cert_file:
            self.verify = str(bundle)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Sends until an answer that counts; SourceError and SourceUnavailable say why there is none."""
        response = self._patiently(request, kwargs)
        if response.status_code == 401 and self.renew is not None and "Authorization" in request.headers:
            self.renew.forget()
            response = self._patiently(self.renew(request), kwargs)
        if response.status_code not in self.accept and not self._is_token(request):
            self._refuse(response)
        return response

    def _is_token(self, request: requests.PreparedRequest) -> bool:
        return self.renew is not None and request.url == self.renew.access_token_url

    def _patiently(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> requests.Response:
        limits = self.limits
        growing = wait_random_exponential(multiplier=limits.first_wait_seconds, max=limits.longest_wait_seconds)

        def pause(state: RetryCallState) -> float:
            asked = getattr(state.outcome.exception(), "retry_after", None)
            return growing(state) if asked is None else asked

        tries = Retrying(
            stop=stop_after_attempt(int(limits.attempts)),
            wait=pause,
            retry=retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        try:
            return tries(self._once, request, kwargs)
        except _TryAgain as failure:
            raise SourceUnavailable(
                failure.what,
                where=self._where(request),
                remedy=f"asked {failure.tries(tries)} times; it is asked again in the next run",
            ) from failure

    def _once(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> requests.Response:
        limits = self.limits
        seconds = limits.reply_seconds
        sink = None if self._is_token(request) else self.sink
        if sink:
            seconds += sink[1] / limits.least_bytes_per_second
        kwargs = kwargs | {
            "stream": True,
            "allow_redirects": False,
            "timeout": (limits.connect_seconds, limits.read_seconds),
        }
        begun = time.monotonic()
        with _deadline(self.sockets, seconds) as late:
            try:
                response = super().send(request, **kwargs)
                with response:
                    self._take(response, sink)
            except (SourceError, _TryAgain):
                raise
            except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
                if late.is_set() or time.monotonic() - begun > seconds:
                    raise _TryAgain(f"{self.name} did not finish its answer within {seconds:g} s") from error
                raise _TryAgain(f"{self.name} cannot be read: {in_a_line(error)}") from error
        if late.is_set():  # what was read is cut, even where the end of the stream looks like the body's
            raise _TryAgain(f"{self.name} did not finish its answer within {seconds:g} s")
        if response.status_code in AGAIN and not self._is_final(response):
            raise _TryAgain(f"{self.name} answered {_said(response)}", self._retry_after(request, response))
        return response

    def _take(self, response: requests.Response, sink: tuple[Path, int] | None) -> None:
        """Reads the body, at most as much as allowed, to the sink where there is one and the answer is a success."""
        if sink and response.status_code == 200:
            target, most = sink
            with target.open("wb") as file:
                for chunk in self._chunks(response, most):
                    file.write(chunk)
            content = b""
        else:
            content = b"".join(self._chunks(response, self.limits.reply_bytes))
        response._content = content
        response._content_consumed = True

    def _chunks(self, response: requests.Response, most: int) -> Iterator[bytes]:
        size = 0
        for chunk in response.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > most:
                raise SourceError(
                    f"{self.name} answered with more than {most:,} bytes",
                    where=urlsplit(response.url).path,
                    remedy="ask for smaller pages (pageSize), or raise reply_bytes in the connection's limits",
                )
            yield chunk

    def _is_final(self, response: requests.Response) -> bool:
        """Whether a status that usually passes is an answer that the caller wants to see: the wait is too long."""
        return response.status_code in self.accept and (_seconds(response) or 0) > self.limits.longest_wait_seconds

    def _retry_after(self, request: requests.PreparedRequest, response: requests.Response) -> float | None:
        seconds = _seconds(response)
        if seconds is not None and seconds > self.limits.longest_wait_seconds:
            raise SourceUnavailable(
                f"{self.name} answered {_said(response)}, and asks to come back in {seconds:,.0f} s",
                where=self._where(request),
                remedy="it is asked again in the next run",
            )
        return seconds

    def _refuse(self, response: requests.Response) -> NoReturn:
        remedy = "compare the contract's feed with the source's documentation"
        if response.status_code in (401, 403):
            remedy = "check the connection's credentials and what they are allowed"
        elif 300 <= response.status_code < 400:
            remedy = "redirects are not followed, since requests carry credentials: state the final address"
        raise SourceError(f"{self.name} answered {_said(response)}", where=self._where(response.request), remedy=remedy)

    @staticmethod
    def _where(request: requests.PreparedRequest) -> str:
        address = urlsplit(request.url or "")
        return f"{request.method} {address.scheme}://{address.netloc}{address.path}"  # a query may hold a key


class _TryAgain(Exception):
    """The source may answer later; `retry_after` seconds if it said so."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.what, self.retry_after = what, retry_after

    @staticmethod
    def tries(retrying: Retrying) -> int:
        return int(retrying.statistics.get("attempt_number", 1))


class _WatchedAdapter(HTTPAdapter):
    """Notes every socket, so that a reply that trickles for ever can be cut off from another thread."""

    def __init__(self, sockets: weakref.WeakSet) -> None:
        self._sockets = sockets
        super().__init__(pool_maxsize=2)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _watched(pool, self._sockets) for scheme, pool in self.poolmanager.pool_classes_by_scheme.items()
        }


def _watched(pool: type, sockets: weakref.WeakSet) -> type:
    class Connection(pool.ConnectionCls):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


@contextlib.contextmanager
def _deadline(sockets: weakref.WeakSet, seconds: float) -> Iterator[threading.Event]:
    """Shuts the sockets when the time is over; the event tells so. Bytes that trickle reset any timeout of reads."""
    late = threading.Event()

    def shut() -> None:
        late.set()
        for held in list(sockets):
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _seconds(response: requests.Response) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3: a number or a date); None where it says nothing usable."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        # By the source's own clock where it tells it: ours may be off.
        sent = (
            parsedate_to_datetime(response.headers["Date"]).timestamp() if "Date" in response.headers else time.time()
        )
        return max(0.0, parsedate_to_datetime(text).timestamp() - sent)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _said(response: requests.Response) -> str:
    """Status, and code and message where the body has them, short enough for a line."""
    words = [str(response.status_code)]
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(response.content)
        if isinstance(document, dict):
            words += [str(document[k]) for k in ("code", "error", "message") if isinstance(document.get(k), str)]
    return " ".join(" ".join(words).split())[:200].encode("utf-8", "replace").decode("utf-8")


def in_a_line(error: BaseException) -> str:
    """An error in a line, without addresses of objects."""
    text = str(error) or type(error).__name__
    return f"{type(error).__name__}: {' '.join(text.split())[:200]}".encode("utf-8", "replace").decode("utf-8")
