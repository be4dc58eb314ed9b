"""The truth of a world, read from its files: `world.json` and one Parquet file or folder of parts a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from lakehouse.errors import ConfigError

DAYS = ("from_on", "to_on", "defaulted_on", "occurred_on")


@dataclass(frozen=True)
class World:
    """A generated world; `read` asks it in SQL, where every table bears its own name."""

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> World:
        """ConfigError when the folder holds no world."""
        if not (folder / "world.json").exists():
            raise ConfigError(
                "no world here", where=str(folder / "world.json"), remedy="vinelake economy generate --out DIR"
            )
        return cls(folder)

    @property
    def last_day(self) -> date:
        """The last day the world lived through."""
        return date.fromisoformat(json.loads((self.folder / "world.json").read_text())["last_day"])

    def files(self, table: str) -> list[str]:
        """The Parquet files of a table; ConfigError when it has none."""
        single = self.folder / f"{table}.parquet"
        found = [single] if single.exists() else sorted((self.folder / table).glob("*.parquet"))
        if not found:
            raise ConfigError(f"the world has no table {table}", where=str(self.folder), remedy="generate it anew")
        return [str(file) for file in found]

    def read(self, sql: str, tables: list[str], **values: object) -> pd.DataFrame:
        """Rows of a query over these tables; day columns come as datetime64."""
        with duckdb.connect() as connection:
            for table in tables:
                listed = ", ".join(f"'{file}'" for file in self.files(table))
                connection.execute(f"create view {table} as select * from read_parquet([{listed}])")
            frame = connection.execute(sql, values).df() if values else connection.execute(sql).df()
        for column in set(DAYS) & set(frame.columns):
            frame[column] = pd.to_datetime(frame[column])
        return frame

    def keys(self, as_of: date) -> pd.DataFrame:
        """Keys in use by a date: system, department, key, firm_id, without_code.

        A key that passed to another firm belongs to the newest. `without_code`: that department holds no code for it.
        """
        return self.read(
            """
            with newest as (
                select system, department, key, arg_max(firm_id, coalesce(from_on, date '1900-01-01')) as firm_id
                from identity_map where from_on is null or from_on <= $as_of group by all
            ), held as (
                select system, department, key, bool_and(uscc is null and registration_number is null) as without_code
                from department_subject group by all
            )
            select newest.*, coalesce(without_code, false) as without_code
            from newest left join held using (system, department, key)
            """,
            ["identity_map", "department_subject"],
            as_of=as_of,
        )

    def codes(self) -> pd.DataFrame:
        """firm_id and uscc."""
        return self.read("select firm_id, uscc from firm", ["firm"])

    def planted(self, until: date) -> pd.DataFrame:
        """One row a firm of an episode that began by a date."""
        return self.read(
            """
            select planted_id, unnest(firm_ids) as firm_id, kind, look_alike, knows_rule, from_on, to_on
            from planted where from_on <= $until
            """,
            ["planted"],
            until=until,
        )

    def defaults(self) -> pd.DataFrame:
        """firm_id, defaulted_on: the first day 90 days past due."""
        return self.read(
            "select firm_id, past_due_90_on as defaulted_on from default_event where past_due_90_on is not null",
            ["default_event"],
        )

    def borrowers(self, at: date) -> pd.DataFrame:
        """firm_id of firms with a loan open at the start of a day and no default before it."""
        return self.read(
            """
            select distinct firm_id from loan
            where started_on < $at and (closed_on is null or closed_on >= $at)
                and firm_id not in (select firm_id from default_event where past_due_90_on < $at)
            """,
            ["loan", "default_event"],
            at=at,
        )

    def links(self, until: date) -> pd.DataFrame:
        """True links of valid invoices: invoice_number, record, occurred_on, amount (units, or fen of a payment).

        Only what systems show: invoices of a firm that the tax office knows, orders and shipments of members of the
        platform.
        """
        return self.read(
            """
            with known as (select distinct department, firm_id from department_subject),
            taxed as (select firm_id from known where department = 'vat_invoices'),
            member as (select firm_id from known where department = 'platform'),
            kept as (
                select *, seller_id in (from member) or buyer_id in (from member) as on_platform from invoice
                where voided_on is null and red_of_id is null and issued_on < $until
                    and (seller_id in (from taxed) or buyer_id in (from taxed))
            )
            select invoice_number, 'order' as record, ordered_on as occurred_on, quantity_units::bigint as amount
            from kept join trade_order using (order_id) where ordered_on < $until and on_platform
            union all
            select invoice_number, 'delivery', shipped_on, delivery.quantity_units::bigint
            from kept join delivery using (delivery_id) where shipped_on < $until and on_platform
            union all
            select invoice_number, 'payment', paid_at::date, payment.amount_fen
            from kept join payment using (invoice_id)
            where paid_at < $until and reverses_id is null
                and payment_id not in (select reverses_id from payment where reverses_id is not null)
            """,
            ["invoice", "trade_order", "delivery", "payment", "department_subject"],
            until=until,
        )

    def true_pd(self, at: date) -> pd.DataFrame | None:
        """firm_id and pd of the firms at risk at a fork of that date; None without a fork."""
        file = self.folder / f"fork-{at:%Y-%m-%d}.parquet"
        if not file.exists():
            return None
        return duckdb.execute(
            'select firm_id, avg("default"::int) as pd from read_parquet(?) where at_risk group by 1', [str(file)]
        ).df()

    def bound(self, at: date) -> dict | None:
        """What `vinelake economy bound` left for that date; None when it was not run."""
        file = self.folder / f"bound-{at:%Y-%m-%d}.json"
        return json.loads(file.read_text()) if file.exists() else None
