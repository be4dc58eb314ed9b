"""Electricity by the day, water and gas by the month."""

from __future__ import annotations

from sources.systems.government.departments.directory import directory
from sources.systems.government.fields import day, number, text, yuan
from sources.systems.government.model import Dataset, Department, Lag, Mistake, Stage

ELECTRICITY = Department(
    "electricity",
    "electricity",
    "Grid company: electricity",
    "Metered energy by day; accounts stand under the name given when they were opened.",
    (
        directory(
            "electricity",
            "accounts",
            "Accounts as the grid company knows them.",
            ("yhbh", "yhmc", "zjhm", "yddz", "lxdh"),
            Lag(2, 5),
        ),
        Dataset(
            name="daily_usage",
            about="Energy and cost of each account and day.",
            grain="one record an account and day",
            sql="SELECT *, day AS event_on FROM electricity",
            key=("firm_id", "day"),
            subject="firm_id",
            fields=(
                text("yhbh", "subject_key", "account", "3205119847"),
                day("ydrq", "day", "day", "%Y%m%d"),
                number("ydl", "energy_kwh", "energy", 812.4, "kWh", 3),
                number("fsbl", "peak_ratio", "share at peak hours", 0.41, "ratio", 4),
                yuan("df", "fee_fen", "cost"),
            ),
            lag=Lag(1, 1, 0.01, 12),
            mistake=Mistake("energy_kwh", 0.003, 10, (3, 20)),
            split=("energy_kwh", "fee_fen"),
            prefix="E",
        ),
    ),
    bulk="parquet",
)


def _meter(department: str, title: str, about: str, dataset: str, table: str, names: tuple[str, ...]) -> Department:
    """A utility that bills by the month."""
    key, month, volume, fee, paid = names
    return Department(
        department,
        department,
        title,
        about,
        (
            directory(
                department,
                "accounts",
                "Accounts as the company knows them.",
                (key, "yhmc", "zjhm", "yhdz", "lxdh"),
                Lag(3, 10),
            ),
            Dataset(
                name=dataset,
                about="Monthly bills; payment is a new revision.",
                grain="one record an account and month",
                sql=f"SELECT *, (period + INTERVAL 1 MONTH)::DATE AS event_on FROM {table}",
                key=("firm_id", "period"),
                subject="firm_id",
                stages=(Stage("paid_on", ("paid_on",)),),
                fields=(
                    text(key, "subject_key", "account", "104000123"),
                    day(month, "period", "month billed", "%Y-%m"),
                    number(volume, "volume_m3", "volume", 120.5, "m³", 3),
                    yuan(fee, "fee_fen", "cost"),
                    day(paid, "paid_on", "paid on", "%Y-%m-%d"),
                ),
                lag=Lag(3, 12, 0.03, 30),
                mistake=Mistake("volume_m3", 0.005, 10),
                split=("volume_m3", "fee_fen"),
                prefix="W",
            ),
        ),
    )


WATER = _meter(
    "water", "Water company", "Monthly water bills.", "bills", "water", ("khbh", "zdyf", "ysl", "sf", "jfrq")
)

GAS = _meter("gas", "Gas company", "Monthly gas bills.", "bills", "gas", ("rqbh", "zdyf", "yql", "rqf", "jfrq"))
