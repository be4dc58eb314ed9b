"""A session with a PostgreSQL server: one read-only snapshot, bounded in time, its failures told apart.

Away, overloaded or restarting is SourceUnavailable; a missing table, a missing right or a wrong password is a
SourceError that names it. Source of the codes: PostgreSQL documentation, appendix A.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from lakehouse.connections import Connection
from lakehouse.errors import ConfigError, SourceError, SourceUnavailable
from lakehouse.settings import get_settings

CONNECT_SECONDS = 10
# A link that died without a word is noticed within half a minute, whatever the statement.
LINK = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
# Classes of error codes, or whole codes, after which another try may come through.
PASSING = (
    "08",  # connection
    "40",  # transaction rolled back
    "53",  # out of resources, too many connections
    "57",  # shut down, cancelled, not up yet
    "58",  # system error
    "25P03",  # idle in transaction for too long
    "25P04",  # transaction for too long
    "55P03",  # lock not available
    "72000",  # snapshot too old
)
REFUSALS = ("authentication failed", "does not exist", "pg_hba.conf", "permission denied", "not permitted")


class Session:
    """One read-only transaction in which every statement sees the same snapshot."""

    def __init__(self, connection: extensions.connection, where: str) -> None:
        self.connection, self.where = connection, where

    def rows(self, statement: sql.Composable, parameters: tuple | None = None) -> list[tuple]:
        """The rows of a query."""
        with self._cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def copy(self, query: sql.Composable, target: Any) -> None:
        """Has the server send a query's rows to `target.write`, in COPY's text form."""
        with self._cursor() as cursor:
            cursor.copy_expert(sql.SQL("copy ({}) to stdout").format(query), target)

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[extensions.cursor]:
        with _told_apart(self.where), self.connection.cursor() as cursor:
            yield cursor


@contextlib.contextmanager
def session(connection: Connection, timeout_seconds: float) -> Iterator[Session]:
    """A session at a connection's `dsn`, closed at the end; values come in the forms of the settings below."""
    wanted = _parse(connection)
    where = f"{connection.name}: {wanted.get('host', 'local')}:{wanted.get('port', 5432)}/{wanted.get('dbname', '')}"
    with _told_apart(where):
        opened = psycopg2.connect(
            **{"connect_timeout": CONNECT_SECONDS, "application_name": "vinelake"} | LINK | wanted,
        )
    try:
        with _told_apart(where):
            opened.set_client_encoding("UTF8")
            opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with opened.cursor() as cursor:
                for name, value in _forms(timeout_seconds).items():
                    cursor.execute("select set_config(%s, %s, false)", (name, value))
            opened.commit()
        yield Session(opened, where)
    finally:
        opened.close()


def _forms(timeout_seconds: float) -> dict[str, str]:
    return {
        "timezone": get_settings().timezone,
        "datestyle": "ISO, YMD",
        "intervalstyle": "iso_8601",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "search_path": "pg_catalog",
        "statement_timeout": str(round(timeout_seconds * 1000)),
    }


def _parse(connection: Connection) -> dict[str, str]:
    try:
        return extensions.parse_dsn(str(connection.need("dsn")))
    except psycopg2.ProgrammingError:
        # Its message would show the address, with the password in it.
        raise ConfigError(
            f"the dsn of connection {connection.name!r} is not an address of PostgreSQL",
            where=str(get_settings().connections_file),
            remedy="write postgresql://user:password@host:port/database",
        ) from None


@contextlib.contextmanager
def _told_apart(where: str) -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise _translated(error, where) from error


def _translated(error: psycopg2.Error, where: str) -> SourceError:
    code, text = error.pgcode or "", " ".join(str(error).split()) or type(error).__name__
    refused_entry = not code and any(sign in text for sign in REFUSALS)
    lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or "server closed" in text
    if code.startswith(PASSING) or (not code and not refused_entry and (lost or "PGRES_" in text)):
        return SourceUnavailable(
            f"the database is away or overloaded: {text}", where=where, remedy="another try may come through"
        )
    remedy = {
        "28": "correct the user or password in the connections file",
        "42501": "ask the database's keeper for the right to read it",
        "42": "compare the contract's path, watermark, key and columns with the table",
        "3F": "compare the contract's path with the database",
    }
    fitting = next((r for start, r in remedy.items() if code.startswith(start)), None)
    return SourceError(
        f"the database refuses: {text}",
        where=where,
        remedy=fitting or ("correct the entry in the connections file" if refused_entry else "ask its keeper"),
    )
