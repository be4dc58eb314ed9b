"""What a contract says about its REST feed (`feed.options`), checked. Fields of a page are given by dotted paths.

records              the list of records in a page; without it the page is the list
paginator            cursor, offset, page, link (Link header), next (an address in the body) or single;
                     by default cursor where `cursor` is given, else single
cursor, cursorParam  where a page tells the next cursor, and the parameter that takes it (cursor)
next                 where a page tells the next page's address
more, total          whether more is there; how many records there are in all
pageSize             records a page, in the parameter pageSizeParam (limit); without it the source's own number
offsetParam          parameter of an offset (offset)
pageParam, firstPage parameter of a page's number (page), and the first one (1)
published            field of a record with its time of publication, by which the list is ordered: a pull then ends
                     with the page that reaches its partition's midnight
updatedSince         parameter that takes a time of publication to begin from
schemaVersionHeader  header with the number of the records' schema, 1 at first; X-Schema-Version is read where a
                     source sends it, a header named here must come
params               further parameters of every request
history              bulk files that come before the list: path, dataset, names of fields (`rest_history.py`)
maxPages             most pages of one run (10000)
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from lakehouse.contracts import Contract
from lakehouse.errors import ContractError

# Options that belong to no protocol; other steps read them.
GENERAL = {"ignore", "acceptedVersions"}
PATH = re.compile(r"[^.\s'\"]+(\.[^.\s'\"]+)*")


class _Options(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)


class HistoryOptions(_Options):
    """Where bulk files are listed and how an entry of that list is read; every default may be replaced."""

    path: str
    dataset: str | None = None
    files: str = "files"
    resume: str = "resume"
    name: str = "file"
    url: str = "url"
    period: str = "month"
    sha256: str = "sha256"
    bytes: str = "bytes"
    rows: str = "rows"
    schema_version: str = "schema_version"
    after: str = "after_month"
    cursor: str = "cursor"
    max_file_bytes: int = Field(8 << 30, ge=1)


class RestOptions(_Options):
    """The options of one feed."""

    records: str | None = None
    paginator: Literal["cursor", "offset", "page", "link", "next", "single"] | None = None
    cursor: str | None = None
    cursor_param: str = "cursor"
    more: str | None = None
    total: str | None = None
    page_size: int | None = Field(None, ge=1)
    page_size_param: str = "limit"
    offset_param: str = "offset"
    page_param: str = "page"
    first_page: int = Field(1, ge=0)
    next: str | None = None
    published: str | None = None
    updated_since: str | None = None
    schema_version_header: str | None = None
    params: dict[str, str | int | float | bool] = {}
    history: HistoryOptions | None = None
    max_pages: int = Field(10_000, ge=1)

    @field_validator("records", "cursor", "more", "total", "next", "published")
    @classmethod
    def _dotted(cls, value: str | None) -> str | None:
        if value is not None and not PATH.fullmatch(value):
            raise ValueError("write the names of fields, parted by dots")
        return value

    @model_validator(mode="after")
    def _fits(self) -> RestOptions:
        needed = {"cursor": self.cursor, "next": self.next}
        if self.kind in needed and not needed[self.kind]:
            raise ValueError(f"the paginator {self.kind} needs the option {self.kind}")
        return self

    @property
    def kind(self) -> str:
        """The paginator in force."""
        return self.paginator or ("cursor" if self.cursor else "single")

    @classmethod
    def of(cls, contract: Contract) -> RestOptions:
        """The options of a contract's feed; a ContractError that names the wrong one."""
        given: dict[str, Any] = {k: v for k, v in contract.feed.options.items() if k not in GENERAL}
        try:
            return cls.model_validate(_plain(given))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "options"
            raise ContractError(
                f"option {name} of the feed is not usable: {first['msg']}",
                where=f"contract {contract.id}, feed.options",
                remedy="the options of a REST feed are listed in spark_jobs/pull/rest_options.py",
            ) from error


def _plain(value: Any) -> Any:
    """Without the types of the YAML reader."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return [_plain(v) for v in value]
