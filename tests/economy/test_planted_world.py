"""A small real world: every kind is planted, records agree where firms are honest, and no single value names a lie."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from sources.economy import world
from sources.economy.planted.catalogue import KINDS
from sources.economy.schema import TABLES

FEW = 60  # words a column may have to be a category


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "small"
    world.generate(300, 1.5, 7, out)
    return out


@pytest.fixture(scope="module")
def rows(folder: Path):
    connection = duckdb.connect()

    def read(query: str) -> pd.DataFrame:
        names = {name: f"read_parquet('{folder}/{name}/*.parquet')" for name in TABLES}
        return connection.execute(query.format(**names)).df()

    return read


def test_every_kind_is_there_and_counted_once(rows):
    planted = rows("select * from {planted}")
    lies = planted[~planted["look_alike"]]
    assert planted["planted_id"].is_unique
    missing = {kind.name for kind in KINDS} - set(lies["kind"])
    assert len(missing) <= 1, missing  # a firm may close before its turn
    assert (planted["from_on"] <= planted["to_on"]).all()


def test_honest_general_taxpayers_declare_what_they_invoiced(rows):
    frame = rows("""
        with liar as (
            select distinct unnest(firm_ids) as firm_id from {planted}
            where kind in ('understated_sales', 'invoice_ring', 'fake_sales') and not look_alike
        ), sold as (
            select seller_id as firm_id, date_trunc('month', issued_on)::date as period, sum(amount_fen) as fen
            from {invoice} where voided_on is null group by 1, 2
        )
        select s.fen, t.declared_sales_fen as declared from sold s join {tax_return} t using (firm_id, period)
        join {firm} f using (firm_id)
        where f.taxpayer = 'general' and firm_id not in (from liar) and period >= date '2019-02-01'""")
    assert len(frame) > 1500
    assert ((frame["fen"] - frame["declared"]).abs() <= 0.005 * frame["declared"] + 100).mean() > 0.99


def test_a_guarantee_circle_borrows_from_one_bank(rows):
    frame = rows("""
        with member as (select planted_id, unnest(firm_ids) as firm_id from {planted} where kind = 'guarantee_circle')
        select member.planted_id, count(distinct firm_id) as firms, count(distinct bank_id) as banks
        from member join {loan} using (firm_id) group by member.planted_id""")
    assert len(frame) >= 2
    assert (frame["firms"] > 1).any()
    assert (frame["banks"] == 1).all()


def test_terminals_show_the_payments_of_the_day(rows):
    frame = rows("""
        with paid as (
            select payee_id as firm_id, paid_at::date as day, sum(amount_fen) as fen from {payment}
            where channel in ('pos', 'qr') and payee_id >= 0 group by 1, 2
        ), shown as (select firm_id, day, sum(amount_fen) as fen from {pos_day} group by 1, 2)
        select p.fen as paid, s.fen as shown from paid p full join shown s using (firm_id, day)""")
    assert len(frame) > 5000
    assert (frame["paid"] == frame["shown"]).all()


def test_social_insurance_paid_is_money_that_moved(rows):
    """A month's contribution, once paid, is one debit of the same amount on the same day."""
    frame = rows("""
        with due as (select * from {social_insurance} where paid_fen = due_fen and paid_fen > 0 and paid_on is not null)
        select count(*) as rows, count(*) filter (exists (
            select 1 from {payment} p where p.payer_id = due.firm_id and p.purpose = 'social_insurance'
            and p.paid_at::date = due.paid_on)) as moved from due""")
    assert frame["rows"][0] > 2000
    assert frame["moved"][0] == frame["rows"][0]


def test_liars_owe_less(rows):
    """Shaved social insurance is not owed: base a head of staff falls within the episode."""
    frame = rows("""
        with e as (select unnest(firm_ids) as firm_id, from_on, to_on from {planted} where kind = 'understated_heads')
        select median(s.due_fen / r.amount_fen) filter (s.period between e.from_on and e.to_on) as inside,
            median(s.due_fen / r.amount_fen) filter (s.period not between e.from_on - 31 and e.to_on + 31) as outside
        from e join {social_insurance} s using (firm_id)
        join (select payer_id as firm_id, (date_trunc('month', paid_at) - interval 1 month)::date as period,
              sum(amount_fen) as amount_fen from {payment} where purpose = 'wage' group by 1, 2) r
            using (firm_id, period)
    """)
    assert frame["inside"][0] < 0.75 * frame["outside"][0]


def test_no_category_or_gap_belongs_to_lies_alone(rows, folder):
    """Every word of a category, and every gap, that planted rows show is shown by honest rows too."""
    for name, table in TABLES.items():
        if "planted_id" not in table.hidden or not list((folder / name).glob("*.parquet")):
            continue
        for column in table.visible:
            kind = str(table.schema.field(column).type)
            word = f'"{column}"' if kind in ("string", "bool") else f'("{column}" is null)'
            query = f"""select {word} as word, count(*) filter (planted_id is not null) as lies, count(*) as n
                        from {{{name}}} group by 1"""
            frame = rows(query)
            if len(frame) <= FEW:
                assert (frame["lies"] < frame["n"]).all(), (name, column, frame)


def test_purposes_and_orders_do_not_name_planted_money(rows):
    """Pairs of categories: purpose with channel and gaps of a payment, gaps of an invoice."""
    pairs = rows("""
        select purpose, channel, invoice_id is null as i, loan_id is null as l, payer_id < 0 as a, payee_id < 0 as b,
            count(*) filter (planted_id is not null) as lies, count(*) as n from {payment} group by 1, 2, 3, 4, 5, 6
        """)
    assert (pairs["lies"] < pairs["n"]).all(), pairs[pairs["lies"] == pairs["n"]]
    papers = rows("""
        select order_id is null as o, delivery_id is null as d, red_of_id is null as r, buyer_id >= 10000000 as b,
            count(*) filter (planted_id is not null) as lies, count(*) as n from {invoice} group by 1, 2, 3, 4""")
    assert (papers["lies"] < papers["n"]).all(), papers[papers["lies"] == papers["n"]]
