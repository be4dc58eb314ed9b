"""Cross-checks over the visible columns of a world, by duckdb: each compares two sources that only a lie parts."""

from __future__ import annotations

from pathlib import Path

import duckdb

from sources.economy.schema import TABLES


def opened(world: Path) -> duckdb.DuckDBPyConnection:
    """Views of the visible columns of every table, and `planted` in the schema `truth`."""
    connection = duckdb.connect()
    connection.execute("create schema truth")
    for name, table in TABLES.items():
        files = f"{world}/{name}/*.parquet"
        if table.visible and list((world / name).glob("*.parquet")):
            columns = ", ".join(f'"{c}"' for c in table.visible)
            connection.execute(f"create view {name} as select {columns} from read_parquet('{files}')")
    for name in ("planted", "identity_map"):
        connection.execute(f"create view truth.{name} as select * from read_parquet('{world}/{name}/*.parquet')")
    return connection


# Episodes with one row a firm: planted_id, kind, look_alike, knows_rule, firm_id, from_on, to_on.
EPISODES = """
select planted_id, kind, look_alike, knows_rule, from_on, to_on, unnest(firm_ids) as firm_id from truth.planted
"""

SALES_PER_KWH = """
with sold as (
    select seller_id as firm_id, date_trunc('month', issued_on)::date as month, sum(amount_fen) as fen
    from invoice where voided_on is null and red_of_id is null group by 1, 2
), used as (
    select firm_id, date_trunc('month', day)::date as month, sum(energy_kwh) as kwh from electricity group by 1, 2
), busy as (select distinct firm_id, month from used join ({episodes}) o using (firm_id)
    where o.kind = '{kind}' and month between o.from_on - 31 and o.to_on + 31
), month as (
    select firm_id, month, fen / nullif(kwh, 0) as ratio, b.firm_id is not null as busy
    from sold join used using (firm_id, month) left join (select * from busy) b using (firm_id, month)
)
select e.planted_id, e.look_alike, avg(month.ratio) filter (month.month between e.from_on and e.to_on)
    / avg(month.ratio) filter (not busy) as raised
from ({episodes}) e join month using (firm_id) where e.kind = '{kind}' group by 1, 2
"""

UNDELIVERED = """
with shipped as (select seller_id, buyer_id, shipped_on from delivery where quantity_units > 0),
trade as (
    select i.seller_id as firm_id, i.issued_on, i.amount_fen,
        exists (select 1 from shipped d where d.seller_id = i.seller_id and d.buyer_id = i.buyer_id
            and d.shipped_on between i.issued_on - 60 and i.issued_on + 10) as delivered
    from invoice i
    where i.red_of_id is null and i.voided_on is null and i.buyer_id >= 0
        and i.seller_id in (select firm_id from ({episodes}) where kind = '{kind}')
)
select e.planted_id, e.look_alike,
    coalesce(sum(amount_fen) filter (not delivered), 0) / sum(amount_fen)::double as undelivered
from ({episodes}) e join trade on trade.firm_id = e.firm_id and trade.issued_on between e.from_on and e.to_on
where e.kind = '{kind}' group by 1, 2
"""

CIRCULAR_PAYMENTS = """
with pay as (
    select payer_id, payee_id, paid_at::date as day, max(amount_fen) as fen from payment
    where purpose = 'goods' and payee_id < 10000000 group by 1, 2, 3
), chain as (
    select a.payer_id as firm_id, a.day
    from pay a
    join pay b on b.payer_id = a.payee_id and b.day = a.day and b.fen between 0.8 * a.fen and 1.25 * a.fen
    join pay c on c.payer_id = b.payee_id and c.day = a.day and c.fen between 0.8 * a.fen and 1.25 * a.fen
    left join pay d on d.payer_id = c.payee_id and d.day = a.day and d.fen between 0.8 * a.fen and 1.25 * a.fen
    left join pay f on f.payer_id = d.payee_id and f.day = a.day and f.fen between 0.8 * a.fen and 1.25 * a.fen
    where a.payer_id in (c.payee_id, d.payee_id, f.payee_id)
    group by 1, 2
)
select e.planted_id, e.look_alike, count(chain.day) as circular_days
from ({episodes}) e left join chain on chain.firm_id = e.firm_id and chain.day between e.from_on and e.to_on + 60
where e.kind = '{kind}' group by 1, 2
"""

UNPAID = """
with paid as (select distinct payer_id, payee_id from payment where purpose = 'goods')
select e.planted_id, e.look_alike,
    sum(amount_fen) filter (p.payer_id is null) / sum(amount_fen)::double as unpaid,
    sum(amount_fen) filter (r.red_of_id is not null) / sum(amount_fen)::double as reversed
from ({episodes}) e
join invoice i on i.seller_id = e.firm_id and i.issued_on between e.from_on and e.to_on and i.red_of_id is null
left join paid p on p.payer_id = i.buyer_id and p.payee_id = i.seller_id
left join (select distinct red_of_id from invoice) r on r.red_of_id = i.invoice_id
where e.kind = '{kind}' group by 1, 2
"""

DECLARED = """
with receipts as (
    select firm_id, date_trunc('quarter', day)::date as quarter, sum(amount_fen) / 1.13 as fen
    from pos_day group by 1, 2
), sold as (
    select seller_id as firm_id, date_trunc('quarter', issued_on)::date as quarter, sum(amount_fen) as fen
    from invoice where voided_on is null and buyer_id >= 0 group by 1, 2
), bought as (
    select buyer_id as firm_id, date_trunc('quarter', issued_on)::date as quarter, sum(amount_fen) as fen
    from invoice where voided_on is null group by 1, 2
), declared as (
    select firm_id, date_trunc('quarter', period)::date as quarter, sum(declared_sales_fen) as fen
    from tax_return group by 1, 2
)
select e.planted_id, e.look_alike, e.knows_rule,
    (coalesce(sum(receipts.fen), 0) + coalesce(sum(sold.fen), 0)) / sum(declared.fen) as taken_ratio,
    sum(sold.fen) / sum(declared.fen) as invoices_ratio,
    sum(bought.fen) / sum(declared.fen) as purchases_ratio
from ({episodes}) e join declared on declared.firm_id = e.firm_id
    and declared.quarter between e.from_on - 20 and e.to_on - 60
left join receipts on receipts.firm_id = e.firm_id and receipts.quarter = declared.quarter
left join sold on sold.firm_id = e.firm_id and sold.quarter = declared.quarter
left join bought on bought.firm_id = e.firm_id and bought.quarter = declared.quarter
where e.kind = '{kind}' group by 1, 2, 3
"""

HEADS = """
with month as (
    select s.firm_id, s.period, s.insured, r.headcount, o.units
    from social_insurance s
    left join (select firm_id, period, sum(headcount) as headcount from payroll_run group by 1, 2) r
        using (firm_id, period)
    left join (select firm_id, date_trunc('month', day)::date as period, sum(energy_kwh) as units
               from electricity group by 1, 2) o using (firm_id, period)
)
select e.planted_id, e.look_alike, e.knows_rule, avg(month.headcount / month.insured) as payroll_ratio,
    (select avg(v.staff_seen) from branch_visit v
     where v.firm_id = e.firm_id and v.visited_on between e.from_on and e.to_on)
        / avg(month.insured) as seen_ratio,
    avg(month.headcount) / (select avg(v.staff_seen) from branch_visit v
        where v.firm_id = e.firm_id and v.visited_on between e.from_on and e.to_on) as payroll_seen_ratio
from ({episodes}) e join month on month.firm_id = e.firm_id
    and month.period between e.from_on + 31 and e.to_on - 31
where e.kind = '{kind}' group by e.planted_id, e.look_alike, e.knows_rule, e.firm_id, e.from_on, e.to_on
"""

WAGES_BACK = """
select e.planted_id, e.look_alike, e.knows_rule,
    sum(p.amount_fen) filter (p.payee_id = e.firm_id and p.purpose = 'capital') as back_fen,
    sum(p.amount_fen) filter (p.payer_id = e.firm_id and p.purpose = 'wage') as wages_fen
from ({episodes}) e join payment p on p.paid_at between e.from_on and e.to_on + 20
    and (p.payee_id = e.firm_id or p.payer_id = e.firm_id)
where e.kind = '{kind}' group by 1, 2, 3
"""

POS = """
with terminal as (
    select firm_id, day, sum(amount_fen) as fen, sum(payers) as payers, max(top_payer_ratio) as top,
        sum(night_ratio * amount_fen) / sum(amount_fen) as night
    from pos_day group by 1, 2
), back as (
    select payer_id as firm_id, paid_at::date - 1 as day, sum(amount_fen) as fen
    from payment where payee_id = -1 and purpose = 'dividend' group by 1, 2
)
select e.planted_id, e.look_alike, e.knows_rule, median(t.top) as top, median(t.night) as night,
    coalesce(sum(b.fen), 0) / sum(t.fen) as back_ratio
from ({episodes}) e join terminal t on t.firm_id = e.firm_id and t.day between e.from_on and e.to_on
left join back b on b.firm_id = t.firm_id and b.day = t.day
where e.kind = '{kind}' and (e.look_alike or b.fen is not null) group by 1, 2, 3
"""

TELEMETRY = """
with feed as (
    select m.firm_id, hour_at::date as day, sum(h.output_units) as units, sum(h.energy_kwh) as kwh
    from equipment_hour h join equipment m using (equipment_id) group by 1, 2
), joined as (
    select f.*, e.energy_kwh as metered,
        (f.units - lag(f.units) over (partition by f.firm_id order by f.day)) as step
    from feed f join electricity e using (firm_id, day)
)
select e.planted_id, e.look_alike, e.knows_rule,
    sum(units) filter (day between e.from_on and e.to_on) / sum(metered) filter (day between e.from_on and e.to_on)
        * sum(metered) filter (day not between e.from_on and e.to_on)
        / sum(units) filter (day not between e.from_on and e.to_on) as output_per_metered,
    sum(units) filter (day between e.from_on and e.to_on) / sum(kwh) filter (day between e.from_on and e.to_on)
        * sum(kwh) filter (day not between e.from_on and e.to_on)
        / sum(units) filter (day not between e.from_on and e.to_on) as output_per_own_energy,
    stddev_samp(units) filter (day between e.from_on and e.to_on)
        / avg(units) filter (day between e.from_on and e.to_on) as variation
from ({episodes}) e join joined on joined.firm_id = e.firm_id
where e.kind = '{kind}' group by 1, 2, 3
"""

STATEMENTS = """
with declared as (
    select firm_id, year(period) as year, sum(declared_sales_fen) as fen from tax_return group by 1, 2
)
select e.planted_id, e.look_alike, e.knows_rule, s.revenue_fen / d.fen as revenue_ratio
from ({episodes}) e join statement s on s.firm_id = e.firm_id and s.year = year(e.from_on + 200)
join declared d on d.firm_id = s.firm_id and d.year = s.year
where e.kind = '{kind}'
"""

HOUR_PATTERN = """
with feed as (
    select m.firm_id, hour_at::date as day, hour(hour_at) as hour, sum(h.output_units) as units
    from equipment_hour h join equipment m using (equipment_id) group by 1, 2, 3
), share as (
    select *, units / sum(units) over (partition by firm_id, day) as part from feed
    qualify sum(units) over (partition by firm_id, day) > 20
)
select planted_id, look_alike, knows_rule, avg(spread) as spread from (
    select e.planted_id, e.look_alike, e.knows_rule, hour, stddev_samp(part) as spread
    from ({episodes}) e join share on share.firm_id = e.firm_id and share.day between e.from_on and e.to_on
    where e.kind = '{kind}' group by 1, 2, 3, 4) group by 1, 2, 3
"""

SENSORS = """
with reading as (
    select s.receipt_id, s.sensor, s.day, s.reading, r.quantity_units, r.owner_id, r.issued_on,
        first_value(s.reading) over (partition by s.receipt_id, s.sensor order by s.day) as first_reading,
        max(s.door_openings) filter (isodow(s.day) >= 6) over (partition by s.receipt_id) as rest_doors
    from warehouse_sensor s join warehouse_receipt r using (receipt_id)
)
select e.planted_id, e.look_alike, e.knows_rule, sensor, min(reading / quantity_units) as lowest,
    min(reading / first_reading) as fall, max(rest_doors) as rest_doors
from ({episodes}) e join reading on reading.owner_id = e.firm_id and reading.issued_on = e.from_on::date
where e.kind = '{kind}' group by 1, 2, 3, 4
"""

TWINS = """
select e.planted_id, e.look_alike, e.knows_rule, a.lot_code = b.lot_code as same_code,
    a.quantity_units = b.quantity_units as same_quantity, a.pledged_to_id <> b.pledged_to_id as two_lenders,
    (select avg((x.reading = y.reading)::int) from warehouse_sensor x join warehouse_sensor y using (day, sensor)
     where x.receipt_id = a.receipt_id and y.receipt_id = b.receipt_id and sensor = 'volume_m3') as same_readings
from ({episodes}) e join warehouse_receipt a on a.owner_id = e.firm_id and a.issued_on = e.from_on::date
join warehouse_receipt b on b.owner_id = a.owner_id and b.receipt_id <> a.receipt_id
    and b.issued_on between a.issued_on and a.issued_on + 3
    and (b.issued_on > a.issued_on or b.receipt_id > a.receipt_id)
    and b.released_on = a.released_on
where e.kind = '{kind}'
"""

FARMS = """
select e.planted_id, e.look_alike, e.knows_rule, avg(p.claimed_area_mu / r.sensed) as claimed_sensed,
    avg(p.claimed_area_mu / p.registered_area_mu) as claimed_registered
from ({episodes}) e join land_plot p on p.firm_id = e.firm_id and p.year = year(e.from_on + 200) and p.use = 'farm'
join (select plot_id, year(observed_on) as year, avg(sensed_area_mu) filter (not isnan(sensed_area_mu)) as sensed
      from remote_sensing group by 1, 2) r on r.plot_id = p.plot_id and r.year = p.year
where e.kind = '{kind}' group by 1, 2, 3
"""

CUSTOMS = """
with declared as (
    select firm_id, declared_on, amount_fen, quantity_units, amount_fen / quantity_units as price
    from customs_declaration where direction = 'export'
)
select e.planted_id, e.look_alike, e.knows_rule,
    median(price) filter (declared_on between e.from_on + 9 and e.to_on)
        / median(price) filter (declared_on not between e.from_on and e.to_on + 9) as price_ratio,
    count(*) filter (declared_on between e.from_on + 9 and e.to_on) as declarations
from ({episodes}) e join declared using (firm_id) where e.kind = '{kind}' group by 1, 2, 3
"""

INVOICED_AND_DECLARED = """
select e.planted_id, e.look_alike, e.knows_rule, avg((i.firm_id is not null)::int) as matched, count(*) as declarations
from ({episodes}) e join customs_declaration c on c.firm_id = e.firm_id and c.direction = 'export'
    and c.declared_on between e.from_on + 9 and e.to_on
left join (select distinct seller_id as firm_id, amount_fen from invoice) i
    on i.firm_id = c.firm_id and i.amount_fen = c.amount_fen
where e.kind = '{kind}' group by 1, 2, 3
"""

STOCK = """
with reported as (select firm_id, day, finished_units from production_day)
select e.planted_id, e.look_alike, e.knows_rule,
    avg(v.stock_seen_units / greatest(r.finished_units, 1.0)) as seen_ratio,
    (select max(s.stock_fen / s2.stock_fen::double) from statement s join statement s2 using (firm_id)
     where s.firm_id = e.firm_id and s.year = year(e.from_on + 90) and s2.year <> s.year) as statement_ratio
from ({episodes}) e join branch_visit v on v.firm_id = e.firm_id and v.visited_on between e.from_on and e.to_on
join reported r on r.firm_id = v.firm_id and r.day = v.visited_on
where e.kind = '{kind}' and v.stock_seen_units is not null group by 1, 2, 3, e.firm_id, e.from_on
"""

STOCK_JUMP = """
select e.planted_id, e.look_alike, e.knows_rule,
    median(p.finished_units) filter (p.day between e.from_on and e.to_on)
        / nullif(median(p.finished_units) filter (p.day not between e.from_on and e.to_on), 0) as reported_ratio
from ({episodes}) e join production_day p using (firm_id) where e.kind = '{kind}' group by 1, 2, 3
"""

PLEDGES = """
with pledge as (
    select c.object, c.from_on, c.to_on, c.value_fen, l.firm_id, l.bank_id
    from collateral c join loan l using (loan_id) where c.kind = 'invoice'
)
select e.planted_id, e.look_alike, e.knows_rule,
    count(*) filter (b.object is not null) as twice_at_once,
    count(*) filter (i.invoice_number is null) as without_invoice
from ({episodes}) e join pledge p on p.firm_id = e.firm_id and p.from_on between e.from_on - 3 and e.to_on
left join pledge b on b.object = p.object and b.firm_id = p.firm_id and b.bank_id <> p.bank_id
    and b.from_on <= coalesce(p.to_on, date '2100-01-01') and p.from_on <= coalesce(b.to_on, date '2100-01-01')
left join invoice i on i.invoice_number = p.object and i.seller_id = p.firm_id
where e.kind = '{kind}' group by 1, 2, 3
"""

DRAWDOWNS = """
select e.planted_id, e.look_alike, e.knows_rule, max(p.fen / l.principal_fen::double) as left_to_owner
from ({episodes}) e join loan l on l.firm_id = e.firm_id and l.started_on between e.from_on and e.to_on
left join (select payer_id, paid_at::date as day, sum(amount_fen) as fen from payment
           where purpose = 'dividend' and payee_id = -1 group by 1, 2) p
    on p.payer_id = l.firm_id and p.day between l.started_on and l.started_on + 2
where e.kind = '{kind}' group by 1, 2, 3
"""

CIRCLES = """
with inner_ as (
    select e.planted_id, e.look_alike, g.guarantor_id, g.firm_id
    from ({episodes}) e join guarantee g on g.firm_id = e.firm_id
    join ({episodes}) o on o.planted_id = e.planted_id and o.firm_id = g.guarantor_id
    where e.kind = '{kind}'
)
select i.planted_id, i.look_alike, count(*) as guarantees,
    count(*) filter (a.phone = b.phone or a.address = b.address) as kin
from inner_ i join firm f on f.firm_id = i.guarantor_id join firm g on g.firm_id = i.firm_id
join person a on a.person_id = f.legal_person_id join person b on b.person_id = g.legal_person_id
group by 1, 2
"""

APPLICANTS = """
with who as (
    select e.planted_id, e.look_alike, e.knows_rule, e.firm_id, e.from_on,
        p.device_id, f.address
    from ({episodes}) e join firm f using (firm_id) join person p on p.person_id = f.legal_person_id
    where e.kind = '{kind}'
)
select planted_id, look_alike, knows_rule, count(distinct device_id) as devices, count(distinct address) as addresses,
    count(distinct firm_id) as firms,
    (select count(distinct a.firm_id) from loan_application a join who w on w.firm_id = a.firm_id
     where w.planted_id = who.planted_id and a.applied_on between w.from_on and w.from_on + 6) as applied,
    (select max(n) from (select count(distinct a.firm_id) as n
     from loan_application a join who w on w.firm_id = a.firm_id
     where w.planted_id = who.planted_id and a.applied_on between w.from_on and w.from_on + 6
     group by a.device_id, a.bank_id)) as from_one_device
from who group by 1, 2, 3
"""


def episodes(connection: duckdb.DuckDBPyConnection, query: str, kind: str):
    """The figures of a check for every episode of a kind, as a frame."""
    return connection.execute(query.replace("{episodes}", EPISODES).replace("{kind}", kind)).df()
