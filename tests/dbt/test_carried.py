"""Windows of full months carried on from an earlier date of the month: the values are those of a whole computation."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from lakehouse import builds, engine, tables
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from spark_jobs import dbt_run, features, invoice_features
from tests.invoice_silver import built_features, invoice, months, put_silver

pytestmark = pytest.mark.engine

BEFORE, DAY, NEXT = "2020-02-03", "2020-02-10", "2020-02-11"
JANUARY = date(2020, 1, 20)
# Firms that sell seldom: the days of their sales, and the last of them when the day's news is told.
SELDOM = {
    **dict.fromkeys(("L1", "L2"), (date(2018, 3, 15), date(2018, 6, 15))),
    "L3": (date(2018, 3, 15), date(2020, 2, 1)),
    **dict.fromkeys(("L4", "L5"), (date(2018, 3, 15),)),
}
LAST_SALE = {"L1": date(2018, 3, 15), "L2": date(2018, 6, 15), "L3": date(2018, 3, 15), "L4": date(2018, 8, 15)}


def firm_in_turn(day: str) -> str:
    """A firm whose windows are computed on that day of a month whatever came."""
    with engine.session("test_features") as spark:
        named = spark.range(200).selectExpr("concat('T', id) AS firm")
        turn = f"pmod(xxhash64(firm), 31) = {int(day[-2:]) - 1}"
        return named.where(turn).orderBy("firm").collect()[0]["firm"]


def carried() -> dict[str, bool]:
    """The firms that could be carried on at the last date built, and whether it was their turn."""
    with engine.session("test_features") as spark:
        rows = spark.table(f"{dbt_run.work_schema()}.int_carried").collect()
    return {row["enterprise_id"]: row["in_turn"] for row in rows}


def whole(day: str) -> pd.DataFrame:
    """The features of a day with nothing carried on."""
    with engine.session("test_features") as spark:
        silver = {name: tables.published_name(name) for name in ("silver.vat_invoice", "silver.enterprise")}
        made = invoice_features.compute(spark, [date.fromisoformat(day)], silver, "whole").toPandas()
        invoice_features.release(spark, "whole")
    return made.sort_values(["as_of", "enterprise_id"]).reset_index(drop=True)


def spoil(firm: str, as_of: str) -> None:
    """Publishes features of which one value of one firm is wrong, as if the build that readers have had made them."""
    held = tables.current_manifest().versions[features.TABLE]
    with engine.session("test_features") as spark:
        spark.sql(
            f"UPDATE {tables.build_name(features.TABLE)} SET sales_amount_12m_cny = 1 "
            f"WHERE as_of = date'{as_of}' AND enterprise_id = '{firm}'"
        )
        spoilt = tables.build_version(features.TABLE)
        tables.publish(spark, {features.TABLE: spoilt}, "test", as_of)
    builds.record("spoilt", [builds.Made(features.TABLE, spoilt, 0, builds.built()[(features.TABLE, held)])])


def test_who_has_news_of_past_months_is_computed_and_the_rest_is_carried_on(lakehouse: Settings) -> None:
    turn, turn_next = firm_in_turn(DAY), firm_in_turn(NEXT)
    firms = dict.fromkeys(("E1", "E2", "E3", "E4", "E6", turn, turn_next), "2018-01-01")
    history = [
        invoice(day, 1000 + place * 100 + month, firm=firm, direction=direction)
        for place, firm in enumerate(firms)
        for month, day in enumerate(months(date(2018, 1, 1), 24))
        for direction in ("sale", "purchase")
    ]
    history += [invoice(JANUARY, 500, firm=firm, number=f"N{firm}") for firm in firms]
    history += [
        invoice(day, 300, firm=firm, known=str(day + timedelta(days=1)))
        for firm, days in SELDOM.items()
        for day in days
    ]
    registered = firms | dict.fromkeys((*SELDOM, "L6"), "2018-01-01")
    put_silver(history, registered)
    features.build(BEFORE)
    built_features()
    news = [
        invoice(JANUARY, 500, firm="E1", number="NE1", version=2, known="2020-02-05", status="void"),
        # E3 tells what it bought of E2; nobody tells anything of E2 itself.
        invoice(JANUARY, 500, firm="E3", direction="purchase", number="NE2", known="2020-02-06"),
        # A month that is not over is in no window yet.
        invoice(date(2020, 2, 4), 900, firm="E4"),
        # The last sale before the year is gone; the first one; the only one of the month; and earlier ones are told.
        invoice(date(2018, 6, 15), 300, firm="L1", version=2, known="2020-02-05", status="void"),
        invoice(date(2018, 3, 15), 300, firm="L2", version=2, known="2020-02-05", status="void"),
        invoice(date(2020, 2, 1), 300, firm="L3", version=2, known="2020-02-08", status="void"),
        invoice(date(2018, 8, 15), 300, firm="L4", known="2020-02-05"),
        invoice(date(2018, 1, 10), 300, firm="L5", known="2020-02-05"),
        invoice(date(2018, 1, 10), 300, firm="L6", direction="purchase", known="2020-02-05"),
    ]
    put_silver([*history, *news], registered | {"E5": "2020-02-07"})
    assert features.build(DAY)["as_of"] == [DAY]
    built = built_features()

    # Not E1 (voided), E2 (its buyer told), E3 (told late), E5 (new), nor others with news of past months.
    assert carried() == {"E4": False, "E6": False, "L3": False, turn: True, turn_next: False}
    of_day = built[built.as_of == date.fromisoformat(DAY)].reset_index(drop=True)
    assert set(of_day.enterprise_id) == {*registered, "E5"}
    pd.testing.assert_frame_equal(of_day, whole(DAY))
    by_firm, earlier = of_day.set_index("enterprise_id"), built[built.as_of == date.fromisoformat(BEFORE)]
    assert by_firm.related_trade_12m_ratio["E2"] > 0 == earlier.set_index("enterprise_id").related_trade_12m_ratio["E2"]
    assert by_firm.since_last_sale_days["E4"] == 6
    lasts, firsts = by_firm.since_last_sale_days, by_firm.sales_tenure_days
    until = {firm: (date.fromisoformat(DAY) - day).days for firm, day in LAST_SALE.items()}
    assert {firm: lasts[firm] for firm in until} == until
    assert firsts["L2"] == (date.fromisoformat(DAY) - date(2018, 6, 15)).days
    assert by_firm.invoice_tenure_days["L2"] == (date.fromisoformat(DAY) - date(2018, 3, 15)).days

    # A value that should not be carried on is found when it is the firm's turn to be computed.
    spoil(turn_next, DAY)
    with pytest.raises(GateFailed, match="carried_are_computed_alike"):
        features.build(NEXT)
    assert carried() == {firm: firm == turn_next for firm in (*registered, "E5")}
