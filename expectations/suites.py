"""What each table must satisfy, as plain records, so that no reader of this file waits for an import.

Bronze suites are generated from the contracts. Silver and gold are written by hand. Rules between tables
are *identities*: two figures that must be equal, each computed by one SQL statement on the builds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakehouse.contracts import Contract
from lakehouse.vault import forms

NAMED_TABLE = re.compile(r"\{([a-z_.0-9]+)\}")


@dataclass(frozen=True)
class Expectation:
    """One expectation: a class name of Great Expectations and its arguments.

    `near`, of keys that must be unique: a column in which rows of one key agree, so that of others none is looked for.
    """

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    near: str | None = None

    @property
    def is_of_keys(self) -> bool:
        """Whether it asks of rows together, not of each alone, that no other has the same key."""
        return self.kind in ("ExpectColumnValuesToBeUnique", "ExpectCompoundColumnsToBeUnique")


@dataclass(frozen=True)
class Identity:
    """Two figures that must be equal. `left` and `right` are SQL; `{silver.loan}` stands for a table's build,
    or its published version where it was not built anew.

    How it is asked of what is new alone (`expectations.increments`): `is_sum` where both figures are sums over rows, so
    that both must grow by as much; or `of_new`, SQL that counts what breaks it. In that `{came silver.loan}` and
    `{gone silver.loan}` stand for the rows that are new and that are no more, `{before silver.loan}` for the version
    that was passed, and `{near issued_on silver.loan}` for the rows with such dates in a column as those have.
    """

    name: str
    left: str
    right: str
    is_sum: bool = False
    of_new: str | None = None

    @property
    def tables(self) -> set[str]:
        """The tables that its figures are computed from."""
        return {match[1] for text in (self.left, self.right) for match in NAMED_TABLE.finditer(text)}


def not_null(*columns: str) -> list[Expectation]:
    return [Expectation("ExpectColumnValuesToNotBeNull", {"column": c}) for c in columns]


def in_set(column: str, *values: Any) -> Expectation:
    return Expectation("ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)})


def between(column: str, low: float | None, high: float | None = None) -> Expectation:
    return Expectation("ExpectColumnValuesToBeBetween", {"column": column, "min_value": low, "max_value": high})


def unique(*columns: str, near: str | None = None) -> Expectation:
    if len(columns) == 1:
        return Expectation("ExpectColumnValuesToBeUnique", {"column": columns[0]}, near)
    return Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": list(columns)}, near)


def has_rows(at_least: int = 1) -> Expectation:
    return Expectation("ExpectTableRowCountToBeBetween", {"min_value": at_least})


def bronze_suite(contract: Contract) -> list[Expectation]:
    """What a bronze table must satisfy, from its contract: required, codes, patterns, bounds, place, identity."""
    expected = [has_rows()]
    for column in contract.columns:
        if column.required:
            expected += not_null(column.name)
        coded = {
            code for codes in (column.codes, *(v.codes for v in column.variants)) for code in (codes or {}).values()
        }
        if coded and column.spark_type == "string":
            expected.append(in_set(column.name, *sorted(coded)))
        # A sealed value stands as its token; the contract's pattern is the clear value's.
        pattern = forms.TOKEN_SQL if column.is_personal else column.pattern
        if pattern and not column.impersonal_where:
            expected.append(Expectation("ExpectColumnValuesToMatchRegex", {"column": column.name, "regex": pattern}))
        if column.spark_type.startswith("decimal") and (column.minimum or column.maximum):
            bounds = [float(b) if b is not None else None for b in (column.minimum, column.maximum)]
            expected.append(between(column.name, *bounds))
    expected += not_null("record_key", "known_at")
    expected += [in_set("disposition", "accepted", "duplicate"), unique("batch_id", "source_file", "row_number")]
    return expected


def versions_suite(contract: Contract, keys: Sequence[str]) -> list[Expectation]:
    """What a versioned table of silver must satisfy, from its contract and the keys of the contract's records."""
    needed = [key for key in keys if contract.column(key).required]
    return [has_rows(), *not_null(*needed, "version_no", "known_at"), unique(*keys, "version_no")]


# A feed that never came has no bronze table yet: it counts as an empty one.
ABSENT = (
    "(SELECT cast(null AS string) AS batch_id, cast(null AS string) AS disposition, "
    "cast(null AS decimal(18,2)) AS amount_incl_tax_cny WHERE false)"
)
# Sources whose invoices come in drops; those of feeds come through their own versioned table.
DROPPED = "('gov_tax__sale_invoice', 'gov_tax__purchase_invoice')"

SILVER: dict[str, list[Expectation]] = {
    "silver.vat_invoice": [
        has_rows(),
        *not_null("enterprise_id", "counterparty_id", "issued_on", "event_at", "known_at", "known_at_is_assumed"),
        *not_null("amount_excl_tax_cny", "tax_cny", "amount_incl_tax_cny", "is_red_letter"),
        in_set("direction", "sale", "purchase"),
        in_set("status", "valid", "void"),
        in_set("red_letter_link", "linked", "unlinked"),
        # An invoice of the ledger may be given another day: two of its rows at different days are found as a whole.
        unique("invoice_id", "version_no", near="issued_on"),
        unique("batch_id", "source_file", "row_number", "direction", near="received_on"),
    ],
    "silver.department_subject": [
        *not_null("department", "department_key", "known_at"),
        unique("department", "department_key", "version_no"),
    ],
    "silver.identity_mention": [*not_null("mention_id", "department", "local_key", "known_at"), unique("mention_id")],
    "silver.identity_pair": [*not_null("left_id", "right_id", "weight"), unique("left_id", "right_id")],
    "silver.identity_link": [
        *not_null("mention_id", "enterprise_id", "method", "known_at"),
        unique("mention_id", "version_no", "segment_no"),
    ],
    "silver.enterprise_key": [
        *not_null("department", "key", "enterprise_id", "known_at"),
        unique("system", "department", "key", "version_no"),
    ],
    "silver.identity_review": [*not_null("reason"), unique("mention_id")],
    "silver.enterprise_relation": [*not_null("enterprise_id", "kind", "effective_on", "known_at")],
    "silver.equipment_reading": [
        *not_null("machine_id", "read_at", "known_at"),
        between("running_minutes", 0, 60),
        unique("event_id", "read_at", "version_no"),
    ],
    "silver.enterprise": [has_rows(), *not_null("enterprise_id", "known_at"), unique("enterprise_id", "version_no")],
    "silver.loan": [*not_null("loan_id", "enterprise_id", "known_at"), unique("loan_id", "version_no")],
    "silver.credit_record": [
        *not_null("enterprise_id", "is_bad", "known_at"),
        unique("enterprise_id", "version_no"),
    ],
}

SILVER_IDENTITIES = [
    Identity(
        "every accepted sale and purchase row of a drop is one invoice version",
        f"SELECT count(*) FROM {{silver.vat_invoice}} WHERE source IN {DROPPED}",
        "SELECT count(*) FROM (SELECT batch_id FROM {bronze.gov_tax__sale_invoice} WHERE disposition = 'accepted' "
        "UNION ALL SELECT batch_id FROM {bronze.gov_tax__purchase_invoice} WHERE disposition = 'accepted')",
        is_sum=True,
    ),
    Identity(
        "invoice amounts of drops equal the accepted amounts in bronze, to the cent",
        f"SELECT coalesce(sum(amount_incl_tax_cny), 0) FROM {{silver.vat_invoice}} WHERE source IN {DROPPED}",
        "SELECT coalesce(sum(amount_incl_tax_cny), 0) FROM (SELECT amount_incl_tax_cny FROM "
        "{bronze.gov_tax__sale_invoice} WHERE disposition = 'accepted' UNION ALL SELECT amount_incl_tax_cny FROM "
        "{bronze.gov_tax__purchase_invoice} WHERE disposition = 'accepted')",
        is_sum=True,
    ),
    Identity(
        "every invoice belongs to a known enterprise",
        "SELECT count(DISTINCT enterprise_id) FROM {silver.vat_invoice} "
        "WHERE enterprise_id NOT IN (SELECT enterprise_id FROM {silver.enterprise})",
        "SELECT 0",
        of_new="SELECT count(DISTINCT enterprise_id) FROM (SELECT enterprise_id FROM {came silver.vat_invoice} "
        "UNION ALL SELECT enterprise_id FROM {before silver.enterprise}) "
        "WHERE enterprise_id NOT IN (SELECT enterprise_id FROM {silver.enterprise})",
    ),
    Identity(
        "every loan belongs to a known enterprise",
        "SELECT count(DISTINCT enterprise_id) FROM {silver.loan} "
        "WHERE enterprise_id NOT IN (SELECT enterprise_id FROM {silver.enterprise})",
        "SELECT 0",
    ),
    Identity(
        "no version is known before the version it replaces, which is superseded when it is known",
        "SELECT count(*) FROM (SELECT known_at, superseded_at, lead(known_at) OVER (PARTITION BY invoice_id "
        "ORDER BY version_no) AS next_at FROM {silver.vat_invoice}) "
        "WHERE next_at < known_at OR NOT superseded_at <=> next_at",
        "SELECT 0",
        of_new="SELECT count(*) FROM (SELECT known_at, superseded_at, lead(known_at) OVER (PARTITION BY invoice_id "
        "ORDER BY version_no) AS next_at FROM {near issued_on silver.vat_invoice} WHERE invoice_id IN (SELECT "
        "invoice_id FROM {came silver.vat_invoice} UNION ALL SELECT invoice_id FROM {gone silver.vat_invoice})) "
        "WHERE next_at < known_at OR NOT superseded_at <=> next_at",
    ),
    Identity(
        "an invoice of a drop is reversed at most once",
        f"SELECT count(reverses_invoice_id) FROM {{silver.vat_invoice}} WHERE source IN {DROPPED}",
        f"SELECT count(DISTINCT reverses_invoice_id) FROM {{silver.vat_invoice}} WHERE source IN {DROPPED}",
        of_new="SELECT count(*) FROM (SELECT reverses_invoice_id FROM {near reversed_on silver.vat_invoice} "
        f"WHERE source IN {DROPPED} AND reverses_invoice_id IN (SELECT reverses_invoice_id FROM "
        "{came silver.vat_invoice}) GROUP BY reverses_invoice_id HAVING count(*) > 1)",
    ),
    Identity(
        "no invoice is known before it is issued",
        "SELECT count(*) FROM {silver.vat_invoice} WHERE known_at < event_at",
        "SELECT 0",
        is_sum=True,
    ),
]

SCORE_SUITE: list[Expectation] = [
    has_rows(),
    *not_null("enterprise_id", "as_of", "decision"),
    in_set("decision", "scored", "refer"),
    between("pd", 0, 1),
    unique("enterprise_id", "as_of"),
]

SCORE_IDENTITIES = [
    Identity(
        "every enterprise of the scored date has one score row",
        "SELECT count(*) FROM {gold.enterprise_score} WHERE as_of = (SELECT max(as_of) FROM {gold.enterprise_score})",
        "SELECT count(*) FROM {gold.enterprise_features} "
        "WHERE as_of = (SELECT max(as_of) FROM {gold.enterprise_score})",
    ),
    Identity(
        "points add up to the score",
        "SELECT count(*) FROM {gold.enterprise_score} WHERE score IS NOT NULL AND points IS NOT NULL AND score <> "
        "aggregate(map_values(points), 0D, (total, p) -> total + p)",
        "SELECT 0",
    ),
]


# A lakehouse in which nobody contradicts himself, or no invoice is matched, is a good one: no rows are asked for.
GOLD: dict[str, list[Expectation]] = {
    "gold.contradiction": [
        *not_null("enterprise_id", "kind", "found_on", "period_from", "period_to", "evidence", "rules_version"),
        between("broken_checks", 2),
        unique("enterprise_id", "kind", "found_on"),
    ],
    "gold.trade_match": [
        *not_null("invoice_number", "record", "occurred_on", "amount", "record_number"),
        in_set("record", "order", "delivery", "payment"),
        unique("record", "record_number", "invoice_number"),
    ],
    "gold.trade_unmatched": [
        *not_null("invoice_number", "record", "reason"),
        in_set("record", "order", "delivery", "payment"),
        unique("invoice_number", "record"),
    ],
}

COVERAGE = ("covered", "not_covered", "not_yet_known", "no_source")
# Sums of money may be negative; these counts of the world may not.
NEVER_NEGATIVE = ("count", "months", "days", "kwh", "m3", "hours", "kw")


def source_feature_suite(columns: Mapping[str, str]) -> list[Expectation]:
    """What `gold.enterprise_source_features` must satisfy: a code for every source, nothing counted below 0."""
    expected = [has_rows(), *not_null("enterprise_id", "as_of"), unique("enterprise_id", "as_of")]
    for name in columns:
        if name.endswith("_coverage"):
            expected += [*not_null(name), in_set(name, *COVERAGE)]
        elif name.rsplit("_", 1)[-1] in NEVER_NEGATIVE:
            expected.append(between(name, 0))
    return expected


def feature_suite(columns: Mapping[str, str]) -> list[Expectation]:
    """What `gold.enterprise_features` must satisfy; `columns`: name → Spark type.

    A count, a number of months and a number of days is never negative; a share lies between 0 and 1.
    """
    expected = [has_rows(), *not_null("enterprise_id", "as_of", "known_at_is_assumed", "history_months")]
    expected.append(unique("enterprise_id", "as_of"))
    for name in columns:
        last = name.rsplit("_", 1)[-1]
        if last in ("count", "months", "days") and "change" not in name and "growth" not in name:
            expected.append(between(name, 0))
    return expected
