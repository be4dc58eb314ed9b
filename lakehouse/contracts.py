"""Data contracts: one Open Data Contract Standard file per source entity, read into typed records.

The Spark schema, the row rules, the expectation suites, dbt's sources and the dictionary all come from
what this module returns. A fault in a contract is reported with file, line, field and remedy.
Source of the format: Open Data Contract Standard 3.2 (Bitol, Linux Foundation AI & Data).
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from lakehouse import contract_text, feeds
from lakehouse.contract_text import Faults
from lakehouse.errors import ContractError
from lakehouse.feeds import Feed, Variant
from lakehouse.gate_policy import GatePolicy, Reference, parse_gate, parse_reference
from lakehouse.records import Record, parse_record
from lakehouse.retention_policy import parse_retention

SPARK_TYPES = {
    "string": "string",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
    "integer": "bigint",
}
DEFAULT_FORMATS = {"date": "yyyy-MM-dd", "timestamp": "yyyy-MM-dd'T'HH:mm:ssXXX"}
PERSONAL = "personal"
CONTRACT_PROPERTIES = {
    "filePattern",
    "encoding",
    "unknownColumns",
    "maxQuarantinedRatio",
    "subject",
    "versionOrder",
    "knownAt",
    "feed",
    "schemaChange",
    "outage",
    "silver",
    "gate",
}
COLUMN_PROPERTIES = {
    "unit",
    "codes",
    "scale",
    "groupSeparator",
    "notAfterReceived",
    "outcome",
    "variants",
    "dataSubject",
    "tokenKind",
    "impersonalWhere",
    "transport",
    "references",
}
ROW_RULE_ENGINE = "vinelake-row-rule"
COUNT_ENGINE = "vinelake-count"
DECIMAL = re.compile(r"decimal\(\d{1,2},\d{1,2}\)")


@dataclass(frozen=True)
class Column:
    """One column of a source entity: its name there and here, its type, and what its values must obey.

    `variants` are later spellings of it at the source. A column classed `personal` is sealed under the key of the
    person that the column `data_subject` of the same row identifies (the contract's subject where it is empty). Equal
    values of one `token_kind` (the column's name where none is given) have one token in every feed.
    `impersonal_where` names columns of the same row and the values of theirs with which the value is no person's after
    all, such as an enterprise among shareholders; it then stays as it is. `scale` is multiplied with the number as
    sent, from fen to yuan for example; `group_separator` parts its thousands. `is_transport` columns tell of the
    delivery, not of the record: they are left out when contents are compared. `references` says where its values are
    known.
    """

    name: str
    source_name: str
    spark_type: str
    description: str
    required: bool = False
    key_position: int | None = None
    classification: str = "internal"
    pattern: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    date_format: str = "yyyy-MM-dd"
    codes: Mapping[str, str] = field(default_factory=dict, hash=False)
    scale: str | None = None
    unit: str | None = None
    not_after_received: bool = False
    is_outcome: bool = False
    variants: tuple[Variant, ...] = ()
    data_subject: str | None = None
    token_kind: str | None = None
    impersonal_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    is_transport: bool = False
    group_separator: str | None = None
    references: Reference | None = None

    @property
    def is_personal(self) -> bool:
        """Whether the column is sealed before landing and stands as a token from bronze on."""
        return self.classification == PERSONAL

    def at_version(self, schema_version: int) -> Column:
        """The column as a source delivers it in one of its schema versions."""
        column, held = self, [v for v in self.variants if v.schema_version <= schema_version]
        for variant in held:
            column = replace(
                column,
                source_name=variant.source_name or column.source_name,
                scale=variant.scale if variant.scale is not None else column.scale,
                codes=variant.codes if variant.codes is not None else column.codes,
            )
        return column


@dataclass(frozen=True)
class RowRule:
    """A named SQL condition over the entity's columns.

    As a row rule every row must meet it and its name is the reason code of those that do not; as a count
    it is only counted per batch, for the ledger.
    """

    name: str
    condition: str
    description: str


@dataclass(frozen=True)
class KnownAt:
    """How `known_at` follows for a subject's first delivery (`history`) and for later ones (`afterwards`).

    `event_lag`: the event date plus `lag_days`, marked as assumed. `published`: the time at which the source says it
    published the record, never after it was received; marked as assumed too, since nobody was there.
    `received`: the received date.
    """

    history: str
    event_column: str | None = None
    lag_days: int = 0


@dataclass(frozen=True)
class Contract:
    """One source entity: where its files are found, its columns, row rules and time rule.

    `retention_days`: how long personal data are kept after a record that names the person was last received; None where
    nothing ends it but a request.
    """

    id: str
    version: str
    title: str
    purpose: str
    limitations: str
    owner: str
    grain: str
    file_pattern: str
    encoding: str
    unknown_columns: str
    max_quarantined_ratio: float
    subject: str
    version_order: tuple[str, ...]
    known_at: KnownAt
    columns: tuple[Column, ...]
    row_rules: tuple[RowRule, ...]
    counts: tuple[RowRule, ...]
    fingerprint: str
    feed: Feed | None = None
    silver: Record | None = None
    gate: GatePolicy = field(default_factory=GatePolicy)
    retention_days: int | None = None

    @property
    def personal_columns(self) -> tuple[Column, ...]:
        """The columns that are sealed before landing."""
        return tuple(c for c in self.columns if c.is_personal)

    @property
    def content_columns(self) -> tuple[Column, ...]:
        """The columns by which two deliveries of a record are the same."""
        return tuple(c for c in self.columns if not c.is_transport)

    def is_impersonal(self, column: Column, sent: Mapping[str, Any]) -> bool:
        """Whether a personal column's value in a record as sent (by source name) is no natural person's.

        A value that the contract does not know leaves it personal.
        """
        for name, values in column.impersonal_where.items():
            judge = self.column(name)
            value = str(sent.get(judge.source_name, "")).strip()
            if (judge.codes.get(value) if judge.codes else value) not in values:
                return False
        return bool(column.impersonal_where)

    def at_version(self, schema_version: int) -> Contract:
        """The contract for records in one of the source's schema versions; 1 is the one it was written for."""
        if schema_version <= 1:
            return self
        return replace(self, columns=tuple(c.at_version(schema_version) for c in self.columns))

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the key columns, in key order."""
        keyed = [c for c in self.columns if c.key_position]
        return tuple(c.name for c in sorted(keyed, key=lambda c: c.key_position or 0))

    @property
    def bronze_table(self) -> str:
        return f"bronze.{self.id}"

    def column(self, name: str) -> Column:
        """The column of that name; a ContractError if the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(f"contract {self.id} has no column {name!r}")


def load_all(folder: Path) -> dict[str, Contract]:
    """Every contract of a folder by id, ordered by id."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ContractError("no contract found", where=str(folder), remedy="add one YAML file per source entity")
    found = {contract.id: contract for contract in map(load, paths)}
    for contract in found.values():
        _check_references(contract, found)
    return found


def _check_references(contract: Contract, known: Mapping[str, Contract]) -> None:
    for column in contract.columns:
        to = column.references
        if to and (to.contract not in known or to.column not in {c.name for c in known[to.contract].columns}):
            raise ContractError(
                f"column {column.name} references {to.contract}.{to.column}, which no contract describes",
                where=f"{contract.id}.yaml",
                remedy="name a contract of this folder and one of its columns",
            )


def load(path: Path) -> Contract:
    """Reads and checks one contract file; the same text is checked once per process."""
    return _load(path, contract_text.read(path))


@lru_cache(maxsize=512)
def _load(path: Path, text: str) -> Contract:
    document = contract_text.parse(path, text)
    _check_standard(path, text, document)
    fault = Faults(path, text, document)
    if document["id"] != path.stem:
        fault.stop(
            f"id {document['id']!r} differs from the file's name", ["id"], f"name the file {document['id']}.yaml"
        )
    objects = document.get("schema") or []
    if len(objects) != 1:
        fault.stop(f"{len(objects)} entities under schema, one expected", ["schema"], "one contract per entity")
    own = _custom(fault, document, [], CONTRACT_PROPERTIES)
    feed = feeds.parse_feed(fault, own)
    for needed in ("subject", "knownAt") if feed else ("filePattern", "subject", "knownAt"):
        if needed not in own:
            fault.stop(f"customProperties lacks {needed}", ["customProperties"], f"add property {needed}")
    columns = tuple(
        _column(fault, entry, ["schema", 0, "properties", i])
        for i, entry in enumerate(objects[0].get("properties") or [])
    )
    keyed = sorted((c for c in columns if c.key_position), key=lambda c: c.key_position or 0)
    record = parse_record(fault, own.get("silver"), columns, [c.name for c in keyed], own.get("versionOrder", ()))
    contract = Contract(
        id=document["id"],
        version=document["version"],
        title=document.get("name", document["id"]),
        purpose=str(document.get("description", {}).get("purpose", "")).strip(),
        limitations=str(document.get("description", {}).get("limitations", "")).strip(),
        owner=document.get("team", {}).get("name", ""),
        grain=objects[0].get("dataGranularityDescription", ""),
        file_pattern=own.get("filePattern", ""),
        encoding=own.get("encoding", "utf-8"),
        unknown_columns=own.get("unknownColumns", "refuse"),
        max_quarantined_ratio=_ratio(fault, own.get("maxQuarantinedRatio", 0.02)),
        subject=own["subject"],
        version_order=tuple(own.get("versionOrder", ())),
        known_at=_known_at(fault, own["knownAt"], columns),
        columns=columns,
        row_rules=_conditions(fault, objects[0], {c.name for c in columns}, ROW_RULE_ENGINE),
        counts=_conditions(fault, objects[0], {c.name for c in columns}, COUNT_ENGINE),
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        feed=feed,
        silver=record,
        gate=parse_gate(fault, own.get("gate")),
        retention_days=parse_retention(fault, document, any(c.is_personal for c in columns)),
    )
    _check_whole(fault, contract)
    return contract


@lru_cache(maxsize=1)
def _standard() -> Any:
    from jsonschema_rs import Draft202012Validator

    schema = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(schema))


def _check_standard(path: Path, text: str, document: Any) -> None:
    plain = json.loads(json.dumps(document, default=str))
    errors = sorted(_standard().iter_errors(plain), key=lambda e: len(e.instance_path), reverse=True)
    if errors:
        error = errors[0]
        Faults(path, text, document).stop(
            f"not valid by the Open Data Contract Standard: {error.message[:300]}",
            list(error.instance_path),
            "correct the field's name, type or value; the standard's schema lists what is allowed",
        )


def _custom(fault: Faults, node: Any, at: list[str | int], known: set[str]) -> dict[str, Any]:
    found = {}
    for i, entry in enumerate(node.get("customProperties") or []):
        if entry["property"] not in known:
            fault.stop(
                f"unknown custom property {entry['property']!r}",
                [*at, "customProperties", i],
                f"use one of {', '.join(sorted(known))}",
            )
        found[entry["property"]] = entry["value"]
    return found


def _column(fault: Faults, entry: Any, at: list[str | int]) -> Column:
    own = _custom(fault, entry, at, COLUMN_PROPERTIES)
    options = entry.get("logicalTypeOptions") or {}
    logical, physical = entry.get("logicalType", "string"), entry.get("physicalType", "")
    if logical == "number":
        if not DECIMAL.fullmatch(physical or ""):
            fault.stop("a number needs an exact decimal type", [*at, "logicalType"], "physicalType: decimal(18,2)")
        spark_type = physical
    elif logical in SPARK_TYPES:
        spark_type = SPARK_TYPES[logical]
    else:
        fault.stop(f"logicalType {logical} cannot be read from a file", [*at, "logicalType"], "use a plain type")
    pattern = options.get("pattern")
    try:
        re.compile(pattern or "")
    except re.error as error:
        fault.stop(f"pattern does not compile: {error}", [*at, "logicalTypeOptions", "pattern"], "mend it")
    bounds = {k: None if options.get(k) is None else str(options[k]) for k in ("minimum", "maximum")}
    return Column(
        name=entry["name"],
        source_name=str(entry.get("physicalName", entry["name"])),
        spark_type=spark_type,
        description=str(entry.get("description", "")).strip(),
        required=bool(entry.get("required", False)),
        key_position=entry.get("primaryKeyPosition") if entry.get("primaryKey") else None,
        classification=entry.get("classification", "internal"),
        pattern=pattern,
        date_format=options.get("format", DEFAULT_FORMATS.get(logical, "")),
        codes={str(k): str(v) for k, v in (own.get("codes") or {}).items()},
        unit=own.get("unit"),
        not_after_received=bool(own.get("notAfterReceived", False)),
        is_outcome=bool(own.get("outcome", False)),
        variants=feeds.parse_variants(fault, own.get("variants"), at),
        data_subject=own.get("dataSubject"),
        token_kind=own.get("tokenKind"),
        scale=feeds.parse_scale(fault, own.get("scale"), at),
        impersonal_where=_impersonal(fault, own.get("impersonalWhere"), at),
        is_transport=bool(own.get("transport", False)),
        group_separator=own.get("groupSeparator"),
        references=parse_reference(fault, own.get("references"), at),
        **bounds,
    )


def _impersonal(fault: Faults, entry: Any, at: list[str | int]) -> dict[str, tuple[str, ...]]:
    if entry is None:
        return {}
    if not isinstance(entry, Mapping) or not all(isinstance(values, list) and values for values in entry.values()):
        fault.stop(
            f"impersonalWhere {entry!r} is not a condition", at, "give a list of values for each column it names"
        )
    return {str(name): tuple(str(v) for v in values) for name, values in entry.items()}


def _known_at(fault: Faults, rule: Mapping[str, Any], columns: Sequence[Column]) -> KnownAt:
    at = fault.own("knownAt")
    history = rule.get("history")
    if history not in ("event_lag", "published", "received") or rule.get("afterwards") != "received":
        fault.stop(
            f"knownAt {dict(rule)} is not a rule",
            at,
            "history: event_lag (with eventColumn, lagDays), published (with eventColumn) or received; "
            "afterwards: received",
        )
    if history == "received":
        return KnownAt("received")
    event = rule.get("eventColumn")
    if history == "published":
        if not any(c.name == event and c.spark_type == "timestamp" for c in columns):
            fault.stop(f"knownAt.eventColumn {event!r} is not a timestamp column", at, "name a timestamp column")
        return KnownAt("published", event)
    if not any(c.name == event and c.spark_type == "date" for c in columns):
        fault.stop(f"knownAt.eventColumn {event!r} is not a date column", at, "name one of the date columns")
    lag = rule.get("lagDays", 0)
    if not isinstance(lag, int) or lag < 0:
        fault.stop(f"knownAt.lagDays {lag!r} is not a number of days", at, "write a whole number, 0 or more")
    return KnownAt("event_lag", event, lag)


def _ratio(fault: Faults, value: Any) -> float:
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    fault.stop(f"maxQuarantinedRatio {value!r} is not a share", fault.own("maxQuarantinedRatio"), "write 0 to 1")


def _conditions(fault: Faults, entity: Any, names: set[str], engine: str) -> tuple[RowRule, ...]:
    import sqlglot
    from sqlglot import errors, exp

    rules = []
    for i, entry in enumerate(entity.get("quality") or []):
        at = ["schema", 0, "quality", i]
        if entry.get("engine") not in (ROW_RULE_ENGINE, COUNT_ENGINE):
            fault.stop(f"no engine {entry.get('engine')!r}", at, f"engine: {ROW_RULE_ENGINE} or {COUNT_ENGINE}")
        if entry["engine"] != engine:
            continue
        condition = str(entry["implementation"])
        try:
            used = {c.name for c in sqlglot.parse_one(condition, dialect="spark").find_all(exp.Column)}
        except errors.SqlglotError as error:
            fault.stop(f"rule {entry.get('name')!r} is not SQL: {error}", at, "write a Spark SQL condition")
        if used - names:
            fault.stop(
                f"rule {entry.get('name')!r} reads unknown columns {sorted(used - names)}",
                at,
                f"use columns of this entity: {', '.join(sorted(names))}",
            )
        rules.append(RowRule(entry["name"], condition, str(entry.get("description", "")).strip()))
    return tuple(rules)


def _check_whole(fault: Faults, contract: Contract) -> None:
    at = ["schema", 0, "properties"]
    names = [c.name for c in contract.columns]
    for kind, values in (("name", names), ("physicalName", [c.source_name for c in contract.columns])):
        twice = sorted({v for v in values if values.count(v) > 1})
        if twice:
            second = values.index(twice[0], values.index(twice[0]) + 1)
            fault.stop(f"{kind} {twice} stands twice", [*at, second], "give every column a name of its own")
    if not contract.keys:
        fault.stop("no key column", at, "mark the key with primaryKey and primaryKeyPosition")
    _check_variants(fault, contract)
    for own, values in (("subject", [contract.subject]), ("versionOrder", contract.version_order)):
        for named in values:
            if named not in names:
                fault.stop(f"{named!r} is not a column", fault.own(own), f"use one of {', '.join(names)}")
    if contract.unknown_columns not in ("refuse", "ignore"):
        fault.stop(
            f"unknownColumns {contract.unknown_columns!r} is not a policy",
            fault.own("unknownColumns"),
            "refuse or ignore",
        )
    try:
        codecs.lookup(contract.encoding)
    except LookupError:
        fault.stop(f"no encoding {contract.encoding!r}", fault.own("encoding"), "for example utf-8 or gb18030")
    for i, column in enumerate(contract.columns):
        if column.spark_type != "date":
            continue
        for bound in (column.minimum, column.maximum):
            try:
                date.fromisoformat(bound or "2000-01-01")
            except ValueError:
                fault.stop(f"{bound!r} is not a date", [*at, i, "logicalTypeOptions"], "write YYYY-MM-DD")


def _check_variants(fault: Faults, contract: Contract) -> None:
    names = {c.name for c in contract.columns}
    for i, column in enumerate(contract.columns):
        at = ["schema", 0, "properties", i]
        if column.data_subject and column.data_subject not in names:
            fault.stop(f"dataSubject {column.data_subject!r} is not a column", at, f"use one of {', '.join(names)}")
        if column.token_kind is not None and not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", str(column.token_kind)):
            fault.stop(
                f"tokenKind {column.token_kind!r} is not a kind", at, "use small letters, digits and underscores"
            )
        if column.is_personal and (column.pattern or column.codes):
            fault.stop("the values of a personal column are sealed: no pattern or code can be checked", at, "drop it")
        if column.is_personal and column.spark_type != "string":
            fault.stop("a personal column stands as a token, which is text", at, "logicalType: string")
        if column.is_personal and not contract.feed:
            fault.stop("only a pulled feed is sealed before landing", at, "give the contract a feed")
        for name in column.impersonal_where:
            if name not in names or not column.is_personal or contract.column(name).is_personal:
                fault.stop(
                    f"impersonalWhere cannot read {name!r}",
                    at,
                    f"on a personal column, use one of {', '.join(names)} that is none",
                )
        if column.group_separator is not None and column.group_separator not in (",", " ", "'", "_"):
            fault.stop(f"groupSeparator {column.group_separator!r} is not one", at, "a comma, blank, apostrophe or _")
        scaled = column.scale or column.group_separator or any(v.scale for v in column.variants)
        if scaled and not column.spark_type.startswith("decimal"):
            fault.stop("only a number can be scaled or grouped", at, "physicalType: decimal(18,2)")
    for version in sorted({v.schema_version for c in contract.columns for v in c.variants}):
        held = [c.source_name for c in contract.at_version(version).columns]
        if twice := sorted({name for name in held if held.count(name) > 1}):
            fault.stop(
                f"{twice} stands twice in schema version {version}", ["schema", 0, "properties"], "mend a variant"
            )
