"""Invoice rules: identity, versions, and which red letter reverses which invoice.

Pure functions, DataFrame in, DataFrame out. Amounts are exact decimals in CNY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.known import known_on, macro

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FACTS = (
    "enterprise_id", "direction", "invoice_number", "issued_on", "event_at", "counterparty_id", "amount_excl_tax_cny",
    "tax_cny", "amount_incl_tax_cny", "status", "is_red_letter",
)  # fmt: skip
PLACE = ("batch_id", "source_file", "row_number")
TRACE = ("known_at", "known_at_is_assumed", "received_on", "batch_id", "batch_sequence", "source_file", "row_number")


def conform(accepted: DataFrame, direction: str) -> DataFrame:
    """Accepted bronze rows of one direction in the common vocabulary, with the invoice's identity.

    An invoice is identified by direction, enterprise, number, day and counterparty: the number alone repeats,
    since the sources do not list the invoice code that makes it unique.
    """
    return accepted.selectExpr(
        f"sha2(concat('{direction}', record_key), 256) AS invoice_id",
        "*",
        f"'{direction}' AS direction",
        "cast(issued_on AS timestamp) AS event_at",
        "amount_excl_tax_cny < 0 AS is_red_letter",
    ).select("invoice_id", *FACTS, *TRACE)


def number_versions(rows: DataFrame) -> DataFrame:
    """Adds `version_no`, an invoice's versions counted in the order they became known, and `superseded_at`.

    Listed both valid and void in one drop, the void row is the later version: voiding is final.
    """
    order = "batch_sequence, CASE status WHEN 'valid' THEN 0 ELSE 1 END, source_file, row_number"
    return rows.selectExpr(
        "*",
        f"cast(row_number() OVER (PARTITION BY invoice_id ORDER BY {order}) AS int) AS version_no",
        f"min(known_at) OVER (PARTITION BY invoice_id ORDER BY {order} ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED "
        "FOLLOWING) AS superseded_at",
    )


def link_red_letters(rows: DataFrame) -> DataFrame:
    """Adds `red_letter_link` (`linked`, `unlinked`, null for other rows), `reverses_invoice_id` and `reversed_on`, the
    day on which what it reverses was issued.

    A valid red letter reverses the latest valid invoice issued on or before its own day, of the same parties
    and direction and the same absolute total with tax, that was known by then. An invoice is reversed once, by
    the first red letter (as they became known, then by day and number) that points at it; a later one that points at
    the same invoice stays `unlinked`, even where an equal invoice is free. Partial reversals stay `unlinked`. What came
    in later changes no link.
    """
    from pyspark.sql import functions

    reds = rows.where("is_red_letter AND status = 'valid'").alias("red")
    blues = rows.where("NOT is_red_letter AND status = 'valid' AND amount_excl_tax_cny > 0").alias("blue")
    pairs = reds.join(
        blues,
        on=functions.expr(
            "red.enterprise_id = blue.enterprise_id AND red.direction = blue.direction "
            "AND red.counterparty_id = blue.counterparty_id "
            "AND red.amount_incl_tax_cny = -blue.amount_incl_tax_cny "
            "AND blue.issued_on <= red.issued_on AND blue.known_at <= red.known_at",
        ),
    )
    latest = functions.expr("max(struct(blue.issued_on, blue.invoice_number, blue.invoice_id))").alias("latest")
    red = (f"red.{c}" for c in ("invoice_id", "issued_on", "invoice_number", "known_at", *PLACE))
    claims = pairs.groupBy(*red).agg(latest).selectExpr(
        "*", "latest.invoice_id AS reverses_invoice_id", "latest.issued_on AS reversed_on"
    )  # fmt: skip
    first = "PARTITION BY reverses_invoice_id ORDER BY known_at, issued_on, invoice_number, invoice_id, row_number"
    links = claims.selectExpr("*", f"row_number() OVER ({first}) AS claim").where("claim = 1")
    told = links.select(*PLACE, "reverses_invoice_id", "reversed_on")
    return rows.join(told, list(PLACE), "left").selectExpr(
        "invoice_id",
        *FACTS,
        "CASE WHEN is_red_letter AND status = 'valid' THEN if(reverses_invoice_id IS NULL, 'unlinked', 'linked') "
        "END AS red_letter_link",
        "reverses_invoice_id",
        "reversed_on",
        *TRACE,
    )


def by_side(issued: DataFrame, parties: DataFrame) -> DataFrame:
    """The invoices of a common ledger as each registered party sees them: the seller's sale, the buyer's purchase.

    `issued`: one row per version of an invoice; `parties`: `tax_number`, `enterprise_id`, `party_known_at`, one row a
    number. The number of an invoice is its own; a red letter reverses the invoice that it names, whatever its amount.
    """
    from pyspark.sql import functions

    sides = None
    for direction, own, other in (("sale", "seller", "buyer"), ("purchase", "buyer", "seller")):
        side = issued.join(parties, issued[f"{own}_tax_number"] == parties["tax_number"]).selectExpr(
            f"{_id_of(direction, 'invoice_number')} AS invoice_id",
            "enterprise_id",
            f"'{direction}' AS direction",
            "invoice_number",
            "issued_on",
            "cast(issued_on AS timestamp) AS event_at",
            f"coalesce({other}_tax_number, concat('name:', {other}_name), 'unknown') AS counterparty_id",
            "amount_excl_tax_cny",
            "tax_cny",
            "amount_incl_tax_cny",
            "if(status = 'void', 'void', 'valid') AS status",
            "amount_excl_tax_cny < 0 AS is_red_letter",
            f"{_id_of(direction, 'reverses_invoice_number')} AS named_invoice_id",
            "greatest(known_at, party_known_at) AS known_at",
            *TRACE[1:],
            "version_no",
        )
        sides = side if sides is None else sides.unionByName(side)
    named = sides.groupBy(sides["invoice_id"].alias("reverses_invoice_id")).agg(
        functions.expr("min(known_at) AS reversed_known_at"),
        functions.expr("min(issued_on) AS reversed_issued_on"),
    )
    is_named = functions.expr("is_red_letter AND named_invoice_id = reverses_invoice_id")
    linked = sides.join(named, is_named, "left")
    is_red = "is_red_letter AND status = 'valid'"
    # What came in after the red letter that names it was not known to be old then.
    was_known = f"{known_on('reversed_known_at')} <= {known_on('known_at')}"
    return linked.selectExpr(
        "invoice_id",
        *FACTS,
        f"CASE WHEN {is_red} THEN if(reverses_invoice_id IS NULL, 'unlinked', 'linked') END AS red_letter_link",
        f"if({is_red}, reverses_invoice_id, null) AS reverses_invoice_id",
        f"if({is_red} AND {was_known}, reversed_issued_on, null) AS reversed_on",
        *TRACE,
        "version_no",
        f"{macro('superseded', ['invoice_id'])} AS superseded_at",
    )


def _id_of(direction: str, number: str) -> str:
    return f"sha2(concat('{direction}', '\\u001f', {number}), 256)"
