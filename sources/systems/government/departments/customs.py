"""Customs: declarations of what crosses the border."""

from __future__ import annotations

from sources.systems.government.departments.directory import directory
from sources.systems.government.fields import coded, day, text, whole, yuan
from sources.systems.government.model import Dataset, Department, Lag, Mistake

CUSTOMS = Department(
    "customs",
    "customs",
    "Customs",
    "Import and export declarations of traders registered here.",
    (
        directory(
            "customs",
            "traders",
            "Traders as customs know them.",
            ("customs_code", "trader_name", "credit_code", "address", "phone"),
            Lag(5, 10),
        ),
        Dataset(
            name="declarations",
            about="Declarations of goods.",
            grain="one record a declaration",
            sql="SELECT *, declared_on AS event_on FROM customs_declaration",
            key=("declaration_id",),
            subject="firm_id",
            fields=(
                text("customs_code", "subject_key", "trader's customs code", "3301960A1B"),
                day("declaration_date", "declared_on", "declared on", "%Y-%m-%d"),
                coded(
                    "ie_flag",
                    "direction",
                    "direction",
                    {"import": ("I", "import"), "export": ("E", "export")},
                    "X",
                ),
                text("hs_code", "hs_code", "goods, harmonised system", "72083990"),
                text("goods_name", "good", "goods", "steel"),
                whole("quantity", "quantity_units", "quantity", 400, "units of the good"),
                yuan("amount_cny", "amount_fen", "value"),
                text("country", "country", "country of origin or destination", "VN"),
                text("bill_no", "bill_of_lading", "bill of lading", "BL00000012"),
            ),
            lag=Lag(3, 9, 0.04, 30),
            mistake=Mistake("quantity_units", 0.01, 10),
            prefix="C",
        ),
    ),
)
