"""Whether the fields of a part are those its contract states, and what the contract says to do when they are not."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse.contracts import Contract
from lakehouse.errors import SchemaChanged

TABULAR = ("csv", "parquet")


def differences(contract: Contract, fields: Iterable[str], schema_version: int, form: str = "csv") -> tuple[str, ...]:
    """Fields the contract does not know as `+name`, missing ones as `-name`, a version as `v3`.

    A version that the contract names no variant for is a difference: a unit may have changed under the same name.
    Files with a header must have every field; JSON records may leave out what the contract does not require. Dotted
    source names are compared by their first step.
    """
    seen = set(fields)
    expected = contract.at_version(schema_version).columns
    known = {c.source_name.split(".")[0] for c in expected} | set(_passed_over(contract))
    due = [c.source_name for c in expected if c.required or form in TABULAR]
    missing = [name for name in due if name.split(".")[0] not in seen]
    named = {v.schema_version for c in contract.columns for v in c.variants} | {1} | set(_accepted(contract))
    found = [f"+{name}" for name in sorted(seen - known)] + [f"-{name}" for name in missing if seen]
    return tuple(found + ([] if schema_version in named else [f"v{schema_version}"]))


def apply_policy(contract: Contract, found: tuple[str, ...], where: str) -> None:
    """Raises SchemaChanged where the feed's policy is `freeze`; the other policies go on."""
    if found and contract.feed and contract.feed.schema_change == "freeze":
        raise SchemaChanged(
            f"the source's records no longer fit contract {contract.id} {contract.version}: {', '.join(found)} "
            "(+ unknown field, - missing field, v schema version without a variant)",
            where=where,
            remedy=f"nothing from the change on was taken in, and the feed waits: add `variants` to contracts/"
            f"{contract.id}.yaml (`vinelake contract check {contract.id}` tells who reads it), then pull again",
        )


def _passed_over(contract: Contract) -> Iterable[str]:
    return contract.feed.options.get("ignore", ()) if contract.feed else ()


def _accepted(contract: Contract) -> Iterable[int]:
    return contract.feed.options.get("acceptedVersions", ()) if contract.feed else ()
