"""How a table of bronze or the quarantine grew: which batches its log says were written to it between two versions."""

from __future__ import annotations

import re

from lakehouse import delta_log, tables

# How Delta's log tells a write of whole batches: as the condition was stated, or as the engine understood it.
WHOLE_BATCHES = re.compile(r"\W*batch_sequence(?:#\d+L?)? (?:=|IN|INSET) ([\dL, ()]+)\W*")


def grew_by(table: str, since: int, until: int) -> set[int] | None:
    """The batches whose slices were replaced after version `since` and up to `until`, by their places in the chain.

    None where anything else happened to the table. What was undone in between counts for nothing: a build begins anew
    at what is published, and what it takes back of itself is gone.
    """
    found: set[int] = set()
    taken_back: set[int] = set()
    entries = delta_log.entries(tables.build_location(table), since, until)
    for expected, entry in zip(range(until, since, -1), entries, strict=False):
        if entry["version"] != expected:
            return None  # the log was shortened
        facts, operation = entry.get("operationParameters") or {}, entry["operation"]
        if operation == "RESTORE" and str(facts.get("version")) == str(since):
            return found
        written = batches_of(facts.get("predicate") or "")
        if operation not in ("WRITE", "DELETE") or not written:
            return None
        if operation == "DELETE":
            taken_back |= written
        else:
            found |= written - taken_back
    return found if len(entries) == until - since else None


def removed_by(table: str, version: int) -> set[int]:
    """The batches whose rows one version of a table took out of it, by their places; none if it did anything else."""
    for entry in delta_log.entries(tables.build_location(table), version - 1, version):
        if entry["operation"] == "DELETE":
            return batches_of((entry.get("operationParameters") or {}).get("predicate") or "")
    return set()


def batches_of(predicate: str) -> set[int]:
    """The places of the batches that an entry of a table's log replaced or removed; none if it did anything else."""
    found = WHOLE_BATCHES.fullmatch(predicate)
    return set(map(int, re.findall(r"\d+", found[1]))) if found else set()
