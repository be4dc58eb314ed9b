"""What bronze's and silver's columns are made of: bronze by contract, silver by calling its own code with stand-ins."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from itertools import chain

from lakehouse.contracts import Contract
from lineage.frames import Frame, Session, everything, standing_in
from lineage.values import NOTHING, Relation, Value, merged, relation, table

BUILD = re.compile(r"^(?:[a-z][a-z0-9]*_)?([a-z]+)_build\.")
log = logging.getLogger("vinelake.lineage")


def bronze(contract: Contract) -> Relation:
    """A bronze table, made of its contract's columns.

    Which rows a rule holds back and which repeat an earlier one is not followed: nothing of a value goes on by that.
    """
    from spark_jobs import bronze_rows

    made = {name: Value() for name in bronze_rows.columns(contract)}
    made |= {c.name: Value(frozenset({f"{contract.id}.{c.name}"})) for c in contract.columns}
    made["record_key"] = merged(made[name] for name in contract.keys)
    made["record_hash"] = merged(made[c.name] for c in contract.content_columns)
    timed = [contract.known_at.event_column, bronze_rows.PUBLISHED_AT]
    known = merged(made[name] for name in timed if name and any(c.name == name for c in contract.columns))
    made["known_at"] = known
    made["known_at_is_assumed"] = known if contract.known_at.history != "received" else Value()
    return relation(made, frozenset({contract.id}))


class StandIn:
    """What makers of silver's tables read from: tables that refer to themselves, instead of rows."""

    def __init__(self, known: Mapping[str, Contract]) -> None:
        self.spark, self.known = Session(self._built), known
        self.made: dict[str, Relation] = {}

    def has(self, contract_id: str) -> bool:
        return contract_id in self.known

    def accepted(self, contract_id: str) -> Frame:
        from spark_jobs import bronze_rows

        contract = self.known.get(contract_id)
        if contract is None:
            return Frame(Relation({}, frozenset({f"bronze.{contract_id}"}), f"bronze.{contract_id}"))
        return Frame(table(contract.bronze_table, bronze_rows.columns(contract)))

    def silver(self, name: str) -> Frame:
        made = self.made.get(name)
        if made is None or made.open:
            return Frame(Relation({}, frozenset({name}), name))
        return Frame(table(name, made.columns))

    def _built(self, name: str) -> Frame:
        """A table by the name under which it is built."""
        return self.silver(BUILD.sub(r"\1.", name))


def silver(known: Mapping[str, Contract]) -> dict[str, Relation]:
    """Every table of silver, made of bronze and of silver.

    A table whose code cannot be followed is open, and its rows are made of everything that it is said to be made from.
    """
    from spark_jobs import silver as jobs

    reader = StandIn(known)
    with standing_in():
        for one in chain.from_iterable(jobs.plan(known)):
            try:
                reader.made[one.name] = one.make(reader).relation
            except Exception as error:  # whatever a maker raises when it gets no rows
                log.debug("%s is not followed: %s", one.name, error)
                reader.made[one.name] = _opaque(one.name, [known[c] for c in one.contracts if c in known])
        return reader.made | identity(reader)


def identity(reader: StandIn) -> dict[str, Relation]:
    """The tables of who is who: each is made of everything that departments are asked for, by rules and by weights.

    What is asked is followed; what the ledger makes of it (in DuckDB and Splink) is not taken apart.
    """
    from spark_jobs.identity import departments, job

    asked = [departments.rows(reader.spark, reader.known), departments.changes(reader.spark, reader.known)]  # type: ignore[arg-type]
    refs = NOTHING.union(*(everything(frame.relation) for frame in asked))  # type: ignore[attr-defined]
    return {name: Relation({}, refs) for name in job.TABLES.values()}


def _opaque(name: str, read: Iterable[Contract]) -> Relation:
    """A table of which no more is known than the contracts that it is made from."""
    parts = [table(c.bronze_table, bronze(c).columns) for c in read]
    return Relation({}, NOTHING.union(*(p.rows | merged(p.columns.values()).computed for p in parts)), name)
