"""REST feeds by contract alone: history files first where there are any, then the list, page by page, as received.

The cursor is `{"history": …}` while files are taken (`rest_history.py`) and `{"list": …}` afterwards (`rest_pages.py`).
A pull ends with the page that reaches its partition's midnight. The number of the records' schema comes from the
header that the contract names, or from a file's manifest: sources count their schemas from 1, one more at each change,
so it is the contract's schema version, and a page has the version in force when it was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lakehouse.errors import SourceError
from lakehouse.settings import get_settings
from lakehouse.time import business_midnight
from spark_jobs.pull import rest_history
from spark_jobs.pull.part import Part, Pull
from spark_jobs.pull.rest_client import RestSource
from spark_jobs.pull.rest_options import RestOptions
from spark_jobs.pull.rest_pages import Walk, dotted

VERSION_HEADER = "X-Schema-Version"
VERSION = re.compile(r"v?([1-9]\d{0,5})", re.ASCII)


class RestConnector:
    """Pulls one list of a REST source."""

    def fetch(self, pull: Pull) -> Iterator[Part]:
        """History files, then pages that have records, from the cursor on; see `Connector`."""
        options = RestOptions.of(pull.contract)
        with RestSource(pull.connection) as source:
            cursor, number = dict(pull.cursor or {}), pull.number
            state: Mapping[str, Any] = cursor.get("list", {})
            if options.history and "list" not in cursor:
                files = rest_history.fetch(pull, source, options.history, cursor.get("history", {}))
                while True:
                    try:
                        yield next(files)
                    except StopIteration as end:
                        state = end.value
                        break
                    number += 1
            if not options.updated_since:  # from its beginning then; what a file held comes again, as a duplicate
                state = {name: value for name, value in state.items() if name != "since"}
            yield from self._pages(pull, Walk(source, pull.contract.feed.path, options, state), options, number)

    def _pages(self, pull: Pull, walk: Walk, options: RestOptions, number: int) -> Iterator[Part]:
        midnight = business_midnight(pull.until)
        for page in walk.pages():
            first, last = _published(page.records, options.published)
            if first and first >= midnight:
                return  # nothing of it is due yet; the list is ordered by publication
            number += 1
            yield Part(
                name=f"page-{number:06d}.json",
                body=page.body,
                format="json",
                records=len(page.records),
                fields=tuple(dict.fromkeys(name for record in page.records for name in record)),
                cursor={"list": page.state},
                schema_version=_version(page.headers, options.schema_version_header, pull),
            )
            if last and last >= midnight:
                return


def _published(records: Sequence[Mapping[str, Any]], field: str | None) -> tuple[datetime | None, datetime | None]:
    """When the first and the last record of a page were published; None where the page does not tell."""
    if field is None:
        return None, None
    return _time(dotted(records[0], field)), _time(dotted(records[-1], field))


def _time(value: Any) -> datetime | None:
    """A time as a record states it; without an offset it is business time. Rules on rows judge what is none."""
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(get_settings().timezone))


def _version(headers: Mapping[str, str], named: str | None, pull: Pull) -> int:
    text = headers.get(named or VERSION_HEADER)
    if text is None and named is None:
        return 1
    if found := VERSION.fullmatch((text or "").strip()):
        return int(found[1])
    raise SourceError(
        f"the header {named or VERSION_HEADER} is {text!r}, and no number of a schema version",
        where=f"{pull.connection.name}, {pull.contract.feed.path}",
        remedy="name the right header in the option schemaVersionHeader",
    )


CONNECTOR = RestConnector()
