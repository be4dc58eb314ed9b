"""What the sources reveal about firms at a date: features of the reference learners, from visible columns alone.

Every table is seen through a view that holds only its visible columns, and every row only once it could be known:
invoices and payments up to the day before, returns once filed, statements once handed in, a loan's standing from
month ends. Columns that a system would overwrite later (a loan's last status, the day it closed, the day an invoice
was voided) are used only where their own date lies before. Grain of every block: one row a firm.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from sources.economy.schema import TABLES, TYPES

SQL_TYPES = {
    "i8": "tinyint", "i16": "smallint", "i32": "integer", "i64": "bigint", "f32": "float", "f64": "double",
    "bool": "boolean", "str": "varchar", "date": "date", "time": "timestamp", "ids": "integer[]",
}  # fmt: skip
ARROW_TO_SQL = {arrow: SQL_TYPES[name] for name, arrow in TYPES.items()}

SIZE = """
select seller_id as firm_id, ln(1 + sum(amount_fen) / 100.0) as log_sales_12_months
from invoice
where issued_on >= cut() - interval 12 month and issued_on < cut() and (voided_on is null or voided_on >= cut())
group by 1
"""

STATEMENTS = """
with known as (
    select *, row_number() over (partition by firm_id order by year desc) as back
    from statement where handed_in_on < cut()
), last as (select * from known where back = 1), prior as (select * from known where back = 2)
select last.firm_id,
    ln(1 + greatest(last.revenue_fen, 0) / 100.0) as log_revenue,
    last.profit_fen / nullif(last.revenue_fen, 0)::double as profit_margin,
    last.cost_fen / nullif(last.revenue_fen, 0)::double as cost_share,
    last.cash_fen / nullif(last.revenue_fen, 0)::double as cash_share,
    last.receivable_fen / nullif(last.revenue_fen, 0)::double as receivable_share,
    last.stock_fen / nullif(last.cost_fen, 0)::double as stock_share,
    last.payable_fen / nullif(last.cost_fen, 0)::double as payable_share,
    last.bank_debt_fen / nullif(last.revenue_fen, 0)::double as debt_share,
    last.other_debt_fen / nullif(last.revenue_fen, 0)::double as other_debt_share,
    last.equity_fen / nullif(last.cash_fen + last.receivable_fen + last.stock_fen + last.fixed_assets_fen, 0)::double
        as equity_ratio,
    (last.cash_fen + last.receivable_fen) / nullif(last.payable_fen + last.bank_debt_fen, 0)::double as quick_ratio,
    (last.revenue_fen - prior.revenue_fen) / nullif(abs(prior.revenue_fen), 0)::double as revenue_growth,
    (last.profit_fen - prior.profit_fen) / nullif(abs(prior.revenue_fen), 0)::double as margin_change,
    (last.bank_debt_fen - prior.bank_debt_fen) / nullif(abs(prior.revenue_fen), 0)::double as debt_change,
    last.audited::int as audited,
    date_diff('day', last.handed_in_on, cut()) as handed_in_days_ago,
    date_diff('day', make_date(last.year, 12, 31), last.handed_in_on) as handed_in_after_days
from last left join prior using (firm_id)
"""

BUREAU = """
with open_loan as (
    select * from loan where started_on < cut() and (closed_on is null or closed_on >= cut())
), standing as (
    select loan.firm_id, loan_status.*, date_diff('month', loan_status.month, cut()) as back
    from loan_status join loan using (loan_id) where loan_status.month < cut()
), worst as (
    select firm_id, max(days_past_due) as worst_days, max(days_past_due) filter (back <= 12) as worst_12,
        max(days_past_due) filter (back <= 3) as worst_3,
        count(distinct month) filter (days_past_due > 0) as late_months,
        min(back) filter (days_past_due > 0) as months_since_late,
        sum(balance_fen) filter (month = latest) as balance_fen, max(days_past_due) filter (month = latest) as days_now,
        max(case class when 'normal' then 0 when 'special_mention' then 1 when 'substandard' then 2
            when 'doubtful' then 3 else 4 end) filter (month = latest) as class_now
    from (select *, max(month) over () as latest from standing) group by 1
), loans as (
    select firm_id, count(*) as loans, count(distinct bank_id) as banks,
        ln(1 + sum(principal_fen) / 100.0) as log_principal, max(rate_ratio) as top_rate,
        avg((renews_id is not null)::int) as renewed_share,
        min(date_diff('day', cut(), matures_on)) as next_maturity_days,
        avg((security = 'guarantee')::int) as guaranteed_share
    from open_loan group by 1
), history as (
    select firm_id, date_diff('day', min(started_on), cut()) as first_loan_days, count(*) as loans_ever,
        count(*) filter (started_on >= cut() - interval 6 month) as loans_6_months
    from loan where started_on < cut() group by 1
), enquiry as (
    select firm_id, count(*) filter (enquired_on >= cut() - interval 1 month) as enquiries_1_month,
        count(*) filter (enquired_on >= cut() - interval 3 month) as enquiries_3_months,
        count(*) filter (enquired_on >= cut() - interval 12 month) as enquiries_12_months,
        count(distinct bank_id) filter (enquired_on >= cut() - interval 12 month) as enquiring_banks
    from bureau_enquiry where enquired_on < cut() group by 1
), given as (
    select guarantor_id as firm_id, count(*) as guarantees_given, ln(1 + sum(amount_fen) / 100.0) as log_given,
        count(*) filter (called_on < cut()) as guarantees_called
    from guarantee where from_on < cut() and (to_on is null or to_on >= cut()) group by 1
), taken as (
    select firm_id, count(*) as guarantees_taken from guarantee
    where from_on < cut() and (to_on is null or to_on >= cut()) group by 1
)
select firm_id, loans.* exclude (firm_id), history.* exclude (firm_id), enquiry.* exclude (firm_id),
    worst.* exclude (firm_id, balance_fen), ln(1 + worst.balance_fen / 100.0) as log_balance,
    given.* exclude (firm_id), taken.guarantees_taken
from (select distinct firm_id from loan where started_on < cut() union select firm_id from enquiry
      union select firm_id from given)
left join loans using (firm_id) left join history using (firm_id) left join enquiry using (firm_id)
left join worst using (firm_id) left join given using (firm_id) left join taken using (firm_id)
"""

REGISTRY = """
select firm_id, date_diff('day', founded_on, cut()) as age_days, ln(1 + capital_fen / 100.0) as log_capital, tier,
    in_region::int as in_region, on_platform::int as on_platform, has_equipment::int as has_equipment,
    (taxpayer = 'general')::int as general_taxpayer,
    hash(kind) % 1000 as kind_code, hash(chain) % 1000 as chain_code
from firm where founded_on < cut()
"""

# A flow of one side of a firm's trade: level and trend, breadth, ends of the last windows.
INVOICES = """
with side as (
    select {own} as firm_id, {other} as partner, date_diff('day', issued_on, cut()) as back,
        case when voided_on < cut() then 0 else amount_fen end as amount_fen, (voided_on < cut()) as void,
        red_of_id is not null as red
    from invoice where issued_on < cut() and issued_on >= cut() - interval 24 month
), partner as (
    select firm_id, partner, sum(amount_fen) filter (back <= 180) as recent_fen, sum(amount_fen) as all_fen
    from side where not coalesce(void, false) group by 1, 2
), breadth as (
    select firm_id, count(*) filter (recent_fen > 0) as partners_180,
        count(*) filter (recent_fen > 0 and all_fen = recent_fen) as new_partners_180,
        max(recent_fen) / nullif(sum(recent_fen), 0)::double as top_share_180
    from partner group by 1
), level as (
    select firm_id,
        coalesce(sum(amount_fen) filter (back <= 30), 0) as fen_30,
        coalesce(sum(amount_fen) filter (back <= 90), 0) as fen_90,
        coalesce(sum(amount_fen) filter (back between 91 and 180), 0) as fen_180,
        coalesce(sum(amount_fen) filter (back <= 365), 0) as fen_365,
        coalesce(sum(amount_fen) filter (back > 365), 0) as fen_730,
        coalesce(sum(amount_fen) filter (back between 366 and 455), 0) as fen_year_ago,
        count(*) filter (back <= 90) as invoices_90, count(*) filter (back <= 365) as invoices_365,
        min(back) as last_days, avg(coalesce(void, false)::int) filter (back <= 365) as void_share,
        avg(red::int) filter (back <= 365) as red_share
    from side group by 1
)
select firm_id, ln(1 + greatest(fen_90, 0) / 100.0) as {side}_log_90,
    4.0 * fen_90 / nullif(fen_365, 0) as {side}_trend_90,
    12.0 * fen_30 / nullif(fen_365, 0) as {side}_trend_30, fen_90 / nullif(fen_180, 0)::double as {side}_trend_180,
    fen_365 / nullif(fen_730, 0)::double as {side}_growth, fen_90 / nullif(fen_year_ago, 0)::double as {side}_season,
    invoices_365 as {side}_invoices, 4.0 * invoices_90 / nullif(invoices_365, 0) as {side}_count_trend,
    last_days as {side}_last_days, void_share as {side}_void_share, red_share as {side}_red_share,
    partners_180 as {side}_partners, new_partners_180 / nullif(partners_180, 0)::double as {side}_new_share,
    top_share_180 as {side}_top_share
from level left join breadth using (firm_id)
"""

# How late the firm pays its suppliers, and its customers pay it, by the invoices that payments name.
SETTLEMENT = """
with paid as (
    select invoice_id, min(paid_at)::date as paid_on, sum(amount_fen) as paid_fen
    from payment where invoice_id is not null and reverses_id is null and paid_at < cut() group by 1
), settled as (
    select {own} as firm_id, total_fen, coalesce(paid_fen, 0) as paid_fen,
        date_diff('day', issued_on, cut()) as back, date_diff('day', issued_on, paid_on) as days,
        date_diff('day', paid_on, cut()) as paid_back
    from invoice left join paid using (invoice_id)
    where issued_on < cut() and issued_on >= cut() - interval 24 month and red_of_id is null
        and (voided_on is null or voided_on >= cut()) and invoice_id is not null
)
select firm_id, avg(days) filter (paid_back <= 60) as {side}_days_60,
    avg(days) filter (paid_back <= 365) as {side}_days_365,
    avg(days) filter (paid_back <= 60) - avg(days) filter (paid_back between 61 and 365) as {side}_days_change,
    ln(1 + greatest(sum(total_fen - paid_fen), 0) / 100.0) as {side}_log_open,
    coalesce(sum(total_fen - paid_fen) filter (back > 90), 0) / nullif(sum(total_fen) filter (back <= 365), 0)::double
        as {side}_open_90,
    coalesce(sum(total_fen - paid_fen) filter (back > 180), 0) / nullif(sum(total_fen) filter (back <= 365), 0)::double
        as {side}_open_180
from settled group by 1
"""

CASH = """
with flow as (
    select payer_id as firm_id, -amount_fen as fen, paid_at from payment where paid_at < cut()
    union all select payee_id, amount_fen, paid_at from payment where paid_at < cut()
), daily as (
    select firm_id, paid_at::date as day, sum(fen) as fen from flow where firm_id >= 0 group by 1, 2
), balance as (
    select *, sum(fen) over (partition by firm_id order by day) as fen_after,
        date_diff('day', day, cut()) as back from daily
)
select firm_id, arg_max(fen_after, day) / 100.0 as net_inflow_cny,
    (arg_max(fen_after, day) - min(fen_after) filter (back <= 365)) /
        nullif(sum(greatest(fen, 0)) filter (back <= 365), 0)::double as above_low_ratio,
    avg(fen_after) filter (back <= 30) / nullif(sum(greatest(fen, 0)) filter (back <= 365), 0)::double as balance_30,
    avg(fen_after) filter (back <= 365) / nullif(sum(greatest(fen, 0)) filter (back <= 365), 0)::double as balance_365,
    min(fen_after) filter (back <= 90) / nullif(sum(greatest(fen, 0)) filter (back <= 365), 0)::double as low_90,
    sum(fen) filter (back <= 90) / nullif(sum(greatest(fen, 0)) filter (back <= 365), 0)::double as net_90,
    sum(fen) filter (back <= 365) / nullif(sum(greatest(fen, 0)) filter (back <= 365), 0)::double as net_365
from balance group by 1
"""

PURPOSES = """
with flow as (
    select payer_id as firm_id, 'out_' || purpose as kind, amount_fen, date_diff('day', paid_at, cut()) as back
    from payment where paid_at < cut() and paid_at >= cut() - interval 12 month and payer_id >= 0
    union all
    select payee_id, 'in_' || purpose, amount_fen, date_diff('day', paid_at, cut())
    from payment where paid_at < cut() and paid_at >= cut() - interval 12 month and payee_id >= 0
), total as (select firm_id, sum(amount_fen) as all_fen from flow group by 1)
select firm_id, kind, sum(amount_fen) / nullif(any_value(all_fen), 0)::double as share,
    4.0 * coalesce(sum(amount_fen) filter (back <= 90), 0) / nullif(sum(amount_fen), 0) as trend
from flow join total using (firm_id) group by 1, 2
"""

ELECTRICITY = """
with used as (select *, date_diff('day', day, cut()) as back from electricity
              where day < cut() - interval 5 day and day >= cut() - interval 25 month)
select firm_id, ln(1 + sum(energy_kwh) filter (back <= 365)) as log_energy,
    4.06 * sum(energy_kwh) filter (back <= 95) / nullif(sum(energy_kwh) filter (back <= 365), 0) as energy_trend_90,
    12.2 * sum(energy_kwh) filter (back <= 35) / nullif(sum(energy_kwh) filter (back <= 365), 0) as energy_trend_30,
    sum(energy_kwh) filter (back <= 95) / nullif(sum(energy_kwh) filter (back between 366 and 455), 0) as energy_season,
    stddev_samp(energy_kwh) filter (back <= 95) / nullif(avg(energy_kwh) filter (back <= 95), 0) as energy_variation,
    avg(peak_ratio) filter (back <= 95) as peak_ratio
from used group by 1
"""

SOCIAL = """
with month as (
    select *, date_diff('month', period, cut()) as back,
        case when paid_on < cut() then paid_fen else 0 end as known_paid_fen
    from social_insurance where period < cut() - interval 1 month and period >= cut() - interval 25 month
)
select firm_id, arg_max(insured, period) as insured,
    arg_max(insured, period) / nullif(avg(insured) filter (back <= 13), 0) as insured_trend,
    arg_max(insured, period) / nullif(max(insured), 0)::double as insured_of_top,
    arg_max(base_fen, period) / nullif(arg_max(insured, period), 0)::double as base_per_head,
    1 - sum(known_paid_fen) filter (back <= 4) / nullif(sum(due_fen) filter (back <= 4), 0)::double as social_unpaid_3,
    1 - sum(known_paid_fen) filter (back <= 13) / nullif(sum(due_fen) filter (back <= 13), 0)::double
        as social_unpaid_12,
    avg(date_diff('day', period, paid_on)) filter (back <= 7 and paid_on < cut()) as social_days
from month group by 1
"""

TAX = """
with filed as (
    select *, date_diff('month', period, cut()) as back,
        case when paid_on < cut() then paid_fen else 0 end as known_paid_fen
    from tax_return where filed_on < cut() and period >= cut() - interval 26 month
)
select firm_id, ln(1 + greatest(sum(declared_sales_fen) filter (back <= 13), 0) / 100.0) as log_declared,
    4.0 * sum(declared_sales_fen) filter (back <= 4) / nullif(sum(declared_sales_fen) filter (back <= 13), 0)
        as declared_trend,
    sum(payable_fen) filter (back <= 13) / nullif(sum(declared_sales_fen) filter (back <= 13), 0)::double
        as tax_burden,
    sum(input_tax_fen) filter (back <= 7) / nullif(sum(output_tax_fen) filter (back <= 7), 0)::double as input_share,
    1 - sum(known_paid_fen) filter (back <= 5) / nullif(sum(payable_fen) filter (back <= 5), 0)::double as tax_unpaid_4,
    1 - sum(known_paid_fen) filter (back <= 13) / nullif(sum(payable_fen) filter (back <= 13), 0)::double
        as tax_unpaid_12,
    avg(date_diff('day', period, filed_on)) filter (back <= 7) as filing_days, min(back) as last_filed_months
from filed group by 1
"""

LEGAL = """
with cases as (
    select defendant_id as firm_id, count(*) as sued,
        count(*) filter (filed_on >= cut() - interval 6 month) as sued_6_months,
        count(*) filter (enforced_on < cut()) as enforced, sum(amount_fen) / 100.0 as sued_cny
    from court_case where filed_on < cut() group by 1
), penalties as (
    select firm_id, count(*) as penalties from penalty where published_on < cut() group by 1
)
select firm_id, cases.* exclude (firm_id), penalties.penalties
from cases full join penalties using (firm_id)
"""

ORDERS = """
with side as (
    select {own} as firm_id, amount_fen, cancelled_on < cut() as cancelled, date_diff('day', ordered_on, cut()) as back
    from trade_order where ordered_on < cut() and ordered_on >= cut() - interval 12 month
)
select firm_id, ln(1 + sum(amount_fen) / 100.0) as {side}_orders_log,
    4.0 * coalesce(sum(amount_fen) filter (back <= 90), 0) / nullif(sum(amount_fen), 0) as {side}_orders_trend,
    12.0 * coalesce(sum(amount_fen) filter (back <= 30), 0) / nullif(sum(amount_fen), 0) as {side}_orders_trend_30,
    avg(coalesce(cancelled, false)::int) as {side}_cancelled_share
from side group by 1
"""

PRODUCTION = """
select firm_id, avg(line_utilisation_ratio) filter (back <= 30) as utilisation_30,
    avg(line_utilisation_ratio) as utilisation_365,
    avg(line_utilisation_ratio) filter (back <= 60) / nullif(avg(line_utilisation_ratio), 0) as utilisation_trend,
    sum(defect_units) / nullif(sum(output_units), 0)::double as defect_share,
    avg(finished_units) filter (back <= 30) / nullif(avg(finished_units), 0) as finished_trend
from (select *, date_diff('day', day, cut()) as back from production_day
      where day < cut() and day >= cut() - interval 12 month) group by 1
"""

TELEMETRY = """
select firm_id, avg(running_minutes) filter (back <= 30) / 60.0 as running_30,
    avg(running_minutes) / 60.0 as running_365,
    avg(running_minutes) filter (back <= 60) / nullif(avg(running_minutes), 0) as running_trend,
    avg((alarm_code > 0)::int) filter (back <= 90) as alarm_share
from (select firm_id, running_minutes, alarm_code, date_diff('day', hour_at, cut()) as back
      from equipment_hour join equipment using (equipment_id)
      where hour_at < cut() and hour_at >= cut() - interval 12 month) group by 1
"""

CHANGES = """
select firm_id, count(*) as changes, count(*) filter (changed_on >= cut() - interval 12 month) as changes_12_months
from firm_change where changed_on < cut() group by 1
"""

BLOCKS: dict[str, list[str]] = {
    "size": [SIZE],
    "statements": [STATEMENTS],
    "bureau": [BUREAU],
    "other": [
        REGISTRY,
        INVOICES.format(own="seller_id", other="buyer_id", side="sales"),
        INVOICES.format(own="buyer_id", other="seller_id", side="purchases"),
        SETTLEMENT.format(own="buyer_id", side="paying"),
        SETTLEMENT.format(own="seller_id", side="collecting"),
        CASH,
        ELECTRICITY,
        SOCIAL,
        TAX,
        LEGAL,
        ORDERS.format(own="seller_id", side="received"),
        ORDERS.format(own="buyer_id", side="placed"),
        PRODUCTION,
        TELEMETRY,
        CHANGES,
    ],
}


# A bank sees that money passed between a firm and a person, not why.
PRIVATE_PURPOSES = ("private_loan", "private_interest", "private_repayment", "dividend", "sundry")


# Rows that a system shows: a department those of the firms it knows, the platform those of its members.
def _known(department: str, *parties: str) -> str:
    """SQL: the department knows one of these parties."""
    return " or ".join(f"{p} in (select firm_id from known where department = '{department}')" for p in parties)


SHOWN = {
    "tax_return": _known("tax_returns", "firm_id"),
    "social_insurance": _known("social_insurance", "firm_id"),
    "housing_fund": _known("housing_fund", "firm_id"),
    "electricity": _known("electricity", "firm_id"),
    "water": _known("water", "firm_id"),
    "gas": _known("gas", "firm_id"),
    "penalty": _known("penalties", "firm_id"),
    "production_day": _known("platform", "firm_id"),
    "invoice": _known("vat_invoices", "seller_id", "buyer_id"),
    "court_case": _known("courts", "plaintiff_id", "defendant_id"),
    "trade_order": _known("platform", "seller_id", "buyer_id"),
}


def connect(world: Path, at: date) -> duckdb.DuckDBPyConnection:
    """A connection whose views show what the systems do: visible columns, rows of firms they know.

    A table that the world lacks is empty; without `department_subject` every department knows everybody.
    """
    connection = duckdb.connect()
    connection.execute("set threads = 2")
    connection.execute(f"create macro cut() as date '{at:%Y-%m-%d}'")
    subjects = table_files(world, "department_subject")
    listed = ", ".join(f"'{file}'" for file in subjects)
    if subjects:  # which firm a key is, is hidden; that a department knows the firm, is not
        connection.execute(f"create table known as select distinct department, firm_id from read_parquet([{listed}])")
    for name, table in TABLES.items():
        if not table.visible:
            continue
        files = table_files(world, name)
        written = pq.read_schema(files[0]).names if files else []
        columns = ", ".join(
            c if c in written else f"null::{ARROW_TO_SQL[table.schema.field(c).type]} as {c}" for c in table.visible
        )
        source = f"select {columns} where false"
        if files:
            listed = ", ".join(f"'{file}'" for file in files)
            shown = f" where {SHOWN[name]}" if subjects and name in SHOWN else ""
            source = f"select {columns} from read_parquet([{listed}]){shown}"
        if name == "payment":
            purpose = f"if(purpose in {PRIVATE_PURPOSES}, 'transfer', purpose)"
            source = f"select * replace ({purpose} as purpose) from ({source})"
        connection.execute(f"create view {name} as {source}")
    return connection


def table_files(world: Path, name: str) -> list[Path]:
    """The Parquet files of a world's table, in order; none when the table was not written."""
    single = world / f"{name}.parquet"
    return [single] if single.exists() else sorted((world / name).glob("*.parquet"))


def features(world: Path, at: date, firms: np.ndarray) -> dict[str, pd.DataFrame]:
    """Feature blocks `size`, `statements`, `bureau` and `all`, each firm × feature in the order of `firms`.

    `all` holds the other three too. Missing stays missing: the learners see that a source says nothing.
    """
    with connect(world, at) as connection:
        blocks = {
            name: _join([connection.execute(query).df() for query in queries], firms)
            for name, queries in BLOCKS.items()
        }
        purposes = _pivot(connection.execute(PURPOSES).df(), firms)
    blocks["all"] = pd.concat([*blocks.values(), purposes], axis=1)
    del blocks["other"]
    return blocks


def _join(frames: list[pd.DataFrame], firms: np.ndarray) -> pd.DataFrame:
    aligned = [frame.set_index("firm_id").reindex(firms) for frame in frames]
    return pd.concat(aligned, axis=1).astype(float)


def _pivot(purposes: pd.DataFrame, firms: np.ndarray) -> pd.DataFrame:
    """Share and trend of every payment purpose, as columns; a purpose without payments is zero."""
    wide = purposes.pivot(index="firm_id", columns="kind", values=["share", "trend"]).reindex(firms)
    wide.columns = [f"{kind}_{measure}" for measure, kind in wide.columns]
    return wide.astype(float).fillna(0.0)
