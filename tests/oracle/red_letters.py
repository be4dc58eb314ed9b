"""Late red letters: the one feature that needs to know which invoice a red letter reverses."""

from __future__ import annotations

import duckdb
import numpy as np

from tests.oracle.arithmetic import NULL, whole

LATE_DAYS = 90


def late_red_features(connection: duckdb.DuckDBPyConnection, firms: list[str]) -> dict[str, np.ndarray]:
    """Σ |amount| of sale red letters that reverse an invoice over 90 days old / Σ blue sales, months 1..12.

    A valid red letter reverses the latest valid invoice issued no later than it to the same customer with the
    same total, signs apart; of several red letters that point at one invoice the first has it.
    """
    rows = connection.execute(
        """
        with sale as (
            select *, row_number() over (order by firm, day, number, partner) as id
            from invoice where side = 'sale' and not void
        ), pointed as (
            select
                red.id as red_id, red.firm, red.k, red.day, red.number, abs(red.amount) as amount,
                arg_max(blue.id, (blue.day, blue.number)) as blue_id, max(blue.day) as blue_day
            from sale as red join sale as blue
                on red.firm = blue.firm and red.partner is not distinct from blue.partner
                and red.total = -blue.total and blue.day <= red.day
            where red.amount < 0 and blue.amount >= 0
            group by all
        ), linked as (
            select * from pointed qualify row_number() over (partition by blue_id order by day, number, red_id) = 1
        ), late as (
            select firm, sum(amount) as amount from linked
            where k between 1 and 12 and date_diff('day', blue_day, day) > ?
            group by firm
        )
        select firm, any_value(coalesce(late.amount, 0))::hugeint, (sum(sale.amount) filter (sale.amount >= 0))::hugeint
        from sale left join late using (firm) where sale.k between 1 and 12 group by firm
        """,
        [LATE_DAYS],
    ).fetchall()
    found = {firm: int(late) / int(blue) for firm, late, blue in rows if blue}
    return {"sales_red_late_amount_12m_ratio": whole(found.get(firm, NULL) for firm in firms)}
