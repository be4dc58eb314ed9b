"""The statements of a pull from PostgreSQL: which rows come next, in what order, and up to where.

Every bound is compared by the server in the column's own type; the client keeps nothing but the text of the last row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from lakehouse.errors import ConfigError, SourceError
from spark_jobs.pull.jdbc_session import Session

LOG_COLUMNS = {"id": "change_id", "changedAt": "changed_at", "row": "row", "op": "op"}
CHANGE = ("_change_id", "_changed_at", "_op")  # members that a line of a change log has beside the row's
WATERMARK_TYPES = ("date", "timestamp")  # beginnings of the types' names


@dataclass(frozen=True)
class Watermark:
    """Rows in the order of (watermark, key) from a cursor on and before a moment."""

    table: sql.Identifier
    watermark: str
    key: tuple[str, ...]
    types: Mapping[str, str]
    fields: tuple[str, ...]
    filters: Mapping[str, Any]
    until: str
    overlap_days: int = 0

    def select(self, cursor: Mapping[str, Any] | None, rows: int) -> sql.Composed:
        """The next rows: one column, the row as JSON."""
        conditions = [sql.SQL("{} < {}::timestamp").format(_name(self.watermark), sql.Literal(self.until))]
        conditions += _equal(self.filters) + (self._after(cursor) if cursor else [])
        columns = sql.SQL(", ").join(_as_text(name, self.types[name]) for name in self.fields)
        return sql.SQL(
            "select pg_catalog.row_to_json(r) from (select {} from {} as t where {} order by {} limit {}) r"
        ).format(columns, self.table, _all(conditions), self._order(), sql.Literal(rows))

    def cursor(self, last: Mapping[str, Any]) -> dict[str, Any]:
        """Where to go on after a row; `until` says in which pull, since each goes back by the overlap once."""
        return {"after": [last[name] for name in (self.watermark, *self.key)], "until": self.until}

    def _after(self, cursor: Mapping[str, Any]) -> list[sql.Composable]:
        names = (self.watermark, *self.key)
        if len(cursor["after"]) != len(names):
            raise ConfigError(
                f"the last pull went by {len(cursor['after'])} columns, the contract names {', '.join(names)}",
                remedy="key and watermark of a feed cannot change: give the contract another id",
            )
        values = [_typed(value, self.types[name]) for value, name in zip(cursor["after"], names, strict=True)]
        if self.overlap_days and cursor.get("until") != self.until:
            back = sql.SQL("{} >= {} - {}::interval").format(
                _name(self.watermark), values[0], sql.Literal(f"{self.overlap_days} days")
            )
            return [back]
        # The first condition follows from the second; an index on the watermark alone serves it.
        return [
            sql.SQL("{} >= {}").format(_name(self.watermark), values[0]),
            sql.SQL("({}) > ({})").format(self._order(), sql.SQL(", ").join(values)),
        ]

    def _order(self) -> sql.Composed:
        return sql.SQL(", ").join(_name(name) for name in (self.watermark, *self.key))


@dataclass(frozen=True)
class ChangeLog:
    """Changes in the order of their number, up to the first one of a later day (`end`, None where there is none)."""

    table: sql.Identifier
    names: Mapping[str, str]
    id_type: str
    filters: Mapping[str, Any]
    end: str | None
    fields: tuple[str, ...] = ()

    def select(self, cursor: Mapping[str, Any] | None, rows: int) -> sql.Composed:
        """The next changes: one column, the changed row as JSON with number, time and kind of the change."""
        number, row = _name(self.names["id"]), _name(self.names["row"])
        conditions = _equal(self.filters)
        if cursor:
            conditions.append(sql.SQL("{} > {}").format(number, _typed(cursor["after"], self.id_type)))
        if self.end is not None:
            conditions.append(sql.SQL("{} < {}").format(number, _typed(self.end, self.id_type)))
        return sql.SQL(
            "select case when pg_catalog.jsonb_typeof({row}::jsonb) = 'object' then "
            "pg_catalog.jsonb_build_object('_change_id', {number}::text, '_changed_at', {at}::text, '_op', {op}::text) "
            "|| {row}::jsonb else pg_catalog.to_jsonb({number}) end "
            "from {table} as t where {conditions} order by {number} limit {rows}"
        ).format(
            row=row,
            number=number,
            at=_name(self.names["changedAt"]),
            op=_name(self.names["op"]),
            table=self.table,
            conditions=_all(conditions),
            rows=sql.Literal(rows),
        )

    def cursor(self, last: Mapping[str, Any]) -> dict[str, Any]:
        """Where to go on after a change."""
        return {"after": last["_change_id"]}


def plan(server: Session, path: str, options: Mapping[str, Any], until: str) -> Watermark | ChangeLog:
    """The query for a feed, checked against the table; a SourceError names the table or column that is missing."""
    table = sql.Identifier(*path.split("."))
    types, required = _columns(server, path)
    filters = dict(options.get("filter") or {})
    _check_known(path, types, filters)
    if options.get("changeLog"):
        given = options["changeLog"]
        names = LOG_COLUMNS | (dict(given) if isinstance(given, Mapping) else {})
        _check_known(path, types, names.values())
        first_later = sql.SQL("select min({})::text from {} as t where {} >= {}::timestamp").format(
            _name(names["id"]), table, _name(names["changedAt"]), sql.Literal(until)
        )
        return ChangeLog(table, names, types[names["id"]], filters, server.rows(first_later)[0][0])
    if "watermark" not in options:
        raise ConfigError(
            f"the feed of {path} says neither watermark nor changeLog", remedy="add one to the feed's options"
        )
    watermark = str(options["watermark"])
    key = tuple(options.get("key") or _primary_key(server, path))
    if not key:
        raise ConfigError(
            f"{path} has no primary key, and the feed names no key",
            remedy="add key to the feed's options: columns that tell rows of one watermark apart",
        )
    fields = tuple(options.get("columns") or types)
    _check_known(path, types, [watermark, *key, *fields])
    if not types[watermark].startswith(WATERMARK_TYPES):
        raise ConfigError(
            f"watermark {watermark} of {path} is {types[watermark]}, neither date nor timestamp",
            remedy="name the column that says when a row appeared or changed",
        )
    key = tuple(name for name in key if name != watermark)
    _refuse_nulls(server, table, path, [name for name in (watermark, *key) if name not in required])
    fields += tuple(name for name in (watermark, *key) if name not in fields)
    return Watermark(table, watermark, key, types, fields, filters, until, int(options.get("overlapDays", 0)))


def _columns(server: Session, path: str) -> tuple[dict[str, str], set[str]]:
    """Types by column in the table's order, and the columns that are never null."""
    rows = server.rows(
        sql.SQL("""
        select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute
        where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum"""),
        (_quoted(path),),
    )
    if not rows:
        raise SourceError(
            f"the database has no table {path}, or does not show it",
            where=server.where,
            remedy="compare the contract's path with the database, and ask its keeper for the right to read it",
        )
    return {name: kind for name, kind, _ in rows}, {name for name, _, is_required in rows if is_required}


def _primary_key(server: Session, path: str) -> list[str]:
    rows = server.rows(
        sql.SQL("""
        select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
        where indrelid = to_regclass(%s) and indisprimary order by array_position(indkey::int2[], attnum)"""),
        (_quoted(path),),
    )
    return [name for (name,) in rows]


def _check_known(path: str, types: Mapping[str, str], names: Any) -> None:
    if unknown := [name for name in names if name not in types]:
        raise SourceError(
            f"{path} has no column {', '.join(unknown)}; it has {', '.join(types)}",
            where=path,
            remedy="compare the feed's options with the table",
        )


def _refuse_nulls(server: Session, table: sql.Identifier, path: str, names: Sequence[str]) -> None:
    """A row without watermark or key would never be pulled; the feed says so instead."""
    for name in names:
        found = server.rows(sql.SQL("select exists(select from {} as t where {} is null)").format(table, _name(name)))
        if found[0][0]:
            raise SourceError(
                f"rows of {path} have no {name}, and would never be pulled",
                where=server.where,
                remedy="choose another watermark or key, or have the rows mended",
            )


def _quoted(path: str) -> str:
    return ".".join('"' + step.replace('"', '""') + '"' for step in path.split("."))


def _as_text(name: str, kind: str) -> sql.Composed:
    # json keeps line breaks as they were typed; jsonb has none.
    if kind in ("json", "jsonb"):
        return sql.SQL("{}::jsonb as {}").format(_name(name), sql.Identifier(name))
    return sql.SQL("{}::text as {}").format(_name(name), sql.Identifier(name))


def _typed(value: Any, kind: str) -> sql.Composed:
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))


def _equal(filters: Mapping[str, Any]) -> list[sql.Composable]:
    return [sql.SQL("{} = {}").format(_name(name), sql.Literal(str(value))) for name, value in filters.items()]


def _all(conditions: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(" and ").join(conditions or [sql.SQL("true")])


def _name(name: str) -> sql.Identifier:
    # Of the table `t`: a bare name in `order by` would mean the text that is selected under it.
    return sql.Identifier("t", name)
