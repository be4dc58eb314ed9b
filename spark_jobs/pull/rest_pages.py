"""Walks through a paged list, from where the last pull ended: which page comes next, and when the list is at its end.

A list's state is plain JSON. `next` is the reference of the page to ask for: a cursor, an offset, a number, an address.
Where a source names none at the end of its list, `at` is the page that was seen last, with the digest of its records
and its entity tag: a later pull asks for it again and leaves it if it has not changed. Where the list can be asked from
a time on, that is the newest one `seen`, and `since` the one it is being asked from.

dlt's paginators are not used: they take a page without records for one with none, and cannot go on from a stored place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from lakehouse.errors import SourceError, SourceRepeats
from spark_jobs.pull.rest_client import Reply, RestSource
from spark_jobs.pull.rest_options import RestOptions

MOST_REFERENCE_CHARACTERS = 4096
MISSING = object()
# A stored place that the source no longer takes; the list is asked again since the newest time seen in it.
GONE = (400, 404, 410)


@dataclass(frozen=True)
class Page:
    """One page that has records: its bytes as received, its headers, and the list's state after it."""

    body: bytes
    records: list[dict[str, Any]]
    headers: Mapping[str, str]
    state: dict[str, Any]


@dataclass
class Walk:
    """One pass over a list, from the state in which the last pull left it."""

    source: RestSource
    path: str
    options: RestOptions
    state: Mapping[str, Any]
    digests: set[str] = field(default_factory=set)
    references: set[Any] = field(default_factory=set)

    def pages(self) -> Iterator[Page]:
        """Every page with new records, in order; a SourceError for a list that repeats itself or never ends."""
        reference, since, again = self._begin()
        for _ in range(self.options.max_pages):
            reply = self._ask(reference, since, again)
            if reply.status == 304:
                return
            if reply.status in GONE:
                reference, since = None, self.state["seen"]
                continue
            document = reply.document()
            records = self._records(document)
            following, more = self._following(reply, document, records, reference)
            digest = _digest(records)
            if records and not (again and digest == self.state.get("digest")):
                self._guard(digest)
                yield Page(
                    reply.body,
                    records,
                    reply.headers,
                    self._after(reply, records, reference, following, since, digest),
                )
            if not more:
                return
            reference, again = following, False
        self._stop(
            f"the list has not ended after {self.options.max_pages:,} pages of one pull",
            "if it is that long, raise the option maxPages; nothing of it was kept",
            SourceRepeats,
        )

    def _begin(self) -> tuple[Any, str | None, bool]:
        """The first page to ask for, the time to ask from, and whether that page was seen before."""
        held = self.state
        if held.get("next") is not None:
            return held["next"], held.get("since"), False
        if self.options.updated_since and held.get("seen"):
            return None, held["seen"], held["seen"] == held.get("since")
        return held.get("at"), held.get("since"), "digest" in held

    def _ask(self, reference: Any, since: str | None, again: bool) -> Reply:
        options = self.options
        params = {name: str(v).lower() if isinstance(v, bool) else v for name, v in options.params.items()}
        if options.page_size:
            params[options.page_size_param] = options.page_size
        if since is not None:
            params[options.updated_since or "updated_since"] = since
        tag = self.state.get("etag") if again else None
        known: dict[str, Any] = {"headers": {"If-None-Match": tag}, "accept": (200, 304)} if tag else {}
        if options.updated_since and self.state.get("seen") and reference == self.state.get("next", MISSING):
            known["accept"] = (200, *GONE)
        if options.kind in ("link", "next") and reference is not None:
            return self.source.request(self.source.own(reference), **known)
        name = {"cursor": options.cursor_param, "offset": options.offset_param, "page": options.page_param}
        if reference is not None:
            params[name[options.kind]] = reference
        return self.source.request(self.path, params=params, **known)

    def _records(self, document: Any) -> list[dict[str, Any]]:
        found = dotted(document, self.options.records) if self.options.records else document
        if not isinstance(found, list):
            what = "nothing" if found is MISSING else type(found).__name__
            self._stop(f"the page has {what} where its list of records should be", "check the option records")
        for record in found:
            if not isinstance(record, dict):
                self._stop(f"a record is {type(record).__name__}, and no object", "check the option records")
        return found

    def _following(self, reply: Reply, document: Any, records: list, reference: Any) -> tuple[Any, bool]:
        """The reference of what comes next, also where nothing is there yet, and whether there is more now."""
        options = self.options
        more = self._flag(document) if options.more else None
        if options.kind == "single":
            return None, False
        if options.kind in ("offset", "page"):
            offset = options.kind == "offset"
            here = reference if reference is not None else (0 if offset else options.first_page)
            following = here + (len(records) if offset else 1)
            if more is None:
                total = self._total(document)
                more = bool(records) and (total is None or following < total)
            return (following if offset or more else None), more
        if options.kind == "link":
            following = reply.links.get("next", {}).get("url")
        else:
            following = dotted(document, options.cursor if options.kind == "cursor" else options.next)
        following = self._reference(None if following is MISSING else following)
        if more is None:
            more = following is not None and bool(records)
        if more and following is None:
            self._stop("the page says that there is more, and not where", "check the option cursor or next")
        if more and (following == reference or following in self.references):
            self._stop("the list leads back to a page that it has shown: it would never end", kind=SourceRepeats)
        self.references.add(following)
        return following, more

    def _reference(self, value: Any) -> Any:
        if value is None or value == "":
            return None
        if type(value) is int and self.options.kind == "cursor":
            return value
        if isinstance(value, str) and value.isprintable() and len(value) <= MOST_REFERENCE_CHARACTERS:
            return self.source.own(value) if self.options.kind in ("link", "next") else value
        self._stop(f"the page names a next one that is no reference: {str(value)[:80]!r}", "check cursor or next")

    def _flag(self, document: Any) -> bool:
        value = dotted(document, self.options.more)
        if not isinstance(value, bool):
            self._stop(f"{self.options.more} is not true or false", "check the option more")
        return value

    def _total(self, document: Any) -> int | None:
        if not self.options.total:
            return None
        value = dotted(document, self.options.total)
        if type(value) is not int:
            self._stop(f"{self.options.total} is not a number", "check the option total")
        return value

    def _guard(self, digest: str) -> None:
        """The same records on two pages of one pull: the source ignores where we ask it to go on."""
        if digest in self.digests:
            what = "a page repeats an earlier one: the list would never end"
            self._stop(what, "check the paging options", SourceRepeats)
        self.digests.add(digest)

    def _after(
        self, reply: Reply, records: list, reference: Any, following: Any, since: str | None, digest: str
    ) -> dict[str, Any]:
        """The list's state once this page is kept."""
        state: dict[str, Any] = {"since": since} if since is not None else {}
        if self.options.updated_since and self.options.published:
            times = [t for r in records if isinstance(t := dotted(r, self.options.published), str)]
            state["seen"] = max([*times, *filter(None, [self.state.get("seen")])], default=None)
        if following is not None:
            return state | {"next": following}
        tag = reply.headers.get("ETag")
        return state | {"at": reference, "digest": digest} | ({"etag": tag} if tag else {})

    def _stop(
        self, what: str, remedy: str = "ask those who run the source", kind: type[SourceError] = SourceError
    ) -> NoReturn:
        raise kind(what, where=f"{self.source.base}{self.path}", remedy=remedy)


def dotted(document: Any, path: str) -> Any:
    """The value at a dotted path; MISSING where there is none."""
    for step in path.split("."):
        if not isinstance(document, Mapping) or step not in document:
            return MISSING
        document = document[step]
    return document


def _digest(records: list) -> str:
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()
