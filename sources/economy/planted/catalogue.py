"""The kinds of planted behaviour: whose data shows it, which cross-checks it breaks, who can do it, and for how long.

A *check* compares two sources that only a lie makes disagree. Every lie breaks at least two; a liar who knows the rule
keeps the first one quiet and still breaks the last two. Each kind has honest look-alikes that break exactly one.
"""

from __future__ import annotations

from dataclasses import dataclass

AT_STANDARD = 78  # planned episodes of a kind at 3,000 firms and five years, so that 60 remain after early closures
AT_STANDARD_AFTER = 66  # the same for kinds chosen after the run, among firms known to live
STANDARD_FIRM_YEARS = 15_000
LOOK_ALIKES_AT_STANDARD = 12
KNOWING_RATIO = 1 / 3


@dataclass(frozen=True)
class Kind:
    """One planted behaviour.

    `checks` are broken by every lie of the kind, `naive_checks` only by those who do not know the rule,
    `look_alike_checks` by honest look-alikes. `group` is the number of firms of an episode, `months` its length.
    """

    name: str
    victim: str
    checks: tuple[str, ...]
    naive_checks: tuple[str, ...]
    look_alike: str
    look_alike_checks: tuple[str, ...]
    group: tuple[int, int] = (1, 1)
    months: tuple[int, int] = (6, 12)
    before_run: bool = False


KINDS = (
    Kind(
        "invoice_ring", "lender on invoices",
        ("invoice_without_delivery", "sales_against_energy", "invoice_circle"),
        ("same_day_circular_payment", "equal_amounts"),
        "goods worked by others for a fee: little energy, but real deliveries and payments", ("sales_against_energy",),
        group=(3, 5), before_run=True,
    ),
    Kind(
        "fake_sales", "lender on invoices",
        ("invoice_without_delivery", "invoice_without_payment", "invoices_above_declared", "reversed_later"),
        ("reversed_in_one_go",),
        "a season of returns: many red letters, each with goods that came back", ("reversed_later",),
        months=(3, 6), before_run=True,
    ),
    Kind(
        "understated_sales", "tax office",
        ("receipts_above_declared", "purchases_against_declared"), ("declared_below_peers",),
        "a co-operative or market that takes money for others and passes it on", ("receipts_above_declared",),
        before_run=True,
    ),
    Kind(
        "understated_heads", "social insurance",
        ("visit_heads_above_insured", "output_per_insured_head"), ("payroll_heads_above_insured",),
        "labour sent by an agency that insures it", ("visit_heads_above_insured",),
        before_run=True,
    ),
    Kind(
        "padded_payroll", "lender on payroll",
        ("payroll_heads_above_seen", "wages_come_back"), ("payroll_heads_above_insured",),
        "piece wages of helpers in the high season, whom nobody insures yet", ("payroll_heads_above_insured",),
        before_run=True,
    ),
    Kind(
        "pos_ring", "lender on receipts",
        ("receipts_go_back_next_day", "receipts_against_purchases"), ("few_payers", "night_receipts", "round_sums"),
        "a real night market: late, small, many payers", ("night_receipts",), months=(3, 8), before_run=True,
    ),
    Kind(
        "spoofed_telemetry", "lender on equipment",
        ("output_against_metered_energy", "output_against_deliveries"), ("energy_against_output", "constant_pattern"),
        "a steady process that runs around the clock", ("constant_pattern",),
    ),
    Kind(
        "cooked_statement", "lender on statements",
        ("statement_above_tax_sales", "statement_above_receipts"), ("receivables_above_invoices",),
        "a statement with sales of the neighbouring months: booked at delivery, not at invoice",
        ("statement_above_tax_sales",), months=(12, 12),
    ),
    Kind(
        "double_financed_receivable", "second lender",
        ("pledge_without_open_invoice", "pledged_above_open_invoices"), ("same_invoice_number",),
        "a receivable pledged again after its first release", ("same_invoice_number",), months=(3, 6),
    ),
    Kind(
        "false_receipt", "lender on warehouse receipts",
        ("volume_below_receipt", "camera_below_receipt"), ("weight_below_receipt",),
        "grain and ore that lose moisture", ("weight_below_receipt",), months=(3, 8),
    ),
    Kind(
        "secret_withdrawal", "lender on warehouse receipts",
        ("volume_falls_before_release", "camera_falls_before_release"),
        ("weight_falls_before_release", "doors_at_rest_days"),
        "a recount of the stock: doors open, nothing leaves", ("doors_at_rest_days",), months=(3, 8),
    ),
    Kind(
        "double_pledge", "second lender",
        ("identical_sensor_series", "same_quantity_two_lenders"), ("same_lot_code",),
        "a lot split in two receipts that add up", ("same_lot_code",), months=(3, 8),
    ),
    Kind(
        "farm_area", "farm lender",
        ("claimed_above_sensed", "harvest_against_claimed"), ("claimed_above_registered",),
        "land leased from neighbours, worked but not in the register", ("claimed_above_registered",), months=(12, 12),
    ),
    Kind(
        "diverted_loan", "lender",
        ("drawdown_leaves_at_once", "purchases_do_not_follow"), ("paid_to_owner",),
        "a loan that pays suppliers' old invoices at once", ("drawdown_leaves_at_once",), before_run=True,
    ),
    Kind(
        "guarantee_circle", "lender on guarantees",
        ("guarantee_cycle", "guarantors_related"), ("same_address",),
        "a cycle of guarantees among neighbours without kinship", ("guarantee_cycle",), group=(3, 5), before_run=True,
    ),
    Kind(
        "application_ring", "lender on line",
        ("shared_device", "applications_within_days"), ("shared_phone", "shared_address"),
        "an office park with one address and one book-keeper's phone", ("shared_address", "shared_phone"),
        group=(3, 5), months=(1, 1), before_run=True,
    ),
    Kind(
        "inflated_customs", "tax office and trade lender",
        ("declared_above_foreign_receipts", "declared_above_invoices"), ("price_above_peers",),
        "a dearer grade: price above its peers', paid in full", ("price_above_peers",),
    ),
    Kind(
        "stock_shown", "visiting lender",
        ("stock_against_flows", "statement_stock_above_purchases"), ("seen_above_reported_stock",),
        "consignment goods of others on the floor", ("seen_above_reported_stock",),
    ),
)  # fmt: skip
KIND = {kind.name: kind for kind in KINDS}
# Of lies that one lender alone can see, the share that is told to the one whose systems the world shows.
AT_FIRST_BANK = 0.8


def episodes_wanted(firms: int, years: float, at_standard: int = AT_STANDARD) -> int:
    """Episodes of one kind in a world: in proportion to its firm-years; two lies, one look-alike at least."""
    return max(
        2 if at_standard > LOOK_ALIKES_AT_STANDARD else 1, round(at_standard * firms * years / STANDARD_FIRM_YEARS)
    )
