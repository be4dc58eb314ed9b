"""Ecology and environment: permits and what is emitted."""

from __future__ import annotations

from sources.systems.government.departments.directory import directory
from sources.systems.government.fields import day, number, text
from sources.systems.government.model import Dataset, Department, Lag

ENVIRONMENT = Department(
    "environment",
    "environment",
    "Ecology and environment",
    "Permits, discharge readings and findings.",
    (
        directory(
            "environment",
            "permits",
            "Holders of discharge permits.",
            ("xkzbh", "dwmc", "tyshxydm", "scdz", "lxdh"),
            Lag(5, 10),
        ),
        Dataset(
            name="records",
            about="Permits, readings and findings.",
            grain="one record an entry",
            sql="SELECT *, day AS event_on FROM environment",
            key=("record_id",),
            subject="firm_id",
            fields=(
                text("xkzbh", "subject_key", "permit number", "91330106MA2K00001X001P"),
                day("jcrq", "day", "day", "%Y/%m/%d"),
                text("lx", "kind", "kind of entry", "reading"),
                text("wrw", "pollutant", "pollutant", "COD"),
                number("pfl", "discharge_kg", "discharge", 11.5, "kg", 4),
                number("xz", "limit_kg", "limit", 20.0, "kg", 4),
                text("jl", "nullif(finding, '')", "finding", "over limit"),
            ),
            lag=Lag(5, 20, 0.05, 60),
            prefix="N",
        ),
    ),
)
